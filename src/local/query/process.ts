import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { readSqlSettings } from '../../sql/settings.ts';
import { cacheDirOf, type LakeAddress, localAddress } from './lake.ts';
import type { SqlServiceOptions } from './service.ts';

/** A process that answers R2 SQL's HTTP API over the lake of a local runtime. */
export interface SqlProcess {
  /** The worker's settings that name this service. */
  settings: Record<string, string>;
  pid: number;
  logFile: string;
  /** Resolves when the process ends, for whatever reason. */
  ended: Promise<void>;
  stop(): Promise<void>;
}

/** The bucket that `localAddress` names. */
const BUCKET = 'data-ingestion';
const PROGRAM = path.join(import.meta.dirname, 'service.ts');

/**
 * Starts the process for the runtime that has, or will have, this port and state folder; null when settings name a
 * service already. It ends with this process, also when this one is killed.
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
  const log = openSync(logFile, 'w', 0o600);
  // A process group of its own, so that Ctrl-C does not reach it: closing its input ends it.
  const child = spawn(process.execPath, [PROGRAM], { stdio: ['pipe', 'pipe', log], detached: true });
  const [input, output] = [child.stdin!, child.stdout!];
  closeSync(log);
  const ended = new Promise<void>(resolve => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  // Writing to a process that has ended is no error here: `ended` reports it.
  input.on('error', () => {});
  const token = randomBytes(32).toString('hex');
  const lake = localAddress(port, s3Keys);
  const serviceOptions: SqlServiceOptions = { lake, cacheDir: cacheDirOf(path.resolve(stateDir)), namespace, token };
  input.write(`${JSON.stringify(serviceOptions)}\n`);
  const first = once(createInterface({ input: output }), 'line') as Promise<[string]>;
  const line = await Promise.race([first.then(([text]) => text), ended.then(() => null)]);
  if (line === null) throw new Error(`the SQL service ended instead of starting; see ${logFile}`);
  const { url } = JSON.parse(line) as { url: string };
  return {
    settings: { R2_SQL_URL: url, R2_SQL_ACCOUNT_ID: 'local', R2_SQL_TOKEN: token, R2_SQL_BUCKET: BUCKET },
    pid: child.pid!,
    logFile,
    ended,
    async stop() {
      input.end();
      await ended;
    },
  };
}
