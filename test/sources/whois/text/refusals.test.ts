import { describe, expect, it } from 'vitest';
import { ChangeError } from '../../../../src/errors.ts';
import { readWhoisText, refusalOf } from '../../../../src/sources/whois/text/answer.ts';

const DOMAIN = 'example-one.com';
const RECORD = `Domain Name: ${DOMAIN}\nRegistrar: Registrar One\nCreation Date: 2001-02-03\nName Server: ns1.host.example\n`;
const ABSENCE = `No match for "${DOMAIN}".\n`;

function reasonOf(text: string): string {
  try {
    return readWhoisText(text, DOMAIN).found ? 'registered' : 'not-registered';
  } catch (error) {
    if (!(error instanceof ChangeError)) throw error;
    return error.reason;
  }
}

/** Ways in which servers ask for fewer queries or shut a client out. */
const REFUSALS = [
  'Query rate limit exceeded',
  'ratelimit exceeded',
  'WHOIS LIMIT EXCEEDED - SEE WWW.REGISTRY.EXAMPLE FOR DETAILS',
  'ERROR: Quota exceeded',
  'Look up quota exceeded',
  'Number of allowed queries exceeded.',
  'You have exceeded the query limit for your network.',
  'You have exceeded the maximum allowable number of lookups',
  'Exceeded the maximum number of queries per hour',
  'Your daily quota is used up.',
  'You have reached your limit of queries for today.',
  'Query limitation is exceeded.',
  'Maximum queries per hour reached',
  '% Maximum concurrent connections limit exceeded',
  'Error: 55000000002 Connection refused; access control limit exceeded',
  'Query rate of 25 per minute exceeded',
  'You are over quota.',
  'Too many requests...',
  'Too many connection attempts. Please try again in a few seconds.',
  'Your requests are too frequent.',
  'Queried interval is too short.',
  'You are querying too fast',
  'Excessive querying, grace period of 60 seconds',
  'Still in grace period, wait 23 seconds',
  'Please wait 5 minutes before the next query.',
  'You must wait 10 seconds.',
  'Slow down!',
  'Please try again later.',
  'Retry after 30 seconds',
  'Your IP address is in the black list.',
  'Your host was added to a blocklist',
  'BLACKLISTED',
  'You have been temporarily blocked.',
  'Error: your IP address has been blocked.',
  'Your access has been restricted',
  'You are being rate limited',
  'Rate limited.',
  '%ERROR:201: access denied for 192.0.2.1',
  'Permission denied.',
  'Lookup refused',
  'query_status: 440 Request Denied',
  'Requests of this client are not permitted.',
  'The IP address used to perform the query is not authorised',
  'The WHOIS service is temporarily unavailable.',
  'Service currently unavailable',
  'Server is busy now, please try again later.',
  'Server too busy',
  'Temporarily unavailable',
  'Access to this service has been temporarily blocked for your IP address.',
  'Try again in one hour',
  'Next query allowed in 30 seconds',
  'You can query again in 60 seconds',
  'Querying too frequent',
  'ERROR: rate-limited',
  'Sorry, you have used all your queries for today',
  'No more queries allowed',
  'Queries are not allowed from your IP address',
  'You are not allowed to query',
  'Denied',
  'Se ha excedido el límite de consultas.',
  'Límite de consultas excedido',
  'Demasiadas consultas desde su IP',
  'Cota de consultas excedida. Tente novamente mais tarde.',
  'Trop de requêtes depuis votre adresse',
  'La limite de requêtes est dépassée',
  'Zu viele Anfragen',
  'Das Limit für Anfragen wurde überschritten',
  'Troppe richieste',
  'Przekroczono limit zapytań',
  'Превышен лимит запросов',
  'Слишком много запросов',
  '查询过于频繁，请稍后再试',
  'アクセス回数が制限を超えました。しばらくしてから',
];

/** Sentences of terms of use. */
const TERMS = [
  'If the limit is exceeded, access is denied.',
  'If you exceed the query limit your access may be blocked.',
  'Whoever exceeds the quota may be blocked.',
  'You must not exceed the limit of\nqueries; when your quota is exceeded try again later.',
  'Access to the whois service is rate limited. For more information, see https://registry.example.',
  'Abuse of this service is monitored and actions in contravention of these\nterms will result in being permanently blacklisted.',
  'Please note that the query limit is 500 per day from the same IP',
  'The registry reserves the right to restrict your access to the database in its\nsole discretion, for excessive querying or for failure to abide by these terms.',
  'You are not authorized to access or query our database through the use of\nelectronic processes that are high-volume and automated.',
  'Queries are limited to ten per minute.',
  'The terms include restrictions on: (A) use of the data for advertising, or its\nreuse and (B) exceeding query rate or volume\nlimits.',
  'Exceeding this limit results in a temporary block.',
  'Queries exceeding the limit are rejected, and queries over quota are denied.',
  'Usage that exceeds the limit is blocked.',
  'Too many requests will lead to a block of your IP address.',
  'Users are blocked after too many requests.',
  'The IP address of a client with too many requests is blacklisted for one hour.',
  'The maximum number of queries is 10 per minute. Clients exceeding the maximum are blocked.',
  'Access is limited: whoever asks too often is told that the limit is exceeded.',
  'Requests are refused to those who exceed the limit.',
  'Clients that have exceeded their quota are blocked for an hour.',
  'Access may be withdrawn or restricted if you fail to comply with these terms.',
  'Your access is blocked if the number of queries is too high.',
  'Once the limit is reached, wait 60 seconds.',
  'Please wait at least 2 seconds between queries.',
  'The service is limited to lawful purposes. There is no limit on downloads.',
];

describe('a refusal', () => {
  it.each(REFUSALS)('is %j, whatever else the answer has', refusal => {
    expect(reasonOf(refusal)).toBe('http-429');
    expect(reasonOf(`${refusal}\n\n${ABSENCE}`)).toBe('http-429');
    expect(reasonOf(`${ABSENCE}\n${refusal}\n`)).toBe('http-429');
    expect(reasonOf(`${RECORD}\n% ${refusal}\n`)).toBe('http-429');
    expect(reasonOf(`% ${refusal}\n\n${RECORD}`)).toBe('http-429');
    expect(refusalOf(refusal)).toMatchObject({ status: 429 });
  });

  it.each(TERMS)('is not %j', terms => {
    const comment = terms.replace(/^/gm, '% ');
    expect(reasonOf(terms)).toBe('wrong-shape');
    expect([reasonOf(`${terms}\n\n${ABSENCE}`), reasonOf(`${comment}\n%\n${ABSENCE}`)]).toEqual([
      'not-registered',
      'not-registered',
    ]);
    expect([reasonOf(`${RECORD}\n${terms}\n`), reasonOf(`${comment}\n\n${RECORD}`)]).toEqual([
      'registered',
      'registered',
    ]);
  });

  it.each([
    'Registrant Organization: Rate Limit Exceeded Ltd',
    'Registrant Name: You Have Been Blocked',
    'Registrant Street: Too Many Requests Road 1',
    'Admin Organization: Access Denied Security Inc.',
    'Registrar: Service Temporarily Unavailable LLC',
  ])('is no field of a record such as %j', line => {
    expect(reasonOf(`${RECORD}${line}\n`)).toBe('registered');
  });

  it.each([
    ['Excessive querying, wait 30 seconds', 30_000],
    ['Query limit exceeded, try again in 5 minutes', 300_000],
    ['Limit exceeded. Come back after 100 hours', 86_400_000],
    ['Limit exceeded. Come back in 1 day', 86_400_000],
    ['Quota exceeded\nand will be replenished in 49s', 49_000],
    ['Limit exceeded', null],
  ])('may have a time to wait: %j', (text, retryAfterMs) => {
    expect(refusalOf(text)).toMatchObject({ retryAfterMs });
  });
});
