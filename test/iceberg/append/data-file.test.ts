import { describe, expect, it } from 'vitest';
import type { Column } from '../../../schemas/column.ts';
import { githubProfile } from '../../../schemas/github_profile.ts';
import { TABLES } from '../../../schemas/index.ts';
import { npmPackage } from '../../../schemas/npm_package.ts';
import type { Table, Value } from '../../../schemas/table.ts';
import { dataFileEntry } from '../../../src/iceberg/append/data-file.ts';
import type { ColumnValues, DataFileEntry } from '../../../src/iceberg/format/manifest.ts';
import { readFacts } from '../../../src/parquet/footer.ts';
import type { DataFileFacts } from '../../../src/ports/data-file.ts';
import { encode, readBack, rowsOf, sparseRow } from '../../parquet/rows.ts';

function entryOf(table: Table, rows: Value[][]): DataFileEntry {
  const bytes = encode(table, rows);
  return dataFileEntry(table, {
    path: 's3://lake/a.parquet',
    bytes: bytes.length,
    facts: readFacts(bytes) as DataFileFacts,
  });
}

function entryFor<V>(values: ColumnValues<V> | null | undefined, column: Column): V | undefined {
  return values?.find(({ key }) => key === column.fieldId)?.value;
}

/** Compares a value with a bound in binary form, in Iceberg's order. */
function compare(column: Column, value: Value, bound: Uint8Array): number {
  const view = new DataView(bound.buffer, bound.byteOffset, bound.byteLength);
  if (column.type === 'utf8') return Buffer.compare(Buffer.from(value as string), bound);
  if (column.type === 'int64') return Number(value) - Number(view.getBigInt64(0, true));
  if (column.type === 'int32') return Number(value) - view.getInt32(0, true);
  if (column.type === 'float') return Number(value) - view.getFloat32(0, true);
  return Number(value) - view.getUint8(0);
}

function columnOf(table: Table, name: string): Column {
  return table.columns.find(column => column.name === name)!;
}

describe('the entry of a data file', () => {
  it.each(TABLES)('of $name has the counts of its rows, and bounds that hold each value', table => {
    const rows = readBack(table, rowsOf(table, 2_000, { seed: 21 }));
    const entry = entryOf(table, rows);
    expect(entry).toMatchObject({ content: 0, file_format: 'PARQUET', record_count: 2_000n, partition: {} });
    for (const [index, column] of table.columns.entries()) {
      const values = rows.map(row => row[index]!).filter(value => value !== null);
      expect(entryFor(entry.value_counts, column)).toBe(2_000n);
      expect(entryFor(entry.null_value_counts, column)).toBe(BigInt(2_000 - values.length));
      expect(entryFor(entry.column_sizes, column)).toBeGreaterThan(0n);
      const [lower, upper] = [entryFor(entry.lower_bounds, column)!, entryFor(entry.upper_bounds, column)!];
      expect(values.filter(value => compare(column, value, lower) < 0)).toEqual([]);
      expect(values.filter(value => compare(column, value, upper) > 0)).toEqual([]);
    }
  });

  it('has exact bounds for numbers', () => {
    const rows = rowsOf(npmPackage, 50);
    const entry = entryOf(npmPackage, rows);
    const lsn = columnOf(npmPackage, '_lsn');
    expect(compare(lsn, 1, entryFor(entry.lower_bounds, lsn)!)).toBe(0);
    expect(compare(lsn, 50, entryFor(entry.upper_bounds, lsn)!)).toBe(0);
  });

  it('has no bounds for a column that is null in every row', () => {
    const rows = [1, 2].map(lsn => sparseRow(npmPackage, lsn, { name: 'a' }));
    const entry = entryOf(npmPackage, rows);
    const license = columnOf(npmPackage, 'license');
    expect(entryFor(entry.null_value_counts, license)).toBe(2n);
    expect(entryFor(entry.lower_bounds, license)).toBeUndefined();
    expect(entryFor(entry.upper_bounds, license)).toBeUndefined();
  });

  it('adds up its row groups, and has the offset of each', () => {
    const text = 'x'.repeat(1_000_000);
    const names = Array.from({ length: 20 }, (_, i) => String.fromCharCode(0x74 - i));
    const rows = names.map((name, i) => {
      return sparseRow(npmPackage, i + 1, { name, description: text, license: i < 10 ? null : 'MIT' });
    });
    const entry = entryOf(npmPackage, rows);
    const name = columnOf(npmPackage, 'name');
    const license = columnOf(npmPackage, 'license');
    expect(entry.split_offsets!.length).toBeGreaterThan(1);
    expect(entry.split_offsets![0]).toBe(4n);
    expect(entry.split_offsets).toEqual([...entry.split_offsets!].sort((a, b) => Number(a - b)));
    expect(Buffer.from(entryFor(entry.lower_bounds, name)!).toString()).toBe('a');
    expect(Buffer.from(entryFor(entry.upper_bounds, name)!).toString()).toBe('t');
    // One row group has only nulls, so the bounds come from the others.
    expect(Buffer.from(entryFor(entry.lower_bounds, license)!).toString()).toBe('MIT');
    expect(entryFor(entry.null_value_counts, license)).toBe(10n);
  });

  it('keeps a byte order mark, because without it the upper bound would be below the text', () => {
    const rows = [sparseRow(npmPackage, 1, { name: '\ufeffmark' })];
    const entry = entryOf(npmPackage, rows);
    expect(entryFor(entry.upper_bounds, columnOf(npmPackage, 'name'))).toEqual(new TextEncoder().encode('\ufeffmark'));
  });

  it('has negative floats and integers below positive ones', () => {
    const floats = TABLES.flatMap(table => table.columns.map(column => ({ table, column }))).find(
      ({ column }) => column.type === 'float',
    )!;
    const { table, column } = floats;
    const rows = [-122.4194, -0, 0, 47.5].map((value, i) => sparseRow(table, i + 1, { [column.name]: value }));
    const entry = entryOf(table, rows);
    expect(compare(column, Math.fround(-122.4194), entryFor(entry.lower_bounds, column)!)).toBe(0);
    expect(compare(column, 47.5, entryFor(entry.upper_bounds, column)!)).toBe(0);
  });

  it('leaves out columns that the table does not have', () => {
    const bytes = encode(npmPackage, rowsOf(npmPackage, 5));
    const facts = readFacts(bytes) as DataFileFacts;
    const fewer = { ...npmPackage, columns: npmPackage.columns.slice(0, 3) };
    const entry = dataFileEntry(fewer, { path: 's3://lake/a.parquet', bytes: bytes.length, facts });
    expect(entry.value_counts!.map(({ key }) => key)).toEqual([1, 2, 3]);
  });
});

describe('the facts of a data file', () => {
  it('are read from its last bytes, or name how many are needed', () => {
    const bytes = encode(githubProfile, rowsOf(githubProfile, 100));
    const { endBytes } = readFacts(bytes.subarray(-50)) as { endBytes: number };
    expect(readFacts(bytes.slice(-endBytes))).toEqual(readFacts(bytes));
  });
});
