import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ChangeError, StepError } from '../../../src/errors.ts';
import { QUESTIONS } from '../../../src/sources/zones/lookup.ts';
import { type ResolverWorld, START_MS, startResolvers, type VisitOptions } from './world.ts';

const DOMAIN = 'example.com';
const ZONE = [
  'example.com. 3600 SOA ns1.example.com. admin.example.com. 1 7200 3600 1209600 300',
  'example.com. 300 NS ns1.example.com.',
  'example.com. 300 A 192.0.2.1',
  'example.com. 300 MX 10 mx.example.com.',
  'example.com. 300 TXT "v=spf1 -all"',
];

let world: ResolverWorld;
beforeEach(async () => {
  world = await startResolvers();
  world.setZone(DOMAIN, ...ZONE);
});
afterEach(() => world.stop());

const visit = async (options?: VisitOptions) => {
  const { rows, documents, seen, isRow } = await world.visit(DOMAIN, options);
  const { op, row } = rows[0]!;
  return { op, row, data: JSON.parse(String(row.data ?? 'null')), documents, seen: seen!, isRow };
};

const http = (status: number, headers: Record<string, string> = {}) => ({ http: { status, headers, body: 'no' } });

describe('a visit', () => {
  it('asks 13 questions, SOA first and alone', async () => {
    const { row } = await visit();
    expect(world.asked.first).toHaveLength(13);
    expect(world.asked.first[0]).toBe('6 example.com.');
    const asked = QUESTIONS.map(({ host, type }) => `${type} ${host}example.com.`);
    expect(world.asked.first.toSorted()).toEqual(asked.toSorted());
    expect(world.asked.fallback).toEqual([]);
    expect(world.requests.first.recent.every(({ method }) => method === 'GET')).toBe(true);
    expect(row).toMatchObject({ nameservers: '["ns1.example.com"]', aaaa_records: '[]', dnssec_enabled: false });
  });

  it('that finds the same gives no row and no file, whatever the order, times to live and serial', async () => {
    expect(await visit()).toMatchObject({ isRow: true, documents: [expect.anything()] });
    world.setZone(DOMAIN, ...ZONE.map(line => line.replace(' 300 ', ' 17 ').replace(' 1 7200', ' 2 7200')).reverse());
    expect(await visit()).toMatchObject({ isRow: false, documents: [] });
  });

  it('goes on where the SOA has no data, and writes an empty file where nothing has', async () => {
    world.setZone(DOMAIN);
    const { row, documents } = await visit();
    expect(row).toMatchObject({ nameservers: '[]', a_records: '[]', zone_file_size: 0 });
    expect(documents).toMatchObject([{ bytes: new Uint8Array() }]);
    expect(await visit()).toMatchObject({ isRow: false, documents: [] });
  });

  it('keeps an alias at the apex, and not the records of its target', async () => {
    const aliased = ['example.com. 300 CNAME target.example.net.'];
    world.setZone(DOMAIN, ...aliased);
    const { row, data, documents } = await visit();
    expect(row).toMatchObject({ a_records: '[]', nameservers: '[]' });
    expect(data.cname).toBe('target.example.net');
    expect(Buffer.from(documents[0]!.bytes).toString()).toBe('example.com.\t300\tin\tcname\ttarget.example.net.\n');
  });

  it('has DNSSEC where there is a DS record and the answer was validated', async () => {
    world.setZone(DOMAIN, ...ZONE, 'example.com. 300 DS 12345 13 2 00ff');
    expect((await visit()).row.dnssec_enabled).toBe(false);
    world.instead('first', '6 example.com.', { ad: true });
    expect(await visit()).toMatchObject({ isRow: true, row: { dnssec_enabled: true } });
  });
});

describe('a domain that one resolver does not know', () => {
  it('is gone where both say so, and gives one deletion', async () => {
    await visit();
    world.removeZone(DOMAIN);
    expect(await visit()).toMatchObject({ op: 'delete', isRow: true, documents: [], seen: { found: false } });
    expect(await visit()).toMatchObject({ op: 'delete', isRow: false });
    expect(world.asked.fallback).toEqual(['6 example.com.', '6 example.com.']);
    world.setZone(DOMAIN, ...ZONE);
    expect(await visit()).toMatchObject({ op: 'upsert', isRow: true, documents: [] });
  });

  it('is there where the fallback knows it, and the row says who does not', async () => {
    world.instead('first', DOMAIN, { rcode: 3, answers: [] });
    const { op, row, data } = await visit();
    expect({ op, row }).toMatchObject({ op: 'upsert', row: { nameservers: '["ns1.example.com"]' } });
    expect(data).toMatchObject({ nxdomain_at: 'first', resolver: 'fallback' });
    expect(world.asked.fallback).toHaveLength(13);
    world.instead('first', DOMAIN, null);
    expect(await visit()).toMatchObject({ isRow: true, data: { nxdomain_at: null, resolver: 'first' } });
  });

  it.each([
    ['SERVFAIL', { rcode: 2, answers: [] }],
    ['REFUSED', { rcode: 5, answers: [] }],
    ['that it is censored', { rcode: 3, answers: [], extendedErrors: [16] }],
    ['signed and broken', { rcode: 2, answers: [], extendedErrors: [6] }],
    ['no DNS', http(400)],
  ])('is not deleted where the fallback says %s', async (_, instead) => {
    world.instead('first', DOMAIN, { rcode: 3, answers: [] });
    world.instead('fallback', DOMAIN, instead);
    await expect(visit()).rejects.toMatchObject({ reason: 'dns-error', retryAfterMs: 300_000 });
  });
});

describe('a zone that is signed and broken', () => {
  it.each([1, 2, 6, 7, 8, 9, 10, 11, 12])('with extended error %i keeps its last records and file', async code => {
    const first = await visit();
    const broken = { rcode: 2, answers: [], extendedErrors: [code] };
    world.instead('first', DOMAIN, broken);
    const second = await visit({ day: 1 });
    const { zone_file_hash, nameservers, mx_records } = first.row;
    const since = new Date(START_MS + 86_400_000).toISOString();
    expect(second).toMatchObject({
      op: 'upsert',
      isRow: true,
      documents: [],
      row: { zone_file_hash, nameservers, mx_records, aaaa_records: '[]', dnssec_enabled: false },
      data: { broken: since, extended_errors: [code], unknown: [] },
    });
    expect(world.asked.fallback).toEqual([]);
    // Further visits say nothing new, and another code does not either.
    world.instead('first', DOMAIN, { ...broken, extendedErrors: [6, 7] });
    expect(await visit({ day: 2 })).toMatchObject({ isRow: false, data: { broken: since } });
    world.instead('first', DOMAIN, null);
    expect(await visit({ day: 3 })).toMatchObject({ isRow: true, documents: [], data: { broken: null } });
  });

  it('has no records where it never had an answer', async () => {
    world.instead('first', DOMAIN, { rcode: 2, answers: [], extendedErrors: [6] });
    const { row, data } = await visit();
    expect(row).toMatchObject({ nameservers: null, a_records: null, zone_file_r2_key: null, zone_file_hash: null });
    expect(data.unknown).toHaveLength(13);
    world.instead('first', DOMAIN, null);
    expect(await visit()).toMatchObject({ isRow: true, row: { a_records: '["192.0.2.1"]' } });
  });
});

describe('a visit without an answer about the domain', () => {
  it.each([13, 22, 23])(
    'is parked for five minutes at extended error %i, and the fallback is not asked',
    async code => {
      world.instead('first', DOMAIN, { rcode: 2, answers: [], extendedErrors: [code] });
      await expect(visit()).rejects.toMatchObject({ reason: 'dns-error', retryAfterMs: 300_000 });
      expect(world.asked.fallback).toEqual([]);
    },
  );

  it.each([
    ['SERVFAIL', { rcode: 2, answers: [] }],
    ['REFUSED', { rcode: 5, answers: [] }],
    ['that it is blocked', { rcode: 0, extendedErrors: [15] }],
    ["another question's answer", { name: 'example.org.' }],
    ['a cut answer', { tc: true }],
    ['status 400', http(400)],
    ['status 403', http(403)],
    ['status 504', http(504)],
    ['a page', http(200, { 'content-type': 'text/html' })],
    ['a broken connection', { http: { cut: true } }],
  ])("takes the fallback's answers where the first resolver gives %s", async (_, instead) => {
    world.instead('first', DOMAIN, instead);
    expect(await visit()).toMatchObject({ op: 'upsert', data: { resolver: 'fallback', nxdomain_at: null } });
  });

  it('is parked under what the first resolver did where neither gave an answer of DNS', async () => {
    for (const by of ['first', 'fallback'] as const) world.instead(by, DOMAIN, http(504));
    await expect(visit()).rejects.toMatchObject({ reason: 'http-504', status: 504 });
    // Each was asked about the root, until one answered.
    expect(world.asked.first.at(-1)).toBe('2 .');
    expect(world.asked.fallback).not.toContain('2 .');
  });

  it("is nobody's fault where neither resolver answers about the root", async () => {
    for (const by of ['first', 'fallback'] as const)
      for (const target of [DOMAIN, '']) world.instead(by, target, http(503));
    const failure = await visit().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(StepError);
    expect(failure).toMatchObject({ kind: 'upstream-unreachable' });
    expect(world.asked.fallback).toContain('2 .');
  });

  it('waits where the first resolver asks for fewer requests', async () => {
    world.instead('first', DOMAIN, http(429, { 'retry-after': '7' }));
    await expect(visit()).rejects.toMatchObject({ status: 429, retryAfterMs: 7_000 });
    expect(world.asked.fallback).toEqual([]);
  });
});

describe('a later question without an answer', () => {
  const fail = (instead: Parameters<ResolverWorld['instead']>[2]) => {
    for (const by of ['first', 'fallback'] as const) world.instead(by, '15 example.com.', instead);
  };

  it('keeps the records of the last visit, and gives no row', async () => {
    const before = await visit();
    fail({ rcode: 2, answers: [] });
    const { row, isRow, documents, data } = await visit();
    expect({ isRow, documents }).toEqual({ isRow: false, documents: [] });
    expect(row.mx_records).toBe(before.row.mx_records);
    expect(data.unanswered).toEqual({ MX: 'SERVFAIL, SERVFAIL' });
    // A change of another record keeps them too.
    world.setZone(DOMAIN, ...ZONE, 'example.com. 300 AAAA 2001:db8::1');
    const changed = await visit();
    expect(changed).toMatchObject({ isRow: true, row: { mx_records: before.row.mx_records } });
    expect(Buffer.from(changed.documents[0]!.bytes).toString()).toContain('mx.example.com.');
  });

  it('is not known where it never had an answer', async () => {
    fail({ rcode: 5, answers: [] });
    expect(await visit()).toMatchObject({ row: { mx_records: null }, data: { unknown: ['MX'] } });
    expect(await visit()).toMatchObject({ isRow: false, row: { mx_records: null } });
    fail(null);
    expect(await visit()).toMatchObject({ isRow: true, data: { unknown: [] } });
  });

  it('is asked of the fallback', async () => {
    world.instead('first', '15 example.com.', { rcode: 2, answers: [] });
    expect(await visit()).toMatchObject({ row: { mx_records: '[{"preference":10,"exchange":"mx.example.com"}]' } });
    expect(world.asked.fallback).toEqual(['15 example.com.']);
  });

  it('is no answer where it says NXDOMAIN of a name that is there, but one of a name below it', async () => {
    for (const by of ['first', 'fallback'] as const) {
      world.instead(by, '15 example.com.', { rcode: 3, answers: [] });
      world.instead(by, '1 www.example.com.', { rcode: 3, answers: [] });
    }
    expect((await visit()).data).toMatchObject({ unknown: ['MX'], www: { a: [] } });
  });

  it('fails the visit where no resolver answers any more', async () => {
    for (const by of ['first', 'fallback'] as const)
      for (const { host, type } of QUESTIONS.slice(1)) world.instead(by, `${type} ${host}example.com.`, http(500));
    await expect(visit()).rejects.toThrow(ChangeError);
  });
});

describe('one change at a time', () => {
  const added: [column: string, line: string, value: unknown][] = [
    ['nameservers', 'example.com. 300 NS ns2.example.com.', '["ns1.example.com","ns2.example.com"]'],
    ['a_records', 'example.com. 300 A 192.0.2.2', '["192.0.2.1","192.0.2.2"]'],
    ['aaaa_records', 'example.com. 300 AAAA 2001:db8::1', '["2001:db8::1"]'],
    [
      'mx_records',
      'example.com. 300 MX 5 m.example.com.',
      '[{"preference":5,"exchange":"m.example.com"},{"preference":10,"exchange":"mx.example.com"}]',
    ],
    ['txt_records', 'example.com. 300 TXT "a" "b\\200"', '["ab\\\\200","v=spf1 -all"]'],
    ['ds_records', 'example.com. 300 DS 1 13 2 00ff', '["1 13 2 00ff"]'],
    ['dnskey_records', 'example.com. 300 DNSKEY 257 3 13 AAEC', '["257 3 13 AAEC"]'],
  ];
  const inData: [name: string, line: string, value: unknown][] = [
    ['caa', 'example.com. 300 CAA 0 issue "letsencrypt.org"', ['0 issue "letsencrypt.org"']],
    ['https', 'example.com. 300 TYPE65 \\# 3 000100', ['\\# 3 000100']],
    ['www', 'www.example.com. 300 A 192.0.2.9', { cname: null, a: ['192.0.2.9'], aaaa: [] }],
    ['www', 'www.example.com. 300 AAAA 2001:db8::9', { cname: null, a: [], aaaa: ['2001:db8::9'] }],
    ['dmarc', '_dmarc.example.com. 300 TXT "v=DMARC1"', ['v=DMARC1']],
  ];

  it.each([...added, ...inData])('gives exactly one row that shows it: %s by %s', async (column, line, value) => {
    const before = await visit();
    world.setZone(DOMAIN, ...ZONE, line);
    const after = await visit();
    expect(after.isRow).toBe(true);
    const changed = Object.keys(after.row).filter(name => after.row[name] !== before.row[name]);
    const isColumn = column in after.row;
    const others = ['zone_file_size', 'zone_file_hash'].concat(isColumn ? [column] : ['data']);
    expect(changed.toSorted()).toEqual(others.toSorted());
    expect(isColumn ? after.row[column] : after.data[column]).toEqual(value);
    expect((await visit()).isRow).toBe(false);
    world.setZone(DOMAIN, ...ZONE);
    const restored = await visit();
    expect(restored.isRow).toBe(true);
    expect(restored.row).toEqual(before.row);
    expect((await visit()).isRow).toBe(false);
  });
});

describe('a registration', () => {
  const said = (facts: Record<string, unknown>) => ({
    version: 1,
    total: 1,
    counts: null,
    items: [{ table: 'whois_record', row: DOMAIN, item: '', facts, sample: null, lsn: 1 }],
  });

  it('alone gives a row, and stays in the next ones', async () => {
    await visit();
    const facts = {
      registrar: 'Example Registrar',
      registrar_id: '9999',
      created: '2001-01-01T00:00:00Z',
      expiry: '2027-01-01T00:00:00Z',
      updated: '2026-01-01T00:00:00Z',
      leaving: false,
    };
    const columns = {
      registrar: 'Example Registrar',
      registrar_id: '9999',
      created_date: facts.created,
      expiry_date: facts.expiry,
      last_updated: facts.updated,
      created_at: facts.created,
    };
    expect(await visit({ evidence: said(facts) })).toMatchObject({ isRow: true, documents: [], row: columns });
    expect(await visit({ evidence: said(facts) })).toMatchObject({ isRow: false, row: columns });
    const renewed = { ...facts, expiry: '2028-01-01T00:00:00Z' };
    expect(await visit({ evidence: said(renewed) })).toMatchObject({
      isRow: true,
      row: { expiry_date: renewed.expiry },
    });
    // What has no column gives none, but is a fact for the next due time.
    expect(await visit({ evidence: said({ ...renewed, leaving: true }) })).toMatchObject({
      isRow: false,
      seen: { facts: { leaving: true } },
    });
    expect(await visit()).toMatchObject({ isRow: true, row: { registrar: null, expiry_date: null } });
  });
});

describe('addresses of a load balancer', () => {
  const withAddress = (last: number) =>
    world.setZone(DOMAIN, ...ZONE.filter(line => !line.includes(' A ')), `example.com. 60 A 192.0.2.${last}`);

  it('count no more after three visits with other ones, until they held still for a week', async () => {
    const isRow: boolean[] = [];
    for (let day = 0; day < 8; day++) {
      withAddress(day);
      isRow.push((await visit({ day })).isRow);
    }
    // The row of the third other set says that it rotates.
    expect(isRow).toEqual([true, true, true, true, false, false, false, false]);
    expect((await visit({ day: 8 })).data.rotating).toEqual(['A']);
    // It is the same from day 7 on, and counts again on day 14.
    for (let day = 9; day < 14; day++) expect(await visit({ day })).toMatchObject({ isRow: false, documents: [] });
    expect(await visit({ day: 14 })).toMatchObject({
      isRow: true,
      data: { rotating: [] },
      row: { a_records: '["192.0.2.7"]' },
    });
    withAddress(99);
    expect(await visit({ day: 15 })).toMatchObject({ isRow: true });
  });

  it('still count where other sets come back to the same twice running', async () => {
    const last = [1, 2, 3, 3, 4, 5, 5];
    const rows: boolean[] = [];
    for (const [day, address] of last.entries()) {
      withAddress(address);
      rows.push((await visit({ day })).isRow);
    }
    expect(rows).toEqual([true, true, true, false, true, true, false]);
  });
});

it('the file is put again where another one lies there than what was accepted last', async () => {
  const first = await visit();
  // A visit that was not accepted has put another file.
  world.setZone(DOMAIN, ...ZONE, 'example.com. 300 A 192.0.2.77');
  const { rows: _, ...lost } = await world.visit(DOMAIN);
  world.forget(DOMAIN, first.seen);
  expect(lost.documents).toHaveLength(1);
  world.setZone(DOMAIN, ...ZONE.map(line => line.replace(' 300 ', ' 200 ')));
  const again = await visit();
  // The records are those of the last row, but the object is another one, and so are its size and hash.
  expect(again).toMatchObject({ isRow: true, documents: [expect.anything()], row: { a_records: first.row.a_records } });
  expect(again.row.zone_file_hash).not.toBe(first.row.zone_file_hash);
  expect(await visit()).toMatchObject({ isRow: false, row: { zone_file_hash: again.row.zone_file_hash } });
});

it.each([{}, { quiet: 1 }, { quiet: 0, digest: 'x', sets: [], unknown: null, broken: 7 }, []])(
  'facts that another version of the code left count as none: %j',
  async facts => {
    const first = await visit();
    world.forget(DOMAIN, { ...first.seen, facts: facts as Record<string, unknown> });
    for (const by of ['first', 'fallback'] as const) world.instead(by, '15 example.com.', { rcode: 2, answers: [] });
    expect(await visit()).toMatchObject({ row: { mx_records: null, nameservers: '["ns1.example.com"]' } });
  },
);
