import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Miniflare } from 'miniflare';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { localAddress, openLake } from '../../../src/local/query/lake.ts';
import { openBucket } from '../../../src/local/runtime/bucket.ts';
import { listProcesses, treeOf } from '../../../src/local/runtime/processes.ts';
import { newS3Keys } from '../../../src/local/runtime/s3-keys.ts';
import { holderOf } from '../../../src/local/runtime/state-lock.ts';
import { runSql } from '../../../src/local/sql.ts';
import { putSpecRows } from '../query/lake-rows.ts';
import { type LakeServer, startLakeServer } from '../query/lake-server.ts';

let folder: string;
let rows: LakeServer;

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'bucket-'));
  rows = await startLakeServer();
  putSpecRows(rows);
  const miniflare = new Miniflare({
    resourcePersistencePath: path.join(folder, 'v3'),
    workers: [
      {
        config: {
          name: 'lake',
          compatibilityDate: '2026-01-01',
          env: { LAKE: { type: 'r2', name: 'data-ingestion' } },
          manifest: { mainModule: 'lake.js', modules: { 'lake.js': { type: 'esm', contents: 'export default {}' } } },
        },
      },
    ],
  });
  const bucket = (await miniflare.getR2Bucket('LAKE')) as unknown as Pick<R2Bucket, 'put'>;
  for (const [key, bytes] of rows.objects) await bucket.put(key, Uint8Array.from(bytes));
  await miniflare.dispose();
});

afterAll(async () => {
  await rows.close();
  rmSync(folder, { recursive: true });
});

async function answer(query: string): Promise<string> {
  let text = '';
  const options = { query, format: 'csv', demo: false, watch: false } as const;
  const write = (part: string) => {
    text += part;
  };
  await runSql(options, { env: { STATE_DIR: folder }, signal: new AbortController().signal, write });
  return text;
}

test('a query on a lake that is not running opens its bucket without the worker, and leaves the folder free', async () => {
  expect(await answer('SELECT name, version FROM npm_package ORDER BY name LIMIT 2')).toBe(
    'name,version\na,1.0.0\nb,2.0.0\n',
  );
  expect(holderOf(folder)).toBeNull();
  expect(existsSync(path.join(folder, 'runtime.log'))).toBe(false);
  expect(readdirSync(path.join(folder, 'v3'))).not.toContain('d1');
});

test('while the bucket is open, other programs find it and no second one opens it', async () => {
  const options = { stateDir: folder, bucket: 'data-ingestion', s3Keys: newS3Keys() };
  const open = await openBucket(options);
  const lake = openLake(localAddress(open.port, options.s3Keys));
  expect(holderOf(folder)?.port).toBe(open.port);
  expect(await lake.get('none')).toBeNull();
  await expect(openBucket(options)).rejects.toThrow(/expected to be free, got process/);
  expect(await answer('SELECT count(*) AS n FROM npm_package_history')).toBe('n\n6\n');
  await open.close();
  await expect(lake.get('none')).rejects.toThrow('cannot be reached');
  expect(holderOf(folder)).toBeNull();
});

test('a program that is killed leaves no process of the bucket', async () => {
  const source = path.resolve(import.meta.dirname, '../../../src/local/runtime/bucket.ts');
  const options = { stateDir: folder, bucket: 'data-ingestion', s3Keys: newS3Keys() };
  const holder = path.join(folder, 'holder.ts');
  writeFileSync(
    holder,
    `import { openBucket } from '${source}';
process.stdout.write(JSON.stringify(await openBucket(${JSON.stringify(options)})));
setInterval(() => {}, 1000);`,
  );
  const program = spawn(process.execPath, [holder], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [text] = (await once(program.stdout, 'data')) as [Buffer];
  const lake = openLake(localAddress(JSON.parse(text.toString()).port, options.s3Keys));
  expect(await lake.get('none')).toBeNull();
  const tree = treeOf(program.pid!);
  expect(tree.length).toBeGreaterThan(2);
  program.kill('SIGKILL');
  const left = () =>
    listProcesses().filter(({ pid, started }) => tree.some(of => of.pid === pid && of.started === started));
  await expect.poll(left, { timeout: 30_000, interval: 50 }).toEqual([]);
  expect(await answer('SELECT count(*) AS n FROM npm_package')).toBe('n\n3\n');
});
