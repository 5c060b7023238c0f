import { describe, expect, it } from 'vitest';
import { NO_FACTS, type WhoisFacts } from '../../../../src/sources/whois/facts.ts';
import { readWhoisText, unreadLines } from '../../../../src/sources/whois/text/answer.ts';

const DOMAIN = 'example-one.com';
const HEAD = `Domain Name: ${DOMAIN}\nRegistrar: R\n`;

function factsOf(text: string, domain = DOMAIN): Partial<WhoisFacts> & { redacted?: string[] } {
  const { facts, redacted } = readWhoisText(HEAD.replace(DOMAIN, domain) + text, domain);
  const known = Object.entries(facts).filter(([column, fact]) => fact !== null && column !== 'registrar_name');
  return { ...Object.fromEntries(known), ...(redacted.length > 0 ? { redacted } : {}) };
}

const nameOf = (text: string) => factsOf(text).registrant_name;

describe('a handle', () => {
  it.each(['P-ABC21', 'CON-66', 'EF15000015-NICAT', 'AAV410-IEDR', 'VZOR-0001', '30000000001', 'ABC12345'])(
    '%j is no name, whatever key it is below',
    handle => {
      for (const key of ['owner-contact', 'registrant', 'holder', 'holder-c', 'Registrant Contact', 'Domain Holder'])
        expect(factsOf(`${key}: ${handle}\n`), key).toEqual({});
      expect(nameOf(`owner-contact: ${handle}\nowner-name: Ann Sample\n`)).toBe('Ann Sample');
    },
  );

  it.each(['Google', 'STUDIO54', '3M', '24-7', '7-Eleven', 'H2O', 'Studio 1999', 'A-B-C'])(
    'is not %j, which is a name',
    name => {
      expect(nameOf(`registrant: ${name}\n`)).toBe(name);
    },
  );

  it('leads to the name of its object, also where no empty line is between', () => {
    expect(nameOf('registrant: C-1\n\ncontact: C-1\nname: Ann\n\ncontact: C-2\nname: Bob\n')).toBe('Ann');
    expect(nameOf('registrant: 1000001\ncontact: 1000001\nname: Ann\nnserver: ns1.a.example\n')).toBe('Ann');
  });

  it('of a registrar leads to its name', () => {
    const text = `domain: ${DOMAIN}\nregistrar: REG-7\n\nregistrar: REG-7\nname: Sample Registrar\n`;
    expect(readWhoisText(text, DOMAIN).facts.registrar_name).toBe('Sample Registrar');
    expect(readWhoisText(text.replace('name:', 'address:'), DOMAIN).facts.registrar_name).toBe('REG-7');
  });
});

describe('a stand-in for a withheld name', () => {
  it.each([
    'Individual',
    'Private person',
    'Natural person',
    '(not shown)',
    'HIDDEN! Details are available at http://registry.example',
    'Fyzická osoba',
    'Физическое лицо',
    'Persona física',
  ])('is %j', text => {
    expect(factsOf(`Registrant: ${text}\n`)).toEqual({ redacted: ['registrant_name'] });
  });

  it.each(['Individual Brands Ltd', 'Person & Person', 'The Private Person Company'])('is not %j', name => {
    expect(factsOf(`Registrant: ${name}\n`)).toEqual({ registrant_name: name });
  });

  it('is none in another column', () => {
    expect(factsOf('Registrant City: Person\n')).toEqual({ registrant_city: 'Person' });
  });
});

describe('name servers', () => {
  it.each([
    'DNS',
    'dns1',
    'NS 2',
    'Primary server',
    'Secondary DNS',
    'Name Server Information',
    'DNS servers',
    'nserver01',
    'Servidor de nombres',
    'Serveur de noms',
  ])('are below the key %j', key => {
    expect(factsOf(`${key}: NS1.Host.Example. 192.0.2.1\n`)).toEqual({ nameservers: 'ns1.host.example' });
    expect(factsOf(`\n${key}:\n  ns1.host.example\n  - ns2.host.example\n`)).toEqual({
      nameservers: 'ns1.host.example,ns2.host.example',
    });
  });

  it.each(['Whois Server', 'Registrar WHOIS Server', 'Server', 'Mail server', 'DNS contact'])(
    'are not below the key %j',
    key => {
      expect(factsOf(`${key}: ns1.host.example\n`).nameservers ?? null).toBeNull();
    },
  );

  it('are a list with commas or spaces, or one host and its addresses', () => {
    expect(factsOf('nserver: a.example b.example\n').nameservers).toBe('a.example,b.example');
    expect(factsOf('nserver: a.example, b.example\n').nameservers).toBe('a.example,b.example');
    expect(factsOf('nserver: a.example [192.0.2.5 2001:db8::5]\n').nameservers).toBe('a.example');
    expect(factsOf('nserver: a.example glue of b.example\n').nameservers).toBe('a.example');
  });

  it('are not the domain itself below the key DNS', () => {
    expect(factsOf(`DNS: ${DOMAIN}\nnserver: ${DOMAIN}\n`)).toEqual({ nameservers: DOMAIN });
    expect(factsOf(`DNS: ${DOMAIN}\n`)).toEqual({});
  });
});

describe('dates', () => {
  it.each([
    ['created_date', ['Domain record activated', 'Created', 'Registration date', 'Domain Name Commencement Date']],
    ['created_date', ['assigned', 'Fecha de Creación', 'Record created', 'Registered on', 'Date created']],
    ['updated_date', ['Domain record last updated', 'Modified', 'Last-update', 'Record Last Modified', 'changed']],
    ['expiry_date', ['Domain expires', 'Exp date', 'Record expired', 'Valid until', 'paid-till', 'Expires At']],
    ['expiry_date', ['Registrar Registration Expiration Date', 'Registered until', 'Fecha de Vencimiento']],
  ] as const)('are %s below %j', (column, keys) => {
    for (const key of keys) expect(factsOf(`${key}: 2026-05-23\n`), key).toEqual({ [column]: '2026-05-23' });
  });

  it('are not those of another object', () => {
    for (const key of ['Contact created', 'Database updated', 'Whois updated', 'Transferred', 'Created by', 'outzone'])
      expect(factsOf(`${key}: 2026-05-23\n`), key).toEqual({});
  });

  it('are read in the order that another date of the record shows', () => {
    expect(factsOf('Created: 25/02/2020\nExpires: 03/04/2027\n').expiry_date).toBe('2027-04-03');
    expect(factsOf('Created: 02/25/2020\nExpires: 03/04/2027\n').expiry_date).toBe('2027-03-04');
    expect(factsOf('Created: 01/02/2020\nExpires: 03/04/2027\n')).toEqual({});
  });

  it('of several changes are the last', () => {
    const changes = ['19990625 (Assigned)', '20181216 (Changed)', '20170517'].map(
      day => `changed: registrar AT registry.example ${day}`,
    );
    expect(factsOf(`${changes.join('\n')}\n`)).toEqual({ updated_date: '2018-12-16' });
  });
});

describe('a record of variants', () => {
  const names = ['Domain Name: 样例.中国', 'Puny Name: xn--fsq541d.xn--fiqs8s', 'Domain Name: 樣例.中國'];
  const read = (lines: string[], domain: string) => readWhoisText(`${lines.join('\n')}\n`, domain).found;

  it('is of each of them', () => {
    for (const domain of ['xn--fsq541d.xn--fiqs8s', 'xn--fsq216d.xn--fiqz9s'])
      expect(read([...names, 'Registrar: R'], domain), domain).toBe(true);
  });

  it('is of none whose name comes after other fields, or that has no other letters', () => {
    const lines = [
      [names[0]!, 'Registrar: R', names[2]!],
      ['Domain: a-b.example', `Domain: ${DOMAIN}`, 'Registrar: R'],
    ];
    expect(() => read(lines[0]!, 'xn--fsq541d.xn--fiqs8s')).toThrow('got another');
    expect(() => read(lines[1]!, DOMAIN)).toThrow('got another');
  });
});

describe('a registrant', () => {
  it('has the email address behind its name', () => {
    const expected = { registrant_name: 'Ann Sample', registrant_email: 'ann@a.example' };
    expect(factsOf('Registrant: Ann Sample <ann@a.example>\n')).toEqual(expected);
    expect(factsOf('\nRegistrant:\n  Ann Sample\n  1 Sample Road\n  ann@a.example\n')).toEqual(expected);
  });
});

it('has the lines that nobody understood, from the domain’s name on', () => {
  const known =
    'Registrant Street: 1 Sample Road\nAdmin Name: B\nDNSSEC: unsigned\n\nRegistrar:\n  Name: R\n  City: X\n';
  expect(unreadLines(HEAD + known, DOMAIN)).toEqual([]);
  const unknown = ['Farbe: blau', 'Creation Date: 01/02/2026', 'Status: to be looked at by hand', 'A sentence.'];
  const section = ['', 'Eigenheiten:', '  Form: rund', '  und bunt'];
  expect(unreadLines(`A banner\n${HEAD}${[...unknown, ...section].join('\n')}\n% a comment\n`, DOMAIN)).toEqual([
    ...unknown,
    'Form: rund',
    'und bunt',
  ]);
  expect(unreadLines('No match\nFarbe: blau\n', DOMAIN)).toEqual([]);
});

it('is a record, where the name is below a key that nobody knows', () => {
  const read = (text: string) => readWhoisText(text, DOMAIN);
  expect(read(`Nazev: ${DOMAIN}\nCreated: 2001-02-03\n`)).toMatchObject({
    found: true,
    facts: { ...NO_FACTS, created_date: '2001-02-03' },
  });
  expect(() => read(`Query: ${DOMAIN}\nCreated: 2001-02-03\n`)).toThrow('expected a registration');
});
