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
  /** The folder of its objects, databases, buckets and log. Created when absent. */
  stateDir: string;
  /** 0 takes a free port. */
  port: number;
  /** The worker's settings, by name. */
  settings: Record<string, string>;
  /** Whether no source runs. */
  paused?: boolean;
  /** The folder with the worker's `wrangler.jsonc`. */
  project?: string;
  /** Ends the start early. */
  signal?: AbortSignal;
}

/** How the runtime's process ended. */
export interface RuntimeEnd {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** A worker that runs on this machine. */
export interface Runtime {
  /** Without a slash at the end. */
  url: string;
  port: number;
  stateDir: string;
  /** The launcher, which leads the process group of the whole tree. */
  pid: number;
  logFile: string;
  /** Resolves when the launcher ends, for whatever reason. */
  ended: Promise<RuntimeEnd>;
  /** Ends the whole tree; safe to call again. */
  stop(): Promise<void>;
}

const HOST = '127.0.0.1';
const READY_PATH = '/v1/sources';
const READY_MS_MAX = 90_000;
const POLL_MS = 50;
/** A local runtime does not fire cron triggers, so their path is called each minute, as `wrangler.jsonc` asks. */
const CRON_PATH = '/cdn-cgi/local/scheduled';
const CRON_MS = 60_000;
/** After this time the tree is killed. */
const STOP_MS_MAX = 8_000;
/** How many lines of its log a failure shows. */
const LOG_LINES = 30;

/**
 * Starts the worker on a state folder and waits until it answers. Throws, and leaves nothing behind, when the port is
 * taken, another process holds the folder, or the worker does not start. The tree ends with this process; after a
 * SIGKILL of this process the next start on the folder ends it.
 */
export async function startRuntime(options: RuntimeOptions): Promise<Runtime> {
  const { settings, paused = false, project = PROJECT, signal } = options;
  const stateDir = path.resolve(options.stateDir);
  mkdirSync(stateDir, { recursive: true });
  const port = await freePort(options.port);
  const lock = lockState(stateDir, port);
  // An empty SOURCES would mean the default; a lone comma names no source.
  const envFile = writeSettings(stateDir, paused ? { ...settings, SOURCES: ',' } : settings);
  try {
    // Apply migrations before the start: the development server does not, and nothing else has the database open yet.
    await applyMigrations({ stateDir, project, ...(signal && { signal }) });
    return await launch({ stateDir, port, project, envFile, lock, paused, ...(signal && { signal }) });
  } catch (error) {
    rmSync(envFile, { force: true });
    lock.release();
    throw error;
  }
}

/** The port itself where it is free, a free one for 0. Throws when the port is taken. */
export async function freePort(port: number): Promise<number> {
  const server = createServer();
  server.listen(port, HOST);
  try {
    await once(server, 'listening');
  } catch (error) {
    throw new Error(`PORT: expected a free port, got ${port} (${messageOf(error)})`);
  }
  const { port: found } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return found;
}

interface LaunchOptions {
  stateDir: string;
  port: number;
  project: string;
  envFile: string;
  lock: StateLock;
  paused: boolean;
  signal?: AbortSignal;
}

async function launch({ stateDir, port, project, envFile, lock, paused, signal }: LaunchOptions): Promise<Runtime> {
  const logFile = path.join(stateDir, 'runtime.log');
  const flags = ['--port', String(port), '--ip', HOST, '--inspector-port', '0'];
  const files = ['--persist-to', stateDir, '--env-file', envFile];
  const log = openSync(logFile, 'w', 0o600);
  const launcher = spawn(
    process.execPath,
    [wranglerProgram(), 'dev', ...flags, ...files, '--show-interactive-dev-session=false'],
    // A process group of its own: Ctrl-C in the terminal reaches this process only, and the whole group can be ended.
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
    await untilReady({ url, ended, logFile, paused, ...(signal && { signal }) });
  } catch (error) {
    await stop();
    throw error;
  }
  void runCron(url, cron.signal);
  return { url, port, stateDir, pid: group, logFile, ended, stop };
}

/** Waits until the worker answers. Throws with the end of the log when it ends or takes too long. */
async function untilReady(options: {
  url: string;
  ended: Promise<RuntimeEnd>;
  logFile: string;
  paused: boolean;
  signal?: AbortSignal;
}): Promise<void> {
  const { url, ended, logFile, paused, signal } = options;
  const deadline = Date.now() + READY_MS_MAX;
  let hasEnded = false;
  void ended.then(() => {
    hasEnded = true;
  });
  let answer = 'no answer';
  while (Date.now() < deadline) {
    signal?.throwIfAborted();
    if (hasEnded)
      throw new Error(`runtime: expected it to start, got an early end; the end of ${logFile}:\n${logEndOf(logFile)}`);
    // After a failed build the development server waits for a change of the code, so it never answers.
    if (logEndOf(logFile).includes('Build failed'))
      throw new Error(`worker: expected its build to succeed, got:\n${logEndOf(logFile)}`);
    try {
      const response = await fetch(`${url}${READY_PATH}`, { signal: AbortSignal.timeout(5_000) });
      await response.arrayBuffer();
      // In a paused runtime a wrong setting of a source does not matter: the lake can be read.
      if (response.ok || paused) return;
      answer = `status ${response.status}`;
    } catch {
      // The worker does not listen yet.
    }
    await sleep(POLL_MS);
  }
  throw new Error(
    `runtime: expected an answer to ${READY_PATH} within ${READY_MS_MAX / 1000} s, got ${answer}; ` +
      `the end of ${logFile}:\n${logEndOf(logFile)}`,
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
      // The runtime is restarting or ending; try again in a minute.
    }
    await sleep(CRON_MS, undefined, { signal, ref: false }).catch(() => {});
  }
}

async function endOf(child: ChildProcess): Promise<RuntimeEnd> {
  return new Promise(resolve => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
    child.once('error', () => resolve({ code: null, signal: null }));
  });
}

/** Sends the launcher SIGTERM, on which it ends its tree, and after a while kills the rest of the group. */
async function endGroup(launcher: ChildProcess): Promise<void> {
  const group = launcher.pid;
  if (group === undefined) return;
  // A killed launcher leaves its children behind, so they get the signal themselves.
  const orphaned = launcher.exitCode !== null || launcher.signalCode !== null;
  for (const pid of orphaned ? groupOf(group).map(member => member.pid) : [group]) sendSignal(pid, 'SIGTERM');
  const deadline = Date.now() + STOP_MS_MAX;
  while (groupOf(group).length > 0) {
    if (Date.now() > deadline) killRuntimeGroup(group);
    await sleep(POLL_MS);
  }
}

/** Writes the settings to a file that only the owner can read, because a process list shows arguments. */
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
  // The file's reader replaces $NAME unless the $ is escaped.
  return `${mark}${value.replaceAll('$', '\\$')}${mark}`;
}

function logEndOf(logFile: string): string {
  return stripVTControlCharacters(readFileSync(logFile, 'utf8')).trimEnd().split('\n').slice(-LOG_LINES).join('\n');
}
