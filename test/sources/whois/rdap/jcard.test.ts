import { describe, expect, it } from 'vitest';
import { type Contact, readJcard } from '../../../../src/sources/whois/rdap/jcard.ts';

const NOTHING: Contact = {
  name: null,
  organization: null,
  isOrganization: false,
  email: null,
  phone: null,
  url: null,
  city: null,
  state: null,
  country: null,
};

const cardOf = (...properties: unknown[]) => readJcard(['vcard', properties]);

describe('a card', () => {
  it.each([
    undefined,
    null,
    '',
    'vcard',
    7,
    {},
    [],
    ['vcard'],
    ['vcard', []],
    ['vcard', null],
    ['vcard', [[]]],
    ['vcard', [null, 7, {}, ['fn'], ['fn', {}], ['fn', {}, 'text'], ['fn', {}, 'text', null]]],
    ['vcard', [['fn', {}, 'text', ' ']]],
    ['vcard', [['fn', {}, 'text', { name: 'x' }]]],
    ['vcard', [['fn', {}, 'text', 'N/A']]],
    ['vcard', [['fn', {}, 'text', 'x'.repeat(1001)]]],
  ])('%j has no fields', given => {
    expect(readJcard(given)).toEqual(NOTHING);
  });

  it.each([
    [['vcard', [['fn', {}, 'text', 'Ann']]]],
    [['vcard', [['FN', null, null, 'Ann']]]],
    [['vcard', ['fn', {}, 'text', 'Ann']]],
    [[['fn', {}, 'text', 'Ann']]],
    [
      [
        ['version', {}, 'text', '4.0'],
        ['fn', {}, 'text', 'Ann'],
      ],
    ],
    [
      [
        'vcard',
        [
          ['fn', {}, 'text', ''],
          ['fn', {}, 'text', ' Ann\u0000\n'],
        ],
      ],
    ],
    [['vcard', [['fn', {}, 'text', ['', 'Ann']]]]],
  ])('%j has the name Ann', given => {
    expect(readJcard(given)).toEqual({ ...NOTHING, name: 'Ann' });
  });

  it('has its structured name if it has no other', () => {
    const structured = ['n', {}, 'text', ['Sample', ['Ann', 'Marie'], '', 'Dr.', 'jr.']];
    expect(cardOf(structured).name).toBe('Dr. Ann Sample jr.');
    expect(cardOf(structured, ['fn', {}, 'text', 'A. Sample']).name).toBe('A. Sample');
    expect(cardOf(['n', {}, 'text', ['', '', '', '', '']]).name).toBeNull();
  });

  it('has the first text of its organization, which may have units', () => {
    expect(cardOf(['org', {}, 'text', 'Sample Ltd']).organization).toBe('Sample Ltd');
    expect(cardOf(['org', {}, 'text', ['Sample Ltd', 'Sales']]).organization).toBe('Sample Ltd');
    expect(cardOf(['org', {}, 'text', [['', 'Sales']]]).organization).toBe('Sales');
    expect(cardOf(['kind', {}, 'text', 'ORG']).isOrganization).toBe(true);
    expect(cardOf(['kind', {}, 'text', 'individual']).isOrganization).toBe(false);
  });
});

describe('an email address', () => {
  it.each<[unknown[], string | null]>([
    [['ann@example.com'], 'ann@example.com'],
    [['mailto:ann@example.com'], 'ann@example.com'],
    [['', 'https://registrar.example/form', 'ann@example.com'], 'ann@example.com'],
    [['REDACTED FOR PRIVACY', 'ann@example.com'], 'ann@example.com'],
    [['Redacted for Privacy'], 'Redacted for Privacy'],
    [['ann at example.com'], null],
    [['https://registrar.example/form'], null],
    [['<ann@example.com>'], null],
    [[['ann@example.com']], 'ann@example.com'],
  ])('among %j is %j', (values, expected) => {
    expect(cardOf(...values.map(value => ['email', {}, 'text', value])).email).toBe(expected);
  });
});

describe('a telephone number', () => {
  it.each<[unknown, string | null]>([
    ['tel:+1.2025550100', '+1.2025550100'],
    ['tel:+1.2025550100;ext=12', '+1.2025550100 ext. 12'],
    ['tel:+1-202-555-0100;phone-context=example.com;ext=7', '+1-202-555-0100 ext. 7'],
    ['+1.2025550100x12', '+1.2025550100 ext. 12'],
    ['+1 (202) 555-0100 ext. 12', '+1 (202) 555-0100 ext. 12'],
    ['020 7946 0100', '020 7946 0100'],
    ['GDPR Masked', 'GDPR Masked'],
    ['', null],
    ['tel:', null],
    ['tel:+1', null],
    ['call us', null],
    ['+1.2025550100 or +1.2025550101', null],
    ['1'.repeat(30), null],
  ])('of %j is %j', (value, expected) => {
    expect(cardOf(['tel', { type: 'voice' }, 'uri', value]).phone).toBe(expected);
  });

  it('is a voice number', () => {
    const fax = ['tel', { type: ['FAX', 'work'] }, 'uri', 'tel:+1.2025550199'];
    expect(cardOf(fax).phone).toBeNull();
    expect(cardOf(fax, ['tel', {}, 'uri', 'tel:+1.2025550100']).phone).toBe('+1.2025550100');
    expect(cardOf(['tel', { type: ['fax', 'voice'] }, 'uri', 'tel:+1.2025550100']).phone).toBe('+1.2025550100');
  });
});

describe('an address', () => {
  const address = (...property: unknown[]) => {
    const { city, state, country } = cardOf(['adr', ...property]);
    return [city, state, country];
  };

  it.each<[string, unknown[], (string | null)[]]>([
    ['seven parts', [{}, 'text', ['', '', '1 Street', 'City', 'State', '1', 'gb']], ['City', 'State', 'GB']],
    [
      'a country by its name',
      [{}, 'text', ['', '', '', 'City', '', '', 'United Kingdom']],
      ['City', null, 'United Kingdom'],
    ],
    [
      'a country code next to it',
      [{ cc: 'gb' }, 'text', ['', '', '', 'City', '', '', 'Britain']],
      ['City', null, 'GB'],
    ],
    ['an invalid code', [{ cc: 'Britain' }, 'text', ['', '', '', 'City', '', '', 'gb']], ['City', null, 'GB']],
    [
      'lists as parts',
      [{}, 'text', ['', '', ['1', '2'], ['City'], [['State']], '', ['', 'GB']]],
      ['City', 'State', 'GB'],
    ],
    ['the parts of RFC 9554', [{}, 'text', ['', '', '', 'City', 'State', '', 'GB', '1', '2']], ['City', 'State', 'GB']],
    ['seven values', [{}, 'text', '', '', '', 'City', 'State', '', 'GB'], ['City', 'State', 'GB']],
    ['too few parts', [{ cc: 'GB' }, 'text', ['1 Street', 'City', 'State', 'FR']], [null, null, 'GB']],
    ['a label only', [{ label: '1 Street\nCity\nGB' }, 'text', ['', '', '', '', '', '', '']], [null, null, null]],
    ['a label and a code', [{ label: '1 Street', cc: 'gb' }, 'text', ''], [null, null, 'GB']],
    ['text', [{}, 'text', '1 Street, City'], [null, null, null]],
    ['a withheld part', [{}, 'text', ['', '', '', 'REDACTED', '', '', 'GB']], ['REDACTED', null, 'GB']],
    ['objects', [{}, 'text', [{}, {}, {}, {}, {}, {}, {}]], [null, null, null]],
    ['nothing', [], [null, null, null]],
  ])('of %s', (_name, property, expected) => {
    expect(address(...property)).toEqual(expected);
  });

  it('is the first with a part', () => {
    const empty = ['adr', {}, 'text', ['', '', '', '', '', '', '']];
    expect(cardOf(empty, ['adr', {}, 'text', ['', '', '', 'City', '', '', '']]).city).toBe('City');
  });
});

describe('a URL', () => {
  it.each<[unknown, string | null]>([
    ['https://registrar.example/a', 'https://registrar.example/a'],
    ['www.registrar.example', 'www.registrar.example'],
    ['https://user:word@registrar.example', null],
    ['javascript:alert(1)', null],
    ['see our site', null],
    ['http://', null],
  ])('of %j is %j', (value, expected) => {
    expect(cardOf(['url', {}, 'uri', value]).url).toBe(expected);
  });
});
