import { evictDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeAll, expect, inject, it, vi } from 'vitest';
import { npmPackage as table } from '../../schemas/npm_package.ts';
import type { IcebergStatus } from '../../src/contract/iceberg.ts';
import { objectKey } from '../../src/iceberg/format/location.ts';
import { readManifest } from '../../src/iceberg/format/manifest.ts';
import { readManifestList } from '../../src/iceberg/format/manifest-list.ts';
import { currentSnapshot } from '../../src/iceberg/format/table-metadata.ts';
import { RestCatalog } from '../../src/iceberg/rest/client.ts';
import { BUCKET, TOKEN, WAREHOUSE } from '../iceberg/rest-catalog.ts';
import { api, flushed, lakeRows, prepare, readDataFile, set, source, untilAccepted } from './source.ts';
import { openUpstream, type Upstream } from './upstream.ts';

const SETTINGS = {
  CATALOG_WAREHOUSE: WAREHOUSE,
  CATALOG_NAMESPACE: 'tributary',
  CATALOG_TOKEN: TOKEN,
  CATALOG_BUCKET: BUCKET,
  CATALOG_COMMIT_MS: '1000',
};
const HOUR = 3_600_000;

let upstream: Upstream;

const catalog = () => env.CATALOG_NS.getByName('catalog');

beforeAll(async () => {
  upstream = await openUpstream({ only: [], changes: 40, rows: 20 });
  await prepare(upstream, { ...SETTINGS, CATALOG_URI: inject('restCatalog') });
  await source().control('start');
});

/** Waits until all of the source's rows are committed. */
async function committed(): Promise<IcebergStatus['tables'][0]> {
  await untilAccepted(upstream);
  const { tables } = await flushed();
  await catalog().watch();
  return vi.waitFor(
    async () => {
      const [status] = (await api<IcebergStatus>('/v1/catalog')).tables;
      expect(status, JSON.stringify(status)).toMatchObject({ committed_lsn: tables[table.name]!.last_lsn });
      return status!;
    },
    { timeout: 30_000, interval: 50 },
  );
}

/** Accepts and flushes one more change. */
async function changed(): Promise<void> {
  // Reset the clock, because the source and its Loaders must have the same one.
  set({ CLOCK_AHEAD_MS: '0' });
  await upstream.pushChange({ id: 'ms' });
  await untilAccepted(upstream);
  await flushed();
}

/** Evicts the catalog's object. With a clock that is ahead, its next check of the sources is due. */
async function restarted(settings: Record<string, string>): Promise<void> {
  set(settings);
  await evictDurableObject(catalog());
}

/** The table as the catalog has it: the paths of its files, and their rows by LSN. */
async function readTable() {
  const clock = { now: () => Date.now(), within: <T>(work: Promise<T>) => work };
  const options = { uri: inject('restCatalog'), warehouse: WAREHOUSE, namespace: 'tributary', token: TOKEN };
  const client = new RestCatalog({ ...options, fetch: (url, init) => fetch(url, init), clock });
  const metadata = (await client.loadTable(table.name))!;
  const bytesOf = async (uri: string) =>
    new Uint8Array(await (await env.LAKE.get(objectKey(uri, BUCKET)))!.arrayBuffer());
  const list = readManifestList(await bytesOf(currentSnapshot(metadata)!['manifest-list']!));
  const manifests = await Promise.all(list.map(({ manifest_path }) => bytesOf(manifest_path)));
  const files = manifests.flatMap(bytes => [...readManifest(bytes)].map(({ data_file }) => data_file));
  const rows = await Promise.all(files.map(({ file_path }) => readDataFile(objectKey(file_path, BUCKET))));
  return { metadata, files, rows: rows.flat().sort((a, b) => Number(a._lsn) - Number(b._lsn)) };
}

it('data files of a source are committed, and the table has their rows', async () => {
  const status = await committed();
  expect(status).toMatchObject({ source: 'npm', state: 'committed', files_waiting: 0, last_error: { kind: null } });
  const { metadata, files, rows } = await readTable();
  expect(rows.length).toBeGreaterThan(0);
  expect(rows).toEqual(await lakeRows());
  expect(status.last_commit).toMatchObject({ files: files.length, rows: rows.length });
  expect(status.last_commit.snapshot).toBe(String(currentSnapshot(metadata)!['snapshot-id']));
  // The etag shows that each copy is the file, byte for byte.
  for (const { file_path, file_size_in_bytes } of files) {
    const copy = (await env.LAKE.head(objectKey(file_path, BUCKET)))!;
    expect(copy.size).toBe(Number(file_size_in_bytes));
    expect(copy.etag).toBe(copy.customMetadata!['copy-of']);
  }
});

it('later files are committed too, after the object was evicted', async () => {
  const before = await readTable();
  await changed();
  await restarted({ CLOCK_AHEAD_MS: String(HOUR) });
  await committed();
  const { files, rows } = await readTable();
  expect(rows).toEqual(await lakeRows());
  expect(rows.length).toBe(before.rows.length + 1);
  const paths = files.map(({ file_path }) => file_path);
  expect(paths).toEqual(expect.arrayContaining(before.files.map(({ file_path }) => file_path)));
});

it('a wrong token stalls the tables, and incomplete settings are an error', async () => {
  await changed();
  await restarted({ CATALOG_TOKEN: 'another-token', CLOCK_AHEAD_MS: String(2 * HOUR) });
  await catalog().watch();
  await vi.waitFor(
    async () => {
      const text = JSON.stringify(await api('/v1/catalog'));
      expect(text).toContain('"state":"stalled"');
      expect(text).toContain('"kind":"unauthorized"');
      expect(text).not.toContain('another-token');
    },
    { timeout: 30_000, interval: 50 },
  );
  set({ CATALOG_WAREHOUSE: undefined });
  expect(await api('/v1/catalog')).toMatchObject({
    error: { code: 'invalid_setting', message: expect.stringContaining('CATALOG_WAREHOUSE') },
  });
});
