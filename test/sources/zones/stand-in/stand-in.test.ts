import { afterEach, expect, test } from 'vitest';
import { startStandIn, type ZonesStandIn } from '../../../../src/sources/zones/stand-in/stand-in.ts';
import { ask, cAres, extendedErrorOf, nameAt, queryFor, type ReadRecord } from './client.ts';

const TYPES = { A: 1, NS: 2, CNAME: 5, SOA: 6, MX: 15, TXT: 16, DS: 43, RRSIG: 46, NSEC: 47, DNSKEY: 48, HTTPS: 65 };
const MESSAGE = 'application/dns-message';

const started: ZonesStandIn[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map(standIn => standIn.stop()));
});

async function start(): Promise<ZonesStandIn> {
  const standIn = await startStandIn();
  started.push(standIn);
  return standIn;
}

const hexOf = (records: ReadRecord[]) => records.map(({ data }) => data.toString('hex'));
const typesOf = (records: ReadRecord[]) => records.map(({ type }) => type);

test('c-ares, which is not ours, reads the records of the zones from the answers', async () => {
  const standIn = await start();
  const { resolver, close } = await cAres(standIn);
  try {
    expect(await resolver.resolveSoa('copper-example.com')).toEqual({
      nsname: 'ns1.dns-example.net',
      hostmaster: 'hostmaster.copper-example.com',
      serial: 2026112401,
      refresh: 7200,
      retry: 3600,
      expire: 1209600,
      minttl: 900,
    });
    expect(await resolver.resolveMx('copper-example.com')).toMatchObject([
      { exchange: 'mx2.copper-example.com', priority: 20 },
      { exchange: 'mx1.copper-example.com', priority: 10 },
    ]);
    expect(await resolver.resolveCaa('copper-example.com')).toMatchObject([
      { critical: 0, iodef: 'mailto:ca@copper-example.com' },
      { critical: 0, issue: 'ca.example.net' },
    ]);
    expect(await resolver.resolve6('orchard-example.org')).toContain('2001:db8:0:1:1:1:1:1');
    expect(await resolver.resolveMx('hold-example.net')).toMatchObject([{ exchange: '', priority: 0 }]);
    expect(await resolver.resolveNs('quarry-example.net')).toEqual([
      'a\\.b.quarry-example.net',
      'a.b.quarry-example.net',
    ]);
    expect(await resolver.resolve4('www.millpond-example.com')).toEqual(['192.0.2.11', '192.0.2.9']);
    expect(await resolver.resolve4('any.name.harbour-example.com')).toEqual(['203.0.113.99']);
    expect(new Set(await resolver.resolve4('crowded-example.net')).size).toBe(500);
    const long = (await resolver.resolveTxt('brochure-example.com')).find(({ length }) => length > 1)!;
    expect(long.slice(0, 2)).toEqual(['', '\x07']);
    expect(long).toHaveLength(40);
    await expect(resolver.resolve4('gone-example.com')).rejects.toMatchObject({ code: 'ENOTFOUND' });
    await expect(resolver.resolve4('lame-example.net')).rejects.toMatchObject({ code: 'ESERVFAIL' });
    await expect(resolver.resolveSoa('proxy-example.com')).rejects.toMatchObject({ code: 'ENODATA' });
  } finally {
    close();
  }
});

test('Cloudflare’s documented query has its documented answer, the header apart', async () => {
  const standIn = await start();
  standIn.setZone('example.com', { records: 'www 128 IN A 192.0.2.1' });
  const response = await fetch(`${standIn.origin}/dns-query?dns=AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA2NvbQAAAQAB`, {
    headers: { accept: MESSAGE },
  });
  expect(response.headers.get('content-type')).toBe(MESSAGE);
  expect(response.headers.get('cache-control')).toBe('max-age=128');
  const message = Buffer.from(await response.arrayBuffer()).toString('hex');
  const question = '03777777076578616d706c6503636f6d00';
  expect(message).toBe(`000081800001000100000000${question}00010001c00c0001000100000080${'0004c0000201'}`);
});

test('names in data become pointers, except in types that came after RFC 1035', async () => {
  const { origin } = await start();
  const mx = await ask(origin, { name: 'copper-example.com', type: TYPES.MX });
  for (const { data, at } of mx.records.answer) {
    expect(data).toHaveLength(8);
    expect(nameAt(mx.message, at + 2).text).toMatch(/^mx[12]\.copper-example\.com$/);
  }
  const https = await ask(origin, { name: 'orchard-example.com', type: TYPES.HTTPS });
  const backup = '064261636b75700f4f7263686172642d4578616d706c6503636f6d00';
  expect(hexOf(https.records.answer)).toEqual([
    '0001000001000602683202683300040004c000022c0006001020010db8000000000000000000000044',
    `0002${backup}000100030268320003000220fb`,
  ]);
});

test('a signed zone has signatures and AD for a query with DO, proves what is missing, and no other zone does', async () => {
  const { origin } = await start();
  const name = 'signed-example.com';
  const plain = await ask(origin, { name, type: TYPES.A, dnssec: false });
  expect([plain.ad, typesOf(plain.records.answer)]).toEqual([false, [TYPES.A]]);
  const signed = await ask(origin, { name, type: TYPES.DNSKEY });
  expect([signed.ad, typesOf(signed.records.answer)]).toEqual([true, [TYPES.DNSKEY, TYPES.DNSKEY, TYPES.RRSIG]]);
  const signature = signed.records.answer[2]!;
  // Type covered, algorithm, labels, original TTL; then times, key tag, signer, 64 octets.
  expect(signature.data.toString('hex', 0, 8)).toBe('00300d0200000e10');
  expect(nameAt(signed.message, signature.at + 18)).toEqual({
    text: name,
    end: signature.at + signature.data.length - 64,
  });
  const ds = await ask(origin, { name, type: TYPES.DS });
  expect(nameAt(ds.message, ds.records.answer[1]!.at + 18).text).toBe('com');
  const none = await ask(origin, { name, type: TYPES.MX });
  expect([none.ad, none.rcode, typesOf(none.records.authority)]).toEqual([
    true,
    0,
    [TYPES.SOA, TYPES.RRSIG, TYPES.NSEC, TYPES.RRSIG],
  ]);
  const unsigned = await ask(origin, { name: 'copper-example.com', type: TYPES.A });
  expect([unsigned.ad, typesOf(unsigned.records.answer)]).toEqual([false, [TYPES.A, TYPES.A]]);
  // Its target is not signed, so the whole chain is not.
  const standIn = started[0]!;
  standIn.setZone(name, { records: '@ CNAME copper-example.com.', signed: true });
  expect((await ask(origin, { name, type: TYPES.A })).ad).toBe(false);
});

test('the root has records of its own', async () => {
  const { origin } = await start();
  expect((await ask(origin, { name: '', type: TYPES.NS })).records.answer).toHaveLength(2);
  const none = await ask(origin, { name: '', type: TYPES.A });
  expect([none.rcode, none.records.authority.map(({ owner }) => owner)]).toEqual([0, ['']]);
});

test('resolvers that fail say why, and one may say otherwise than the other', async () => {
  const { origin, fallbackOrigin, answer } = await start();
  const broken = await ask(origin, { name: 'www.stumbling-example.com', type: TYPES.A });
  expect([broken.rcode, extendedErrorOf(broken)]).toEqual([2, { code: 9, text: 'no SEP matching the DS found' }]);
  const unchecked = await ask(origin, { name: 'stumbling-example.com', type: TYPES.A, checkingDisabled: true });
  expect([unchecked.rcode, hexOf(unchecked.records.answer)]).toEqual([0, ['c633640d']]);
  const lame = await ask(fallbackOrigin, { name: 'lame-example.net', type: TYPES.SOA });
  expect([lame.rcode, extendedErrorOf(lame)?.code]).toEqual([2, 22]);
  const question = { name: 'moved-example.com', type: TYPES.SOA };
  const [first, fallback] = [await ask(origin, question), await ask(fallbackOrigin, question)];
  expect([first.rcode, first.records.authority[0]!.owner]).toEqual([3, 'com']);
  expect([fallback.rcode, fallback.records.answer]).toMatchObject([0, [{ owner: 'moved-example.com' }]]);
  answer('first', 'moved-example.com', { extendedError: 3, ad: true });
  const stale = await ask(origin, question);
  expect([stale.rcode, stale.ad, extendedErrorOf(stale)?.code]).toEqual([0, true, 3]);
  answer('first', 'moved-example.com', { message: Buffer.from('<html>') });
  const url = `${origin}/dns-query?dns=${queryFor(question).toString('base64url')}`;
  expect(await (await fetch(url, { headers: { accept: MESSAGE } })).text()).toBe('<html>');
  answer('first', 'moved-example.com', null);
  expect((await ask(origin, question)).rcode).toBe(0);
  expect((await ask(origin, { ...question, recursionDesired: false })).rcode).toBe(5);
  expect((await ask(origin, { ...question, type: 255 })).rcode).toBe(4);
});

test('"there is none" names the zone that has none: its own SOA, the one above, or that of the last alias', async () => {
  const { origin } = await start();
  const soaOwner = async (name: string, type: number) => {
    const { rcode, records } = await ask(origin, { name, type });
    return [rcode, typesOf(records.answer), records.authority[0]?.owner, records.authority[0]?.ttl];
  };
  expect(await soaOwner('hold-example.net', TYPES.A)).toEqual([0, [], 'hold-example.net', 900]);
  expect(await soaOwner('www.hold-example.net', TYPES.A)).toEqual([3, [], 'hold-example.net', 900]);
  expect(await soaOwner('hold-example.net', TYPES.DS)).toEqual([0, [], 'net', 900]);
  expect(await soaOwner('proxy-example.com', TYPES.SOA)).toEqual([0, [], 'com', 900]);
  expect(await soaOwner('unwritten-example.org', TYPES.SOA)).toEqual([3, [], 'org', 900]);
  expect(await soaOwner('www.tulip-example.nl', TYPES.A)).toEqual([3, [TYPES.CNAME], 'tulip-example.nl', 900]);
  expect(await soaOwner('millpond-example.com', TYPES.DNSKEY)).toEqual([0, [TYPES.CNAME], 'copper-example.com', 900]);
  // A name above another exists, though it has no records (RFC 8020).
  expect((await soaOwner('_tcp.copper-example.com', TYPES.A))[0]).toBe(0);
});

test('TTLs count down with each answer and with days, and begin again when they are over', async () => {
  const standIn = await start();
  standIn.setZone('example.com', { records: '@ 10 A 192.0.2.1\n@ 200000 NS ns1.example.com.' });
  const ttls = async (type: number, times: number) => {
    const all: number[] = [];
    for (let time = 0; time < times; time++)
      all.push((await ask(standIn.origin, { name: 'example.com', type })).records.answer[0]!.ttl);
    return all;
  };
  expect(await ttls(TYPES.NS, 1)).toEqual([200_000]);
  expect(await ttls(TYPES.A, 12)).toEqual([10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 10, 9]);
  standIn.passDays(1);
  expect(await ttls(TYPES.NS, 1)).toEqual([200_000 - 13 - 86_400]);
  expect(await ttls(TYPES.A, 1)).toEqual([10]);
});

test('an order rotates with each answer, a set with each day, and both keep their records', async () => {
  const { origin, passDays } = await start();
  const last = async (name: string) => {
    const { records } = await ask(origin, { name, type: TYPES.A });
    return records.answer.map(({ data }) => data[3]).join();
  };
  const orders = [];
  for (let time = 0; time < 4; time++) orders.push(await last('saddle-example.net'));
  expect(orders).toEqual(['1,2,3', '2,3,1', '3,1,2', '1,2,3']);
  const sets = [];
  for (let day = 0; day < 4; day++) {
    sets.push(await last('willow-example.net'));
    expect(await last('willow-example.net')).toBe(sets.at(-1));
    passDays(1);
  }
  expect(sets).toEqual(['21,22', '23,24', '25,26', '21,22']);
});

test('after a month other zones come', async () => {
  const { origin, passDays } = await start();
  const serial = async () => {
    const { records } = await ask(origin, { name: 'copper-example.com', type: TYPES.SOA });
    return records.answer[0]!.data.readUInt32BE(records.answer[0]!.data.length - 20);
  };
  passDays(29);
  expect(await serial()).toBe(2026112401);
  expect((await ask(origin, { name: 'leaving-example.net', type: TYPES.SOA })).rcode).toBe(0);
  passDays(1);
  expect(await serial()).toBe(2026122401);
  expect((await ask(origin, { name: 'leaving-example.net', type: TYPES.SOA })).rcode).toBe(3);
});

test('requests that RFC 8484 or a resolver does not allow are refused', async () => {
  const { origin, fallbackOrigin } = await start();
  const query = queryFor({ name: 'copper-example.com', type: TYPES.A });
  const status = async (url: string, options: RequestInit = {}) =>
    (await fetch(url, { headers: { accept: MESSAGE }, ...options })).status;
  const get = (bytes: Buffer, base = origin) => status(`${base}/dns-query?dns=${bytes.toString('base64url')}`);
  expect(await status(`${origin}/dns-query?dns=${query.toString('base64url')}`, { headers: {} })).toBe(400);
  expect(await status(`${origin}/dns-query?dns=${query.toString('base64url')}=`)).toBe(400);
  expect(await status(`${origin}/dns-query`)).toBe(400);
  expect(await status(`${origin}/resolve?name=copper-example.com`)).toBe(404);
  expect(await get(Buffer.alloc(513), fallbackOrigin)).toBe(414);
  const post = { method: 'POST', body: new Uint8Array(query), headers: { accept: MESSAGE, 'content-type': MESSAGE } };
  expect(await status(`${origin}/dns-query`, post)).toBe(200);
  expect(await status(`${origin}/dns-query`, { ...post, headers: { accept: MESSAGE } })).toBe(415);
  // A message of the right length that is no query has the answer FORMERR, with status 200.
  for (const wrong of [
    Buffer.alloc(12),
    query.subarray(0, -1),
    Buffer.concat([query, query]),
    Buffer.alloc(60, 0xff),
  ]) {
    const response = await fetch(`${origin}/dns-query?dns=${wrong.toString('base64url')}`, {
      headers: { accept: MESSAGE },
    });
    const bytes = Buffer.from(await response.arrayBuffer());
    expect([response.status, bytes.length, bytes[3]! & 15]).toEqual([200, 12, 1]);
  }
});

test('faults come first, for a domain and the names below it, or for one resolver', async () => {
  const held = Promise.withResolvers<void>();
  const standIn = await startStandIn({ onHold: () => held.resolve() });
  started.push(standIn);
  const { origin, fallbackOrigin, fault, clearFaults } = standIn;
  const question = { name: 'www.copper-example.com', type: TYPES.A };
  fault('copper-example.com', [{ status: 503 }, { truncateTo: 5 }]);
  await expect(ask(origin, question)).rejects.toThrow('got 503');
  await expect(ask(origin, question)).rejects.toThrow(RangeError);
  expect((await ask(origin, question)).rcode).toBe(0);
  fault('/first/', [{ status: 429 }], { repeat: true });
  await expect(ask(origin, question)).rejects.toThrow('got 429');
  expect((await ask(fallbackOrigin, question)).rcode).toBe(0);
  clearFaults();
  expect((await ask(origin, question)).rcode).toBe(0);
  expect(standIn.questions.filter(({ resolver }) => resolver === 'fallback')).toEqual([
    {
      resolver: 'fallback',
      name: 'www.copper-example.com',
      type: 1,
      id: 0,
      recursionDesired: true,
      ad: false,
      cd: false,
      dnssec: true,
    },
  ]);
  fault('copper-example.com', [{ hold: true }]);
  const controller = new AbortController();
  const url = `${origin}/dns-query?dns=${queryFor(question).toString('base64url')}`;
  const request = fetch(url, { headers: { accept: MESSAGE }, signal: controller.signal });
  await held.promise;
  controller.abort();
  await expect(request).rejects.toThrow(/abort/);
});

test('an answer over 65,535 octets comes without its records, and says so', async () => {
  const standIn = await start();
  const text = `"${'x'.repeat(255)}"`;
  standIn.setZone('example.com', { records: Array.from({ length: 260 }, (_, n) => `@ TXT ${text} ${n}`).join('\n') });
  const { truncated, records } = await ask(standIn.origin, { name: 'example.com', type: TYPES.TXT });
  expect([truncated, records.answer]).toEqual([true, []]);
});
