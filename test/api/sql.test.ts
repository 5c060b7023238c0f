import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type ServiceServer, serviceAnswer, serviceFailure, startServiceServer } from '../sql/service-server.ts';
import { askApi, TOKEN } from './sql-api.ts';

let service: ServiceServer;

beforeAll(async () => {
  service = await startServiceServer();
});

beforeEach(() => {
  service.requests.length = 0;
  service.answer = { status: 200, body: serviceAnswer([{ name: 'a' }]) };
});

afterAll(() => service.close());

const ask = (query: unknown, settings: Record<string, string> = {}) =>
  askApi({ ...service.settings, ...settings }, { query });

describe('a query', () => {
  test('is rewritten for R2 SQL and sent with the token, and the answer comes back', async () => {
    const { headers, ...answer } = await ask('SELECT name FROM npm_package_history');
    expect(answer).toEqual({
      status: 200,
      columns: [{ name: 'name', type: 'string' }],
      rows: [{ name: 'a' }],
      row_count: 1,
      metrics: { requests: 5, files_scanned: 2, bytes_scanned: 1_234 },
    });
    expect(headers.get('cache-control')).toBe('no-store');
    expect(service.requests).toEqual([
      {
        path: '/api/v1/accounts/account/basin-sql/query/data-ingestion',
        headers: expect.objectContaining({ authorization: 'Bearer secret-token' }),
        body: { query: 'SELECT name FROM tributary.npm_package AS npm_package_history LIMIT 5001' },
      },
    ]);
  });

  test('goes to the bucket and namespace of the settings', async () => {
    await ask("SELECT 1 FROM r2_sql('lake/npm/metadata/partitions.parquet') LIMIT 1", {
      R2_SQL_BUCKET: 'lake',
      CATALOG_NAMESPACE: 'mine',
    });
    expect(service.requests[0]!.path).toMatch(/\/query\/lake$/);
    expect(service.requests[0]!.body.query).toContain('FROM mine.npm_package QUALIFY');
  });

  test('gives whole numbers that are not exact as text, and columns in the order of the answer', async () => {
    service.answer!.body = serviceAnswer([{ b: 1, a: 'N' }], ['b', 'a']).replace('"N"', '9007199254740993');
    expect(await ask('SELECT 1 FROM domain')).toMatchObject({
      columns: [{ name: 'b' }, { name: 'a' }],
      rows: [{ a: '9007199254740993', b: 1 }],
    });
  });

  test('may be EXPLAIN, and not DESCRIBE', async () => {
    expect((await ask('EXPLAIN SELECT 1 FROM domain_history')).status).toBe(200);
    const { error } = await ask('DESCRIBE domain');
    expect(error).toMatchObject({ code: 'invalid_query', hint: expect.stringContaining('GET /v1/tables/<table>') });
  });
});

describe('what is refused before R2 SQL is called', () => {
  const big = `SELECT '${'x'.repeat(10_000_000)}'`;

  test.each([
    [
      'a write',
      'DELETE FROM npm_package',
      400,
      'invalid_query',
      'query: expected one that only reads, got "DELETE"\nline 1: DELETE FROM npm_package\n        ^ column 1',
    ],
    ['several statements', 'SELECT 1; SELECT 2', 400, 'invalid_query', 'expected one statement, got another'],
    ['an unknown table', 'SELECT 1 FROM nope', 400, 'invalid_query', 'expected a table of the lake, got "nope"'],
    [
      'a path outside the bucket',
      "FROM r2_sql('other/npm/metadata/partitions.parquet')",
      400,
      'invalid_query',
      'r2_sql: expected the path of a table',
    ],
    [
      'a path with ..',
      "FROM r2_sql('data-ingestion/../../x')",
      400,
      'invalid_query',
      'r2_sql: expected the path of a table',
    ],
    ['a file', "SELECT * FROM read_csv('/etc/hosts')", 400, 'invalid_query', 'got the function "read_csv"'],
    ['an open quote', "SELECT 'a", 400, 'invalid_query', "expected ' to end"],
    ['nothing', ' ', 400, 'invalid_query', 'expected a statement, got none'],
    ['a number', 7, 400, 'invalid_body', 'query: expected a text, got number'],
    ['nothing named', undefined, 400, 'invalid_body', 'query: expected a text, got none'],
    ['10 MB', big, 413, 'too_large', 'body: expected at most 100000 bytes, got more'],
  ])('%s', async (_, query, status, code, message) => {
    const answer = await ask(query);
    expect(answer).toMatchObject({ status, error: { code, message: expect.stringContaining(message) } });
    expect(answer.error!.hint).not.toBe('');
    expect(service.requests).toEqual([]);
  });

  test.each([
    ['no JSON', 'SELECT 1', 'body: expected nothing or a JSON object'],
    ['another field', '{"query": "SELECT 1", "warehouse": "x"}', 'got "warehouse"'],
  ])('%s', async (_, body, message) => {
    expect(await askApi(service.settings, body)).toMatchObject({
      status: 400,
      error: { code: 'invalid_body', message: expect.stringContaining(message) },
    });
  });

  test('settings that are missing or wrong, with what to set', async () => {
    expect((await askApi({}, { query: 'SELECT 1' })).error).toEqual({
      code: 'invalid_setting',
      message: 'R2_SQL_ACCOUNT_ID, R2_SQL_TOKEN: expected to be set, got null',
      hint: expect.stringContaining('wrangler secret put R2_SQL_TOKEN'),
    });
    expect((await ask('SELECT 1', { SQL_ROWS_MAX: '10000' })).error).toMatchObject({
      code: 'invalid_setting',
      message: 'SQL_ROWS_MAX: expected a whole number from 1 to 9999, got "10000"',
    });
  });
});

describe('limits', () => {
  test('a result over the row limit is an error that names the limit, and one row less is not', async () => {
    const rows = Array.from({ length: 4 }, (_, i) => ({ i }));
    service.answer!.body = serviceAnswer(rows);
    expect(await ask('SELECT i FROM domain', { SQL_ROWS_MAX: '3' })).toMatchObject({
      status: 413,
      error: { code: 'too_large', message: 'answer: expected at most 3 rows (SQL_ROWS_MAX), got more' },
    });
    expect(service.requests[0]!.body.query).toMatch(/ LIMIT 4$/);
    expect(await ask('SELECT i FROM domain', { SQL_ROWS_MAX: '4' })).toMatchObject({ status: 200, row_count: 4 });
  });

  test('a result over the byte limit is an error that names the limit', async () => {
    service.answer!.body = serviceAnswer([{ text: 'x'.repeat(2_000) }]);
    expect(await ask('SELECT 1 FROM domain', { SQL_BYTES_MAX: '1000' })).toMatchObject({
      status: 413,
      error: { code: 'too_large', message: 'answer: expected at most 1000 bytes (SQL_BYTES_MAX), got more' },
    });
  });

  test('a service that does not answer in time is an error that names the limit', async () => {
    service.answer = null;
    expect(await ask('SELECT 1 FROM domain', { SQL_TIMEOUT_MS: '100' })).toMatchObject({
      status: 504,
      error: { code: 'timeout', message: 'R2 SQL: expected an answer in 100 ms (SQL_TIMEOUT_MS), got none' },
    });
  });
});

describe('a failure of the service is passed on with a hint', () => {
  test.each([
    [400, 40003, 'query needs too much memory: estimated 9 GB', 'invalid_query', /<table>_history with a WHERE/],
    [
      400,
      40003,
      'Schema error: No field named nam. Valid fields are name',
      'invalid_query',
      /GET \/v1\/tables\/<table>/,
    ],
    [400, 40003, "table 'tributary.domain' not found", 'invalid_query', /first commit/],
    [400, 40004, 'unsupported feature: OFFSET clause', 'invalid_query', /where the dialects differ/],
    [403, 10000, 'Authentication error', 'upstream_failed', /R2_SQL_TOKEN needs the permissions/],
    [400, 80001, 'internal', 'upstream_failed', /Try again/],
    [500, 80002, 'internal', 'upstream_failed', /Try again/],
  ])('%i %i %s', async (status, code, message, expected, hint) => {
    service.answer = { status, body: serviceFailure(code, message) };
    const { error } = await ask('SELECT nam FROM domain');
    expect(error).toMatchObject({ code: expected, hint: expect.stringMatching(hint) });
    expect(error!.message).toContain(`R2 SQL ${code}: ${message}`);
  });

  test('with its position in the query as the user wrote it', async () => {
    const query = "SELECT x\nFROM r2_sql('data-ingestion/npm/metadata/partitions.parquet')\nWHERE 1 +* 2 LIMIT 1";
    await ask(query);
    const [, , third = ''] = service.requests[0]!.body.query.split('\n');
    const message = `sql parser error: Expected: an expression, found: * at Line: 3, Column: ${third.indexOf('*') + 1}`;
    service.answer = { status: 400, body: serviceFailure(40003, message) };
    expect((await ask(query)).error!.message).toBe(
      'R2 SQL 40003: sql parser error: Expected: an expression, found: *\nline 3: WHERE 1 +* 2 LIMIT 1\n                 ^ column 10',
    );
    service.answer.body = serviceFailure(40003, 'No field named tributary.npm_package.x');
    expect((await ask(query)).error!.message).toContain('line 1: SELECT x\n               ^ column 8');
  });

  test.each([
    ['HTML', 200, 'text/html', '<html>Welcome</html>', 'expected its JSON, got status 200 with a page of HTML'],
    ['HTML and an error', 502, 'text/html; charset=utf-8', '<html>', 'got status 502 with a page of HTML'],
    ['plain text', 401, 'text/plain', 'denied', 'got status 401 with text/plain'],
    ['other JSON', 200, 'application/json', '{"rows": []}', 'got status 200 with application/json'],
    ['half of JSON', 200, 'application/json', '{"success": true,', 'got status 200 with application/json'],
    ['rows that are none', 200, 'application/json', '{"success": true, "result": {"rows": 1}}', 'got status 200'],
    ['a redirect', 302, 'text/plain', '', 'got status 302 with text/plain'],
  ])('an answer that is not R2 SQL’s JSON: %s', async (_, status, type, body, message) => {
    service.answer = { status, headers: { 'content-type': type, location: 'http://127.0.0.1:9/' }, body };
    const answer = await ask('SELECT 1 FROM domain');
    expect(answer).toMatchObject({
      status: 502,
      error: { code: 'upstream_failed', message: expect.stringContaining(message), hint: expect.any(String) },
    });
  });

  test('an answer to too many requests keeps the time to wait', async () => {
    service.answer = { status: 429, headers: { 'retry-after': '60' }, body: serviceFailure(10429, 'slow down') };
    const { headers, error } = await ask('SELECT 1 FROM domain');
    expect([headers.get('retry-after'), error!.code]).toEqual(['60', 'upstream_failed']);
  });

  test('an address where nothing listens is an error without the token', async () => {
    const gone = await startServiceServer();
    await gone.close();
    const { error } = await askApi(gone.settings, { query: 'SELECT 1 FROM domain' });
    expect(error).toMatchObject({
      code: 'upstream_failed',
      message: expect.stringMatching(/^R2 SQL at 127.* cannot be reached/),
    });
    expect(JSON.stringify(error)).not.toContain('secret-token');
    expect(JSON.stringify(error)).not.toContain(TOKEN);
  });
});
