import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { Log, LogLevel, Miniflare } from 'miniflare';
import { runProgram } from '../program.ts';
import { freePort, HOST } from './port.ts';
import type { S3Keys } from './s3-keys.ts';
import { lockState } from './state-lock.ts';

/** The bucket of a state folder that no runtime uses, served until it is closed. */
export interface OpenBucket {
  port: number;
  close(): Promise<void>;
}

/** A bucket of a state folder, and the credentials with which it is served. */
interface BucketOptions {
  stateDir: string;
  bucket: string;
  s3Keys: S3Keys;
}

/** The folder below a state folder where `wrangler dev --persist-to` keeps its buckets and databases. */
const PERSISTED = 'v3';

/**
 * Opens the bucket of a state folder without the worker: miniflare serves its own files over S3, as the runtime does.
 * Throws when another process holds the folder. While it is open, other programs find it as they find a runtime.
 */
export async function openBucket(options: BucketOptions): Promise<OpenBucket> {
  mkdirSync(options.stateDir, { recursive: true });
  const port = await freePort(0);
  const lock = await lockState(options.stateDir, port);
  lock.record({ s3Keys: options.s3Keys });
  // A process of its own, which ends when its input closes, also when this process is killed.
  const child = spawn(process.execPath, [import.meta.filename], { stdio: ['pipe', 'pipe', 'inherit'], detached: true });
  const exited = once(child, 'exit');
  child.stdin.on('error', () => {}); // `exited` reports a process that ended before it read its input.
  child.stdin.write(`${JSON.stringify({ ...options, port })}\n`);
  async function close(): Promise<void> {
    child.stdin.end();
    await exited;
    lock.release();
  }
  const line = once(createInterface({ input: child.stdout }), 'line');
  const isReady = await Promise.race([line.then(() => true), exited.then(() => false)]);
  if (isReady) return { port, close };
  lock.release();
  throw new Error(`bucket of ${options.stateDir}: expected to open, got an early end`);
}

async function serve({ stateDir, bucket, s3Keys, port }: BucketOptions & { port: number }): Promise<Miniflare> {
  const experimentalS3Credentials = { accessKeyId: s3Keys.keyId, secretAccessKey: s3Keys.secret };
  const miniflare = new Miniflare({
    host: HOST,
    port,
    resourcePersistencePath: path.resolve(stateDir, PERSISTED),
    log: new Log(LogLevel.NONE),
    workers: [
      {
        config: {
          name: 'lake',
          compatibilityDate: '2026-01-01',
          env: { LAKE: { type: 'r2', name: bucket, dev: { experimentalS3Credentials } } },
          // Nothing calls the worker; miniflare serves the bucket itself.
          manifest: { mainModule: 'lake.js', modules: { 'lake.js': { type: 'esm', contents: 'export default {}' } } },
        },
      },
    ],
  });
  await miniflare.ready;
  return miniflare;
}

/** The process: the first line of input holds its options as JSON, and it writes a line when the bucket answers. */
async function main(): Promise<number> {
  const lines = createInterface({ input: process.stdin });
  const closed = once(lines, 'close');
  const [line] = (await once(lines, 'line')) as [string];
  const miniflare = await serve(JSON.parse(line) as BucketOptions & { port: number });
  process.stdout.write('{}\n');
  await closed;
  await miniflare.dispose();
  return 0;
}

if (import.meta.main) await runProgram(main);
