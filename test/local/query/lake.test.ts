import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { tableNamed } from '../../../schemas/index.ts';
import { rootKey } from '../../../src/lake/object-keys.ts';
import { cacheTables, liveFiles, openLake } from '../../../src/local/query/lake.ts';
import { type LakeServer, putCatalog, putDataFile, startLakeServer } from './lake-server.ts';

const tables = [tableNamed('npm_package')];
let server: LakeServer;
let folder: string;

beforeEach(async () => {
  server = await startLakeServer();
  folder = mkdtempSync(path.join(tmpdir(), 'lake-cache-'));
});

afterEach(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});

function putFiles(count: number): string[] {
  return Array.from({ length: count }, (_, i) =>
    putDataFile(server, { table: 'npm_package', firstLsn: i + 1, rows: [{ row: { name: `p${i}` } }] }),
  );
}

test('a table without a root has no files, and a key may hold any character', async () => {
  const keys = ['npm/raw/%2F%/latest.json', 'npm/raw/@a&b <c>/latest.json', 'npm/raw/ü + =/latest.json'];
  for (const key of keys) server.objects.set(key, Buffer.from(key));
  const lake = openLake(server.address);
  for (const key of keys) expect(Buffer.from((await lake.get(key))!).toString()).toBe(key);
  expect(await lake.get('npm/raw/none')).toBeNull();
  expect(await liveFiles(lake, tables[0]!)).toEqual([]);
  expect((await cacheTables(lake, { folder, tables })).get('npm_package')).toEqual([]);
});

test('a data file that the root does not name is not read', async () => {
  const keys = putFiles(2);
  const root = server.objects.get(rootKey('npm_package'))!;
  putFiles(3);
  server.objects.set(rootKey('npm_package'), root);
  expect((await liveFiles(openLake(server.address), tables[0]!))?.map(({ key }) => key)).toEqual(keys);
});

test('a file is fetched once, and again when the catalog names another under its key', async () => {
  const [key] = putFiles(3);
  const lake = openLake(server.address);
  const dataFiles = () => server.fetched.filter(fetched => fetched.endsWith('.parquet'));
  const first = (await cacheTables(lake, { folder, tables })).get('npm_package')!;
  expect(first).toHaveLength(3);
  await cacheTables(lake, { folder, tables });
  expect(dataFiles()).toHaveLength(3);
  server.objects.set(key!, Buffer.from('another'));
  putCatalog(server, 'npm_package');
  const second = (await cacheTables(lake, { folder, tables })).get('npm_package')!;
  expect(dataFiles()).toHaveLength(4);
  expect(readFileSync(second[0]!, 'utf8')).toBe('another');
  expect(second.slice(1)).toEqual(first.slice(1));
});

test('a file that left the catalog leaves the tables at once and the folder later', async () => {
  const keys = putFiles(2);
  const lake = openLake(server.address);
  const gone = (await cacheTables(lake, { folder, tables })).get('npm_package')![1]!;
  server.objects.delete(keys[1]!);
  putCatalog(server, 'npm_package');
  expect((await cacheTables(lake, { folder, tables })).get('npm_package')).toHaveLength(1);
  expect(readdirSync(path.dirname(gone))).toHaveLength(2);
  utimesSync(gone, 0, 0);
  await cacheTables(lake, { folder, tables });
  expect(readdirSync(path.dirname(gone))).toHaveLength(1);
});

test('when a file or segment disappears meanwhile, the root is read again', async () => {
  const keys = putFiles(3);
  server.beforeGet = key => {
    if (key !== keys[2] || !server.objects.delete(key)) return;
    for (const segment of server.objects.keys()) {
      if (segment.startsWith('catalog/partitions/npm_package/')) server.objects.delete(segment);
    }
    putCatalog(server, 'npm_package');
  };
  expect((await cacheTables(openLake(server.address), { folder, tables })).get('npm_package')).toHaveLength(2);
  server.beforeGet = null;
  server.objects.delete(keys[1]!);
  rmSync(path.join(folder, 'npm_package'), { recursive: true });
  await expect(cacheTables(openLake(server.address), { folder, tables })).rejects.toThrow(
    'lake data-ingestion: expected all files that the catalog names for npm_package, got missing ones',
  );
});

test('a root that is no root, or of a later form, is an error with its key', async () => {
  const lake = openLake(server.address);
  for (const text of ['<html>', '{"format_version": 2}', '[]']) {
    server.objects.set(rootKey('npm_package'), Buffer.from(text));
    await expect(liveFiles(lake, tables[0]!)).rejects.toThrow(
      'lake data-ingestion: expected catalog/partitions/npm_package.json in a form that this version of Tributary reads',
    );
  }
});

test('an unreachable lake is an error with its address and the reason', async () => {
  const { address } = server;
  server.objects.set('npm/x', Buffer.from('x'));
  await expect(openLake({ ...address, url: `${address.url}x` }).get('npm/x')).resolves.toBeNull();
  const closed = await startLakeServer();
  await closed.close();
  await expect(liveFiles(openLake(closed.address), tables[0]!)).rejects.toThrow(
    /^lake http:.*: cannot be reached \(connect ECONNREFUSED/,
  );
});
