import { env, exports } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import { TABLES } from '../../schemas/index.ts';
import type { SourceStatus } from '../../src/contract/source.ts';
import type { TableDetail } from '../../src/contract/tables.ts';
import { SOURCES } from '../../src/sources/registry.ts';
import { expectRules } from '../api/exposition-rules.ts';
import { api, flushed, prepare, restart, set, source, sql, until, untilAccepted } from './source.ts';
import { openUpstream, type Upstream } from './upstream.ts';

let upstream: Upstream;

beforeAll(async () => {
  upstream = await openUpstream({ only: [], changes: 100, rows: 4 });
  await prepare(upstream);
});

interface Answer {
  status: number;
  headers: Headers;
  body: Record<string, unknown>;
}

async function ask(path: string, init: RequestInit = {}): Promise<Answer> {
  const response = await exports.default.fetch(`http://worker${path}`, init);
  expect(response.headers.get('content-type')).toContain('application/json');
  expect(response.headers.get('cache-control')).toBe('no-store');
  return { status: response.status, headers: response.headers, body: await response.json() };
}

const TOKEN = 'token-of-the-worker-tests';

const post = (path: string, token?: string, body?: string) =>
  ask(path, { method: 'POST', ...(token && { headers: { authorization: `Bearer ${token}` } }), ...(body && { body }) });

const control = (action: string) => post(`/v1/sources/npm/${action}`, TOKEN).then(({ body }) => body);

/** No field is absent: one that has no value before the first run is null. */
const STATUS_AT_FIRST: SourceStatus = {
  source: 'npm',
  state: 'paused',
  cursor: { accepted: null, durable: null, head: null },
  lag: { changes: null, seconds: null },
  rate: { rows_per_second_1m: 0, rows_per_second_1h: 0 },
  buffer: { rows: 0, bytes: 0, oldest_age_seconds: null },
  balance: {
    changes: 0,
    rows: 0,
    tombstones: 0,
    parked: 0,
    dead: 0,
    balanced: true,
    skipped: {
      'internal-document': 0,
      'no-rows': 0,
      superseded: 0,
      unchanged: 0,
      'revision-never-served': 0,
      dismissed: 0,
      unwatched: 0,
      coalesced: 0,
    },
  },
  tables: { npm_package: { rows: 0, files: 0, bytes: 0, last_lsn: 0, known_rows: 0 } },
  streams: { npm_package: null },
  last_flush: { at: null, rows: null, bytes: null, key: null, duration_ms: null },
  upstream: { requests: 0, not_modified: 0, throttled: 0, errors: 0 },
  readings: {},
  agenda: null,
  round: null,
  database: { bytes: expect.any(Number), bytes_max: 8 * 2 ** 30, by_table: [] },
  inlets: [],
  next_wake_at: null,
  last_error: { kind: null, reason: null, hint: null, retry: null, at: null },
};

const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
const number = expect.any(Number);

describe('before a source was started', () => {
  it('has a status with every field', async () => {
    const { status, body } = await ask('/v1/sources/npm');
    expect(status).toBe(200);
    expect(body).toEqual(STATUS_AT_FIRST);
    const domains = {
      source: 'whois',
      tables: { whois_record: STATUS_AT_FIRST.tables.npm_package },
      agenda: {
        keys: 0,
        due: 0,
        first_due: 0,
        overdue: 0,
        oldest_due_at: null,
        seconds_at_rate: null,
        stretch: 1,
        refused_keys: {},
        signals: { taken: 0, repeated: 0, due: 0, ignored: 0, last_at: null },
      },
      streams: { whois_record: null },
    };
    const { sources } = (await ask('/v1/sources')).body as { sources: { source: string }[] };
    expect(sources.map(({ source }) => source)).toEqual(SOURCES.map(({ id }) => id));
    expect(sources).toEqual(expect.arrayContaining([STATUS_AT_FIRST, { ...STATUS_AT_FIRST, ...domains }]));
  });

  it('is not healthy, because the settings name it and nothing has started it', async () => {
    const { status, body } = await ask('/healthz');
    expect(status).toBe(503);
    const reason = expect.stringContaining('not started yet');
    expect(body).toEqual({ ok: false, sources: [{ id: 'npm', state: 'paused', reason }] });
  });

  it('has all tables, empty', async () => {
    const empty = { rows: 0, files: 0, bytes: 0, last_lsn: 0, known_rows: 0 };
    const tables = TABLES.map(({ name, prefix }) => ({ name, prefix, ...empty }));
    expect(await ask('/v1/tables')).toMatchObject({ status: 200, body: { tables } });
    for (const { name, prefix } of TABLES) {
      const { status, body } = await ask(`/v1/tables/${name}`);
      expect(status).toBe(200);
      expect(body).toEqual({ name, prefix, ...empty, columns: expect.any(Array), live_files: [] });
    }
  });

  it('pulls nothing, and no alarm is set', async () => {
    expect(await upstream.requests()).toEqual([]);
    expect((await source().status()).next_wake_at).toBeNull();
  });
});

describe('controls', () => {
  it.each(['start', 'pause', 'flush'])('refuse %s without the token, or with another', async action => {
    const before = await source().status();
    for (const token of [undefined, 'wrong', 'tes', 'testt', '']) {
      const { status, headers, body } = await post(`/v1/sources/npm/${action}`, token);
      expect(status).toBe(401);
      expect(headers.get('www-authenticate')).toBe('Bearer');
      const error = { code: 'unauthorized', message: expect.any(String), hint: expect.any(String) };
      expect(body).toEqual({ error });
    }
    const basic = await ask(`/v1/sources/npm/${action}`, { method: 'POST', headers: { authorization: 'Basic test' } });
    expect(basic.status).toBe(401);
    expect(await source().status()).toEqual(before);
  });

  it('refuse a body with a field, and an unknown source', async () => {
    expect(await post('/v1/sources/npm/pause', TOKEN, '{}')).toMatchObject({ status: 200 });
    for (const body of ['{"force":true}', '[]', 'pause', '"x"', '1']) {
      const refused = await post('/v1/sources/npm/pause', TOKEN, body);
      expect(refused).toMatchObject({ status: 400, body: { error: { code: 'invalid_body' } } });
    }
    const unknown = await post('/v1/sources/nothing/pause', TOKEN);
    expect(unknown).toMatchObject({ status: 404, body: { error: { code: 'not_found' } } });
  });

  it('start a source, and say whether that changed anything', async () => {
    const started = await control('start');
    expect(started).toEqual({ source: 'npm', action: 'start', changed: true, state: expect.any(String) });
    expect(started.state).not.toBe('paused');
    expect(await control('start')).toMatchObject({ changed: false });
    await untilAccepted(upstream);
    expect(await control('start')).toMatchObject({ changed: false, state: 'following' });
  });

  it('flush a source, and say whether there was anything to flush', async () => {
    expect(await control('flush')).toEqual({ source: 'npm', action: 'flush', changed: true, state: 'following' });
    const status = await flushed();
    expect(status.tables.npm_package).toEqual({ rows: 4, files: 1, bytes: number, last_lsn: 4, known_rows: 0 });
    for (let i = 0; i < 3; i++) expect(await control('flush')).toMatchObject({ changed: false });
    expect(await flushed()).toMatchObject({ tables: status.tables });
    // A flush without rows must not flush rows that are accepted later.
    await upstream.release(1);
    expect((await untilAccepted(upstream)).buffer.rows).toBe(1);
  });

  it('pause a source: it pulls nothing, and still flushes accepted rows', async () => {
    expect(await control('pause')).toEqual({ source: 'npm', action: 'pause', changed: true, state: 'paused' });
    expect(await control('pause')).toMatchObject({ changed: false, state: 'paused' });
    const { cursor } = await source().status();
    await upstream.release(2);
    expect(await control('flush')).toMatchObject({ changed: true, state: 'paused' });
    const status = await flushed();
    expect(status).toMatchObject({
      state: 'paused',
      cursor: { accepted: cursor.accepted },
      tables: { npm_package: { rows: 5, files: 2 } },
    });
    await restart();
    const { state, cursor: after } = await until(({ next_wake_at }) => next_wake_at === null);
    expect([state, after.accepted]).toEqual(['paused', cursor.accepted]);
    await control('start');
    expect((await untilAccepted(upstream)).buffer.rows).toBe(2);
    await flushed();
  });
});

describe('after rows and files', () => {
  it('has a status in which every field has a value', async () => {
    const { body } = await ask('/v1/sources/npm');
    const cursor = String(await upstream.updateSeq());
    expect(body).toEqual({
      ...STATUS_AT_FIRST,
      state: 'following',
      cursor: { accepted: cursor, durable: cursor, head: cursor },
      lag: { changes: 0, seconds: number },
      rate: { rows_per_second_1m: number, rows_per_second_1h: number },
      balance: { ...STATUS_AT_FIRST.balance, changes: 7, rows: 7 },
      tables: { npm_package: { rows: 7, files: 3, bytes: number, last_lsn: 7, known_rows: 0 } },
      last_flush: { at: time, rows: 2, bytes: number, key: expect.any(String), duration_ms: number },
      upstream: { requests: number, not_modified: 0, throttled: 0, errors: 0 },
      next_wake_at: time,
    });
  });

  it('has a table with its columns', async () => {
    const { body } = await ask('/v1/tables/npm_package');
    const columns = TABLES.find(({ name }) => name === 'npm_package')!.columns;
    expect(body.columns).toEqual(
      columns.map(({ name, type, required, description, fieldId }) => {
        return { name, type, required, description, field_id: fieldId };
      }),
    );
  });

  it('gives live files after an LSN, and at most as many as the limit', async () => {
    const all = (await api<TableDetail>('/v1/tables/npm_package')).live_files;
    expect(all.map(({ first_lsn, last_lsn, rows }) => [first_lsn, last_lsn, rows])).toEqual([
      [1, 4, 4],
      [5, 5, 1],
      [6, 7, 2],
    ]);
    const part = async (query: string) => (await api<TableDetail>(`/v1/tables/npm_package?${query}`)).live_files;
    expect(await part('limit=2')).toEqual(all.slice(0, 2));
    expect(await part('after=4')).toEqual(all.slice(1));
    expect(await part('after=4&limit=1')).toEqual(all.slice(1, 2));
    expect(await part('after=7')).toEqual([]);
    for (const query of ['after=-1', 'after=x', 'limit=0', 'limit=1001', 'limit=1.5', 'limit=1&limit=2']) {
      const refused = await ask(`/v1/tables/npm_package?${query}`);
      expect(refused, query).toMatchObject({ status: 400, body: { error: { code: 'invalid_setting' } } });
    }
  });

  it('is healthy while runs succeed, and gives the reason when none has for long', async () => {
    const healthy = { status: 200, body: { ok: true, sources: [{ id: 'npm', state: 'following', reason: null }] } };
    expect(await ask('/healthz')).toMatchObject(healthy);
    await upstream.fault('/registry/', [{ status: 500 }], { repeat: true });
    await until(({ last_error }) => last_error.kind === 'upstream-status');
    expect(await ask('/healthz')).toMatchObject({ status: 200, body: { ok: true } });
    await sql('UPDATE source SET last_success_ms = 0');
    const { status, body } = await ask('/healthz');
    expect(status).toBe(503);
    const reason = expect.stringContaining('expected status 200, got 500');
    expect(body).toEqual({ ok: false, sources: [{ id: 'npm', state: 'backing-off', reason }] });
    await upstream.clearFaults();
    await until(({ last_error }) => last_error.kind === null);
    expect(await ask('/healthz')).toMatchObject(healthy);
  });
});

describe('metrics', () => {
  it('are text in the format’s version, and agree with the status', async () => {
    const status = await flushed();
    const response = await exports.default.fetch('http://worker/metrics');
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    const families = expectRules(await response.text());
    const value = (name: string, labels: Record<string, string> = {}) => {
      const samples = families[`tributary_${name}`]?.samples ?? [];
      return samples.find(one => Object.entries(labels).every(([label, text]) => one.labels[label] === text))?.value;
    };
    expect(value('source_up', { source: 'npm' })).toBe(1);
    expect(value('source_state', { state: 'following' })).toBe(1);
    expect(value('changes_accepted_total')).toBe(status.balance.changes);
    expect(value('rows_durable_total', { table: 'npm_package' })).toBe(status.tables.npm_package!.rows);
    expect(value('data_files_total', { table: 'npm_package' })).toBe(status.tables.npm_package!.files);
    expect(value('flush_duration_seconds')).toBeDefined();
    // One for each change's document; those for downloads and the feed come on top.
    const { host } = new URL(upstream.origin);
    expect(value('requests_total', { host, status: '2xx' })).toBeGreaterThanOrEqual(status.balance.changes);
    expect(value('next_wake_timestamp_seconds')).toBeGreaterThan(Date.now() / 1_000 - 60);
  });

  it('are the same after the object was evicted', async () => {
    const counters = async () => {
      const families = expectRules(await (await exports.default.fetch('http://worker/metrics')).text());
      const names = ['changes_accepted', 'rows_accepted', 'rows_durable', 'data_files', 'data_file_bytes'];
      return names.map(name => families[`tributary_${name}_total`]!.samples);
    };
    const before = await counters();
    await restart();
    expect(await counters()).toEqual(before);
  });
});

describe('paths and methods', () => {
  it.each(['/', '/v1', '/v1/sources/nothing', '/v1/tables/nothing', '/v1/sources/npm/stop', '/v1/sources/%E0%A4%A'])(
    'there is nothing at %s',
    async path => {
      const { status, body } = await ask(path);
      expect(status).toBe(404);
      expect(body).toEqual({
        error: { code: 'not_found', message: expect.any(String), hint: expect.any(String) },
      });
    },
  );

  it.each([
    ['POST', '/healthz', 'GET'],
    ['POST', '/metrics', 'GET'],
    ['DELETE', '/v1/sources', 'GET'],
    ['PUT', '/v1/sources/npm', 'GET'],
    ['GET', '/v1/sources/npm/start', 'POST'],
    ['POST', '/v1/tables', 'GET'],
    ['PATCH', '/v1/tables/npm_package', 'GET'],
  ])('%s is not allowed at %s', async (method, path, allow) => {
    const { status, headers, body } = await ask(path, { method });
    expect(status).toBe(405);
    expect(headers.get('allow')).toBe(allow);
    expect(body).toMatchObject({ error: { code: 'method_not_allowed' } });
  });
});

it('a source that is not enabled needs no settings, and is listed as paused', async () => {
  expect(Reflect.get(env, 'PYPI_URL')).toBeUndefined();
  const { status, body } = await ask('/v1/sources');
  expect(status).toBe(200);
  expect(body).toMatchObject({
    sources: expect.arrayContaining([expect.objectContaining({ source: 'pypi', state: 'paused' })]),
  });
});

// These tests are last, because an object with a wrong setting cannot be created and answers nothing.
describe('a wrong setting', () => {
  it.each([
    ['FLUSH_AGE_MS', 'soon'],
    ['NPM_POLL_MS', '1'],
    ['NPM_REGISTRY_URL', 'ftp://mirror'],
  ])('%s=%s is named in the error of every route', async (name, value) => {
    const right = Reflect.get(env, name);
    await restart({ [name]: value });
    for (const path of ['/v1/sources', '/v1/sources/npm', '/v1/tables', '/v1/tables/npm_package']) {
      const { status, body } = await ask(path);
      expect(status).toBe(400);
      expect(body).toMatchObject({ error: { code: 'invalid_setting', message: expect.stringContaining(name) } });
    }
    const { status, body } = await ask('/healthz');
    expect(status === 400 || status === 503).toBe(true);
    expect(JSON.stringify(body)).toContain(name);
    set({ [name]: right });
    expect(await ask('/v1/sources/npm')).toMatchObject({ status: 200 });
  });

  it('SOURCES with an unknown source is named by the health check', async () => {
    set({ SOURCES: 'npm,nothing' });
    const { status, body } = await ask('/healthz');
    expect(status).toBe(400);
    expect(body).toMatchObject({
      error: {
        code: 'invalid_setting',
        message: expect.stringMatching(/^SOURCES: expected ids out of npm, .*whois.*, got another value$/),
      },
    });
    set({ SOURCES: 'npm' });
  });
});
