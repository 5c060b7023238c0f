import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { appendFileSync, closeSync, openSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../errors.ts';
import { readSqlSettings } from '../../sql/settings.ts';
import { BUCKET, cacheDirOf, type LakeAddress, localAddress } from './lake.ts';
import type { SqlServiceOptions } from './service.ts';

/** A process that answers R2 SQL's HTTP API over the lake of a local runtime. It is started again whenever it ends. */
export interface SqlProcess {
  /** The worker's settings that name this service. */
  settings: Record<string, string>;
  /** The process that runs now, or ran last. */
  readonly pid: number;
  logFile: string;
  /** Resolves when the service ends for good, because it was stopped. */
  ended: Promise<void>;
  stop(): Promise<void>;
}

const PROGRAM = path.join(import.meta.dirname, 'service.ts');
/** The wait before a process is started again, which doubles with each one that ends before it answers. */
const RESTART_MS = 100;
const RESTART_MS_MAX = 10_000;

/**
 * Starts the service for the runtime that has, or will have, this port and state folder; null when settings name a
 * service already. It ends with this process, also when this one is killed. A process of it that ends is started again
 * on the same port with the same token, so the worker's settings stay true.
 */
export async function startSqlProcess(options: {
  settings: Record<string, string>;
  port: number;
  /** The keys of the runtime's bucket. */
  s3Keys: Pick<LakeAddress, 'keyId' | 'secret'>;
  stateDir: string;
}): Promise<SqlProcess | null> {
  const { settings, port, s3Keys, stateDir } = options;
  const { service, namespace } = readSqlSettings(settings);
  if (service !== null) return null;
  const logFile = path.join(path.resolve(stateDir), 'sql.log');
  const token = randomBytes(32).toString('hex');
  const lake = localAddress(port, s3Keys);
  const given: SqlServiceOptions = { lake, cacheDir: cacheDirOf(path.resolve(stateDir)), namespace, token };
  closeSync(openSync(logFile, 'w', 0o600));
  let running = await launch(given, logFile);
  const { url } = running;
  const stopping = new AbortController();
  async function keepRunning(): Promise<void> {
    for (;;) {
      const end = await running.ended;
      if (stopping.signal.aborted) return;
      appendFileSync(logFile, `the SQL service ended (${end}) and is started again\n`);
      const next = await relaunch({ ...given, port: Number(new URL(url).port) }, logFile, stopping.signal);
      if (next === null) return;
      running = next;
    }
  }
  const ended = keepRunning();
  return {
    settings: { R2_SQL_URL: url, R2_SQL_ACCOUNT_ID: 'local', R2_SQL_TOKEN: token, R2_SQL_BUCKET: BUCKET },
    get pid() {
      return running.child.pid!;
    },
    logFile,
    ended,
    async stop() {
      stopping.abort();
      running.child.stdin!.end();
      await ended;
    },
  };
}

/** A process that answers. */
interface Launched {
  url: string;
  child: ChildProcess;
  /** How it ended. */
  ended: Promise<string>;
}

/** Starts the process until one answers; null when `signal` aborts before. */
async function relaunch(options: SqlServiceOptions, logFile: string, signal: AbortSignal): Promise<Launched | null> {
  for (let wait = RESTART_MS; ; wait = Math.min(wait * 2, RESTART_MS_MAX)) {
    await sleep(wait, undefined, { signal }).catch(() => {});
    if (signal.aborted) return null;
    try {
      const launched = await launch(options, logFile);
      // The service was stopped meanwhile.
      if (signal.aborted) launched.child.stdin!.end();
      return launched;
    } catch (error) {
      appendFileSync(logFile, `${messageOf(error)}\n`);
    }
  }
}

/** Starts one process and waits until it answers. Throws when it ends before. */
async function launch(options: SqlServiceOptions, logFile: string): Promise<Launched> {
  const log = openSync(logFile, 'a', 0o600);
  // A process group of its own, so that Ctrl-C does not reach it: closing its input ends it.
  const child = spawn(process.execPath, [PROGRAM], { stdio: ['pipe', 'pipe', log], detached: true });
  const [input, output] = [child.stdin!, child.stdout!];
  closeSync(log);
  const ended = new Promise<string>(resolve => {
    child.once('exit', (code, signal) => resolve(signal ?? `code ${code}`));
    child.once('error', error => resolve(messageOf(error)));
  });
  // Writing to a process that has ended is no error here: `ended` reports it.
  input.on('error', () => {});
  input.write(`${JSON.stringify(options)}\n`);
  const first = once(createInterface({ input: output }), 'line') as Promise<[string]>;
  const line = await Promise.race([first.then(([text]) => text), ended.then(() => null)]);
  if (line === null) throw new Error(`the SQL service ended instead of starting; see ${logFile}`);
  const { url } = JSON.parse(line) as { url: string };
  return { url, child, ended };
}
