import type { Table } from '../../schemas/table.ts';
import type { ApiEnv, Known } from '../../src/api/env.ts';
import { createApi } from '../../src/api/router.ts';
import type { FailedChange } from '../../src/contract/failed.ts';
import type { IcebergStatus } from '../../src/contract/iceberg.ts';
import type { CatalogStub, SourceStub } from '../../src/contract/objects.ts';
import type { RangeStatus } from '../../src/contract/ranges.ts';
import type { SourceMetrics, SourceStatus } from '../../src/contract/source.ts';
import type { LiveFile, TableFacts } from '../../src/contract/tables.ts';
import type { LogFields } from '../../src/log.ts';

export const TOKEN = 'correct horse battery';

/** The API over fake objects, whose methods a test may replace; `logged` and `calls` record what the API did. */
export interface FakeApi {
  fetch(method: string, path: string, options?: { token?: string; body?: string }): Promise<Response>;
  env: ApiEnv & Record<string, unknown>;
  known: { sources: (ApiSource & { tables: Table[] })[]; tables: Table[]; log: FakeLog };
  stubs: Record<string, SourceStub>;
  catalog: CatalogStub;
  logged: ({ event: string } & LogFields)[];
  calls: string[];
}

type ApiSource = Known['sources'][number];

type FakeLog = (event: string, fields: LogFields) => void;

/** Two sources, `npm` and `pypi`, and three tables, the third without a source. */
export function fakeApi(settings: Record<string, unknown> = {}): FakeApi {
  const logged: FakeApi['logged'] = [];
  const calls: string[] = [];
  const tables = ['npm_package', 'pypi_package', 'domain'].map(tableOf);
  const known = {
    sources: [
      { id: 'npm', tables: tables.slice(0, 1), settings: () => ({}) },
      { id: 'pypi', tables: tables.slice(1, 2), settings: () => ({}) },
    ],
    tables,
    log: (event: string, fields: LogFields) => void logged.push({ event, ...fields }),
  };
  const stubs: Record<string, SourceStub> = Object.fromEntries(
    known.sources.map(source => [source.id, stubOf(source, calls)]),
  );
  const catalog: CatalogStub = {
    status: async () => catalogStatus(),
    watch: async () => void calls.push('catalog.watch'),
  };
  const env = {
    SOURCES_NS: {
      getByName(id: string) {
        const stub = stubs[id];
        if (stub === undefined) throw new Error(`object: expected a known source, got ${id}`);
        return stub;
      },
    },
    CATALOG_NS: {
      getByName(name: string) {
        if (name !== 'catalog') throw new Error(`object: expected catalog, got ${name}`);
        return catalog;
      },
    },
    ADMIN_TOKEN: TOKEN,
    ...settings,
  };
  const api = createApi(known);
  return {
    env,
    known,
    stubs,
    catalog,
    logged,
    calls,
    fetch(method, path, { token, body } = {}) {
      const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
      return api.fetch(
        new Request(`http://lake.test${path}`, { method, headers, ...(body !== undefined && { body }) }),
        env,
      );
    },
  };
}

/** Settings that name a catalog. */
export const CATALOG_SETTINGS = {
  CATALOG_URI: 'https://catalog.test/account/lake',
  CATALOG_WAREHOUSE: 'account_lake',
  CATALOG_NAMESPACE: 'tributary',
  CATALOG_TOKEN: 'a-secret-token',
};

/** The status of a catalog with one table: 64 committed rows, and two files waiting. */
export function catalogStatus(): IcebergStatus {
  const error = { kind: null, reason: null, hint: null, retry: null, at: null };
  const commit = { at: '2026-11-10T12:00:00.000Z', snapshot: '3051729675574597004', files: 4, rows: 64 };
  const table = {
    table: 'npm_package',
    source: 'npm',
    state: 'gathering' as const,
    committed_lsn: 64,
    files_waiting: 2,
  };
  return { enabled: true, tables: [{ ...table, last_commit: commit, last_error: error }], next_wake_at: null };
}

/** The status of a source that was never started. */
export function statusOf(source: string): SourceStatus {
  return {
    source,
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
      balanced: true,
    },
    tables: {},
    streams: {},
    last_flush: { at: null, rows: null, bytes: null, key: null, duration_ms: null },
    upstream: { requests: 0, not_modified: 0, throttled: 0, errors: 0 },
    readings: {},
    agenda: null,
    round: null,
    database: { bytes: 4_096, bytes_max: 8 * 2 ** 30, by_table: [] },
    inlets: [],
    next_wake_at: null,
    last_error: { kind: null, reason: null, hint: null, retry: null, at: null },
  };
}

/** The metrics of a source that has accepted seven changes; unknown values are null. */
export function metricsOf(source: string): SourceMetrics {
  return {
    source,
    state: 'following',
    changes_accepted: 7,
    changes: { rows: 3, tombstones: 1, parked: 1, dead: 1, 'skipped:superseded': 1, 'skipped:unchanged': 0 },
    tables: [{ name: `${source}_package`, rows_accepted: 40, rows_known: 2, rows_durable: 30, files: 3, bytes: 300 }],
    streams: [{ table: `${source}_package`, binding: 'STREAM', last_lsn: 20, waiting: 10 }],
    requests: [
      { host: 'feed.test', status: '2xx', requests: 9 },
      { host: 'feed.test', status: 'none', requests: 2 },
      { host: 'documents.test', status: '5xx', requests: 1 },
    ],
    readings: [{ server: 'whois.test', reading: 'part', answers: 2 }],
    retries: 4,
    database_bytes: 4_096,
    agenda: null,
    round: null,
    inlets: [],
    lag: { changes: null, seconds: null },
    buffer: { rows: 10, bytes: 1_000, oldest_age_seconds: 2.5 },
    flush_seconds: {
      buckets: [
        { seconds: 0.5, count: 1 },
        { seconds: 1, count: 3 },
      ],
      count: 4,
      sum_seconds: 6.125,
    },
    load_seconds: { buckets: [{ seconds: 0.5, count: 0 }], count: 0, sum_seconds: 0 },
    last_success_at: null,
    next_wake_at: null,
  };
}

function stubOf({ id, tables }: { id: string; tables: Table[] }, calls: string[]): SourceStub {
  const facts = tables.map(({ name, prefix }) => ({
    name,
    prefix,
    rows: 30,
    files: 3,
    bytes: 300,
    last_lsn: 30,
    known_rows: 2,
  }));
  return {
    status: async () => statusOf(id),
    metrics: async () => metricsOf(id),
    async control(action) {
      calls.push(`${id} ${action}`);
      return { source: id, action, changed: true, state: action === 'pause' ? 'paused' : 'catching-up' };
    },
    tables: async () => facts,
    liveFiles: async (table, after, limit) =>
      liveFiles(facts, table)
        .filter(file => file.first_lsn > after)
        .slice(0, limit),
    failed: async ({ state, reason, after, limit }) =>
      [3, 5, 8]
        .map(number => failedOf(id, number))
        .filter(one => state === 'dead' && (reason === null || one.reason === reason) && one.change_number > after)
        .slice(0, limit),
    failedChange: async number => ([3, 5, 8].includes(number) ? failedOf(id, number) : null),
    async replay(wanted) {
      calls.push(`${id} replay ${JSON.stringify(wanted)}`);
      return { changes: 2, by_reason: { 'http-404': 2 } };
    },
    async watchKeys({ atMs, keys }) {
      calls.push(`${id} watch ${keys.map(({ key }) => key).join(' ')}`);
      return { refused: null, atMs: atMs ?? 1, added: keys.length, known: 0, repeated: [] };
    },
    async unwatchKeys(keys) {
      calls.push(`${id} unwatch ${keys.join(' ')}`);
      return keys.length;
    },
    async signal({ id: delivery, keys, unread }) {
      calls.push(`${id} signal ${delivery} ${keys.join(' ')}`);
      return { due: keys.length, ignored: unread, repeated: false };
    },
    watchedKeys: async () => [],
    watchedKey: async () => null,
    async push({ identity, rows }) {
      calls.push(`${id} push ${identity} ${rows.length}`);
      return { refused: null, accepted: rows.length, repeated: 0 };
    },
    async startRange(lane, request) {
      calls.push(`${id} ${lane} ${JSON.stringify(request)}`);
      if (request.to === '0') return { code: 'conflict', message: `${lane}: expected none under way`, hint: 'Wait.' };
      return { changed: true, range: rangeOf(id, lane) };
    },
    async controlRange(lane, action) {
      calls.push(`${id} ${lane} ${action}`);
      return { changed: true, range: rangeOf(id, lane) };
    },
    range: async lane => (lane === 'rewind' ? null : rangeOf(id, lane)),
    async dismiss(number, note) {
      calls.push(`${id} dismiss ${number} ${note}`);
      return [3, 5, 8].includes(number) ? number !== 8 : null;
    },
    audit: async () => ({ source: id, running: null, last: null, self_check: null }),
    async startSweep(sample) {
      calls.push(`${id} sweep ${sample}`);
      return id === 'npm' ? { source: id, action: 'audit', changed: true, state: 'following' } : null;
    },
    async startSelfCheck() {
      calls.push(`${id} self-check`);
      return { source: id, action: 'self-check', changed: true, state: 'following' };
    },
    health: async () => ({ id, state: 'following', ok: true, reason: null }),
    async watch() {
      calls.push(`${id} watch`);
    },
  };
}

export function failedOf(source: string, number: number): FailedChange {
  return {
    id: `${source}-${number}`,
    source,
    change_number: number,
    key: `key-${number}`,
    cursor: `${number * 10}`,
    state: number === 8 ? 'dismissed' : 'dead',
    reason: number === 5 ? 'timeout' : 'http-404',
    message: 'expected status 200, got 404',
    hint: 'Wait.',
    attempts: 20,
    history: [],
    parked_at: '2026-11-01T00:00:00.000Z',
    failed_at: '2026-11-02T00:00:00.000Z',
    next_look_at: null,
    resolved_at: null,
    note: null,
  };
}

export function rangeOf(source: string, lane: RangeStatus['lane']): RangeStatus {
  return {
    source,
    lane,
    run: 7,
    from: '10',
    to: '20',
    cursor: '15',
    state: 'loading',
    changes: 5,
    changes_counted: 5,
    done: 2,
    rate: 2.5,
    seconds_left: 2,
    started_at: '2026-11-01T00:00:00.000Z',
    ended_at: null,
  };
}

function liveFiles(facts: TableFacts[], table: string): LiveFile[] {
  const { prefix = '' } = facts.find(({ name }) => name === table) ?? {};
  return [1, 11, 21].map(first_lsn => ({
    key: `${prefix}/partitions.parquet/year=2026/month=11/data-${first_lsn}-${first_lsn + 9}.parquet`,
    first_lsn,
    last_lsn: first_lsn + 9,
    rows: 10,
    bytes: 100,
    etag: `etag ${first_lsn}`,
    year: 2026,
    month: 11,
  }));
}

function tableOf(name: string): Table {
  return {
    name,
    prefix: `${name.split('_')[0]}/metadata`,
    description: `Rows of ${name}.`,
    version: 1,
    key: ['name'],
    immutable: false,
    identity: null,
    lineageAt: 1,
    columns: [
      { name: 'name', type: 'utf8', required: true, description: 'Its name.', fieldId: 1 },
      { name: '_lsn', type: 'int64', required: true, description: 'Its number.', fieldId: 2 },
    ],
    // No test of this API checks a row.
    validator: undefined as unknown as Table['validator'],
  };
}
