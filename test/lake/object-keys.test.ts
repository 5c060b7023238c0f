import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../src/config.ts';
import { ChangeError } from '../../src/errors.ts';
import {
  dataFileKey,
  documentKey,
  metadataKey,
  nameFromSegment,
  parseDataFileKey,
  partitionsPrefix,
  rawKey,
  segmentOf,
} from '../../src/lake/object-keys.ts';
import { numberOf, seedOf } from '../budget.ts';

const npm = { prefix: 'npm/metadata' };
const november = Date.UTC(2026, 10, 23, 12);

/** Names that could get the same key, or leave their folder. */
const hostile = [
  '',
  '.',
  '..',
  '...',
  '%',
  '%%',
  '%2E',
  '%2e',
  '%2E%2E',
  '%25',
  '%2F',
  '%u',
  '%uD800',
  '/',
  '//',
  '../..',
  '../../etc/passwd',
  '\\',
  'a/b',
  'a%2Fb',
  'a%2fb',
  'a\\b',
  '@scope/name',
  '@scope%2Fname',
  'Case',
  'case',
  ' ',
  '  ',
  ' a',
  'a ',
  '\u0000',
  '\u0001',
  '\n',
  '\r\n',
  '\u007f',
  '\u0085',
  '\u2028',
  '\ud800',
  '\udc00',
  '\ud800\udc00',
  '\udc00\ud800',
  '\ufffd',
  'é',
  'e\u0301',
  '包',
  '👩‍🔬',
  'constructor',
  '__proto__',
  'a?b#c&d=e+f',
  'a*b"c<d>e|f:g',
];

describe('segments', () => {
  it.each([
    ['express', 'express'],
    ['@scope/name', '@scope%2Fname'],
    ['100%', '100%25'],
    ['..', '%2E%2E'],
    ['a..b', 'a..b'],
    ['a\\b\n', 'a%5Cb%0A'],
    ['Two Words 包', 'Two Words 包'],
  ])('%j becomes %j', (name, segment) => {
    expect(segmentOf(name)).toBe(segment);
  });

  it('are one path segment, differ for different names, and give the name back', () => {
    const seed = seedOf('TEST_SEED');
    const names = new Set([...hostile, ...randomNames(seed, numberOf('TEST_NAMES', 4_000))]);
    const segments = new Map<string, string>();
    for (const name of names) {
      const segment = segmentOf(name);
      const label = `seed ${seed}, name ${JSON.stringify(name)}`;
      expect(nameFromSegment(segment), label).toBe(name);
      expect(segments.get(segment), label).toBeUndefined();
      expect(segment, label).toMatch(/^[^/\\\p{Cc}]+$/u);
      expect(['.', '..'], label).not.toContain(segment);
      expect(segment.isWellFormed(), label).toBe(true);
      segments.set(segment, name);
    }
  });
});

describe('keys', () => {
  it('have the documented form', () => {
    expect(rawKey('npm', 'express')).toBe('npm/raw/express/latest.json');
    expect(metadataKey(npm, november, '@a/b')).toBe('npm/metadata/2026/11/23/@a%2Fb.json');
    expect(partitionsPrefix(npm)).toBe('npm/metadata/partitions.parquet/');
    expect(dataFileKey(npm, { stampMs: november, firstLsn: 1, lastLsn: 250 })).toBe(
      'npm/metadata/partitions.parquet/year=2026/month=11/data-0000000000000001-0000000000000250.parquet',
    );
  });

  it('take the day and the month in UTC', () => {
    const newYear = Date.UTC(2027, 0, 1);
    expect(metadataKey(npm, newYear - 1, 'a')).toBe('npm/metadata/2026/12/31/a.json');
    expect(metadataKey(npm, newYear, 'a')).toBe('npm/metadata/2027/01/01/a.json');
    expect(dataFileKey(npm, { stampMs: newYear - 1, firstLsn: 1, lastLsn: 1 })).toContain('/year=2026/month=12/');
    expect(dataFileKey(npm, { stampMs: newYear, firstLsn: 1, lastLsn: 1 })).toContain('/year=2027/month=01/');
  });

  it('separate the key columns of a row', () => {
    const commits = { prefix: 'github/commits' };
    expect(metadataKey(commits, november, ['a/b', 'c'])).toBe('github/commits/2026/11/23/a%2Fb/c.json');
    const keys = [
      ['a/b', 'c'],
      ['a', 'b/c'],
      ['a', 'b', 'c'],
      ['a/b/c', ''],
      ['', 'a/b/c'],
    ];
    expect(new Set(keys.map(key => metadataKey(commits, november, key))).size).toBe(keys.length);
  });

  it('accept the longest name that fits, and refuse one byte more', () => {
    const room = LIMITS.keyBytesMax - rawKey('npm', '').length + 1;
    expect(rawKey('npm', 'x'.repeat(room))).toHaveLength(LIMITS.keyBytesMax);
    for (const name of ['x'.repeat(room + 1), 'é'.repeat(room / 2 + 1), '/'.repeat(room / 3 + 1)]) {
      const build = () => rawKey('npm', name);
      expect(build).toThrow(ChangeError);
      expect(build).toThrow(expect.objectContaining({ reason: 'key-too-long' }));
      expect(build).not.toThrow(name);
    }
    expect(() => metadataKey(npm, november, 'x'.repeat(LIMITS.keyBytesMax))).toThrow(ChangeError);
  });

  it('refuse invalid LSN ranges and dates', () => {
    for (const [firstLsn, lastLsn] of [
      [0, 1],
      [2, 1],
      [1, 2 ** 53],
      [1.5, 2],
      [Number.NaN, 1],
    ] as const) {
      expect(() => dataFileKey(npm, { stampMs: november, firstLsn, lastLsn })).toThrow(RangeError);
    }
    for (const atMs of [Number.NaN, -1e14, 1e15]) expect(() => metadataKey(npm, atMs, 'a')).toThrow(RangeError);
  });
});

describe('keys of documents', () => {
  it('are in the folders that the document names', () => {
    const zones = { prefix: 'zones', folders: ['tld='] };
    expect(documentKey(zones, { name: 'a.com' })).toBe('zones/raw/a.com/latest.json');
    expect(documentKey(zones, { name: 'a.com', file: 'latest.txt' })).toBe('zones/raw/a.com/latest.txt');
    expect(documentKey(zones, { name: 'a.com', path: ['tld=com'], file: 'a.com.zone' })).toBe(
      'zones/tld=com/a.com.zone',
    );
    const page = { name: 'o/n', path: ['raw', 'commits', 'o/n', '..'], file: 'a-b.json' };
    expect(documentKey(zones, page)).toBe('zones/raw/commits/o%2Fn/%2E%2E/a-b.json');
  });

  it('refuse a folder that the source does not declare, and a key that is too long', () => {
    for (const path of [['partitions.parquet'], ['2026'], [], ['Raw']])
      expect(() => documentKey({ prefix: 'zones', folders: ['tld='] }, { name: 'a', path })).toThrow(
        'expected a folder',
      );
    const path = ['raw', 'x'.repeat(1_024)];
    expect(() => documentKey({ prefix: 'zones' }, { name: 'a', path })).toThrow('expected at most 1024 bytes');
  });
});

describe('data file keys', () => {
  it('are read back', () => {
    const key = dataFileKey(npm, { stampMs: november, firstLsn: 7, lastLsn: Number.MAX_SAFE_INTEGER });
    expect(parseDataFileKey(key)).toEqual({
      prefix: 'npm/metadata',
      year: 2026,
      month: 11,
      firstLsn: 7,
      lastLsn: Number.MAX_SAFE_INTEGER,
    });
  });

  it('sort by LSN within a month', () => {
    const firsts = [1, 9, 10, 99, 100, 10 ** 15, Number.MAX_SAFE_INTEGER];
    const keys = firsts.map(lsn => dataFileKey(npm, { stampMs: november, firstLsn: lsn, lastLsn: lsn }));
    expect(keys.toSorted()).toEqual(keys);
  });

  const folder = 'npm/metadata/partitions.parquet/year=2026/month=11';
  const one = '0000000000000001';
  it.each([
    `${folder}/data.parquet`,
    `${folder}/data-${one}-${one}.parquet.tmp`,
    `${folder}/data-1-2.parquet`,
    `${folder}/data-0000000000000002-${one}.parquet`,
    `${folder}/data-0000000000000000-${one}.parquet`,
    `${folder}/data-${one}-9999999999999999.parquet`,
    `npm/metadata/partitions.parquet/year=2026/month=13/data-${one}-${one}.parquet`,
    `npm/metadata/year=2026/month=11/data-${one}-${one}.parquet`,
    `/partitions.parquet/year=2026/month=11/data-${one}-${one}.parquet`,
    '',
  ])('are not %j', key => {
    expect(parseDataFileKey(key)).toBeNull();
  });
});

function randomNames(seed: number, count: number): string[] {
  const pieces = [
    'a',
    'A',
    'e',
    '2',
    '5',
    'F',
    'u',
    'D8',
    '.',
    '/',
    '\\',
    '%',
    ' ',
    '@',
    '\0',
    '\ud800',
    '\udc00',
    'é',
  ];
  let state = seed >>> 0;
  const next = (below: number) => {
    // A linear congruential generator: the upper bits are even enough.
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  return Array.from({ length: count }, () =>
    Array.from({ length: 1 + next(6) }, () => pieces[next(pieces.length)]).join(''),
  );
}
