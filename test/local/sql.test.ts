import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TABLES, tableNamed } from '../../schemas/index.ts';
import { LINEAGE } from '../../schemas/table.ts';
import { cacheTables, openLake } from '../../src/local/lake.ts';
import { asJson, asTable } from '../../src/local/sql.ts';
import { type Answer, openTables, type Tables } from '../../src/local/tables.ts';
import { type LakeServer, putDataFile, startLakeServer } from './lake-server.ts';

const SQL_PROGRAM = path.resolve(import.meta.dirname, '../../src/local/sql.ts');
let server: LakeServer;
let folder: string;
let tables: Tables;

beforeAll(async () => {
  server = await startLakeServer();
  folder = mkdtempSync(path.join(tmpdir(), 'sql-'));
  putDataFile(server, {
    table: 'npm_package',
    firstLsn: 1,
    rows: [
      { row: { name: 'a', version: '1.0.0', downloads_total: 2_000_000, license: 'MIT' } },
      { row: { name: 'b', version: '1.0.0', downloads_total: 5_000_000 } },
      { row: { name: 'c', version: '1.0.0', downloads_total: 9_007_199_254_740_991 } },
    ],
  });
  putDataFile(server, {
    table: 'npm_package',
    firstLsn: 4,
    rows: [
      { row: { name: 'b', version: '2.0.0', downloads_total: 3_000_000, license: 'ISC' } },
      { row: { name: 'c' }, op: 'delete' },
      { row: { name: 'd', description: 'one\nline \u001b[31mred', downloads_total: 5 } },
    ],
  });
  putDataFile(server, {
    table: 'email_pattern',
    firstLsn: 1,
    rows: [
      { row: { domain: 'x.com', pattern: 'first', confidence: 0.9, verified: true, sources: 'a,b' } },
      { row: { domain: 'x.com', pattern: 'last', confidence: 0.5, verified: true } },
      { row: { domain: 'x.com', pattern: 'first', confidence: 1, verified: true, sources: 'c' } },
    ],
  });
  const soon = new Date(Date.now() + 5 * 86_400_000).toISOString();
  putDataFile(server, {
    table: 'whois_record',
    firstLsn: 1,
    rows: [
      { row: { domain: 'soon.com', registrar_name: 'R', expiry_date: soon } },
      { row: { domain: 'late.com', expiry_date: '2099-01-01T00:00:00.000Z' } },
    ],
  });
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

test("the spec's queries run as written", async () => {
  const npm = await objects(`
    -- Query NPM packages by downloads
    SELECT name, version, downloads_total, license
    FROM r2_sql('data-ingestion/npm/metadata/partitions.parquet')
    WHERE downloads_total > 1000000
    ORDER BY downloads_total DESC
    LIMIT 100;`);
  expect(npm).toEqual([
    { name: 'b', version: '2.0.0', downloads_total: 3_000_000, license: 'ISC' },
    { name: 'a', version: '1.0.0', downloads_total: 2_000_000, license: 'MIT' },
  ]);
  const patterns = await objects(`
    SELECT domain, pattern, confidence, sources
    FROM r2_sql('data-ingestion/email-patterns/metadata/partitions.parquet')
    WHERE verified = true AND confidence > 0.8;`);
  expect(patterns).toEqual([{ domain: 'x.com', pattern: 'first', confidence: 1, sources: 'c' }]);
  const commits = await objects(`
    SELECT author_email, repo, COUNT(*) as commit_count
    FROM r2_sql('data-ingestion/github/commits/partitions.parquet')
    WHERE author_email LIKE '%@stripe.com'
    GROUP BY author_email, repo
    ORDER BY commit_count DESC;`);
  expect(commits).toEqual([]);
  const expiring = await objects(`
    SELECT domain, registrar_name, expiry_date
    FROM r2_sql('data-ingestion/whois/metadata/partitions.parquet')
    WHERE CAST(expiry_date AS DATE) BETWEEN CURRENT_DATE AND DATE_ADD(CURRENT_DATE, INTERVAL 30 DAY)
    ORDER BY expiry_date;`);
  expect(expiring.map(row => row.domain)).toEqual(['soon.com']);
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
    const place = `r2_sql('data-ingestion/${table.prefix}/partitions.parquet')`;
    expect(await objects(`${describe} FROM ${place})`)).toEqual(own);
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

test('an unknown place is an error that names the known ones', async () => {
  const query = tables.query("SELECT * FROM r2_sql('data-ingestion/nope/partitions.parquet')");
  await expect(query).rejects.toThrow(
    /r2_sql: expected one of data-ingestion\/npm\/metadata\/partitions\.parquet, .* got data-ingestion\/nope/,
  );
});

test('whole numbers are JSON numbers while they are exact, then text', async () => {
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

test('columns of one name stay apart, and the last of several statements answers', async () => {
  expect(await objects('SELECT 1 AS a, 2 AS a')).toEqual([{ a: 1, 'a:1': 2 }]);
  expect(await objects('CREATE TABLE t AS SELECT 7 AS x; SELECT x FROM t')).toEqual([{ x: 7 }]);
  await expect(tables.query('-- nothing')).rejects.toThrow('query: expected a statement, got none');
});

test('a table is aligned, counts its rows, and never passes control characters on', async () => {
  expect(
    asTable(await tables.query('SELECT name, description, downloads_total AS n FROM npm_package ORDER BY name')),
  ).toBe(
    [
      'name  description             n',
      '----  ----------------  -------',
      'a     NULL              2000000',
      'b     NULL              3000000',
      'd     one line [31mred        5',
      '(3 rows)',
      '',
    ].join('\n'),
  );
  const wide: Answer = {
    columns: ['x', 'y'],
    numeric: [false, false],
    rows: [
      ['日本', 'z'.repeat(100)],
      ['é', ''],
    ],
  };
  expect(asTable(wide)).toBe(
    ['x     y', `----  ${'-'.repeat(60)}`, `日本  ${'z'.repeat(59)}…`, 'é', '(2 rows)', ''].join('\n'),
  );
  expect(asTable({ columns: ['x'], numeric: [true], rows: [[1]] })).toBe('x\n-\n1\n(1 row)\n');
});

interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

function runProgram(args: string[], env: Record<string, string> = {}): Promise<Ended> {
  const given = { ...process.env, LAKE_S3_URL: server.address.url, STATE_DIR: folder, ...env };
  return new Promise(resolve => {
    execFile(process.execPath, [SQL_PROGRAM, ...args], { env: given }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr });
    });
  });
}

test('the program prints a table, or JSON for machines', async () => {
  const query = 'SELECT name, downloads_total FROM npm_package ORDER BY name LIMIT 1';
  expect(await runProgram([query])).toEqual({
    code: 0,
    stdout: 'name  downloads_total\n----  ---------------\na             2000000\n(1 row)\n',
    stderr: '',
  });
  const json = await runProgram(['--json', query]);
  expect(JSON.parse(json.stdout)).toEqual([{ name: 'a', downloads_total: 2_000_000 }]);
});

test('the program tells an error by its message and exits with 1', async () => {
  const wrong = await runProgram(['SELEC 1']);
  expect(wrong).toMatchObject({ code: 1, stdout: '' });
  expect(wrong.stderr).toMatch(/^Parser Error: .*SELEC/);
  expect(await runProgram([])).toMatchObject({ code: 1, stderr: expect.stringContaining('npm_package') });
  expect(await runProgram(['SELECT 1'], { LAKE_S3_URL: 'nowhere' })).toMatchObject({
    code: 1,
    stderr: 'LAKE_S3_URL: expected the http or https URL of a bucket, got "nowhere"\n',
  });
  expect(await runProgram(['SELECT 1'], { LAKE_S3_URL: 'https://lake.invalid/data-ingestion' })).toMatchObject({
    code: 1,
    stderr: 'LAKE_S3_KEY_ID: expected the id of an S3 key of this bucket, got null\n',
  });
});
