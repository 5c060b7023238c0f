import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { tableNamed } from '../../schemas/index.ts';
import { cacheTables, openLake } from '../../src/local/lake.ts';
import { type LakeServer, putDataFile, startLakeServer } from './lake-server.ts';

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

test('a listing goes on over all its pages, in key order, with keys as they are', async () => {
  const keys = ['npm/raw/%2F%/latest.json', 'npm/raw/@a&b <c>/latest.json', 'npm/raw/ü + =/latest.json', 'other/x'];
  for (const key of keys) server.objects.set(key, Buffer.from(key));
  const lake = openLake(server.address);
  const listed = await lake.list('npm/raw/');
  expect(listed.map(object => object.key)).toEqual(keys.slice(0, 3));
  for (const { key, bytes } of listed) expect(bytes).toBe(Buffer.byteLength(key));
  for (const { key } of listed) expect(Buffer.from((await lake.get(key))!).toString()).toBe(key);
  expect(await lake.get('npm/raw/none')).toBeNull();
});

test('a file is fetched once, and again when the lake holds another under its key', async () => {
  const [key] = putFiles(3);
  const lake = openLake(server.address);
  const first = (await cacheTables(lake, { folder, tables })).get('npm_package')!;
  expect(first).toHaveLength(3);
  await cacheTables(lake, { folder, tables });
  expect(server.fetched).toHaveLength(3);
  server.objects.set(key!, Buffer.from('another'));
  const second = (await cacheTables(lake, { folder, tables })).get('npm_package')!;
  expect(server.fetched).toHaveLength(4);
  expect(readFileSync(second[0]!, 'utf8')).toBe('another');
  expect(second.slice(1)).toEqual(first.slice(1));
});

test('a file that left the lake leaves the view at once and the folder later', async () => {
  const keys = putFiles(2);
  const lake = openLake(server.address);
  const [gone] = (await cacheTables(lake, { folder, tables })).get('npm_package')!;
  server.objects.delete(keys[0]!);
  expect((await cacheTables(lake, { folder, tables })).get('npm_package')).toHaveLength(1);
  expect(readdirSync(path.dirname(gone!))).toHaveLength(2);
  utimesSync(gone!, 0, 0);
  await cacheTables(lake, { folder, tables });
  expect(readdirSync(path.dirname(gone!))).toHaveLength(1);
});

test('a file that disappears while it is fetched makes the listing be read again', async () => {
  const keys = putFiles(3);
  server.beforeGet = key => {
    if (key === keys[1]) server.objects.delete(key);
  };
  expect((await cacheTables(openLake(server.address), { folder, tables })).get('npm_package')).toHaveLength(2);
  server.beforeGet = key => {
    server.objects.delete(key);
    putDataFile(server, { table: 'npm_package', firstLsn: server.fetched.length + 10, rows: [{ row: { name: 'p' } }] });
  };
  server.objects.set(keys[1]!, Buffer.from('x'));
  await expect(cacheTables(openLake(server.address), { folder, tables })).rejects.toThrow('kept disappearing');
});

test('a lake that cannot be reached or refuses is named with its reason', async () => {
  const { address } = server;
  server.objects.set('npm/x', Buffer.from('x'));
  await expect(openLake({ ...address, url: `${address.url}x` }).get('npm/x')).resolves.toBeNull();
  const closed = await startLakeServer();
  await closed.close();
  await expect(openLake(closed.address).list('npm/')).rejects.toThrow(
    /^lake http:.*: cannot be reached \(connect ECONNREFUSED/,
  );
});
