import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { ChangeError } from '../../../../src/errors.ts';
import { NO_FACTS, type WhoisFacts } from '../../../../src/sources/whois/facts.ts';
import { readWhoisText, refusalOf } from '../../../../src/sources/whois/text/answer.ts';
import { decodeText } from '../../../../src/sources/whois/text/lines.ts';

const FOLDER = path.resolve(import.meta.dirname, '../../../fixtures/whois/text');

/** What is expected of a text of the folder: its facts that are not null, or the reason of its error. */
interface Expected {
  file: string;
  domain: string;
  found?: boolean;
  facts?: Partial<WhoisFacts>;
  redacted?: (keyof WhoisFacts)[];
  error?: string;
  retryAfterMs?: number;
}

const rows = JSON.parse(readFileSync(path.join(FOLDER, 'rows.json'), 'utf8')) as Expected[];
const bytesOf = (file: string) => readFileSync(path.join(FOLDER, file));
const textOf = (file: string) => decodeText(bytesOf(file));
const records = rows.filter(row => row.found);

function errorOf(text: string, domain = 'example-one.com'): ChangeError | null {
  try {
    readWhoisText(text, domain);
    return null;
  } catch (error) {
    if (!(error instanceof ChangeError)) throw error;
    return error;
  }
}

const foundIn = (text: string, domain = 'example-one.com') => readWhoisText(text, domain).found;

describe('an answer of the fixtures', () => {
  it.each(rows)('in $file gives the facts of $domain', ({ file, domain, error, ...expected }) => {
    if (error !== undefined) {
      expect(errorOf(textOf(file), domain)).toMatchObject({
        reason: error,
        status: error === 'http-429' ? 429 : null,
        retryAfterMs: expected.retryAfterMs ?? null,
      });
      return;
    }
    const { stable: _, ...answer } = readWhoisText(textOf(file), domain);
    expect(answer).toEqual({ ...expected, facts: { ...NO_FACTS, ...expected.facts } });
  });

  it('has its row, except IANA’s', () => {
    const files = readdirSync(FOLDER).filter(file => file.endsWith('.txt') && !file.startsWith('iana-'));
    expect(rows.map(row => row.file).sort()).toEqual(files.sort());
  });

  it.each(records)('in $file is no answer for another domain', ({ file }) => {
    expect(errorOf(textOf(file), 'somebody-else.example')).toMatchObject({ reason: 'name-mismatch', status: null });
  });

  it('gives the same with other line ends', () => {
    for (const { file, domain } of records) {
      const lines = textOf(file);
      for (const end of ['\r\n', '\r'])
        expect(readWhoisText(decodeText(new TextEncoder().encode(lines.replaceAll('\n', end))), domain)).toEqual(
          readWhoisText(lines, domain),
        );
    }
  });
});

describe('bytes', () => {
  it('are UTF-8, or else Latin-1', () => {
    expect(decodeText(new Uint8Array([0x4d, 0xc3, 0xbc, 0x0d, 0x0a, 0x0d]))).toBe('Mü\n\n');
    expect(decodeText(new Uint8Array([0x4d, 0xfc]))).toBe('Mü');
    expect(decodeText(new Uint8Array([0xef, 0xbb, 0xbf, 0x41]))).toBe('A');
  });
});

describe('the stable text', () => {
  const stableOf = (text: string, domain: string) => readWhoisText(text, domain).stable;

  it.each(records)('of $file is the same at another visit', ({ file, domain }) => {
    const later = textOf(file)
      .replaceAll('2026-11-23', '2026-12-24')
      .replaceAll('23-Nov-2026', '24-Dec-2026')
      .replaceAll('23.11.2026', '24.12.2026')
      .replace(/\b09:15:02/g, '10:16:03')
      .replaceAll('20261121', '20261222')
      .replaceAll('192.0.2.55', '192.0.2.66');
    expect(stableOf(later, domain)).toBe(stableOf(textOf(file), domain));
  });

  it('has no terms of use and no comments, and changes with the record', () => {
    const text = textOf('gtld.txt');
    const stable = stableOf(text, 'example-one.com');
    expect(stable).toContain('Registry Expiry Date: 2027-08-13T04:00:00Z');
    expect(stable).not.toMatch(/NOTICE|Last update of/);
    expect(stableOf(text.replace('2027-08-13', '2028-08-13'), 'example-one.com')).not.toBe(stable);
    expect(stableOf(textOf('denic.txt'), 'xn--msterstadt-9db.de')).not.toContain('%');
  });
});

describe('a text that the domain is not registered', () => {
  it.each([
    'No match for domain "EXAMPLE-ONE.COM".',
    'NOT FOUND',
    'No Data Found',
    'Domain not found.',
    '%% No match',
    'No entries found.',
    'Domain example-one.com is available for registration',
    'Status: free',
    '% nothing found',
    'example-one.com is free',
    'The queried object does not exist',
    'No Object Found',
    'Not found: example-one.com',
    'The domain has not been registered.',
    'Domain Name: example-one.com\nDomain Status: No Object Found',
    'Domain: example-one.com\nStatus: AVAILABLE',
    'the above domain name is not registered to KRNIC'.slice(4),
  ])('is %j', text => {
    expect(foundIn(text)).toBe(false);
  });

  it.each([
    'More information is available at https://whois.example',
    'Status: NOT AVAILABLE',
    'Domain: example-one.com',
    'We do not match names.',
    'This service is free of charge',
    'The registrar was not reached',
    'other.com is free',
    '<html><body>Not here</body></html>',
    'null',
    '{"found":false}',
    '% Terms\n%\n',
  ])('is not %j', text => {
    expect(errorOf(text)).toMatchObject({ reason: 'wrong-shape' });
  });

  it('does not count next to a record', () => {
    const text = `% No entries found in the other database\n\n${textOf('gtld.txt')}`;
    expect(foundIn(text)).toBe(true);
  });
});

it('is no refusal where it is a fixture with a record', () => {
  for (const { file } of records) expect(refusalOf(textOf(file)), file).toBeNull();
});

describe('a record', () => {
  const head = 'Domain Name: example-one.com\n';
  const factsOf = (text: string) => readWhoisText(head + text, 'example-one.com').facts;

  it('has EPP codes and a registry’s own single words as statuses, but no sentences', () => {
    const text =
      'Domain Status: client transfer prohibited\nStatus: Locked\nStatus: to be looked at by hand\nStatus: ok';
    expect(factsOf(text).status_codes).toBe('Locked,clientTransferProhibited,ok');
  });

  it('has hosts as name servers', () => {
    const text = 'Name Server: 192.0.2.1\nName Server 1: A.Example.\nNserver: b.example, c.example\nns: nonsense\n';
    expect(factsOf(text).nameservers).toBe('a.example,b.example,c.example');
  });

  it('has null where a value does not have its column’s form', () => {
    const text =
      'Creation Date: yesterday\nRegistrant Email: none of yours\nRegistrar IANA ID: x9\nRegistrar URL: ask us\n' +
      'Registrar Abuse Contact Phone: by mail\nRegistrar Abuse Contact Email: n/a\nDNSSEC: maybe\nRegistrar: R\n';
    expect(factsOf(text)).toEqual({ ...NO_FACTS, registrar_name: 'R' });
  });

  it('has the date of its update, not the time of the answer', () => {
    expect(factsOf('Last Updated On: 2026-01-02\nLast updated on 2026-11-23T09:15:02Z\n').updated_date).toBe(
      '2026-01-02',
    );
  });

  it('has the first of two values, and a value rather than a withheld one', () => {
    const text = 'Registrant Name: REDACTED FOR PRIVACY\nRegistrant Name: A\nRegistrant Name: B\n';
    expect(readWhoisText(head + text, 'example-one.com')).toMatchObject({
      facts: { registrant_name: 'A' },
      redacted: [],
    });
  });

  it('is no record with two domains', () => {
    expect(errorOf(`${head}Registrar: R\nDomain Name: other.com\n`)).toMatchObject({ reason: 'name-mismatch' });
  });
});

it('is read in time linear in its length', () => {
  const hostile = [
    ' '.repeat(500_000),
    ' :'.repeat(200_000),
    '['.repeat(500_000),
    '1'.repeat(500_000),
    'a.'.repeat(250_000),
    'Registrant: x\n\n'.repeat(40_000),
    'nic-hdl: x\n\n'.repeat(40_000),
    'no match '.repeat(50_000),
    'limit '.repeat(80_000),
    'Registrar:\n\n'.repeat(40_000),
    '\n'.repeat(500_000),
    `${'('.repeat(200_000)}http:`,
  ];
  for (const text of hostile) {
    // CPU time, because other programs may slow the machine down.
    const started = process.threadCpuUsage();
    for (const whole of [text, `Domain: example-one.com\nStatus: ${text}`]) {
      try {
        readWhoisText(whole, 'example-one.com');
      } catch (error) {
        expect(error).toBeInstanceOf(ChangeError);
      }
    }
    expect(process.threadCpuUsage(started).user / 1_000, JSON.stringify(text.slice(0, 20))).toBeLessThan(4_000);
  }
});
