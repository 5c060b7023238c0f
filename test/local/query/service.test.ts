import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { tableNamed } from '../../../schemas/index.ts';
import { type SqlService, startSqlService } from '../../../src/local/query/service.ts';
import { openTables } from '../../../src/local/query/tables.ts';
import { findProcess } from '../../../src/local/runtime/processes.ts';
import { askApi } from '../../api/sql-api.ts';
import { SPEC_QUERIES, withEachName } from '../../sql/spec-queries.ts';
import { putSpecRows, SPEC_ANSWERS } from './lake-rows.ts';
import { type LakeServer, putDataFile, startLakeServer } from './lake-server.ts';

const LOCAL = path.resolve(import.meta.dirname, '../../../src/local/query');
let server: LakeServer;
let service: SqlService;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'sql-service-'));
  server = await startLakeServer();
  putSpecRows(server);
  service = await startSqlService({
    lake: server.address,
    cacheDir: path.join(folder, 'cache'),
    namespace: 'tributary',
    token: 'local',
  });
});

afterAll(async () => {
  await service.close();
  await server.close();
  rmSync(folder, { recursive: true });
});

const settings = () => ({ R2_SQL_URL: service.url, R2_SQL_ACCOUNT_ID: 'local', R2_SQL_TOKEN: 'local' });
const ask = (query: string) => askApi(settings(), { query });

async function post(pathname: string, { token = 'local', body = '{"query": "SELECT 1"}' } = {}) {
  const headers = { authorization: `Bearer ${token}` };
  const response = await fetch(`${service.url}${pathname}`, { method: 'POST', headers, body });
  return { status: response.status, body: await response.json() };
}

const QUERY_PATH = '/api/v1/accounts/any/basin-sql/query/data-ingestion';

test.each(Object.entries(SPEC_QUERIES))(
  'the spec’s query of %s answers through the API in every way of naming its table',
  async (name, query) => {
    for (const text of withEachName(query, table => tableNamed(table).key)) {
      const { rows, error } = await ask(text);
      expect(error).toBeUndefined();
      expect(rows, text).toEqual(
        SPEC_ANSWERS[name as keyof typeof SPEC_ANSWERS].map(row => expect.objectContaining(row)),
      );
    }
  },
);

test('it answers in the form of R2 SQL, under its current and its former path', async () => {
  const body = JSON.stringify({
    query: "SELECT name, downloads_total AS n FROM tributary.npm_package WHERE name = 'a'",
    warehouse: 'x',
  });
  const result = {
    request_id: expect.any(String),
    schema: [
      { name: 'name', descriptor: { type: { name: 'string' }, nullable: true } },
      { name: 'n', descriptor: { type: { name: 'int64' }, nullable: true } },
    ],
    rows: [{ name: 'a', n: 2_000_000 }],
    metrics: { r2_requests_count: 0, files_scanned: 2, bytes_scanned: expect.any(Number) },
  };
  const expected = { status: 200, body: { success: true, errors: [], messages: [], result } };
  expect(await post(QUERY_PATH, { body })).toEqual(expected);
  expect(await post(QUERY_PATH.replace('basin', 'r2'), { body })).toEqual(expected);
});

test('it answers errors in the form of R2 SQL, with their position', async () => {
  const failed = (code: number, message: unknown) => ({
    success: false,
    errors: [{ code, message }],
    messages: [],
    result: null,
  });
  expect(await post(QUERY_PATH, { body: '{"query": "SELECT\\n nope FROM npm_package"}' })).toEqual({
    status: 400,
    body: failed(
      40003,
      expect.stringMatching(/^invalid SQL: Binder error: .*"nope" not found.* at Line: 2, Column: 2$/),
    ),
  });
  expect(await post(QUERY_PATH, { token: 'other' })).toMatchObject({
    status: 401,
    body: failed(10000, expect.any(String)),
  });
  expect(await post(QUERY_PATH.replace('data-ingestion', 'other'))).toMatchObject({
    status: 404,
    body: { success: false },
  });
  expect(await post('/')).toMatchObject({ status: 404, body: { success: false } });
  expect(await post(QUERY_PATH, { body: '<html>' })).toMatchObject({ status: 400, body: { success: false } });
  expect(await post(QUERY_PATH, { body: '{"query": "DROP TABLE npm_package"}' })).toMatchObject({ status: 400 });
});

test('an unknown column and an engine’s error point at the query as the user wrote it', async () => {
  const query = "SELECT name,\n  nope\nFROM r2_sql('data-ingestion/npm/metadata/partitions.parquet')";
  expect((await ask(query)).error).toMatchObject({
    code: 'invalid_query',
    message: expect.stringMatching(/"nope" not found.*\nline 2: {3}nope\n {10}\^ column 3$/),
    hint: expect.stringContaining('lists the columns'),
  });
  const open = 'SELECT name FROM npm_package WHERE name LIKE';
  expect((await ask(open)).error!.message).toBe(
    `R2 SQL 40003: invalid SQL: Parser error: syntax error at or near the end of the query\nline 1: ${open}\n${' '.repeat(52)}^ column 45`,
  );
});

test('a lake that does not answer is a failure of the service, not of the query', async () => {
  const gone = await startLakeServer();
  await gone.close();
  const orphan = await startSqlService({
    lake: gone.address,
    cacheDir: path.join(folder, 'gone'),
    namespace: 'tributary',
    token: 'local',
  });
  const { status, error } = await askApi(
    { ...settings(), R2_SQL_URL: orphan.url },
    { query: 'SELECT 1 FROM npm_package' },
  );
  expect([status, error!.code]).toEqual([502, 'upstream_failed']);
  expect(error!.message).toContain('cannot be reached');
  await orphan.close();
});

describe('the service speaks DuckDB’s dialect', () => {
  const rowsOf = async (query: string) => (await ask(query)).rows?.map(row => Object.values(row)[0]);

  // One case for each line of the README's table.
  test.each([
    ['no FROM', 'SELECT 1', [1]],
    ['FROM first', 'FROM npm_package SELECT name ORDER BY name LIMIT 1', ['a']],
    ['OFFSET', 'SELECT name FROM npm_package ORDER BY name LIMIT 1 OFFSET 1', ['b']],
    [
      'a named WINDOW',
      'SELECT row_number() OVER w FROM npm_package WINDOW w AS (ORDER BY name) ORDER BY 1 LIMIT 1',
      [1],
    ],
    ['UNNEST', "SELECT unnest(string_split('a,b', ',')) FROM npm_package WHERE name = 'a'", ['a', 'b']],
    [
      'DATE_ADD',
      "SELECT DATE_ADD(DATE '2026-01-31', INTERVAL 1 DAY) = DATE '2026-02-01' FROM npm_package LIMIT 1",
      [true],
    ],
    ['a number in quotes', "SELECT name FROM npm_package WHERE downloads_total > '2500000'", ['b']],
    ['a field of JSON', `SELECT json_extract_string('{"a": "b"}', '$.a') FROM npm_package LIMIT 1`, ['b']],
    ['an approximate count', 'SELECT approx_count_distinct(name) FROM npm_package', [3]],
    ['a regular expression', "SELECT regexp_matches(name, '^a') FROM npm_package WHERE name = 'a'", [true]],
  ])('%s', async (_, query, expected) => {
    expect(await rowsOf(query)).toEqual(expected);
  });

  test.each(["json_get_str(name, 'a')", 'approx_distinct(name)', "regexp_like(name, '^a')"])(
    'R2 SQL’s %s is unknown',
    async call => {
      expect((await ask(`SELECT ${call} FROM npm_package`)).error!.message).toMatch(
        /Function with name \w+ does not exist/,
      );
    },
  );
});

/** A program that starts the process without a runtime, and waits until it is killed. */
const HOLDER = `
import { startSqlProcess } from '${LOCAL}/process.ts';
const s3Keys = { keyId: 'a', secret: 'b' };
const started = await startSqlProcess({ settings: {}, port: 1, s3Keys, stateDir: process.argv[2] });
process.stdout.write(JSON.stringify({ pid: started.pid, settings: started.settings }) + '\\n');
setInterval(() => {}, 1000);`;

test('its process ends with the process that started it, also when that is killed', async () => {
  const holder = path.join(folder, 'holder.ts');
  writeFileSync(holder, HOLDER);
  const program = spawn(process.execPath, [holder, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(program.stdout!, 'data')) as [Buffer];
  const { pid, settings: found } = JSON.parse(line.toString());
  expect(found).toEqual({
    R2_SQL_URL: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
    R2_SQL_ACCOUNT_ID: 'local',
    R2_SQL_TOKEN: expect.stringMatching(/^[0-9a-f]{64}$/),
    R2_SQL_BUCKET: 'data-ingestion',
  });
  // The list of processes does not show its token.
  expect(findProcess(pid)?.command).not.toContain(found.R2_SQL_TOKEN);
  expect((await fetch(found.R2_SQL_URL, { method: 'POST' })).status).toBe(404);
  program.kill('SIGKILL');
  await expect.poll(() => findProcess(pid), { timeout: 15_000, interval: 50 }).toBeNull();
});

test('an answer has the rows that arrived since the one before', async () => {
  putDataFile(server, { table: 'organization', firstLsn: 1, rows: [{ row: { id: '1', name: 'One' } }] });
  expect((await ask('SELECT name FROM organization')).rows).toEqual([{ name: 'One' }]);
  putDataFile(server, { table: 'organization', firstLsn: 2, rows: [{ row: { id: '1', name: 'Two' } }] });
  expect((await ask('SELECT name FROM organization')).rows).toEqual([{ name: 'Two' }]);
});

test('an answer over the limit is an error, and the service goes on', async () => {
  expect((await ask('SELECT repeat(chr(1), 40000000)')).error).toMatchObject({
    code: 'invalid_query',
    message: expect.stringContaining('answer: expected at most 33554432 bytes, got more'),
  });
  expect((await ask('SELECT 1 AS a')).rows).toEqual([{ a: 1 }]);
});

test('an answer has at most the rows of R2 SQL, and a NUL in a query is an error', async () => {
  const body = JSON.stringify({ query: 'SELECT i FROM range(20000) r(i)' });
  const { body: answered } = await post(QUERY_PATH, { body });
  expect((answered as { result: { rows: unknown[] } }).result.rows).toHaveLength(10_000);
  expect(await post(QUERY_PATH, { body: JSON.stringify({ query: 'SELECT 1 --\0' }) })).toMatchObject({
    status: 400,
    body: { errors: [{ message: expect.stringMatching(/^invalid SQL: query: expected no NUL, got /) }] },
  });
});

test('an answer that cannot be written as text is an error of its query only', async () => {
  const stringify = vi.spyOn(JSON, 'stringify');
  // The first call is that of the client.
  const body = JSON.stringify({ query: 'SELECT 1' });
  stringify.mockImplementationOnce(() => {
    throw new RangeError('Invalid string length');
  });
  expect(await post(QUERY_PATH, { body })).toMatchObject({
    status: 500,
    body: { errors: [{ code: 80001, message: 'Invalid string length' }] },
  });
  stringify.mockRestore();
  expect((await ask('SELECT 1 AS a')).rows).toEqual([{ a: 1 }]);
});

const ENDLESS = 'SELECT count(*) FROM range(1000000000000) r(i) WHERE i * i % 7 = 8';

test('two queries run at a time, 32 wait, and more are refused; one that its client leaves makes place', async () => {
  const headers = { authorization: 'Bearer local' };
  const clients: AbortController[] = [];
  const start = (query: string) => {
    const client = new AbortController();
    clients.push(client);
    const body = JSON.stringify({ query });
    return fetch(service.url + QUERY_PATH, { method: 'POST', headers, body, signal: client.signal });
  };
  const running = [start(ENDLESS), start(ENDLESS)];
  await expect.poll(() => service.running, { timeout: 15_000 }).toBe(2);
  const waiting = Array.from({ length: 32 }, () => start('SELECT 1 AS a'));
  await expect.poll(() => service.waiting, { timeout: 15_000 }).toBe(32);
  const refused = await start('SELECT 1');
  expect([refused.status, await refused.json()]).toMatchObject([429, { success: false }]);
  clients[0]!.abort();
  await expect(running[0]).rejects.toMatchObject({ name: 'AbortError' });
  expect((await Promise.all(waiting)).map(response => response.status)).toEqual(Array(32).fill(200));
  service.endQueries();
  expect(await (await running[1]!).json()).toMatchObject({
    errors: [{ message: 'invalid SQL: query: expected to fit into the memory of the service, got more' }],
  });
  await expect.poll(() => service.running).toBe(0);
});

test('a query over its memory spills to a folder below the cache, and the folder goes with it', async () => {
  const temp = path.join(folder, 'cache/temp');
  mkdirSync(path.join(temp, '999999999-gone'), { recursive: true });
  expect((await ask('SELECT 1 AS a')).rows).toEqual([{ a: 1 }]);
  expect(readdirSync(temp)).toEqual([]);
  expect(statSync(temp).mode & 0o077).toBe(0);
  const own = path.join(folder, 'own');
  mkdirSync(own);
  const resources = { memoryBytes: 60_000_000, threads: 1, tempBytesMax: 2_000_000_000 };
  const open = (tempFolder: string) =>
    openTables({ bucket: 'data-ingestion', tables: [], files: new Map(), tempFolder, resources });
  const sorting =
    "SELECT i FROM (SELECT i, hash(i)::VARCHAR || repeat('x', 100) AS t FROM range(600000) r(i) ORDER BY t) LIMIT 1";
  const spilling = await open(own);
  let spilled = 0;
  const looking = setInterval(() => {
    spilled = Math.max(spilled, readdirSync(own).length);
  }, 5);
  expect((await spilling.query(sorting.replace('LIMIT 1', 'OFFSET 599999'))).rows).toHaveLength(1);
  clearInterval(looking);
  spilling.close();
  expect(spilled).toBeGreaterThan(0);
  const without = await open('');
  await expect(without.query(sorting.replace('LIMIT 1', 'OFFSET 599999'))).rejects.toThrow(/^Out of Memory error/);
  without.close();
});
