import { afterEach, describe, expect, it } from 'vitest';
import { TABLES } from '../../schemas/index.ts';
import { npmPackage } from '../../schemas/npm_package.ts';
import type { Table, Value } from '../../schemas/table.ts';
import { LIMITS } from '../../src/config.ts';
import { openRows } from '../../src/parquet/read.ts';
import type { ByteRange } from '../../src/ports/bucket.ts';
import { encode, readBack, rowsOf, sparseRow } from './rows.ts';

const DEFAULTS = { ...LIMITS };
afterEach(() => void Object.assign(LIMITS, DEFAULTS));

/** A file in a bucket, and the ranges that are read of it. */
function stored(table: Table, bytes: Uint8Array) {
  const reads: ByteRange[] = [];
  const read = async (range: ByteRange) => {
    reads.push(range);
    return bytes.slice(range.offset, range.offset + range.bytes);
  };
  return { reads, file: { table, bytes: bytes.length, read } };
}

/** All rows of a file by row group. */
async function readAll(file: ReturnType<typeof stored>['file']): Promise<Value[][][]> {
  const reader = await openRows(file);
  const groups: Value[][][] = [];
  for (let next = reader.firstLsn; next <= reader.lastLsn; next += groups.at(-1)!.length)
    groups.push(await reader.rowsOf(next));
  return groups;
}

describe('rows that are read back', () => {
  it.each(TABLES.map(table => [table.name, table] as const))('are those of %s, by LSN', async (_, table) => {
    const rows = rowsOf(table, 500, { firstLsn: 41 });
    const groups = await readAll(stored(table, encode(table, rows, { firstLsn: 41 })).file);
    expect(groups.flat()).toEqual(readBack(table, rows));
  });

  it('come a row group at a time, each with one read', async () => {
    Object.assign(LIMITS, { rowGroupBytes: 20_000 });
    const rows = rowsOf(npmPackage, 300, { firstLsn: 7 });
    const bytes = encode(npmPackage, rows, { firstLsn: 7 });
    const { file, reads } = stored(npmPackage, bytes);
    const groups = await readAll(file);
    expect(groups.length).toBeGreaterThan(5);
    expect(groups.flat()).toEqual(readBack(npmPackage, rows));
    expect(reads.filter(({ offset, bytes: size }) => offset + size < bytes.length)).toHaveLength(groups.length);
    // The groups are contiguous, and none is read twice.
    const ends = reads.slice(-groups.length).map(({ offset, bytes: size }) => offset + size);
    expect(reads.slice(-groups.length + 1).every(({ offset }, at) => offset >= ends[at]!)).toBe(true);
  });

  it('begin in the middle of a group', async () => {
    Object.assign(LIMITS, { rowGroupBytes: 20_000 });
    const rows = rowsOf(npmPackage, 300, { firstLsn: 7 });
    const reader = await openRows(stored(npmPackage, encode(npmPackage, rows, { firstLsn: 7 })).file);
    expect([reader.firstLsn, reader.lastLsn]).toEqual([7, 306]);
    const whole = readBack(npmPackage, rows);
    for (const lsn of [7, 8, 100, 306]) {
      const found = await reader.rowsOf(lsn);
      expect(found).toEqual(whole.slice(lsn - 7, lsn - 7 + found.length));
    }
    for (const lsn of [0, 6, 307]) await expect(reader.rowsOf(lsn)).rejects.toThrow(`from 7 to 306, got ${lsn}`);
  });

  it('have unchanged texts, also with a byte order mark at the start', async () => {
    const texts = ['\ufeffmark', '', '\ufeff', 'a\u0000b', '\u{1f600}'];
    const rows = texts.map((text, index) => sparseRow(npmPackage, index + 1, { name: `n${text}`, description: text }));
    expect((await readAll(stored(npmPackage, encode(npmPackage, rows)).file)).flat()).toEqual(rows);
  });

  it('have null in columns that are newer than the file, and no columns that the table does not have', async () => {
    const { columns } = npmPackage;
    const added = { name: 'added', type: 'int32' as const, required: false, description: '', fieldId: 99 };
    const younger: Table = { ...npmPackage, columns: [...columns, added] };
    const rows = rowsOf(npmPackage, 20);
    const found = (await readAll(stored(younger, encode(npmPackage, rows)).file)).flat();
    expect(found).toEqual(readBack(npmPackage, rows).map(row => [...row, null]));
    const newer = rowsOf(younger, 20);
    const older = (await readAll(stored(npmPackage, encode(younger, newer)).file)).flat();
    expect(older).toEqual(readBack(younger, newer).map(row => row.slice(0, -1)));
  });

  it('are found when the footer takes a second read', async () => {
    Object.assign(LIMITS, { footerBytes: 100 });
    const rows = rowsOf(npmPackage, 20);
    const { file, reads } = stored(npmPackage, encode(npmPackage, rows));
    expect((await readAll(file)).flat()).toEqual(readBack(npmPackage, rows));
    expect(reads).toHaveLength(3);
  });
});

describe('a damaged file', () => {
  const whole = encode(npmPackage, rowsOf(npmPackage, 200));

  it.each([0, 7, 8, 100])('of which only the last %i bytes are left gives no rows', async length => {
    await expect(openRows(stored(npmPackage, whole.slice(whole.length - length)).file)).rejects.toThrow();
  });

  it('with a gap in its LSNs gives no rows', async () => {
    const text = Buffer.from(encode(npmPackage, rowsOf(npmPackage, 3)));
    const at = text.lastIndexOf('tributary.last_lsn');
    text.write('9', text.indexOf('3', at));
    await expect(openRows(stored(npmPackage, text).file)).rejects.toThrow('expected 3 rows, got LSN 1 to 9');
  });
});
