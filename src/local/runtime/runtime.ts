import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, renameSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stripVTControlCharacters } from 'node:util';
import { LOCAL_MARK } from '../../config.ts';
import type { LaunchOptions } from './launcher.ts';
import { freePort, HOST } from './port.ts';
import { groupOf, killRuntimeGroup, sendSignal } from './processes.ts';
import { newS3Keys, type S3Keys } from './s3-keys.ts';
import { forgetAdminToken, keptAdminToken, makeStateFolder } from './state-folder.ts';
import { lockState, type StateLock } from './state-lock.ts';
import { applyMigrations, PROJECT, wranglerEnv } from './wrangler.ts';

export interface RuntimeOptions {
  /** The folder of its objects, databases, buckets and log. Created when absent, and closed to other users. */
  stateDir: string;
  /** 0 takes a free port. */
  port: number;
  /** The worker's settings, by name. Without ADMIN_TOKEN it gets the token that the state folder keeps. */
  settings: Record<string, string>;
  /** With which keys its buckets answer over S3; new ones where there are none. */
  s3Keys?: S3Keys;
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
  /** What its controls and queries need. */
  token: string;
  s3Keys: S3Keys;
  /** The launcher, which leads the process group of the whole tree. */
  pid: number;
  logFile: string;
  /** Resolves when the launcher ends, for whatever reason. */
  ended: Promise<RuntimeEnd>;
  /** Ends the whole tree; safe to call again. */
  stop(): Promise<void>;
}

const LAUNCHER = path.join(import.meta.dirname, 'launcher.ts');
const READY_PATH = '/v1/sources';
const READY_MS_MAX = 90_000;
const POLL_MS = 50;
/** A local runtime does not fire cron triggers, so their path is called each minute, as `wrangler.jsonc` asks. */
const CRON_PATH = '/cdn-cgi/local/scheduled';
const CRON_MS = 60_000;
/** After this time the tree is killed. */
const STOP_MS_MAX = 8_000;
/** What the log says when the worker's code cannot be built, or throws when it is loaded. */
const START_FAILED = /Build failed|service core:user:\S+: /;
/** How many lines of its log a failure shows. */
const LOG_LINES = 30;

/**
 * Starts the worker on a state folder and waits until it answers. Throws, and leaves nothing behind, when the port is
 * taken, another process holds the folder, or the worker does not start. The tree ends with this process, also after a
 * SIGKILL; what is left when the launcher is killed as well, the next start on the folder ends.
 */
export async function startRuntime(options: RuntimeOptions): Promise<Runtime> {
  const { project = PROJECT, signal } = options;
  const stateDir = path.resolve(options.stateDir);
  makeStateFolder(stateDir);
  // Lock before the port is tried: what an earlier start on this folder left may hold it.
  const lock = await lockState(stateDir, options.port);
  try {
    const port = await freePort(options.port);
    const s3Keys = options.s3Keys ?? newS3Keys();
    lock.record({ port, s3Keys });
    // Apply migrations before the start: the development server does not, and nothing else has the database open yet.
    await applyMigrations({ stateDir, project, ...(signal && { signal }) });
    const settings = runtimeSettings(stateDir, options);
    return await launch({ options, stateDir, port, settings, s3Keys, lock, token: settings.ADMIN_TOKEN! });
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** The worker's settings with its token, and the mark of a worker of this machine. */
function runtimeSettings(stateDir: string, { settings, paused = false }: RuntimeOptions): Record<string, string> {
  if (settings.ADMIN_TOKEN) forgetAdminToken(stateDir);
  const token = settings.ADMIN_TOKEN || keptAdminToken(stateDir);
  const all: Record<string, string> = { ...settings, ADMIN_TOKEN: token, [LOCAL_MARK]: 'true' };
  // An empty SOURCES would mean the default; a lone comma names no source.
  if (paused) all.SOURCES = ',';
  return all;
}

interface RuntimeLaunch {
  options: RuntimeOptions;
  stateDir: string;
  port: number;
  settings: Record<string, string>;
  token: string;
  s3Keys: S3Keys;
  lock: StateLock;
}

async function launch({ options, stateDir, port, settings, token, s3Keys, lock }: RuntimeLaunch): Promise<Runtime> {
  const { project = PROJECT, paused = false, signal } = options;
  const logFile = path.join(stateDir, 'runtime.log');
  // Keep the log of the run before: it says why that run ended.
  if (existsSync(logFile)) renameSync(logFile, path.join(stateDir, 'runtime.previous.log'));
  const log = openSync(logFile, 'w', 0o600);
  // A process group of its own: Ctrl-C in the terminal reaches this process only, and the whole group can be ended.
  const launcher = spawn(process.execPath, [LAUNCHER], {
    cwd: project,
    env: wranglerEnv(stateDir),
    stdio: ['pipe', log, log],
    detached: true,
  });
  closeSync(log);
  const ended = endOf(launcher);
  const group = launcher.pid ?? 0;
  if (group > 0) lock.record({ group });
  const config = path.join(project, 'wrangler.jsonc');
  const launchOptions: LaunchOptions = { config, stateDir, host: HOST, port, settings, s3Keys };
  // Writing to a launcher that has ended is no error here: `ended` reports it.
  launcher.stdin!.on('error', () => {});
  launcher.stdin!.write(`${JSON.stringify(launchOptions)}\n`);
  const killGroup = () => void killRuntimeGroup(group);
  process.once('exit', killGroup);
  const url = `http://${HOST}:${port}`;
  const cron = new AbortController();
  let stopping: Promise<void> | null = null;
  const stop = () => {
    stopping ??= endGroup(launcher).finally(() => {
      cron.abort();
      process.off('exit', killGroup);
      lock.release();
    });
    return stopping;
  };
  try {
    await untilReady({ url, token, ended, logFile, paused, ...(signal && { signal }) });
  } catch (error) {
    await stop();
    throw error;
  }
  void runCron(url, cron.signal);
  return { url, port, stateDir, token, s3Keys, pid: group, logFile, ended, stop };
}

/** Waits until the worker answers. Throws with the end of the log when it ends or takes too long. */
async function untilReady(options: {
  url: string;
  token: string;
  ended: Promise<RuntimeEnd>;
  logFile: string;
  paused: boolean;
  signal?: AbortSignal;
}): Promise<void> {
  const { url, token, ended, logFile, paused, signal } = options;
  const headers = { authorization: `Bearer ${token}` };
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
    // After a failed build or start the development server waits for a change of the code, so it never answers.
    if (START_FAILED.test(logEndOf(logFile)))
      throw new Error(`worker: expected its code to start, got:\n${logEndOf(logFile)}`);
    try {
      const response = await fetch(`${url}${READY_PATH}`, { headers, signal: AbortSignal.timeout(5_000) });
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

function logEndOf(logFile: string): string {
  return stripVTControlCharacters(readFileSync(logFile, 'utf8')).trimEnd().split('\n').slice(-LOG_LINES).join('\n');
}
