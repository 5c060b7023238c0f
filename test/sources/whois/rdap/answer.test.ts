import { describe, expect, it } from 'vitest';
import { ChangeError } from '../../../../src/errors.ts';
import { NO_FACTS, type WhoisFacts } from '../../../../src/sources/whois/facts.ts';
import { mergeAnswers, type RdapAnswer, readRdap } from '../../../../src/sources/whois/rdap/answer.ts';
import { RDAP_SERVERS, type RecordedDomain } from '../../../../src/sources/whois/stand-in/registrations.ts';
import { listAnswerFiles, readDomains, readRecording, readRows } from '../recordings.ts';

const rows = readRows();
const { baseDate, domains, laterDate, later } = readDomains();

function answerOf(file: string, domain: string): RdapAnswer {
  return readRdap(JSON.parse(readRecording(`answers/${file}`)), domain);
}

/** The file of the last answer that one of the servers gives, if it is a registration. */
function lastFile({ answers }: RecordedDomain, servers: RegExp): string | null {
  const files = Object.entries(answers).flatMap(([server, steps]) =>
    servers.test(server) ? (steps.at(-1)?.file ?? []) : [],
  );
  return files.findLast(file => /^(later\/)?regist/.test(file)) ?? null;
}

describe('a recorded answer', () => {
  it.each(Object.entries(rows.answers))('%s gives its facts', (file, { domain, ...expected }) => {
    if ('error' in expected) {
      expect(() => answerOf(file, domain)).toThrow(expect.objectContaining({ reason: expected.error }));
      return;
    }
    const { facts, redacted, relatedUrl } = answerOf(file, domain);
    expect(facts).toEqual({ ...NO_FACTS, ...expected.facts });
    expect(Object.keys(facts)).toEqual(Object.keys(NO_FACTS));
    expect({ redacted, relatedUrl }).toEqual({ redacted: expected.redacted, relatedUrl: expected.relatedUrl });
  });

  it.each([
    ...Object.entries(rows.domains).map(([name, expected]) => ['', name, expected, domains] as const),
    ...Object.entries(rows.later).map(([name, expected]) => ['later ', name, expected, later] as const),
  ])('%sof %s merges with its registrar’s', (_when, name, expected, among: readonly RecordedDomain[]) => {
    const recorded = among.find(({ domain }) => domain === name)!;
    const [registry, registrar] = [lastFile(recorded, /^registry/)!, lastFile(recorded, /^registrar/)];
    const merged = mergeAnswers(answerOf(registry, name), registrar === null ? null : answerOf(registrar, name));
    expect(merged).toEqual({ facts: { ...NO_FACTS, ...expected.facts }, redacted: expected.redacted });
  });
});

describe('the folder of recordings', () => {
  it('has an expectation and a use for each answer', () => {
    const files = listAnswerFiles();
    expect(Object.keys(rows.answers).sort()).toEqual(files.filter(file => file.endsWith('.json')));
    const used = [...domains, ...later].flatMap(({ answers }) =>
      Object.values(answers).flatMap(steps => steps.map(step => step.file)),
    );
    expect([...new Set(used)].filter(file => file !== undefined).sort()).toEqual(files);
    const withRow = domains.filter(({ outcome }) => outcome === 'row').map(({ domain }) => domain);
    expect(Object.keys(rows.domains).sort()).toEqual(withRow.sort());
    const withLaterRow = later.filter(({ outcome }) => outcome === 'row').map(({ domain }) => domain);
    expect(Object.keys(rows.later).sort()).toEqual(withLaterRow.sort());
  });

  it('has domains with other answers a month later', () => {
    expect(Date.parse(laterDate) - Date.parse(baseDate)).toBe(30 * 86_400_000);
    const names = domains.map(({ domain }) => domain);
    expect(later.filter(({ domain }) => !names.includes(domain))).toEqual([]);
  });

  it('has domains of both registries, a dozen of which expire within 30 days', () => {
    const untilMs = Date.parse(baseDate) + 30 * 86_400_000;
    const expiring = domains.filter(({ expires }) => {
      const atMs = Date.parse(expires ?? '');
      return atMs > Date.parse(baseDate) && atMs < untilMs;
    });
    expect(expiring).toHaveLength(12);
    expect(domains.length).toBeGreaterThanOrEqual(30);
    const served = Object.values(domains).flatMap(({ answers }) =>
      Object.keys(answers).map(server => server.split('/')[0]),
    );
    expect([...new Set(served)].sort()).toEqual([...RDAP_SERVERS].sort());
  });

  it('has a bootstrap that leads each domain to its registry', () => {
    const { services } = JSON.parse(readRecording('bootstrap.json')) as { services: [string[], string[]][] };
    for (const { domain, registry } of domains) {
      const base = services.find(([zones]) => zones.includes(domain.split('.').at(-1)!))?.[1][0];
      expect(base ?? null, domain).toBe(registry && `https://${registry}.example/`);
    }
  });

  it('names no host that exists', () => {
    const texts = ['domains.json', 'rows.json', ...listAnswerFiles().map(file => `answers/${file}`)]
      .map(readRecording)
      .join('\n');
    const hosts = [...texts.matchAll(/(?:https?:\/\/|@)(\w[\w.-]+\w)/g)].map(([, host]) => host!.toLowerCase());
    expect([...new Set(hosts)].filter(host => !/(\.example|example\.(com|net|org|app))$/.test(host))).toEqual([]);
  });
});

const BASE = { objectClassName: 'domain', ldhName: 'a-example.com' };

function factsOf(fields: Record<string, unknown>): WhoisFacts {
  return readRdap({ ...BASE, ...fields }, 'a-example.com').facts;
}

describe('a document', () => {
  it.each<[unknown, string]>([
    [null, 'wrong-shape'],
    ['<html>', 'wrong-shape'],
    [[BASE], 'wrong-shape'],
    [{}, 'wrong-shape'],
    [{ errorCode: 404, title: 'Not Found' }, 'wrong-shape'],
    [{ ...BASE, errorCode: 429 }, 'wrong-shape'],
    [{ ...BASE, objectClassName: 'entity' }, 'wrong-shape'],
    [{ domainSearchResults: [BASE] }, 'wrong-shape'],
    [{ ...BASE, ldhName: 'b-example.com' }, 'name-mismatch'],
    [{ ...BASE, ldhName: '.' }, 'name-mismatch'],
    [{ objectClassName: 'domain', unicodeName: 'ä-example.com' }, 'name-mismatch'],
  ])('%j is refused as %s', (given, reason) => {
    expect(() => readRdap(given, 'a-example.com')).toThrow(ChangeError);
    expect(() => readRdap(given, 'a-example.com')).toThrow(expect.objectContaining({ reason }));
  });

  it.each<[string, Record<string, unknown>]>([
    ['in capitals, with a last dot', { ldhName: 'A-EXAMPLE.COM.' }],
    ['without a name but with its handle', { objectClassName: 'domain', handle: 'A-EXAMPLE.COM' }],
    ['with another writing of its name in Unicode', { ...BASE, unicodeName: 'a-exämple.com' }],
    ['with the name in Unicode only', { unicodeName: 'A-example.com' }],
  ])('%s is the domain’s', (_name, given) => {
    expect(readRdap(given, 'a-example.com').facts).toMatchObject({ registrar_name: null });
  });

  it.each<[string, Record<string, unknown>]>([
    ['but with a class', { objectClassName: 'domain' }],
    ['or class but with a status', { status: ['active'] }],
    ['but with a handle of another form', { objectClassName: 'domain', handle: '2138514_DOMAIN_COM-VRSN' }],
    ['that is text', { objectClassName: 'domain', ldhName: ['a-example.com'] }],
  ])('without a name %s is not the domain’s', (_name, given) => {
    expect(() => readRdap(given, 'a-example.com')).toThrow('expected ldhName to be the queried domain, got none');
  });

  it('may have an internationalized name in either form', () => {
    for (const ldhName of ['xn--bcher-kva.example', 'XN--BCHER-KVA.EXAMPLE', 'bücher.example', 'BÜCHER.example'])
      expect(() => readRdap({ ...BASE, ldhName }, 'xn--bcher-kva.example')).not.toThrow();
  });

  it('gives no facts from a prototype’s members', () => {
    const text =
      '{"objectClassName":"domain","ldhName":"a-example.com","__proto__":{"status":["active"]},"entities":[{"roles":["registrant"],"__proto__":{"vcardArray":["vcard",[["fn",{},"text","X"]]]}}]}';
    expect(readRdap(JSON.parse(text), 'a-example.com').facts).toEqual(NO_FACTS);
  });

  it('has null for every malformed member', () => {
    for (const odd of [null, 7, true, 'text', [], {}, [[]], [null], [7], { a: { b: [] } }]) {
      const members = ['status', 'events', 'nameservers', 'entities', 'secureDNS', 'links', 'redacted', 'unicodeName'];
      const { nameservers: _text, ...facts } = factsOf(Object.fromEntries(members.map(member => [member, odd])));
      expect(
        Object.values(facts).every(value => value === null),
        JSON.stringify(odd),
      ).toBe(true);
    }
  });
});

describe('entities', () => {
  const named = (name: string, roles: unknown, entities?: unknown) => ({
    roles,
    entities,
    vcardArray: ['vcard', [['fn', {}, 'text', name]]],
  });

  it('nearest to the domain count first, up to a limit of nesting', () => {
    const nest = (depth: number): unknown =>
      depth === 0 ? named('Deep', ['registrar']) : { entities: [nest(depth - 1)] };
    expect(factsOf({ entities: [nest(5)] }).registrar_name).toBe('Deep');
    expect(factsOf({ entities: [nest(6)] }).registrar_name).toBeNull();
    expect(factsOf({ entities: [nest(2), named('Near', 'REGISTRAR')] }).registrar_name).toBe('Near');
  });

  it('give the abuse contact of the registrar before the domain’s, and none of another entity', () => {
    const abuse = (email: string) => ({ roles: ['abuse'], vcardArray: ['vcard', [['email', {}, 'text', email]]] });
    const other = { roles: ['technical'], entities: [abuse('third@example.com')] };
    const email = (entities: unknown[]) => factsOf({ entities }).registrar_abuse_email;
    expect(email([abuse('beside@example.com'), named('R', ['registrar'], [abuse('in@example.com')])])).toBe(
      'in@example.com',
    );
    expect(email([named('R', ['registrar']), other, abuse('beside@example.com')])).toBe('beside@example.com');
    expect(email([named('R', ['registrar']), other])).toBeNull();
  });
});

describe('dates', () => {
  const event = (eventAction: string, eventDate: unknown) => ({ eventAction, eventDate });

  it('are the first registration, the latest change, and the registry’s expiration before the registrar’s', () => {
    const events = [
      event('Registration', '2012-01-01T00:00:00Z'),
      event('registration', '2010-01-01'),
      event('reregistration', '2001-01-01T00:00:00Z'),
      event('last changed', '2020-01-01T00:00:00+02:00'),
      event('last changed', '2021-01-01T00:00:00Z'),
      event('last update of RDAP database', '2026-01-01T00:00:00Z'),
      event('registrar expiration', '2031-01-01T00:00:00Z'),
      event('expiration', '2030-01-01T00:00:00Z'),
      event('expiration', 'never'),
    ];
    expect(factsOf({ events })).toMatchObject({
      created_date: '2010-01-01',
      updated_date: '2021-01-01T00:00:00Z',
      expiry_date: '2030-01-01T00:00:00Z',
    });
    expect(factsOf({ events: events.filter(({ eventAction }) => eventAction !== 'expiration') }).expiry_date).toBe(
      '2031-01-01T00:00:00Z',
    );
  });
});

describe('redaction', () => {
  const registrant = (...properties: unknown[]) => [{ roles: ['registrant'], vcardArray: ['vcard', properties] }];
  const whole = registrant(
    ['fn', {}, 'text', 'Ann Sample'],
    ['org', {}, 'text', 'Sample Ltd'],
    ['email', {}, 'text', 'ann@example.com'],
    ['adr', {}, 'text', ['', '', '1 Street', 'City', 'State', '1', 'GB']],
  );
  const card = "$.entities[?(@.roles[0]=='registrant')].vcardArray[1]";

  it.each<[Record<string, unknown>, string[]]>([
    [{ name: { type: 'Registrant Name' } }, ['name']],
    [{ name: { description: 'registrant e-mail' } }, ['email']],
    [{ name: { type: 'Registrant State/Province' } }, ['state']],
    [{ name: { description: 'Registrant contact' } }, ['name', 'email', 'organization', 'country', 'state', 'city']],
    [{ name: { type: 'Registrant Street' }, prePath: `${card}[?(@[0]=='adr')][3][:3]` }, []],
    [{ name: { type: 'Registrant Phone' }, prePath: `${card}[?(@[0]=='tel')]` }, []],
    [{ name: { type: 'Registrant Phone' }, prePath: `${card}[?(@[1].type=='voice')]` }, []],
    [{ name: { type: 'x' }, postPath: `${card}[?(@[0]=="fn")][3]` }, ['name']],
    [{ name: { type: 'x' }, postPath: `${card}[?(@[0]=='adr')]` }, ['country', 'state', 'city']],
    [{ name: { type: 'x' }, postPath: `${card}[?(@[0]=='adr')][3][6]` }, ['country']],
    [{ name: { type: 'x' }, postPath: `${card}[?(@[0]=='adr')][1].cc` }, ['country']],
    [
      { name: { type: 'x' }, prePath: "$.entities[?(@.roles[*]=='registrant')]" },
      ['name', 'email', 'organization', 'country', 'state', 'city'],
    ],
    [
      { name: { type: 'x' }, prePath: "$.entities[?('registrant' in @.roles)].vcardArray" },
      ['name', 'email', 'organization', 'country', 'state', 'city'],
    ],
    [{ name: { type: 'x' }, prePath: "$.entities[?(@.roles[0]=='registrant')].handle" }, []],
    [{ name: { description: 'Registrant' }, prePath: "$.entities[?(@.roles[0]=='registrant')].handle" }, []],
    [{ name: { type: 'Registrant Email' }, prePath: '$.entities[0].vcardArray[1][4]' }, ['email']],
    [
      {
        name: { type: 'Tech Email' },
        prePath: "$.entities[?(@.roles[0]=='technical')].vcardArray[1][?(@[0]=='email')]",
      },
      [],
    ],
    [{ name: { type: 'Admin Contact' } }, []],
    [{ name: 'Registrant City' }, ['city']],
    [{ name: { type: 'Registrant Name' }, prePath: 7 }, ['name']],
    [{}, []],
  ])('%j withholds %j', (redaction, columns) => {
    const { facts, redacted } = readRdap({ ...BASE, entities: whole, redacted: [redaction] }, 'a-example.com');
    expect(redacted).toEqual(columns.map(column => `registrant_${column}`));
    for (const column of ['name', 'email', 'organization', 'country', 'state', 'city'] as const)
      expect(facts[`registrant_${column}`] === null, column).toBe(columns.includes(column));
  });

  it('may be of other members than contacts, and of the abuse contact', () => {
    const paths = [
      "$.events[?(@.eventAction=='expiration')].eventDate",
      '$.nameservers',
      '$.nameservers[*].ipAddresses',
      "$.entities[?(@.roles[0]=='registrar')].entities[?(@.roles[0]=='abuse')].vcardArray[1][?(@[0]=='tel')]",
    ];
    const redacted = paths.map(prePath => ({ name: { description: 'x' }, prePath, method: 'removal' }));
    expect(readRdap({ ...BASE, redacted }, 'a-example.com').redacted).toEqual([
      'registrar_abuse_phone',
      'expiry_date',
      'nameservers',
    ]);
  });

  it('by an older text makes the column null and names it; a name with such a word is a name', () => {
    const entities = registrant(
      ['fn', {}, 'text', 'REDACTED FOR PRIVACY'],
      ['org', {}, 'text', 'Redacted Records Ltd'],
      ['kind', {}, 'text', 'org'],
    );
    const { facts, redacted } = readRdap({ ...BASE, entities }, 'a-example.com');
    expect(redacted).toEqual(['registrant_name']);
    expect(facts).toMatchObject({ registrant_name: null, registrant_organization: 'Redacted Records Ltd' });
  });

  it('of the name also removes the organization taken from it', () => {
    const entities = registrant(['fn', {}, 'text', 'Sam… Ltd'], ['kind', {}, 'text', 'org']);
    const redacted = [{ name: { type: 'Registrant Name' }, method: 'partialValue' }];
    expect(readRdap({ ...BASE, entities }, 'a-example.com').facts.registrant_organization).toBe('Sam… Ltd');
    expect(readRdap({ ...BASE, entities, redacted }, 'a-example.com').facts.registrant_organization).toBeNull();
  });

  it('by a remark names the columns that a card must have', () => {
    const entities = [
      { roles: ['registrant'], remarks: [{ title: 'EMAIL REDACTED FOR PRIVACY' }, { title: 'REDACTED FOR PRIVACY' }] },
    ];
    expect(readRdap({ ...BASE, entities }, 'a-example.com').redacted).toEqual(['registrant_name', 'registrant_email']);
  });
});

describe('the related answer', () => {
  const related = (links: unknown) => readRdap({ ...BASE, links }, 'a-example.com').relatedUrl;
  const href = 'https://rdap.registrar.example/domain/a-example.com';

  it.each<[string, unknown, string | null]>([
    ['of its type', [{ rel: 'related', href, type: 'application/rdap+json' }], href],
    ['with a parameter in its type', [{ rel: 'RELATED', href, type: 'Application/RDAP+JSON; charset=utf-8' }], href],
    ['without a type but with the path', [{ rel: ['related'], href }], href],
    ['without either', [{ rel: 'related', href: 'https://registrar.example/a' }], null],
    ['as a page', [{ rel: 'related', href, type: 'text/html' }], null],
    [
      'of another scheme',
      [{ rel: 'related', href: 'ftp://registrar.example/domain/a', type: 'application/rdap+json' }],
      null,
    ],
    [
      'with a login',
      [{ rel: 'related', href: 'https://a:b@registrar.example/domain/a', type: 'application/rdap+json' }],
      null,
    ],
    [
      'that is the answer itself',
      [
        { rel: 'self', href: `${href.toUpperCase().replace('HTTPS', 'https')}/` },
        { rel: 'related', href },
      ],
      null,
    ],
    ['behind one that cannot be used', [null, { rel: 'related' }, { rel: 'related', href }], href],
    ['as one object', { rel: 'related', href }, href],
  ])('%s is found or not', (_name, links, expected) => {
    expect(related(links)).toBe(expected);
  });
});

describe('the stable text', () => {
  const file = 'registry-b/orchard-example.org.json';
  const domain = 'orchard-example.org';
  const document = () =>
    JSON.parse(readRecording(`answers/${file}`)) as Record<string, unknown[]> & { events: { eventDate: string }[] };
  const stable = (json: unknown) => readRdap(json, domain).stable;
  const before = stable(document());

  it('stays the same when only the check event, the order or members about the answer change', () => {
    const reversed = (value: unknown): unknown =>
      typeof value !== 'object' || value === null || Array.isArray(value)
        ? value
        : Object.fromEntries(
            Object.entries(value)
              .reverse()
              .map(([key, field]) => [key, Array.isArray(field) ? field.map(reversed) : reversed(field)]),
          );
    expect(stable(reversed(document()))).toBe(before);
    for (const list of ['nameservers', 'entities', 'events', 'status']) {
      const other = document();
      other[list]!.reverse();
      expect(stable(other), list).toBe(before);
    }
    const checked = document();
    checked.events[0]!.eventDate = '2026-12-01T00:00:00Z';
    expect(stable({ ...checked, notices: [{ title: 'New' }], lang: 'fr', port43: null, rdapConformance: [] })).toBe(
      before,
    );
  });

  it('changes with a fact, and with a contact that has no column', () => {
    const changed = document();
    changed.events[1]!.eventDate = '2027-12-01T00:00:00Z';
    expect(stable(changed)).not.toBe(before);
    expect(stable({ ...document(), status: ['client hold'] })).not.toBe(before);
    const technical = document();
    const renamed = JSON.stringify(technical).replace('Technical Desk', 'Another Desk');
    expect(stable(JSON.parse(renamed))).not.toBe(before);
  });
});

describe('two answers', () => {
  const answer = (facts: Partial<WhoisFacts>, redacted: (keyof WhoisFacts)[] = []): RdapAnswer => ({
    facts: { ...NO_FACTS, ...facts },
    redacted,
    relatedUrl: null,
    stable: '',
  });

  it('give the registry’s own columns from the registry', () => {
    const own = {
      created_date: '2001-01-01',
      nameservers: 'ns.a.example',
      dnssec: 'unsigned',
      registrar_name: 'A',
      registrar_id: '1',
    };
    const other = {
      ...own,
      created_date: '2002-02-02',
      expiry_date: '2030-01-01',
      status_codes: 'ok',
      nameservers: 'ns.b.example',
    };
    const { facts } = mergeAnswers(answer(own), answer({ ...other, registrar_url: 'https://a.example' }));
    expect(facts).toEqual({ ...NO_FACTS, ...own, registrar_url: 'https://a.example' });
  });

  it('of two registrars do not mix the registrar’s columns', () => {
    const registry = answer({ registrar_name: 'A', registrar_id: '1' });
    expect(
      mergeAnswers(registry, answer({ registrar_id: '2', registrar_url: 'https://b.example' })).facts.registrar_url,
    ).toBeNull();
  });

  it('never mix one contact from both', () => {
    const registry = answer({
      registrant_name: 'Ann',
      registrant_email: 'ann@example.com',
      registrar_abuse_phone: '+1.2025550100',
    });
    const registrar = answer({ registrant_country: 'GB', registrar_abuse_email: 'abuse@example.com' }, [
      'registrant_name',
    ]);
    expect(mergeAnswers(registry, registrar)).toEqual({
      facts: { ...NO_FACTS, registrant_country: 'GB', registrar_abuse_email: 'abuse@example.com' },
      redacted: ['registrant_name'],
    });
  });

  it('give the registry’s contact where the registrar withholds it, and name only columns that are null', () => {
    const registry = answer({ registrant_name: 'Ann' }, ['registrant_email']);
    const registrar = answer({}, ['registrant_name', 'registrant_city']);
    expect(mergeAnswers(registry, registrar)).toEqual({
      facts: { ...NO_FACTS, registrant_name: 'Ann' },
      redacted: ['registrant_email', 'registrant_city'],
    });
  });
});
