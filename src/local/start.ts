import { mkdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SourceStatus } from '../contract/source.ts';
import { messageOf } from '../errors.ts';
import type { Source } from '../sources/source.ts';
import { plainText, runProgram } from './program.ts';
import { type SqlProcess, startSqlProcess } from './query/process.ts';
import { freePort, type Runtime, startRuntime } from './runtime/runtime.ts';
import {
  type Environment,
  enabledSources,
  readLocalSettings,
  upstreamUrls,
  withRegistry,
  workerSettings,
} from './settings.ts';
import { fetchStatuses, statusLine } from './status.ts';

const LOOK_MS = 1_000;
/** A source whose state stays the same gets a line this often. */
const LINE_MS = 10_000;
const PROBE_MS_MAX = 5_000;

/**
 * Starts the worker with the settings of an environment and tells what its sources do until `signal` asks it to end.
 * Gives the program's exit code.
 */
export async function runStart(
  env: Environment,
  { signal, write }: { signal: AbortSignal; write: (line: string) => void },
): Promise<number> {
  const { port: wanted, stateDir } = readLocalSettings(env);
  const settings = workerSettings(withRegistry(env));
  const sources = enabledSources(settings);
  // Known before either starts: the SQL service reads the lake there, and the worker is told where the service is.
  const port = await freePort(wanted);
  mkdirSync(stateDir, { recursive: true });
  write(`Starting ${sources.map(source => source.id).join(', ') || 'without a source'} …`);
  const sql = await startSqlProcess({ settings, port, stateDir });
  try {
    const runtime = await startRuntime({ stateDir, port, settings: { ...settings, ...sql?.settings }, signal });
    return await follow(runtime, { stateDir, sql, sources, settings, signal, write });
  } finally {
    await sql?.stop();
  }
}

interface Following {
  stateDir: string;
  sql: SqlProcess | null;
  sources: Source[];
  settings: Record<string, string>;
  signal: AbortSignal;
  write: (line: string) => void;
}

/** Tells what the sources do until `signal` asks to end, or the runtime does so by itself. */
async function follow(
  runtime: Runtime,
  { stateDir, sql, sources, settings, signal, write }: Following,
): Promise<number> {
  write(`Running on ${runtime.url}, state in ${stateDir}, log in ${runtime.logFile}`);
  write(`  status  ${runtime.url}/v1/sources`);
  write('  query   npm run sql -- "SELECT name, version FROM npm_package LIMIT 10"');
  write('  stop    Ctrl-C');
  if (!settings.CONTACT)
    write('  CONTACT is not set: no upstream can tell who asks; set it to a URL or an address of yours.');
  void sql?.ended.then(() => {
    if (!signal.aborted) write(`The SQL service ended (see ${sql.logFile}): /v1/sql answers after the next start.`);
  });
  let isDown = false;
  void runtime.ended.then(() => {
    isDown = true;
  });
  const teller = makeTeller({ sources, settings, write });
  while (!signal.aborted && !isDown) {
    try {
      for (const status of await fetchStatuses(runtime.url)) await teller.tell(status);
    } catch (error) {
      teller.tellSilence(error);
    }
    await sleep(LOOK_MS, undefined, { signal }).catch(() => {});
  }
  return isDown && !signal.aborted ? tellEnd(runtime, write) : stop(runtime, write);
}

async function stop(runtime: Runtime, write: (line: string) => void): Promise<number> {
  write('Stopping …');
  await runtime.stop();
  write('Stopped; the next start goes on from here.');
  return 0;
}

async function tellEnd(runtime: Runtime, write: (line: string) => void): Promise<number> {
  const { code, signal } = await runtime.ended;
  await runtime.stop();
  write(`The runtime ended by itself (${signal ?? `code ${code}`}); see ${runtime.logFile}`);
  return 1;
}

interface Teller {
  tell(status: SourceStatus): Promise<void>;
  tellSilence(error: unknown): void;
}

/** Writes a line when a source's state or error changes, and one every now and then. */
function makeTeller(options: {
  sources: Source[];
  settings: Record<string, string>;
  write(line: string): void;
}): Teller {
  const { sources, settings, write } = options;
  const last = new Map<string, { seen: string; toldAt: number }>();
  let silence: string | null = null;
  return {
    async tell(status) {
      silence = null;
      const { source: id, state, last_error: error } = status;
      const before = last.get(id);
      // Between two attempts the state goes back and forth; the failure is the same.
      const isRetrying = error.kind !== null && state !== 'stalled' && state !== 'paused';
      const seen = JSON.stringify([isRetrying ? 'retrying' : state, error.kind, withoutReference(error.reason)]);
      const isNew = before?.seen !== seen;
      if (!isNew && Date.now() - before.toldAt < LINE_MS) return;
      const source = sources.find(candidate => candidate.id === id);
      // A source that is not enabled is told once.
      if (source === undefined && before !== undefined && !isNew) return;
      last.set(id, { seen, toldAt: Date.now() });
      write(`${clock()}  ${statusLine(status)}`);
      if (!isNew || error.kind === null) return;
      const reason = plainText(error.reason ?? error.kind);
      if (error.kind === 'upstream-unreachable' && source !== undefined) {
        write(`${clock()}  ${await unreachable(source, settings, reason)}`);
      } else {
        write(`${clock()}  ${id}  ${error.kind}: ${reason} ${error.hint ?? ''}`.trimEnd());
      }
    },
    tellSilence(error) {
      const reason = messageOf(error);
      if (silence !== reason) write(`${clock()}  The worker does not answer (${reason}); it is asked again.`);
      silence = reason;
    },
  };
}

/** Says which upstream cannot be reached from this machine, and what works without a network. */
async function unreachable(source: Source, settings: Record<string, string>, reason: string): Promise<string> {
  const urls = upstreamUrls(source, settings);
  const failures = await Promise.all(urls.map(probe));
  const down = urls.filter((_, i) => failures[i] !== null).map((url, i) => `${url} (${failures.filter(Boolean)[i]})`);
  const which = down.length > 0 ? down.join(', ') : `its upstream: ${reason}`;
  return `${source.id}  cannot reach ${which}. It goes on by itself once that answers; npm run demo needs no network.`;
}

/** Why a URL's host cannot be reached; null when it answers, whatever it says. */
async function probe(url: string): Promise<string | null> {
  try {
    const response = await fetch(url, {
      method: 'HEAD',
      redirect: 'manual',
      signal: AbortSignal.timeout(PROBE_MS_MAX),
    });
    await response.arrayBuffer();
    return null;
  } catch (error) {
    return messageOf((error as Error).cause ?? error);
  }
}

/** The runtime gives each of its internal errors a reference of its own, which makes the same failure no news. */
function withoutReference(reason: string | null): string | null {
  return reason?.replace(/; reference = \w+/, '') ?? null;
}

function clock(): string {
  return new Date().toTimeString().slice(0, 8);
}

if (import.meta.main) {
  await runProgram(signal => runStart(process.env, { signal, write: line => void process.stdout.write(`${line}\n`) }));
}
