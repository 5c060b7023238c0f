import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TABLES, tableNamed } from '../../schemas/index.ts';
import { LINEAGE } from '../../schemas/table.ts';
import { asJson } from '../../src/local/query/answer-text.ts';
import { cacheTables, openLake } from '../../src/local/query/lake.ts';
import { asUserError, queryLake } from '../../src/local/query/query.ts';
import { openTables, type Tables } from '../../src/local/query/tables.ts';
import { SPEC_QUERIES, withEachName } from '../sql/spec-queries.ts';
import { putSpecRows, SPEC_ANSWERS } from './query/lake-rows.ts';
import { type LakeServer, putDataFile, startLakeServer } from './query/lake-server.ts';

let server: LakeServer;
let folder: string;
let tables: Tables;

beforeAll(async () => {
  server = await startLakeServer();
  folder = mkdtempSync(path.join(tmpdir(), 'sql-'));
  putSpecRows(server);
  const lake = openLake(server.address);
  tables = await openTables({
    bucket: lake.bucket,
    tables: TABLES,
    files: await cacheTables(lake, { folder, tables: TABLES }),
  });
});

afterAll(async () => {
  tables.close();
  await server.close();
  rmSync(folder, { recursive: true });
});

async function objects(query: string): Promise<Record<string, unknown>[]> {
  return JSON.parse(asJson(await tables.query(query)));
}

const keysOf = (table: string) => tableNamed(table).key;

test.each(Object.entries(SPEC_QUERIES))(
  'the spec’s query of %s answers in every way of naming its table',
  async (name, query) => {
    for (const text of withEachName(query, keysOf)) {
      const rows = await objects(text);
      expect(rows, text).toEqual(
        SPEC_ANSWERS[name as keyof typeof SPEC_ANSWERS].map(row => expect.objectContaining(row)),
      );
    }
  },
);

test('the spec’s queries give no rows over an empty lake', async () => {
  const empty = await openTables({ bucket: 'data-ingestion', tables: TABLES, files: new Map() });
  for (const query of Object.values(SPEC_QUERIES)) {
    for (const text of withEachName(query, keysOf)) expect((await empty.query(text)).rows, text).toEqual([]);
  }
  empty.close();
});

test('a package that changed 40 times has one current row, and none once it is deleted', async () => {
  const changed = await startLakeServer();
  const version = (i: number) => ({ row: { name: 'p', version: `1.0.${i}`, downloads_total: 1_000_000 + i } });
  for (let file = 0; file < 8; file++) {
    const rows = Array.from({ length: 5 }, (_, i) => version(file * 5 + i + 1));
    putDataFile(changed, { table: 'npm_package', firstLsn: file * 5 + 1, rows });
  }
  const ask = (query: string) =>
    queryLake(openLake(changed.address), { query, cacheDir: path.join(folder, 'changed') }).then(answer => answer.rows);
  for (const text of withEachName(SPEC_QUERIES.npm, keysOf))
    expect(await ask(text)).toEqual([['p', '1.0.40', 1_000_040, null]]);
  expect(await ask('SELECT count(*), count(DISTINCT version) FROM npm_package_history')).toEqual([[40, 40]]);
  putDataFile(changed, { table: 'npm_package', firstLsn: 41, rows: [{ row: { name: 'p' }, op: 'delete' }] });
  for (const text of withEachName(SPEC_QUERIES.npm, keysOf)) expect(await ask(text)).toEqual([]);
  await changed.close();
});

test('a history has every row with its lineage, and the proof holds on it', async () => {
  expect(await objects('SELECT name, _lsn, _op, _cursor FROM npm_package_history ORDER BY _lsn')).toEqual([
    { name: 'a', _lsn: 1, _op: 'upsert', _cursor: '1' },
    { name: 'b', _lsn: 2, _op: 'upsert', _cursor: '2' },
    { name: 'c', _lsn: 3, _op: 'upsert', _cursor: '3' },
    { name: 'b', _lsn: 4, _op: 'upsert', _cursor: '4' },
    { name: 'c', _lsn: 5, _op: 'delete', _cursor: '5' },
    { name: 'd', _lsn: 6, _op: 'upsert', _cursor: '6' },
  ]);
  expect(
    await objects(`SELECT count(*) AS rows, count(DISTINCT _lsn) AS lsns, max(_lsn) AS last,
      count(DISTINCT (name, _cursor)) AS changes FROM npm_package_history`),
  ).toEqual([{ rows: 6, lsns: 6, last: 6, changes: 6 }]);
});

test('every table answers with its own columns and types, with or without files', async () => {
  const types = { utf8: 'VARCHAR', int32: 'INTEGER', int64: 'BIGINT', float: 'FLOAT', boolean: 'BOOLEAN' };
  for (const table of TABLES) {
    const all = table.columns.map(column => ({ column_name: column.name, column_type: types[column.type] }));
    const own = all.filter(({ column_name }) => !(column_name in LINEAGE));
    const describe = 'SELECT column_name, column_type FROM (DESCRIBE';
    expect(await objects(`${describe} ${table.name}_history)`)).toEqual(all);
    expect(await objects(`${describe} ${table.name})`)).toEqual(own);
    const reference = `r2_sql('data-ingestion/${table.prefix}/partitions.parquet')`;
    expect(await objects(`${describe} FROM ${reference})`)).toEqual(own);
  }
  expect(await objects('SELECT * FROM organization')).toEqual([]);
});

test('a file written before a column was added gives null for it', async () => {
  const table = tableNamed('npm_package');
  const added = {
    name: 'later',
    type: 'int32',
    required: false,
    description: '',
    fieldId: table.columns.length + 1,
  } as const;
  const lake = openLake(server.address);
  const opened = await openTables({
    bucket: lake.bucket,
    tables: [{ ...table, columns: [...table.columns, added] }],
    files: await cacheTables(lake, { folder, tables: [table] }),
  });
  const { rows } = await opened.query('SELECT name, later FROM npm_package ORDER BY name');
  opened.close();
  expect(rows).toEqual([
    ['a', null],
    ['b', null],
    ['d', null],
  ]);
});

test.each([
  ['SELECT nam\nFROM npm_package', /^Binder error: Referenced column "nam" not found.*"name"/s, 7],
  ['SELECT \'ünï\' AS "日本",\n  nam FROM npm_package', /^Binder error: Referenced column "nam"/, 24],
  ["SELECT name FROM r2_sql('data-ingestion/npm/metadata/partitions.parquet') WHERE nope = 1", /"nope" not found/, 80],
  ['SELECT name FROM npm_package WHERE', /^Parser error: syntax error at end of input/, 34],
  ['SELECT foo(name) FROM npm_package', /^Catalog error: Scalar Function with name foo does not exist/, 7],
])('an error of the engine has its position in the query: %s', async (text, message, at) => {
  await expect(tables.query(text)).rejects.toMatchObject({
    name: 'SqlError',
    message: expect.stringMatching(message),
    at,
  });
});

test('DESCRIBE, SHOW TABLES, SUMMARIZE and EXPLAIN work', async () => {
  const shown = (await tables.query('SHOW TABLES')).rows.flat();
  expect(shown).toEqual(TABLES.flatMap(({ name }) => [name, `${name}_history`]).sort());
  expect((await objects('SUMMARIZE SELECT name FROM npm_package'))[0]).toMatchObject({ column_name: 'name', max: 'd' });
  expect((await objects('EXPLAIN SELECT name FROM npm_package'))[0]).toHaveProperty('explain_value');
});

test('an aborted query ends, also when it has just begun', async () => {
  const endless = 'SELECT count(*) FROM range(1000000000000) r(i) WHERE i * i % 7 = 8';
  for (const hasBegun of [false, true]) {
    const aborted = new AbortController();
    const ended = tables.query(endless, { signal: aborted.signal });
    if (hasBegun) await new Promise(resolve => setImmediate(resolve));
    aborted.abort();
    await expect(ended).rejects.toMatchObject({ name: 'AbortError' });
  }
  expect(await objects('SELECT 1 AS a')).toEqual([{ a: 1 }]);
});

test('a query reads nothing but the lake', async () => {
  for (const text of ["FROM read_csv('/etc/hosts')", "FROM '/etc/hosts'", 'FROM "/etc/hosts"', "FROM glob('/*')"]) {
    await expect(tables.query(`SELECT * ${text}`)).rejects.toThrow(/^query: expected a table/);
  }
  for (const text of ['SET threads = 1', "ATTACH 'x'", 'PRAGMA version', 'INSTALL httpfs', 'CREATE TABLE t (a INT)']) {
    await expect(tables.query(text)).rejects.toThrow(/^query: expected one that only reads/);
  }
  await expect(
    tables.query("SELECT count(*) FROM npm_package WHERE name IN (SELECT read_text('/etc/hosts'))"),
  ).rejects.toThrow('query: expected a function of values, got "read_text"');
});

test('a whole number is a JSON number where that is exact, else text', async () => {
  expect(
    await objects(`SELECT 9007199254740991::BIGINT AS safe, 9007199254740993::BIGINT AS unsafe, sum(1) AS sum,
      0.5 AS half, [1::BIGINT] AS list, {'n': 2::BIGINT} AS struct, NULL AS none, DATE '2026-11-24' AS day, true AS yes`),
  ).toEqual([
    {
      safe: 9007199254740991,
      unsafe: '9007199254740993',
      sum: 1,
      half: 0.5,
      list: [1],
      struct: { n: 2 },
      none: null,
      day: '2026-11-24',
      yes: true,
    },
  ]);
});

test('two columns of one name get two names, and a second statement is refused', async () => {
  expect(await objects('SELECT 1 AS a, 2 AS a')).toEqual([{ a: 1, 'a:1': 2 }]);
  await expect(tables.query('SELECT 1; SELECT 2')).rejects.toThrow('query: expected one statement, got another');
  expect(await objects('SELECT 1 AS a;;\n-- the end')).toEqual([{ a: 1 }]);
  await expect(tables.query('-- nothing')).rejects.toThrow('query: expected a statement, got none');
});

test('an error of the engine with a row’s value in it carries no terminal escapes', async () => {
  const query = "SELECT CAST(description AS INTEGER) FROM npm_package WHERE name = 'd'";
  const error = asUserError(await tables.query(query).catch((thrown: unknown) => thrown), query) as Error;
  expect(error.message).toContain('Could not convert string');
  expect(error.message.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
  const other = asUserError(new Error('lake: expected x, got \u001b[31m\u009b'), query) as Error;
  expect(other.message).toBe('lake: expected x, got  [31m ');
});

test.each([
  ['a text', "SELECT repeat('x', 2000)"],
  ['texts of many rows', "SELECT i, repeat('x', 100) FROM range(1000) r(i)"],
  ['numbers of many rows', 'SELECT i FROM range(1000) r(i)'],
  ['a list', 'SELECT list(i) FROM range(1000) r(i)'],
  ['a list of lists', 'SELECT [[], list(i)] FROM range(1000) r(i)'],
  ['a list in a struct', "SELECT {'a': 1, 'b': {'c': list(i)}} FROM range(1000) r(i)"],
  ['a list in a map', 'SELECT map([1], [list(i)]) FROM range(1000) r(i)'],
  ['a list in an array', 'SELECT array_value(list(i), list(i)) FROM range(1000) r(i)'],
  ['names in a struct', `SELECT {'${'x'.repeat(2_000)}': 1}`],
])('an answer over its bytes is an error: %s', async (_, query) => {
  await expect(tables.query(query, { bytesMax: 1_000 })).rejects.toThrow(
    'answer: expected at most 1000 bytes, got more',
  );
  expect((await tables.query(query)).rows.length).toBeGreaterThan(0);
  expect((await tables.query(query, { rowsMax: 1 })).rows).toHaveLength(1);
});

test('a list over the bytes of an answer never becomes objects', async () => {
  // Each item would be an object of its own; they are counted before.
  const before = process.memoryUsage().heapUsed;
  const query = 'SELECT list(i) FROM range(3000000) r(i)';
  await expect(tables.query(query, { bytesMax: 1_000_000 })).rejects.toThrow('answer: expected at most 1000000 bytes');
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(50_000_000);
});
