/// <reference types="@cloudflare/vitest-plugin/types" />
import { applyD1Migrations, evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env, exports } from 'cloudflare:workers';
import { constants, zstdDecompressSync } from 'node:zlib';
import { parquetReadObjects } from 'hyparquet';
import { expect, vi } from 'vitest';
import type { SourceStatus } from '../../src/contract/source.ts';
import type { TableDetail } from '../../src/contract/tables.ts';
import type { SqlValue } from '../../src/ports/sql.ts';
import type { Upstream } from './upstream.ts';

type Migrations = Parameters<typeof applyD1Migrations>[1];

/** A stub of the object under test; a new one each time, because a stub does not survive the abort of its object. */
export function source() {
  return env.SOURCES_NS.getByName('npm');
}

/** The source pulls at once and as often as it may; nothing is flushed without a control. */
const DEFAULTS = {
  NPM_START: '0',
  NPM_POLL_MS: '100',
  NPM_SETTLE_MS: '0',
  NPM_REQUESTS_PER_SECOND: '1000',
  FLUSH_AGE_MS: '3600000',
  FLUSH_BYTES_MAX: '16777216',
};

/** Sets settings of the worker. An object reads them only when it is created: see `restart`. */
export function set(settings: Record<string, unknown>): void {
  Object.assign(env, settings);
}

/** Points the worker at an upstream, and creates the operational tables. */
export async function prepare(upstream: Upstream, settings: Record<string, unknown> = {}): Promise<void> {
  await applyD1Migrations(env.DB, (env as typeof env & { MIGRATIONS: Migrations }).MIGRATIONS);
  const { origin } = upstream;
  const urls = { NPM_FEED_URL: `${origin}/registry`, NPM_REGISTRY_URL: origin, NPM_DOWNLOADS_URL: origin };
  set({ ...DEFAULTS, ...urls, ...settings });
}

/** Evicts the object; its next instance has only what is in its storage. */
export async function restart(settings: Record<string, unknown> = {}): Promise<void> {
  set(settings);
  await source().status();
  await evictDurableObject(source());
}

/** Sends a request to the worker, with the token. */
export async function api<T = Record<string, unknown>>(path: string, method = 'GET'): Promise<T> {
  const init = { method, headers: { authorization: 'Bearer token-of-the-worker-tests' } };
  return (await exports.default.fetch(`http://worker${path}`, init)).json();
}

/** Waits until the source's status meets a condition, and gives the status. */
export function until(condition: (status: SourceStatus) => boolean): Promise<SourceStatus> {
  return vi.waitFor(
    async () => {
      const status = await source().status();
      if (!condition(status)) throw new Error(`status: ${JSON.stringify(status)}`);
      return status;
    },
    { timeout: 30_000, interval: 20 },
  );
}

/** Waits until every change that the upstream shows is accepted. */
export async function untilAccepted(upstream: Upstream): Promise<SourceStatus> {
  const head = String((await upstream.rows()).at(-1)?.seq);
  return until(({ cursor }) => cursor.accepted === head);
}

/** Flushes, and waits until all accepted rows are in data files and in the operational database. */
export async function flushed(): Promise<SourceStatus> {
  await source().control('flush');
  const status = await until(({ buffer, cursor }) => buffer.rows === 0 && cursor.durable === cursor.accepted);
  await vi.waitFor(
    async () => {
      const state = await env.DB.prepare("SELECT last_sequence FROM sync_state WHERE source = 'npm'").first();
      expect(state?.last_sequence).toBe(status.cursor.durable);
      const runs = await env.DB.prepare('SELECT count(*) AS runs FROM ingestion_runs').first();
      expect(runs?.runs).toBe(status.tables.npm_package?.files);
    },
    { timeout: 30_000, interval: 20 },
  );
  return status;
}

/** Runs a statement in the object's own SQLite. */
export function sql<R = Record<string, SqlValue>>(statement: string): Promise<R[]> {
  return runInDurableObject(source(), (_, state) => state.storage.sql.exec(statement).toArray() as R[]);
}

/** A row of a data file; 64-bit integers as numbers. */
export type LakeRow = Record<string, string | number | boolean | null>;

/** The rows of one data file, in file order. */
export async function readDataFile(key: string): Promise<LakeRow[]> {
  const object = await env.LAKE.get(key);
  if (!object) throw new Error(`${key}: expected an object, got none`);
  const file = await object.arrayBuffer();
  const rows = await parquetReadObjects({ file, compressors: { ZSTD: unzstd } });
  return rows.map(
    row =>
      Object.fromEntries(
        Object.entries(row).map(([name, value]) => [name, typeof value === 'bigint' ? Number(value) : value]),
      ) as LakeRow,
  );
}

/** Flush instead of ending, because the runtime takes a page that just fills its output for a truncated one. */
function unzstd(page: Uint8Array): Uint8Array {
  return zstdDecompressSync(page, { finishFlush: constants.ZSTD_e_flush });
}

/** All rows of all data files in the bucket, by LSN. */
export async function lakeRows(): Promise<LakeRow[]> {
  const { live_files } = await api<TableDetail>('/v1/tables/npm_package');
  const rows = await Promise.all(live_files.map(({ key }) => readDataFile(key)));
  return rows.flat().sort((a, b) => Number(a._lsn) - Number(b._lsn));
}

/**
 * Checks the guarantees: each change that the upstream shows has exactly one row, the bucket has exactly the files that
 * the table lists, and the operational database has a run for each file.
 */
export async function prove(upstream: Upstream): Promise<LakeRow[]> {
  await untilAccepted(upstream);
  const status = await flushed();
  const rows = await lakeRows();
  // LSNs are dense, and follow the order of the feed.
  expect(rows.map(row => row._lsn)).toEqual(rows.map((_, index) => index + 1));
  const shown = await upstream.rows();
  expect(rows.map(row => [row._cursor, row.name])).toEqual(shown.map(row => [String(row.seq), row.id]));
  expect(status.balance).toMatchObject({ changes: shown.length, rows: shown.length, balanced: true });
  // The bucket has no other data files, and each has a run.
  const { live_files } = await api<TableDetail>('/v1/tables/npm_package');
  const { objects } = await env.LAKE.list({ prefix: 'npm/metadata/partitions.parquet/' });
  expect(objects.map(({ key, etag, size }) => [key, etag, size])).toEqual(
    live_files.map(({ key, etag, bytes }) => [key, etag, bytes]),
  );
  const runs = await env.DB.prepare(
    'SELECT sum(records_inserted) AS rows, count(*) AS runs FROM ingestion_runs',
  ).first();
  expect(runs).toEqual({ rows: rows.length, runs: live_files.length });
  return rows;
}
