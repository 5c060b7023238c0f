import { describe, expect, it } from 'vitest';
import { ChangeError } from '../../../../src/errors.ts';
import { readWhoisText } from '../../../../src/sources/whois/text/answer.ts';

const DOMAIN = 'example-one.com';
const FACT = 'Creation Date: 2001-02-03';

function reasonOf(text: string): string {
  try {
    return readWhoisText(text, DOMAIN).found ? 'registered' : 'not-registered';
  } catch (error) {
    if (!(error instanceof ChangeError)) throw error;
    return error.reason;
  }
}

describe('a statement that nobody has the domain', () => {
  it.each([
    'No match for domain "EXAMPLE-ONE.COM".',
    'No match for "EXAMPLE-ONE"',
    'example-one.com - No Match',
    'NOT FOUND',
    'NO OBJECT FOUND!',
    'No Data Found',
    'No such domain',
    'No matching record.',
    'No records matching example-one.com found.',
    'Not find MatchingRecord',
    'Domain not found.',
    '%% No match',
    '%ERROR: no entries found',
    '%ERROR:103: Domain is not registered',
    'Error 404: domain not found',
    'There is no information about example-one.com',
    'No information available about domain name example-one.com in the Registry',
    'We do not have an entry in our database matching your query.',
    'Invalid query or domain name not known in the sample registry',
    'The domain example-one.com is not registered.',
    'The requested domain was not found in the Registry or Registrar’s WHOIS Server.',
    'does not exist in database!',
    'The domain name you requested is available',
    'This domain name has not been registered or is unknown',
    'Domain: example-one.com\nRegistered: No',
    'Domain: example-one.com\nAvailable: yes',
    'Domain unknown',
    'example-one.com is available for purchase',
    'Available\nDomain: example-one.com',
    'Whois server of a sample registry\nno match',
    'This query returned 0 objects.',
    'Your search did not match any records',
    'No_Se_Encontro_El_Objeto/Object_Not_Found',
    'El dominio example-one.com no está registrado',
    'Domínio não encontrado',
    'Aucun enregistrement trouvé',
    'Le domaine example-one.com est libre',
    'Domain example-one.com ist nicht registriert',
    'Kein Eintrag gefunden',
    'Nessun risultato',
    'Brak danych',
    'Домен не найден',
    '未找到',
  ])('is %j', text => {
    expect(reasonOf(text)).toBe('not-registered');
  });

  it.each([
    'The name is reserved and is not available for registration.',
    'example-one.com is not available',
    'other.com is free',
    'No match for "OTHER.COM".',
    'No name servers found',
    'No registrar information available',
    'No information on the registrant',
    'No data found for the registrar',
    'No match means that the domain may be available.',
    'If no match is found the domain is available.',
    'A failure to locate a record is not indicative of the availability of a domain name.',
    'The service lets persons check whether a specific\ndomain name is still available or not and to obtain data.',
    'The registrant is not known',
    'Domain: example-one.com\nRegistered: yes\nAvailable: no',
    'Domain names are available at https://registrar.example',
    'More information is available at https://whois.example',
    'This service is free of charge',
    'invalid domain name',
  ])('is not %j', text => {
    expect(reasonOf(text)).toBe('wrong-shape');
  });

  it('does not count in a text with a fact that only a registration has', () => {
    for (const fact of [FACT, 'Name Server: ns1.host.example', 'Registrant Name: Ann Sample'])
      expect([reasonOf(`No match found\n\n${fact}`), reasonOf(`No match\nDomain: ${DOMAIN}\n${fact}`)]).toEqual([
        'wrong-shape',
        'registered',
      ]);
  });
});

describe('a status that means that nobody has the domain', () => {
  const KEYS = [
    'Status',
    'Domain Status',
    'registration status',
    'state',
    'query_status',
    'Domain state',
    'EPP Status',
  ];

  it.each(KEYS)('is read below %j', key => {
    for (const status of [
      'free',
      'AVAILABLE',
      '220 Available',
      'Not Registered',
      'No Object Found',
      'available (free)',
    ])
      expect([reasonOf(`${key}: ${status}\n`), reasonOf(`Domain: ${DOMAIN}\n${key}: ${status}\n`)]).toEqual([
        'not-registered',
        'not-registered',
      ]);
    for (const status of ['NOT AVAILABLE', 'active', 'reserved'])
      expect(reasonOf(`${key}: ${status}\n`), status).toBe('wrong-shape');
  });

  it('does not count next to another status or a fact of a registration', () => {
    expect(reasonOf(`Domain: ${DOMAIN}\nStatus: free\nStatus: active\n`)).toBe('registered');
    expect(reasonOf(`Domain: ${DOMAIN}\nStatus: available\n${FACT}\n`)).toBe('registered');
  });
});
