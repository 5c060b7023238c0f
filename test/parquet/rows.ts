import type { Column } from '../../schemas/column.ts';
import type { Table, Value } from '../../schemas/table.ts';
import { openDataFile } from '../../src/parquet/encode.ts';

/** Random numbers from 0 to 1, always the same for a seed. */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const TEXTS = [
  '',
  ' ',
  'null',
  'express',
  '@types/node',
  'it\'s "quoted", with commas',
  'two\nlines\tand a tab',
  'a\u0000b',
  'Zürich, Ελλάδα, Москва, 東京, العربية',
  'e\u0301 is not é',
  '\u{1f600}\u{1f469}\u200d\u{1f680}',
  'a\ufeffmark',
  '\uffff and \u{10ffff}',
  '{"name":"express","versions":{"4.18.2":{"dist":{}}}}',
  '["a","b"]',
  '2026-11-23T12:00:00.000Z',
  'x'.repeat(20_000),
];
const NUMBERS: Record<string, number[]> = {
  int32: [0, 1, -1, 2 ** 31 - 1, -(2 ** 31), 1337],
  int64: [0, 1, -1, 2 ** 31, -(2 ** 31) - 1, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER],
  float: [0, 1, -1, 0.5, 0.1, 47.376886, -122.4194, 3.4028234663852886e38, 1e-45, -1e-40],
};

/** Rows of a table for an encoder, with all kinds of values, and some nulls in each optional column. */
export function rowsOf(table: Table, count: number, { firstLsn = 1, seed = 1 } = {}): Value[][] {
  const random = randomFrom(seed);
  const pick = <T>(values: T[]) => values[Math.floor(random() * values.length)]!;
  const cell = ({ name, type, required }: Column, i: number): Value => {
    if (name === '_lsn') return firstLsn + i;
    if (name === '_op') return random() < 0.9 ? 'upsert' : 'delete';
    if (name === '_cursor') return random() < 0.9 ? String(1_000_000 + 3 * i) : null;
    if (table.key.includes(name)) return `${pick(TEXTS)}${pick(TEXTS)}`.slice(0, 200);
    if (!required && random() < 0.3) return null;
    if (type === 'boolean') return random() < 0.5;
    return pick<Value>(NUMBERS[type] ?? TEXTS);
  };
  const rows = Array.from({ length: count }, (_, i) => table.columns.map(column => cell(column, i)));
  // In the first row each optional column is null, whatever the random numbers are.
  if (rows[0]) rows[0] = table.columns.map((column, at) => (column.required ? rows[0]![at]! : null));
  return rows;
}

/** A row with the given values, in which every other optional column is null. */
export function sparseRow(table: Table, lsn: number, values: Record<string, Value>): Value[] {
  const lineage: Record<string, Value> = { _lsn: lsn, _op: 'upsert' };
  return table.columns.map(({ name, required }) => values[name] ?? lineage[name] ?? (required ? 'x' : null));
}

/** The bytes of a data file with these rows. */
export function encode(
  table: Table,
  rows: Value[][],
  { source = 'test', firstLsn = 1, cursor = '42' } = {},
): Uint8Array {
  const file = openDataFile({ source, table, firstLsn });
  for (const row of rows) file.append(row);
  return joined(file.finish({ lastLsn: firstLsn + rows.length - 1, cursor }));
}

export function joined(chunks: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(chunks));
}

/** The rows that a reader must return: floats have 32 bits. */
export function readBack(table: Table, rows: Value[][]): Value[][] {
  return rows.map(row =>
    row.map((value, i) =>
      table.columns[i]!.type === 'float' && value !== null ? Math.fround(value as number) : value,
    ),
  );
}
