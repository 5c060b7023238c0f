import { afterEach, describe, expect, it } from 'vitest';
import { npmPackage } from '../../schemas/npm_package.ts';
import type { Value } from '../../schemas/table.ts';
import { LIMITS } from '../../src/limits.ts';
import { readInlet } from '../../src/loader/inlet.ts';
import type { ByteRange } from '../../src/ports/bucket.ts';
import type { Finding, InletRules } from '../../src/ports/inlet.ts';
import type { Source } from '../../src/sources/source.ts';
import { encode, randomFrom, sparseRow } from '../parquet/rows.ts';
import { MemoryBucket } from '../simulation/world/bucket.ts';

const DEFAULTS = { ...LIMITS };
afterEach(() => void Object.assign(LIMITS, DEFAULTS));

const KEY = 'npm/metadata/data.parquet';

interface Reading {
  rows?: Value[][];
  columns?: string[];
  read?: InletRules['read'];
  table?: typeof npmPackage;
}

/** A file in a bucket, a source with an inlet that reads it, and the ranges that were read. */
function reading({ rows = packages(20), columns = ['homepage'], read = homepageOf, table = npmPackage }: Reading = {}) {
  const bucket = new MemoryBucket();
  const bytes = encode(table, rows, { firstLsn: 5 });
  const { etag } = bucket.store(KEY, bytes);
  const ranges: ByteRange[] = [];
  const { range } = bucket;
  bucket.range = (key, wanted) => {
    ranges.push(wanted);
    return range.call(bucket, key, wanted);
  };
  const agenda = {
    read: (text: string) => (text.includes('.') ? { key: text, space: 'red' } : { rejected: 'no-key' }),
    inlets: [{ source: 'npm', table: 'npm_package', columns, read }],
  };
  const source = { id: 'toy', agenda } as unknown as Source;
  const file = { key: KEY, etag, bytes: bytes.length, first_lsn: 5, last_lsn: 4 + rows.length };
  const from = (afterLsn: number) => readInlet({ source, bucket }, { table: 'npm_package', file, afterLsn });
  return { from, ranges, bytes, bucket };
}

const homepageOf: InletRules['read'] = ({ row }) =>
  typeof row.homepage === 'string' ? [{ key: row.homepage, facts: { from: 'homepage' } }] : [];

/** Rows whose keys are in no order, because a file has its rows by key and not by LSN. */
function packages(count: number, description = ''): Value[][] {
  return Array.from({ length: count }, (_, index) => {
    const name = `package-${(index * 7) % count}`;
    return sparseRow(npmPackage, 5 + index, { name, homepage: `${index}.red`, description });
  });
}

async function rowsFrom({ from }: ReturnType<typeof reading>, afterLsn: number) {
  const answer = await from(afterLsn);
  if (answer.kind !== 'rows') throw new Error(JSON.stringify(answer));
  return answer.rows;
}

describe('the rows of a feeding file', () => {
  it('come in the order of LSNs, with their keys and what they say', async () => {
    const rows = await rowsFrom(reading(), 4);
    expect(rows.map(({ lsn }) => lsn)).toEqual(Array.from({ length: 20 }, (_, index) => 5 + index));
    const finding = { key: '3.red', space: 'red', item: '', facts: '{"from":"homepage"}', sample: null };
    expect(rows[3]).toEqual({ lsn: 8, key: 'package-1', findings: [finding], refused: {} });
  });

  it('begin after an LSN, and end with a row group at the latest', async () => {
    Object.assign(LIMITS, { rowGroupBytes: 4_000 });
    const { from, ranges } = reading({ rows: packages(60) });
    const lsns: number[] = [];
    for (let after = 20; after < 64; after = lsns.at(-1)!) {
      const answer = await from(after);
      if (answer.kind !== 'rows') throw new Error(JSON.stringify(answer));
      lsns.push(...answer.rows.map(({ lsn }) => lsn));
    }
    expect(lsns).toEqual(Array.from({ length: 44 }, (_, index) => 21 + index));
    expect(ranges.length).toBeGreaterThan(6);
  });

  it('are read from the bytes of the declared columns alone', async () => {
    const random = randomFrom(1);
    const text = () => Array.from({ length: 100 }, () => random().toString(36)).join('');
    const rows = packages(300).map(row =>
      row.map((value, at) => (npmPackage.columns[at]!.name === 'description' ? text() : value)),
    );
    const one = reading({ rows });
    await rowsFrom(one, 4);
    const read = one.ranges.reduce((sum, { bytes }) => sum + bytes, 0);
    // The footer is read with one range of `footerBytes` at most.
    expect(read - Math.min(LIMITS.footerBytes, one.bytes.length)).toBeLessThan(one.bytes.length / 5);
    const all = reading({ rows, columns: ['homepage', 'description'] });
    await rowsFrom(all, 4);
    expect(all.ranges.reduce((sum, { bytes }) => sum + bytes, 0)).toBeGreaterThan(one.bytes.length / 2);
  });

  it('have null for a column that is newer than the file', async () => {
    const columns = npmPackage.columns.filter(({ name }) => name !== 'homepage');
    const older = { ...npmPackage, columns };
    const rows = packages(3).map(row => row.filter((_, at) => npmPackage.columns[at]!.name !== 'homepage'));
    const seen: unknown[] = [];
    const read: InletRules['read'] = ({ row }) => {
      seen.push(row);
      return homepageOf({ op: 'upsert', lsn: 1, key: 'x', row });
    };
    const found = await rowsFrom(reading({ rows, table: older, read }), 4);
    expect(seen).toEqual([{ homepage: null }, { homepage: null }, { homepage: null }]);
    expect(found.map(({ findings }) => findings)).toEqual([[], [], []]);
  });

  it('show `read` their operation, and a deletion without values', async () => {
    const deleted = sparseRow(npmPackage, 5, { name: 'gone', _op: 'delete' });
    const seen: unknown[] = [];
    const read: InletRules['read'] = row => {
      seen.push(row);
      return [];
    };
    await rowsFrom(reading({ rows: [deleted], read }), 4);
    expect(seen).toEqual([{ op: 'delete', lsn: 5, key: 'gone', row: { homepage: null } }]);
  });

  it('stop where one answer is full, and at least one comes', async () => {
    const facts = { text: 'x'.repeat(450) };
    const many: Finding[] = Array.from({ length: 900 }, (_, index) => ({ key: 'a.red', item: `${index}`, facts }));
    const found = await rowsFrom(reading({ read: () => many }), 4);
    expect(found.length).toBeGreaterThan(5);
    expect(found.length).toBeLessThan(15);
  });

  it('hold nothing up where the source fails over one of them', async () => {
    const read: InletRules['read'] = ({ lsn, row }) => {
      if (lsn === 6) throw new TypeError('unreadable');
      return lsn === 7 ? [{ key: 'a.red', facts: { n: 1n } }] : homepageOf({ op: 'upsert', lsn, key: '', row });
    };
    const found = await rowsFrom(reading({ rows: packages(4), read }), 4);
    expect(found.map(({ findings, refused }) => [findings.length, refused])).toEqual([
      [1, {}],
      [0, { 'row-unreadable': 1 }],
      [0, { 'row-unreadable': 1 }],
      [1, {}],
    ]);
  });

  it('are not those of another object under the same key', async () => {
    const { from, bucket } = reading();
    bucket.store(KEY, encode(npmPackage, packages(20, 'other'), { firstLsn: 5 }));
    expect(await from(4)).toEqual({ kind: 'missing' });
  });
});
