import { once } from 'node:events';
import { devNull } from 'node:os';
import { createInterface } from 'node:readline';
import { unstable_readConfig, unstable_startWorker } from 'wrangler';
import type { S3Keys } from './s3-keys.ts';

/** What a launcher starts. */
export interface LaunchOptions {
  /** The worker's `wrangler.jsonc`. */
  config: string;
  stateDir: string;
  host: string;
  port: number;
  /** The worker's settings and other texts of its environment, by name. */
  settings: Record<string, string>;
  /** With these keys the worker's buckets answer over S3. */
  s3Keys: S3Keys;
}

type Bindings = NonNullable<Parameters<typeof unstable_startWorker>[0]['bindings']>;

/**
 * Starts the development server's worker and gives what ends it. The command `wrangler dev` would do the same, but it
 * always opens ports for debuggers and for other development servers, through which any user of the machine reads the
 * worker's secrets; and it takes settings and keys from files only.
 */
async function launch(options: LaunchOptions): Promise<() => Promise<void>> {
  const { config, stateDir, host, port, settings, s3Keys } = options;
  const bindings: Bindings = {};
  for (const [name, value] of Object.entries(settings)) bindings[name] = { type: 'secret_text', value };
  const credentials = { accessKeyId: s3Keys.keyId, secretAccessKey: s3Keys.secret };
  for (const { binding, bucket_name: bucket } of unstable_readConfig({ config }, { hideWarnings: true }).r2_buckets) {
    bindings[binding] = {
      type: 'r2_bucket',
      ...(bucket !== undefined && { bucket_name: bucket }),
      local_dev: { experimental_s3_credentials: credentials },
    };
  }
  const worker = await unstable_startWorker({
    config,
    bindings,
    // Without a file here, `.dev.vars` or `.env` of the project would add to the settings.
    envFiles: [devNull],
    dev: {
      server: { hostname: host, port },
      persist: stateDir,
      inspector: false,
      remote: false,
      watch: false,
    },
  });
  await worker.ready;
  return () => worker.dispose();
}

/**
 * Runs until SIGTERM, or until the input ends, as it does when the program that started this one is killed. The first
 * line of the input holds the options as JSON, because a process list shows arguments.
 */
async function main(): Promise<void> {
  const input = createInterface({ input: process.stdin });
  const over = Promise.race([once(process, 'SIGTERM'), once(input, 'close')]);
  const [line] = (await once(input, 'line')) as [string];
  const dispose = await launch(JSON.parse(line) as LaunchOptions);
  await over;
  await dispose();
  process.exit(0);
}

if (import.meta.main) await main();
