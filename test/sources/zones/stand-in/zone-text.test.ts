import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { nameText, readName } from '../../../../src/sources/zones/stand-in/names.ts';
import { TYPES } from '../../../../src/sources/zones/stand-in/record.ts';
import { readZone } from '../../../../src/sources/zones/stand-in/zone-text.ts';
import { askedOf, canonical, hexOf } from '../canonical.ts';
import { readExpected, readZoneFile, recorded, ZONES } from '../recordings.ts';

const read = (line: string) => hexOf(readZone(line, 'example.com')[0]!.data);

describe('the reader of zones', () => {
  test.each([
    ['@ A 192.0.2.1', 'c0000201'],
    ['@ 60 IN aaaa 2001:db8::1', '20010db8000000000000000000000001'],
    ['@ IN AAAA ::ffff:192.0.2.128', '00000000000000000000ffffc0000280'],
    ['@ MX 10 mail', '000a046d61696c076578616d706c6503636f6d00'],
    ['@ MX 0 .', '000000'],
    ['@ TXT "a b" c "" "\\"\\\\\\195"', '0361206201630003225cc3'],
    ['@ TXT "a;b" ; a comment', '03613b62'],
    ['@ TXT "tab\there"', '087461620968657265'],
    ['@ CAA 128 issue "ca.example; a=b"', '8005697373756563612e6578616d706c653b20613d62'],
    ['@ NS a\\.b\\032\\000.c.', '05612e622000016300'],
    ['@ TYPE1 \\# 4 C0 000201', 'c0000201'],
    ['@ TYPE65280 \\# 0', ''],
    ['@ DS 1 13 2 AB cd', '00010d02abcd'],
    ['@ HTTPS 0 other.example.', '0000056f74686572076578616d706c6500'],
    [
      '@ HTTPS 1 . port=443 alpn="h2" key667=x mandatory=port,alpn',
      '0001000000000400010003000100030268320003000201bb029b000178',
    ],
    ['@ SRV 1 2 3 t.', '000100020003017400'],
  ])('reads %s', (line, hex) => {
    expect(read(line)).toBe(hex);
  });

  test.each([
    ['@ A 192.0.2', 'expected an IPv4 address, got 192.0.2'],
    ['@ A 192.0.2.1 192.0.2.2', 'expected 1 fields for type 1, got 2'],
    ['@ AAAA fe80::1%eth0', 'expected an IPv6 address'],
    ['@ MX 65536 mail', 'expected a number of 2 octets, got 65536'],
    ['@ NS a..b.', 'expected labels of 1 to 63 octets'],
    [`@ NS ${'a'.repeat(64)}.`, 'expected labels of 1 to 63 octets'],
    [`@ NS ${'a.'.repeat(128)}`, 'expected a name of at most 255 octets'],
    [`@ TXT "${'a'.repeat(256)}"`, 'expected a string of at most 255 octets, got 256'],
    ['@ TXT "\\300"', 'expected octets'],
    ['@ TXT "\\30"', 'expected \\DDD'],
    ['@ TXT', 'expected at least one string'],
    ['@ TXT "open', 'expected a word, got  "open'],
    ['@ TYPE9 \\# 2 00', 'expected 2 octets after \\#, got 1'],
    ['@ NAPTR 1 2', 'expected a type, got NAPTR'],
    ['@ SOA a b ( 1', 'expected a record a line, got ('],
    ['$TTL 60', 'expected a record a line, got $TTL'],
    [' A 192.0.2.1', 'expected an owner at the beginning of a line'],
    ['@ 2147483648 A 192.0.2.1', 'expected a TTL of at most 2147483647'],
  ])('refuses %s', (line, message) => {
    expect(() => read(line)).toThrow(`example.com, line 1: zone text: ${message}`);
  });

  test('reads its own text of a name, whatever its octets', () => {
    const every = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)).join('');
    for (let from = 0; from < 256; from += 60) {
      const name = [every.slice(from, from + 60), 'example'];
      expect(readName(nameText(name), [])).toEqual(name);
    }
    expect(nameText(['a.b', '', 'c'].filter(Boolean))).toBe('a\\.b.c.');
  });
});

describe.each([
  ['at first', false, recorded.domains],
  ['in the next month', true, recorded.later],
] as const)('the expected zone files %s', (_, isLater, domains) => {
  const withFile = domains.filter(({ domain }) => readZoneFile(domain, isLater) !== null);
  const expected = readExpected()[isLater ? 'later' : 'domains'];

  test('exist with a row for each domain that has records', () => {
    const answered = domains.filter(({ file, answers = [] }) => file && !answers.some(one => one.resolver === 'both'));
    expect(withFile).toEqual(answered);
    expect(Object.keys(expected)).toEqual(answered.map(({ domain }) => domain));
  });

  test.each(withFile)('$domain: has the records of the zone that a visit asks for, each once', recordedDomain => {
    const { domain, file, rotate } = recordedDomain;
    const apex = readName(`${domain}.`, []);
    const wanted = askedOf(readZone(readFileSync(path.join(ZONES, file!), 'utf8'), domain), apex).map(canonical);
    const actual = readZone(readZoneFile(domain, isLater)!, domain).map(canonical);
    expect(new Set(actual).size).toBe(actual.length);
    if (rotate === 'set') expect(wanted).toEqual(expect.arrayContaining(actual));
    else expect(new Set(actual)).toEqual(new Set(wanted));
  });

  test.each(withFile)('$domain: has SOA first, then the order of RFC 8976', ({ domain }) => {
    const apex = readName(`${domain}.`, []);
    const records = readZone(readZoneFile(domain, isLater)!, domain);
    const ranks = records.map(record => {
      const below = nameText(record.owner.slice(0, record.owner.length - apex.length));
      const [, , data] = canonical(record).split(' ');
      const type = record.type === TYPES.SOA ? '' : record.type.toString(16).padStart(4, '0');
      return `${below === '.' ? '' : below} ${type} ${data}`;
    });
    expect(ranks).toEqual([...ranks].sort());
  });

  test.each(withFile)('$domain: has five fields a line, in lower case but for data', ({ domain }) => {
    for (const line of readZoneFile(domain, isLater)!.trimEnd().split('\n')) {
      expect(line.split('\t')).toHaveLength(5);
      expect(line).toMatch(/^(_dmarc\.|www\.)?[a-z\d.-]+\.\t\d+\tin\t[a-z\d]+\t\S.*\S?$/);
    }
  });
});
