import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { type decode, encode } from 'dns-packet';
import { parseZone } from 'dnsz';
import { describe, expect, it } from 'vitest';
import { makeCoin } from '../../../src/sources/stand-in/faults.ts';
import { readAnswer } from '../../../src/sources/zones/message.ts';
import { nameText } from '../../../src/sources/zones/name.ts';
import { type DnsRecord, TYPES, typeName } from '../../../src/sources/zones/record.ts';
import { dataText } from '../../../src/sources/zones/record-text.ts';
import { inOrder, readZoneFile, writeZoneFile, zoneDigest } from '../../../src/sources/zones/zone-file.ts';
import { numberOf, seedOf } from '../../budget.ts';
import { messageOf, recordsOf } from './messages.ts';
import { randomRecords } from './random-records.ts';
import { ZONES } from './recordings.ts';

const SETS = numberOf('ZONES_SETS', 200);
const SEED = seedOf('ZONES_SEED');

const textOf = (records: DnsRecord[]) => Buffer.from(writeZoneFile(records)).toString();
const never = () => false;
const digestOf = (records: DnsRecord[]) => zoneDigest(records, never);

/** The records of a zone file as `dnsz` reads them. */
const readByOther = (text: string) =>
  parseZone(text).records.map(({ name, ttl, class: of, type, content }) => ({ name, ttl, class: of, type, content }));

const inWordsOfOther = ({ owner, ttl, type, data }: DnsRecord) => ({
  name: owner.slice(0, -1),
  ttl,
  class: 'IN',
  type: typeName(type),
  content: dataText(type, data),
});

/** `dnsz` takes no names with escaped characters; also within a quoted text it makes one of two spaces, and ends at `;`. */
const isPlain = ({ owner, type, data }: DnsRecord) =>
  !/\\/.test(owner + dataText(type, data).replace(/"([^"\\]|\\.)*"/g, '')) && !/ {2}|;/.test(dataText(type, data));

const FILES = readdirSync(path.join(ZONES, 'files'), { recursive: true, encoding: 'utf8' }).filter(
  file => file.endsWith('.zone') && file !== 'plain.zone',
);

describe.each(FILES)('the expected zone file %s', file => {
  const bytes = readFileSync(path.join(ZONES, 'files', file));
  const records = readZoneFile(bytes);

  it('is what its records are written as', () => {
    expect(textOf(inOrder(records))).toBe(bytes.toString());
  });

  it('has the same records for a reader that is not ours', () => {
    expect(readByOther(bytes.toString())).toEqual(records.map(inWordsOfOther));
  });

  it('has the same records when they have gone through messages', () => {
    for (const record of records) {
      const question = { name: record.owner, type: record.type };
      const body = { bytes: messageOf({ ...question, answers: [record] }), contentType: 'application/dns-message' };
      expect(readAnswer(question, body).records).toEqual([record]);
    }
  });
});

it('the codec encodes the data of a zone file to the same octets', () => {
  const expected = recordsOf(
    'example.com. 300 A 192.0.2.1',
    'example.com. 300 AAAA 2001:db8::1:0:0:1',
    'example.com. 300 AAAA ::ffff:192.0.2.128',
    'example.com. 300 NS ns1.example.com.',
    'example.com. 300 CNAME example.net.',
    'example.com. 300 MX 10 mx.example.com.',
    'example.com. 300 TXT "a b" "" "c"',
    'example.com. 300 CAA 128 issue "letsencrypt.org"',
    'example.com. 300 DS 12345 13 2 00ff10',
    'example.com. 300 DNSKEY 257 3 13 AAEC/w==',
    'example.com. 300 SOA ns1.example.com. first\\.last.example.com. 2026112901 7200 3600 1209600 300',
  );
  const data = [
    '192.0.2.1',
    '2001:db8::1:0:0:1',
    '::ffff:c000:280',
    'ns1.example.com',
    'example.net',
    { preference: 10, exchange: 'mx.example.com' },
    ['a b', '', 'c'],
    { flags: 128, tag: 'issue', value: 'letsencrypt.org', issuerCritical: true },
    { keyTag: 12345, algorithm: 13, digestType: 2, digest: Buffer.from('00ff10', 'hex') },
    { flags: 257, algorithm: 13, key: Buffer.from('AAEC/w==', 'base64') },
    {
      mname: 'ns1.example.com',
      rname: 'first\\.last.example.com',
      serial: 2026112901,
      refresh: 7200,
      retry: 3600,
      expire: 1209600,
      minimum: 300,
    },
  ];
  const answers = data.map((one, index) => ({
    name: 'example.com',
    type: typeName(expected[index]!.type),
    ttl: 300,
    class: 'IN',
    data: one,
  }));
  const bytes = encode({
    type: 'response',
    questions: [{ name: 'example.com', type: 'A', class: 'IN' }],
    answers: answers as NonNullable<ReturnType<typeof decode>['answers']>,
  });
  const answer = readAnswer({ name: 'example.com', type: TYPES.A }, { bytes, contentType: 'application/dns-message' });
  expect(answer.records).toEqual(expected);
});

it(`random record sets are read as they were written, and any order and times to live count as the same (seed ${SEED})`, () => {
  console.log(`${SETS} record sets, ZONES_SEED=${SEED}`);
  const coin = makeCoin(SEED);
  for (let set = 0; set < SETS; set++) {
    const records = inOrder(randomRecords(coin));
    const text = textOf(records);
    expect(readZoneFile(Buffer.from(text))).toEqual(records);
    const plain = records.filter(isPlain);
    expect(readByOther(textOf(plain))).toEqual(plain.map(inWordsOfOther));
    const others = records.map(record => ({ record, at: coin() })).sort((a, b) => a.at - b.at);
    const changed = others.map(({ record }) => ({ ...record, ttl: Math.floor(coin() * 100_000) }));
    expect(digestOf(changed.concat(changed.slice(0, 2)))).toBe(digestOf(records));
    expect(inOrder(changed).map(({ owner, data }) => [owner, data])).toEqual(
      records.map(({ owner, data }) => [owner, data]),
    );
  }
});

it(`no two record sets have one digest where a record differs (seed ${SEED})`, () => {
  const coin = makeCoin(SEED + 1);
  const base = inOrder(randomRecords(coin)).filter(({ type }) => type !== TYPES.SOA);
  const digests = base.map((_, without) => digestOf(base.filter((__, index) => index !== without)));
  expect(new Set([...digests, digestOf(base)]).size).toBe(base.length + 1);
});

describe('zoneDigest', () => {
  const soa = (serial: number, minimum = 300) =>
    recordsOf(`example.com. 3600 SOA ns1.example.com. admin.example.com. ${serial} 7200 3600 1209600 ${minimum}`);

  it('leaves the serial of the SOA out, and nothing else of it', () => {
    expect(digestOf(soa(1))).toBe(digestOf(soa(4_294_967_295)));
    expect(digestOf(soa(1))).not.toBe(digestOf(soa(1, 301)));
  });

  it('says of a set that rotates only that it is there', () => {
    const isA = ({ type }: DnsRecord) => type === TYPES.A;
    const one = recordsOf('example.com. 60 A 192.0.2.1', 'example.com. 60 A 192.0.2.2');
    const other = recordsOf('example.com. 60 A 192.0.2.3');
    expect(zoneDigest(one, isA)).toBe(zoneDigest(other, isA));
    expect(zoneDigest([], isA)).not.toBe(zoneDigest(other, isA));
    expect(zoneDigest(one, never)).not.toBe(zoneDigest(other, never));
  });
});

describe('data that does not fit its type', () => {
  it.each([
    [TYPES.A, 'c00002', '\\# 3 c00002'],
    [TYPES.AAAA, '', '\\# 0'],
    [TYPES.TXT, '', '\\# 0'],
    [TYPES.TXT, '05616263', '\\# 4 05616263'],
    [TYPES.CAA, '00', '\\# 1 00'],
    [TYPES.CAA, '0001203d', '\\# 4 0001203d'],
    [TYPES.DS, '00010d02', '\\# 4 00010d02'],
    [TYPES.DNSKEY, '0101030d', '\\# 4 0101030d'],
    [65280, 'ff', '\\# 1 ff'],
  ])('is written as octets, and read back: type %i, %s', (type, hex, text) => {
    const data = Uint8Array.from(Buffer.from(hex, 'hex'));
    const record = { owner: nameText(Uint8Array.of(1, 0x61, 0)), type, ttl: 1, data };
    expect(dataText(type, data)).toBe(text);
    expect(readZoneFile(writeZoneFile([record]))).toEqual([record]);
  });
});

it.each([
  ['no last line end', 'a.\t1\tin\ta\t192.0.2.1'],
  ['four fields', 'a.\t1\tin\ta\n'],
  ['another class', 'a.\t1\tch\ta\t192.0.2.1\n'],
  ['a time to live that is none', 'a.\t-1\tin\ta\t192.0.2.1\n'],
  ['an unknown type', 'a.\t1\tin\tbogus\t1\n'],
  ['text of a type without one', 'a.\t1\tin\ttype65\t1 .\n'],
  ['too few octets', 'a.\t1\tin\ttype65\t\\# 3 0102\n'],
  ['an address that is none', 'a.\t1\tin\ta\t192.0.2.256\n'],
])('readZoneFile refuses %s', (_, text) => {
  expect(() => readZoneFile(Buffer.from(text))).toThrow(/expected/);
});
