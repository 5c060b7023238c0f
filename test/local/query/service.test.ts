import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { tableNamed } from '../../../schemas/index.ts';
import { type SqlService, startSqlService } from '../../../src/local/query/service.ts';
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
