import { describe, expect, it } from 'vitest';
import { ChangeError } from '../../../src/errors.ts';
import { makeCoin } from '../../../src/sources/stand-in/faults.ts';
import { encodeQuestion, readAnswer } from '../../../src/sources/zones/message.ts';
import { HTTPS, TYPES } from '../../../src/sources/zones/record.ts';
import { numberOf, seedOf } from '../../budget.ts';
import { messageOf, type Parts, recordsOf, uint16 } from './messages.ts';
import { randomRecords } from './random-records.ts';

const MESSAGES = numberOf('ZONES_MESSAGES', 2_000);
const SEED = seedOf('ZONES_SEED');

const QUESTION = { name: 'example.com', type: TYPES.A };
const DNS = 'application/dns-message';

const read = (bytes: Uint8Array, contentType: string | null = DNS) => readAnswer(QUESTION, { bytes, contentType });
const answer = (parts: Partial<Parts> = {}) => messageOf({ ...QUESTION, ...parts });

describe('encodeQuestion', () => {
  it('asks as RFC 8484 shows, with DO', () => {
    const header = '000001000001000000000001';
    const opt = '00002904d0000080000000';
    const asked = Buffer.from(encodeQuestion({ name: 'www.example.com', type: TYPES.A })).toString('hex');
    expect(asked).toBe(`${header}03777777076578616d706c6503636f6d0000010001${opt}`);
  });

  it.each([
    ['HTTPS', HTTPS, '0041'],
    ['CAA', TYPES.CAA, '0101'],
    ['DS', TYPES.DS, '002b'],
    ['DNSKEY', TYPES.DNSKEY, '0030'],
  ])('asks for %s by its number', (_, type, hex) => {
    const asked = Buffer.from(encodeQuestion({ name: 'a.com', type })).toString('hex');
    expect(asked).toContain(`01610363 6f6d00${hex}0001`.replace(' ', ''));
  });

  it('asks for the root', () => {
    const asked = Buffer.from(encodeQuestion({ name: '.', type: TYPES.NS })).toString('hex');
    expect(asked).toMatch(/^0000010000010000000000010000020001/);
  });
});

describe('readAnswer', () => {
  it('reads the answer of RFC 8484, 4.2.2', () => {
    // The example has id 0 and an answer whose name is a pointer.
    const hex =
      '00008180000100010000000003777777076578616d706c6503636f6d00001c0001c00c001c000100000e7d001020010db8abcd00120001000200030004';
    const bytes = Buffer.from(hex, 'hex');
    expect(readAnswer({ name: 'www.example.com', type: TYPES.AAAA }, { bytes, contentType: DNS })).toEqual({
      rcode: 0,
      isAuthentic: false,
      extendedErrors: [],
      otherClasses: 0,
      records: recordsOf('www.example.com. 3709 AAAA 2001:db8:abcd:12:1:2:3:4'),
    });
  });

  it('says what the flags, EDNS and extended errors say', () => {
    const bytes = answer({ rcode: 2, ad: true, extendedErrors: [22, 9, 22] });
    expect(read(bytes)).toMatchObject({ rcode: 2, isAuthentic: true, extendedErrors: [9, 22], records: [] });
    // BADVERS, whose upper bits are those of EDNS.
    expect(read(answer({ rcode: 16 }))).toMatchObject({ rcode: 16 });
    expect(read(answer(), 'Application/DNS-Message; charset=x')).toMatchObject({ rcode: 0, isAuthentic: false });
  });

  it('counts records of other classes, and keeps types that nobody knows', () => {
    const [record] = recordsOf('example.com. 5 TYPE65280 \\# 2 0102');
    const answers = [record!, { ...record!, class: 3 }, { ...record!, class: 0x8001 }];
    expect(read(answer({ answers }))).toMatchObject({ records: [record], otherClasses: 2 });
  });

  it('takes a time to live over 2^31 - 1 for 0', () => {
    const answers = [{ ...recordsOf('example.com. 5 A 192.0.2.1')[0]!, ttl: 0x80000000 }];
    expect(read(answer({ answers })).records[0]!.ttl).toBe(0);
  });

  it('keeps a dot within a label apart from one between labels', () => {
    const answers = recordsOf('example.com. 5 NS a\\.b.com.', 'example.com. 5 NS a.b.com.');
    expect(read(answer({ answers })).records).toEqual(answers);
  });

  const whole = answer({ answers: recordsOf('example.com. 5 A 192.0.2.1') });
  const patched = (at: number, ...octets: number[]) => {
    const bytes = new Uint8Array(whole);
    bytes.set(octets, at);
    return bytes;
  };

  it.each([
    ['a page', 'text/html', whole, 'content type'],
    ['no content type', null, whole, 'content type'],
    ['JSON', 'application/dns-json', whole, 'content type'],
    ['an empty body', DNS, new Uint8Array(), 'octets'],
    ['a body of 64 KiB', DNS, new Uint8Array(65_536), 'octets'],
    ['HTML in a body that says it is DNS', DNS, Buffer.from('<html><body>Bad gateway</body></html>'), 'DNS message'],
    ['another id', DNS, answer({ id: 7 }), 'id'],
    ['a question', DNS, patched(2, 0x01, 0x00), 'an answer'],
    ['another name', DNS, messageOf({ name: 'example.org', type: TYPES.A }), 'another'],
    ['a name whose label has a dot', DNS, messageOf({ name: 'example\\.com', type: TYPES.A }), 'another'],
    ['another type', DNS, messageOf({ ...QUESTION, type: TYPES.NS }), 'another'],
    ['another class', DNS, patched(12 + 13 + 3, 3), 'another'],
    ['no question', DNS, Uint8Array.of(0, 0, 0x81, 0x80, 0, 0, 0, 0, 0, 0, 0, 0), 'another'],
    ['an answer that says it is cut', DNS, answer({ tc: true }), 'TC'],
    ['one answer more than there are', DNS, patched(7, 2), 'DNS message'],
    ['65,535 answers', DNS, patched(6, 0xff, 0xff), 'DNS message'],
    ['octets after its end', DNS, Uint8Array.from([...whole, 0]), 'DNS message'],
    ['a name that points at itself', DNS, patched(12, 0xc0, 12), 'DNS message'],
    [
      'data that goes on after its name',
      DNS,
      answer({ answers: [{ ...recordsOf('example.com. 5 NS a.')[0]!, data: Uint8Array.of(1, 97, 0, 0) }] }),
      'DNS message',
    ],
    [
      'data that ends before its name',
      DNS,
      answer({ answers: [{ ...recordsOf('example.com. 5 NS a.')[0]!, data: Uint8Array.of(1) }] }),
      'DNS message',
    ],
    [
      'an SOA without its numbers',
      DNS,
      answer({ answers: [{ ...recordsOf('example.com. 5 NS a.')[0]!, type: TYPES.SOA, data: Uint8Array.of(0, 0) }] }),
      'DNS message',
    ],
  ])('refuses %s', (_, contentType, bytes, expected) => {
    expect(() => read(bytes, contentType)).toThrow(
      expect.objectContaining({ reason: 'wrong-shape', message: expect.stringContaining(expected) }),
    );
  });

  it('refuses each message that is cut', () => {
    for (let length = 0; length < whole.length; length++)
      expect(() => read(whole.subarray(0, length)), String(length)).toThrow(ChangeError);
  });

  it('reads 64 KB of answers', () => {
    const answers = Array.from(
      { length: 2_400 },
      (_, i) => recordsOf(`example.com. 5 A 192.0.${i >> 8}.${i & 255}`)[0]!,
    );
    const bytes = answer({ answers });
    expect(bytes.length).toBeGreaterThan(60_000);
    expect(read(bytes).records).toEqual(answers);
  });

  it('takes no longer for a chain of pointers than for other messages', () => {
    // Each name in the chain points to the one before it; each record's owner to the last of them.
    const chain = Array.from({ length: 12_000 }, (_, i) => [...uint16(0xc000 | (12 + Math.max(0, i - 1) * 2))]).flat();
    const bytes = Uint8Array.from([0, 0, 0x81, 0x80, 0, 0, 0xff, 0xff, 0, 0, 0, 0, ...chain]);
    expect(() => read(bytes)).toThrow(ChangeError);
  });
});

it(`mutated messages give records or are refused, and nothing else is thrown (seed ${SEED})`, () => {
  console.log(`${MESSAGES} messages, ZONES_SEED=${SEED}`);
  const coin = makeCoin(SEED);
  const below = (limit: number) => Math.floor(coin() * limit);
  const outcomes = { read: 0, refused: 0 };
  for (let turn = 0; turn < MESSAGES; turn++) {
    const answers = randomRecords(coin).map(record => ({ ...record, class: below(10) === 0 ? below(65_536) : 1 }));
    const bytes = mutated(answer({ answers, rcode: below(20), extendedErrors: [below(40)] }), below);
    try {
      const { records, rcode } = read(bytes);
      expect(rcode).toBeLessThan(4096);
      for (const { owner, data } of records) {
        expect(owner).toMatch(/^[\x20-\x7e]+\.$|^\.$/);
        expect(data.length).toBeLessThan(65_536);
      }
      outcomes.read += 1;
    } catch (error) {
      if (!(error instanceof ChangeError)) throw error;
      expect(error.reason).toBe('wrong-shape');
      outcomes.refused += 1;
    }
  }
  expect(outcomes.read).toBeGreaterThan(MESSAGES / 20);
  expect(outcomes.refused).toBeGreaterThan(MESSAGES / 20);
});

/** A message with a few octets changed, removed, doubled or turned into pointers. */
function mutated(message: Uint8Array, below: (limit: number) => number): Uint8Array {
  let octets = [...message];
  for (let times = below(4); times >= 0; times--) {
    const at = below(octets.length);
    const kind = below(5);
    if (kind === 0) octets[at] = below(256);
    else if (kind === 1) octets.splice(at, 1 + below(4));
    else if (kind === 2) octets.splice(at, 2, 0xc0 | below(2), below(256));
    else if (kind === 3) octets = octets.slice(0, at + 1).concat(octets.slice(below(octets.length)));
    else octets[2 + below(10)] = below(256);
  }
  return Uint8Array.from(octets);
}
