import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import zlib from 'node:zlib';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { type ParquetQueryFilter, parquetReadObjects } from 'hyparquet';
import type { Table, Value } from '../../schemas/table.ts';

const compressors = { ZSTD: (bytes: Uint8Array) => new Uint8Array(zlib.zstdDecompressSync(bytes)) };
/** Rows of a file in file order, read by hyparquet. A filter uses bounds, page indexes and Bloom filters. */
export async function readWithHyparquet(
  table: Table,
  bytes: Uint8Array,
  filter?: ParquetQueryFilter,
): Promise<Value[][]> {
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
  const pruned = { filter, usePageIndex: true, useBloomFilters: true, useOffsetIndex: true };
  const rows = await parquetReadObjects({ file, compressors, ...(filter ? pruned : {}) });
  return rows.map(row => table.columns.map(({ name }) => plain(row[name])));
}

let connection: Promise<DuckDBConnection> | undefined;

/** DuckDB's answer to a query in which `$file` is a data file with these bytes. */
export async function queryWithDuckdb(bytes: Uint8Array, query: string): Promise<Record<string, unknown>[]> {
  connection ??= DuckDBInstance.create(':memory:').then(instance => instance.connect());
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'parquet-'));
  const file = path.join(folder, 'data.parquet');
  fs.writeFileSync(file, bytes);
  try {
    const result = await (await connection).runAndReadAll(query.replaceAll('$file', `'${file}'`));
    return result.getRowObjectsJS().map(row => {
      return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, plain(value)]));
    });
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

/** Rows of a file in file order, read by DuckDB. */
export async function readWithDuckdb(table: Table, bytes: Uint8Array): Promise<Value[][]> {
  const rows = await queryWithDuckdb(
    bytes,
    'SELECT * FROM read_parquet($file, file_row_number = true) ORDER BY file_row_number',
  );
  return rows.map(row => table.columns.map(({ name }) => row[name] as Value));
}

/** A bigint as a number. Throws `RangeError` for an unsafe integer. */
function plain<T>(value: T): T | number {
  if (typeof value !== 'bigint') return value;
  if (!Number.isSafeInteger(Number(value))) throw new RangeError(`expected a safe integer, got ${value}`);
  return Number(value);
}
