import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { Log, LogLevel, Miniflare } from 'miniflare';
import { freePort } from './runtime.ts';
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
  keyId: string;
  secret: string;
}

const HOST = '127.0.0.1';
/** The folder below a state folder where `wrangler dev --persist-to` keeps its buckets and databases. */
const PERSISTED = 'v3';

/**
 * Opens the bucket of a state folder without the worker: miniflare serves its own files over S3, as the runtime does.
 * Throws when another process holds the folder. While it is open, other programs find it as they find a runtime.
 */
export async function openBucket({ stateDir, bucket, keyId, secret }: BucketOptions): Promise<OpenBucket> {
  mkdirSync(stateDir, { recursive: true });
  const port = await freePort(0);
  const lock = lockState(stateDir, port);
  const experimentalS3Credentials = { accessKeyId: keyId, secretAccessKey: secret };
  try {
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
    return {
      port,
      async close() {
        await miniflare.dispose();
        lock.release();
      },
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}
