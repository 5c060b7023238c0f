import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stripVTControlCharacters } from 'node:util';
import { messageOf } from '../../errors.ts';
import { groupOf, killRuntimeGroup, sendSignal } from './processes.ts';
import { lockState, type StateLock } from './state-lock.ts';
import { applyMigrations, PROJECT, wranglerEnv, wranglerProgram } from './wrangler.ts';

export interface RuntimeOptions {
  /** Everything the runtime keeps: objects, databases, buckets, its log. Made when absent. */
  stateDir: string;
  /** 0 takes a free one. */
  port: number;
  /** The worker's settings, by name. */
  settings: Record<string, string>;
  /** No source runs, nothing is polled. */
  paused?: boolean;
  /** The folder with the worker's `wrangler.jsonc`. */
  project?: string;
  /** Ends the start early. */
  signal?: AbortSignal;
}

/** How the runtime's process ended. */
export interface End {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** A worker that runs on this machine. */
export interface Runtime {
  /** Where it answers, without a slash at the end. */
  url: string;
  port: number;
  stateDir: string;
  /** The launcher: leader of a process group that holds the whole tree. */
  pid: number;
  logFile: string;
  /** Settles when the launcher ends, asked to or not. */
  ended: Promise<End>;
  /** Ends the whole tree; safe to call again. */
  stop(): Promise<void>;
}

const HOST = '127.0.0.1';
const READY_PATH = '/v1/sources';
const READY_MS_MAX = 90_000;
const POLL_MS = 50;
/** Cron triggers do not fire locally; a minute is what `wrangler.jsonc` asks for. */
const CRON_PATH = '/cdn-cgi/local/scheduled';
const CRON_MS = 60_000;
/** The tree has this long to end by itself. */
const STOP_MS_MAX = 8_000;
/** What of a log is shown with a failure. */
const LOG_LINES = 30;

/**
 * Starts the worker on a state folder and waits until it answers. Throws, and leaves nothing behind, when the port is
 * taken, another process holds the folder, or the worker does not start. However this process ends, but by SIGKILL, the
 * tree ends with it; what a SIGKILL leaves is ended by the next start on the folder.
 */
export async function startRuntime(options: RuntimeOptions): Promise<Runtime> {
  const { settings, paused = false, project = PROJECT, signal } = options;
  const stateDir = path.resolve(options.stateDir);
  mkdirSync(stateDir, { recursive: true });
  const port = await freePort(options.port);
  const lock = lockState(stateDir, port);
  // An empty list would mean the default; a lone comma names no source.
  const envFile = writeSettings(stateDir, paused ? { ...settings, SOURCES: ',' } : settings);
  try {
    // The development server does not apply migrations; before it starts nobody else has the database open.
    await applyMigrations({ stateDir, project, ...(signal && { signal }) });
    return await launch({ stateDir, port, project, envFile, lock, paused, ...(signal && { signal }) });
  } catch (error) {
    rmSync(envFile, { force: true });
    lock.release();
    throw error;
  }
}

/** The port itself when nothing listens on it, a free one for 0. Throws when it is taken. */
export async function freePort(port: number): Promise<number> {
  const server = createServer();
  server.listen(port, HOST);
  try {
    await once(server, 'listening');
  } catch (error) {
    throw new Error(`PORT: expected a free port, got ${port}, which cannot be listened on (${messageOf(error)})`);
  }
  const { port: found } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return found;
}

interface Launch {
  stateDir: string;
  port: number;
  project: string;
  envFile: string;
  lock: StateLock;
  paused: boolean;
  signal?: AbortSignal;
}

async function launch({ stateDir, port, project, envFile, lock, paused, signal }: Launch): Promise<Runtime> {
  const logFile = path.join(stateDir, 'runtime.log');
  const flags = ['--port', String(port), '--ip', HOST, '--inspector-port', '0'];
  const files = ['--persist-to', stateDir, '--env-file', envFile];
  const log = openSync(logFile, 'w', 0o600);
  const launcher = spawn(
    process.execPath,
    [wranglerProgram(), 'dev', ...flags, ...files, '--show-interactive-dev-session=false'],
    // A group of its own: a terminal's Ctrl-C reaches this process only, and the group can be ended as a whole.
    { cwd: project, env: wranglerEnv(stateDir), stdio: ['ignore', log, log], detached: true },
  );
  closeSync(log);
  const ended = endOf(launcher);
  const group = launcher.pid ?? 0;
  if (group > 0) lock.setGroup(group);
  const killGroup = () => killRuntimeGroup(group);
  process.once('exit', killGroup);
  const url = `http://${HOST}:${port}`;
  const cron = new AbortController();
  let stopping: Promise<void> | null = null;
  const stop = () => {
    stopping ??= endGroup(launcher).finally(() => {
      cron.abort();
      process.off('exit', killGroup);
      rmSync(envFile, { force: true });
      lock.release();
    });
    return stopping;
  };
  try {
    await ready({ url, ended, logFile, paused, ...(signal && { signal }) });
  } catch (error) {
    await stop();
    throw error;
  }
  void runCron(url, cron.signal);
  return { url, port, stateDir, pid: group, logFile, ended, stop };
}

/** Waits until the worker answers its status. Throws with the end of the log when it ends or takes too long. */
async function ready(options: {
  url: string;
  ended: Promise<End>;
  logFile: string;
  paused: boolean;
  signal?: AbortSignal;
}): Promise<void> {
  const { url, ended, logFile, paused, signal } = options;
  const deadline = Date.now() + READY_MS_MAX;
  let gone = false;
  void ended.then(() => {
    gone = true;
  });
  let seen = 'no answer';
  while (Date.now() < deadline) {
    signal?.throwIfAborted();
    if (gone) throw new Error(`the runtime ended instead of starting; the end of ${logFile}:\n${tailOf(logFile)}`);
    // The development server waits for the code to be corrected; nobody is going to here.
    if (tailOf(logFile).includes('Build failed')) throw new Error(`the worker cannot be built:\n${tailOf(logFile)}`);
    try {
      const response = await fetch(`${url}${READY_PATH}`, { signal: AbortSignal.timeout(5_000) });
      await response.arrayBuffer();
      // The lake can be read whatever is wrong with a setting of a source that does not run.
      if (response.ok || paused) return;
      seen = `status ${response.status}`;
    } catch {
      // Nobody listens yet.
    }
    await sleep(POLL_MS);
  }
  throw new Error(
    `the runtime: expected ${READY_PATH} to be answered within ${READY_MS_MAX / 1000} s, got ${seen}; ` +
      `the end of ${logFile}:\n${tailOf(logFile)}`,
  );
}

async function runCron(url: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      const response = await fetch(`${url}${CRON_PATH}`, {
        signal: AbortSignal.any([signal, AbortSignal.timeout(CRON_MS)]),
      });
      await response.arrayBuffer();
    } catch {
      // The runtime is restarting or ending; the next minute tries again.
    }
    await sleep(CRON_MS, undefined, { signal, ref: false }).catch(() => {});
  }
}

async function endOf(child: ChildProcess): Promise<End> {
  return new Promise(resolve => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
    child.once('error', () => resolve({ code: null, signal: null }));
  });
}

/** Asks the launcher to end, which ends its tree, and kills what of the group is still there after a while. */
async function endGroup(launcher: ChildProcess): Promise<void> {
  const group = launcher.pid;
  if (group === undefined) return;
  // A launcher that was killed has left its children behind: they are asked themselves.
  const orphaned = launcher.exitCode !== null || launcher.signalCode !== null;
  for (const pid of orphaned ? groupOf(group).map(member => member.pid) : [group]) sendSignal(pid, 'SIGTERM');
  const deadline = Date.now() + STOP_MS_MAX;
  while (groupOf(group).length > 0) {
    if (Date.now() > deadline) killRuntimeGroup(group);
    await sleep(POLL_MS);
  }
}

/** Settings go through a file that only the owner can read: a process list shows arguments. */
function writeSettings(stateDir: string, settings: Record<string, string>): string {
  const file = path.join(stateDir, 'settings.env');
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${quote(name, value)}\n`);
  rmSync(file, { force: true });
  writeFileSync(file, lines.join(''), { mode: 0o600 });
  return file;
}

function quote(name: string, value: string): string {
  const mark = ["'", '`', '"'].find(candidate => !value.includes(candidate));
  if (mark === undefined || /[\r\n\\]/.test(value)) {
    throw new Error(`${name}: expected a value on one line, without backslash, and not with all of ' " and \``);
  }
  // The reader of the file replaces $NAME unless the $ is escaped.
  return `${mark}${value.replaceAll('$', '\\$')}${mark}`;
}

function tailOf(logFile: string): string {
  return stripVTControlCharacters(readFileSync(logFile, 'utf8')).trimEnd().split('\n').slice(-LOG_LINES).join('\n');
}
