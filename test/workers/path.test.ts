import { env } from 'cloudflare:workers';
import { beforeAll, expect, it, vi } from 'vitest';
import { npmPackage } from '../../schemas/npm_package.ts';
import type { TableDetail } from '../../src/contract/tables.ts';
import { indexForm } from '../../src/lake/catalog/forms.ts';
import { filesHolding, filesOf, readRoot, readSegment } from '../../src/lake/catalog/read.ts';
import { rootKey } from '../../src/lake/object-keys.ts';
import { api, flushed, prepare, readDataFile, source, sql, untilAccepted } from './source.ts';
import { openUpstream, type Upstream } from './upstream.ts';

// The path of one change, from the feed to a row that is read from the bucket. Each test checks the next step.

let upstream: Upstream;
let changeCursor = '';
const seenAt = Date.now();

beforeAll(async () => {
  upstream = await openUpstream({ only: ['ms'] });
  changeCursor = String((await upstream.rows())[0]!.seq);
  await prepare(upstream);
  await source().control('start');
  await untilAccepted(upstream);
});

/** The UTC dates of a time and of now, as `YYYY/MM/DD`: they differ when a test runs at midnight. */
function daysSince(ms: number): string[] {
  return [ms, Date.now()].map(at => new Date(at).toISOString().slice(0, 10).replaceAll('-', '/'));
}

it('requests the feed, the document and its downloads', async () => {
  const asked = new Set(await upstream.requests());
  const counts = ['/downloads/point/last-month/,ms', '/downloads/point/last-year/,ms'];
  expect([...asked].sort()).toEqual(['/', ...counts, '/ms', '/registry/_changes']);
});

it('stores the document byte for byte', async () => {
  const object = await env.LAKE.get('npm/raw/ms/latest.json');
  expect(new Uint8Array(await object!.arrayBuffer())).toEqual(await upstream.documentOf('ms'));
  expect(object!.httpMetadata?.contentType).toBe('application/json');
  expect(Object.keys(object!.customMetadata!).sort()).toEqual(['cursor', 'fetched-at', 'revision']);
  expect(Number(object!.customMetadata!['fetched-at'])).toBeGreaterThanOrEqual(seenAt);
  const document = JSON.parse(new TextDecoder().decode(await upstream.documentOf('ms')));
  expect(object!.customMetadata!.revision).toBe(document._rev.split('-')[0]);
});

it('stores the row as the metadata JSON of the day', async () => {
  const keys = daysSince(seenAt).map(day => `npm/metadata/${day}/ms.json`);
  const found = (await Promise.all(keys.map(key => env.LAKE.get(key)))).find(object => object !== null);
  const metadata = await found!.json<Record<string, unknown>>();
  const columns = npmPackage.columns.map(column => column.name).filter(name => !/^_|^updated_at$/.test(name));
  expect(Object.keys(metadata).sort()).toEqual(columns.sort());
  const document = JSON.parse(new TextDecoder().decode(await upstream.documentOf('ms')));
  expect(metadata).toMatchObject({ name: 'ms', version: document['dist-tags'].latest });
});

it('has the row in the journal, with the cursor, and not yet in a file', async () => {
  const entries = await sql('SELECT table_name, first_lsn, last_lsn, cursor_before, cursor_after FROM entries');
  expect(entries).toEqual([
    { table_name: 'npm_package', first_lsn: 1, last_lsn: 1, cursor_before: '0', cursor_after: changeCursor },
  ]);
  const status = await source().status();
  expect(status.cursor).toEqual({ accepted: changeCursor, durable: '0', head: changeCursor });
  expect(status.buffer).toMatchObject({ rows: 1, bytes: expect.any(Number) });
  expect(status.tables).toEqual({ npm_package: { rows: 0, files: 0, bytes: 0, last_lsn: 1, known_rows: 0 } });
  expect((await env.LAKE.list({ prefix: 'npm/metadata/partitions.parquet/' })).objects).toEqual([]);
});

it('moves the row into a data file under its key', async () => {
  const status = await flushed();
  const { objects } = await env.LAKE.list({ prefix: 'npm/metadata/partitions.parquet/' });
  expect(objects).toHaveLength(1);
  const [{ key, size }] = objects as [R2Object];
  const [row] = await readDataFile(key);
  const [year, month] = String(row!.updated_at).split('-');
  const lsn = '1'.padStart(16, '0');
  expect(key).toBe(`npm/metadata/partitions.parquet/year=${year}/month=${month}/data-${lsn}-${lsn}.parquet`);
  expect(status.last_flush).toMatchObject({ key, rows: 1, bytes: size });
  expect(status.cursor).toEqual({ accepted: changeCursor, durable: changeCursor, head: changeCursor });
  expect(status.buffer).toEqual({ rows: 0, bytes: 0, oldest_age_seconds: null });
  expect(await sql('SELECT * FROM entries')).toEqual([]);
});

it('has the row in the bucket', async () => {
  const { live_files } = await api<TableDetail>('/v1/tables/npm_package');
  const rows = await readDataFile(live_files[0]!.key);
  expect(rows).toHaveLength(1);
  const [row] = rows as [Record<string, unknown>];
  expect(Object.keys(row)).toEqual(npmPackage.columns.map(column => column.name));
  expect(row).toMatchObject({ name: 'ms', _lsn: 1, _op: 'upsert', _cursor: changeCursor });
  expect(Date.parse(String(row.updated_at))).toBeGreaterThanOrEqual(seenAt);
  // Without lineage and `updated_at` the row is the metadata JSON.
  const day = String((await env.LAKE.head('npm/raw/ms/latest.json'))!.customMetadata!['fetched-at']);
  const metadata = await env.LAKE.get(`npm/metadata/${daysSince(Number(day))[0]}/ms.json`);
  const { updated_at: _, _lsn, _op, _cursor, ...rest } = row;
  expect(rest).toEqual(await metadata!.json());
});

it('projects the file and the cursor to the operational database', async () => {
  const [file] = (await api<TableDetail>('/v1/tables/npm_package')).live_files;
  const state = await env.DB.prepare('SELECT * FROM sync_state').all();
  expect(state.results).toMatchObject([{ source: 'npm', last_sequence: changeCursor }]);
  expect(Date.parse(String(state.results[0]!.last_sync_time))).toBeGreaterThanOrEqual(seenAt);
  const runs = await env.DB.prepare('SELECT * FROM ingestion_runs').all();
  expect(runs.results).toMatchObject([
    {
      source: 'npm',
      run_type: 'follow',
      status: 'completed',
      cursor: changeCursor,
      error_message: null,
      records_processed: 1,
      records_inserted: 1,
      records_failed: 0,
    },
  ]);
  const { started_at, completed_at, duration_ms, data } = runs.results[0] as Record<string, string>;
  expect(Date.parse(completed_at!) - Date.parse(started_at!)).toBe(duration_ms);
  const { key, bytes } = file!;
  expect(JSON.parse(data!)).toMatchObject({ key, bytes, table: 'npm_package', first_lsn: 1, last_lsn: 1 });
});

it('lists the file in the catalog', async () => {
  const [file] = (await api<TableDetail>('/v1/tables/npm_package')).live_files;
  const textOf = async (key: string) => (await env.LAKE.get(key))?.text() ?? expect.fail(`${key} is missing`);
  const root = await vi.waitFor(async () => readRoot(await textOf(rootKey('npm_package'))), { timeout: 30_000 });
  const segments = await Promise.all(root.segments.map(async ({ key }) => readSegment(await textOf(key))));
  const { key, bytes, etag, year, month } = file!;
  expect(filesOf(root, segments)).toMatchObject([
    {
      key,
      bytes,
      etag,
      year,
      month,
      rows: 1,
      cursor_to: changeCursor,
      columns: { name: { min: 'ms', max: 'ms', nulls: 0 } },
    },
  ]);
  const indexes = await Promise.all(
    root.segments.map(async ({ index }) => indexForm.parse(JSON.parse(await textOf(index)))),
  );
  expect(filesHolding(indexes, ['ms'])).toEqual([key]);
  expect(filesHolding(indexes, ['zod'])).toEqual([]);
  expect(JSON.parse(await textOf(root.schema))).toMatchObject({ table: 'npm_package', key: ['name'] });
});

it('shows the change over HTTP', async () => {
  expect(await api('/v1/sources/npm')).toMatchObject({
    source: 'npm',
    state: 'following',
    lag: { changes: 0 },
    balance: { changes: 1, rows: 1, tombstones: 0, parked: 0, dead: 0, balanced: true },
    tables: { npm_package: { rows: 1, files: 1, last_lsn: 1 } },
  });
  const { live_files, ...facts } = await api<TableDetail>('/v1/tables/npm_package');
  expect(facts).toMatchObject({ name: 'npm_package', prefix: 'npm/metadata', rows: 1, files: 1, last_lsn: 1 });
  const head = await env.LAKE.head(live_files[0]!.key);
  expect(live_files).toMatchObject([{ first_lsn: 1, last_lsn: 1, rows: 1, bytes: head!.size, etag: head!.etag }]);
  expect(facts.bytes).toBe(head!.size);
  const { tables } = await api<{ tables: object[] }>('/v1/tables');
  const { columns: _, ...listed } = facts;
  expect(tables).toContainEqual(listed);
});
