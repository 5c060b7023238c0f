import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { TABLES } from '../../../schemas/index.ts';
import { differenceOf, readTree, TREE_QUERY } from '../../../src/local/query/parse-tree.ts';
import { openTables, type Tables } from '../../../src/local/query/tables.ts';
import { tokenize } from '../../../src/sql/tokens.ts';

// A reader that takes any text as a query without a table, as if it could be passed.
vi.mock(import('../../../src/sql/statement.ts'), () => ({
  readStatement(text: string) {
    const tokens = tokenize(text);
    const kind = text.startsWith('EXPLAIN') ? 'explanation' : 'query';
    const first = kind === 'explanation' ? 2 : 0;
    return { kind, tokens, references: [], dateAdds: [], hasLimit: false, first, last: tokens.length - 1 };
  },
}));

let tables: Tables;

beforeAll(async () => {
  tables = await openTables({ bucket: 'data-ingestion', tables: TABLES, files: new Map() });
});

afterAll(() => {
  tables.close();
});

test.each([
  ["FROM read_csv('/etc/hosts')", 'read_csv()'],
  ["EXPLAIN FROM read_csv('/etc/hosts')", 'read_csv()'],
  ["FROM '/etc/hosts'", '/etc/hosts'],
  ['FROM npm_package', 'npm_package'],
  ['FROM tributary.npm_package', 'npm_package_history'],
  ['FROM duckdb_settings()', 'duckdb_settings()'],
  ['FROM duckdb_settings', 'duckdb_settings'],
  ['FROM information_schema.tables', 'information_schema.tables'],
  ["SELECT current_setting('temp_directory')", 'current_setting()'],
  ['SELECT count(*) FILTER (current_schema() IS NULL) OVER ()', 'current_schema()'],
  ['SELECT 1 UNION ALL BY NAME TABLE secret', 'secret'],
  ['FROM (UNPIVOT glob() ON a)', 'PIVOT'],
  ["FROM npm_package PIVOT (count(*) FOR name IN ('a'))", 'PIVOT'],
  ['FROM npm_package AT (VERSION => 1)', 'AT'],
  ['SELECT 1\u200bFROM secret', 'secret'],
  ['SELECT name AS as FROM secret', 'secret'],
  ['WITH a AS (SELECT 1), b AS (FROM a) SELECT * FROM b, c', 'c'],
  ['WITH a AS (SELECT 1) SELECT * FROM main.a', 'a'],
  ['SELECT * FROM (WITH a AS (SELECT 1) FROM a), a', 'a'],
  ['WITH RECURSIVE x AS (SELECT 1 FROM x) FROM x', 'x'],
  ['WITH RECURSIVE x AS (FROM x UNION SELECT 1) FROM x', 'x'],
  ['DESCRIBE secret', 'secret'],
  ['SHOW TABLES FROM secret', 'SHOW'],
  ['SELECT (SUMMARIZE secret)', 'secret'],
  ["COPY npm_package TO '/tmp/x'", 'no query'],
  ['PIVOT npm_package ON name', 'no query'],
])('what passes the reader is refused by what DuckDB reads in it: %s', async (text, found) => {
  await expect(tables.query(text)).rejects.toThrow(
    new RegExp(`query: expected DuckDB to read no table, got ${found.replace(/[().]/g, '\\$&')}`),
  );
});

test('what names no table is answered', async () => {
  const texts = ['WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x WHERE n < 3) SELECT max(n) FROM x'];
  expect((await tables.query(texts[0]!)).rows).toEqual([[3]]);
  expect((await tables.query("SELECT max(r.i) FROM range(4) r(i), json_each('[1]')")).rows).toEqual([[3]]);
});

test('the tree of a text that is no query is null, and a difference names what is missing', async () => {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const treeOf = async (text: string) =>
    readTree(String((await connection.runAndReadAll(TREE_QUERY, [text])).getRows()[0]![0]));
  const table = TABLES.find(({ name }) => name === 'npm_package')!;
  const given = { references: [{ table, rows: 'history' as const }], namespace: 'tributary' };
  expect(await treeOf('SELECT 1; SELECT 2')).toBeNull();
  expect(await treeOf('SELEC 1')).toBeNull();
  expect(differenceOf(await treeOf('FROM tributary.npm_package, npm_package_history'), given)).toBeNull();
  expect(differenceOf(await treeOf('FROM npm_package'), given)).toBe(
    'expected DuckDB to read npm_package_history, got npm_package',
  );
  connection.closeSync();
  instance.closeSync();
});
