import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { expect, test } from 'vitest';
import { isRefusedFunction } from '../../src/sql/functions.ts';
import { isReserved } from '../../src/sql/words.ts';

/** The functions of DuckDB that a query may not call; UPDATE_GOLDEN=1 writes the file. */
const GOLDEN = path.resolve(import.meta.dirname, 'refused-functions.json');

async function namesOf(query: string): Promise<string[]> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const rows = (await connection.runAndReadAll(query)).getRows();
  connection.closeSync();
  instance.closeSync();
  return rows.map(([name]) => String(name));
}

const CALLED = "FROM duckdb_functions() WHERE function_type IN ('scalar', 'macro', 'aggregate')";

test('the functions of DuckDB that are refused are those of the golden file', async () => {
  const names = await namesOf(`SELECT DISTINCT lower(function_name) ${CALLED} ORDER BY 1`);
  const refused = names.filter(isRefusedFunction);
  if (process.env.UPDATE_GOLDEN) writeFileSync(GOLDEN, `${JSON.stringify(refused, null, 2)}\n`);
  expect(refused).toEqual(JSON.parse(readFileSync(GOLDEN, 'utf8')));
});

test('each function of DuckDB whose result depends on more than its arguments is refused, or is random, time or an error', async () => {
  const names = await namesOf(
    `SELECT DISTINCT lower(function_name) ${CALLED} AND stability <> 'CONSISTENT' ORDER BY 1`,
  );
  const harmless = ['random', 'uuid', 'uuidv4', 'uuidv7', 'gen_random_uuid', 'now', 'today', 'get_current_time'];
  const known = [...harmless, 'get_current_timestamp', 'transaction_timestamp', 'current_date', 'error'];
  expect(names.filter(name => !isRefusedFunction(name)).sort()).toEqual(known.sort());
});

test('each table function of DuckDB that reads files or its state is refused as a function of values too', async () => {
  const names = await namesOf(
    "SELECT DISTINCT lower(function_name) FROM duckdb_functions() WHERE function_type IN ('table', 'table_macro', 'pragma') ORDER BY 1",
  );
  const reading = names.filter(name => /^(read_|duckdb_|pragma_|parquet_|glob|sniff_|query)/.test(name));
  expect(reading.length).toBeGreaterThan(30);
  expect(reading.filter(name => !isRefusedFunction(name))).toEqual([]);
});

test('each reserved keyword of DuckDB is refused as a bare name', async () => {
  const names = await namesOf("SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category = 'reserved'");
  expect(names.length).toBeGreaterThan(60);
  expect(names.filter(name => !isReserved(name))).toEqual([]);
});
