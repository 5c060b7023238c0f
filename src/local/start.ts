import { setTimeout as sleep } from 'node:timers/promises';
import type { SourceStatus } from '../contract/source.ts';
import { messageOf } from '../errors.ts';
import type { Source } from '../sources/source.ts';
import { plainText, runProgram } from './program.ts';
import { startSqlProcess } from './query/process.ts';
import { keepRunning } from './runtime/keep-running.ts';
import { freePort } from './runtime/port.ts';
import { type Runtime, startRuntime } from './runtime/runtime.ts';
import { newS3Keys } from './runtime/s3-keys.ts';
import { makeStateFolder, tokenPath } from './runtime/state-folder.ts';
import { lockState } from './runtime/state-lock.ts';
import {
  type Environment,
  enabledSources,
  readLocalSettings,
  upstreamUrls,
  withLocalSettings,
  workerSettings,
} from './settings.ts';
import { demoOf } from './source-files.ts';
import { fetchStatuses, statusLine } from './status.ts';

const POLL_MS = 1_000;
/** A source whose state stays the same gets a line this often. */
const LINE_MS = 10_000;
const PROBE_MS_MAX = 5_000;

/**
 * Starts the worker with the settings of an environment and writes lines about its sources until `signal` aborts. Gives
 * the program's exit code.
 */
export async function runStart(
  env: Environment,
  { signal, write }: { signal: AbortSignal; write: (line: string) => void },
): Promise<number> {
  const { port: wanted, stateDir } = readLocalSettings(env);
  const settings = workerSettings(await withLocalSettings(env));
  const sources = enabledSources(settings);
  makeStateFolder(stateDir);
  // Take the lock once: that ends what an earlier start on this folder left, which may hold the port.
  (await lockState(stateDir, wanted)).release();
  // Fix port and keys before both start: the SQL service reads the lake there, and the worker gets the service's address.
  const port = await freePort(wanted);
  const s3Keys = newS3Keys();
  write(`Starting ${sources.map(source => source.id).join(', ') || 'without a source'} …`);
  const sql = await startSqlProcess({ settings, port, s3Keys, stateDir });
  void sql?.ended.then(() => {
    if (!signal.aborted) write(`The SQL service ended (see ${sql.logFile}): /v1/sql answers after the next start.`);
  });
  const start = () =>
    startRuntime({ stateDir, port, s3Keys, settings: Object.assign({}, settings, sql?.settings), signal });
  let isFirst = true;
  try {
    const last = await keepRunning({
      start,
      async use(runtime, lost) {
        if (isFirst) await introduce(runtime, { stateDir, sources, settings, write });
        isFirst = false;
        await follow(runtime, { sources, settings, signal: lost, write });
      },
      write: line => write(`${clock()}  ${line}`),
      signal,
    });
    write('Stopping …');
    await last?.stop();
    write('Stopped; the next start goes on from here.');
    return 0;
  } finally {
    await sql?.stop();
  }
}

interface FollowOptions {
  sources: Source[];
  settings: Record<string, string>;
  write: (line: string) => void;
}

/** Says where the worker answers, and how to ask it. */
async function introduce(
  runtime: Runtime,
  { stateDir, sources, settings, write }: FollowOptions & { stateDir: string },
): Promise<void> {
  write(`Running on ${runtime.url}, state in ${stateDir}, log in ${runtime.logFile}`);
  write(`  status  ${runtime.url}/v1/sources`);
  const example = sources[0] && (await demoOf(sources[0].id))?.example;
  if (example) write(`  query   npm run sql -- "${example}"`);
  if (!settings.ADMIN_TOKEN) write(`  token   in ${tokenPath(stateDir)}, for requests that change something`);
  write('  stop    Ctrl-C');
  if (!settings.CONTACT)
    write('  CONTACT is not set: no upstream can tell who asks; set it to a URL or an address of yours.');
}

/** Writes lines about the sources until `signal` aborts. */
async function follow(
  runtime: Runtime,
  { sources, settings, signal, write }: FollowOptions & { signal: AbortSignal },
): Promise<void> {
  const reporter = makeReporter({ sources, settings, write });
  while (!signal.aborted) {
    try {
      for (const status of await fetchStatuses(runtime.url, runtime.token)) await reporter.report(status);
    } catch (error) {
      reporter.reportNoAnswer(error);
    }
    await sleep(POLL_MS, undefined, { signal }).catch(() => {});
  }
}

interface Reporter {
  report(status: SourceStatus): Promise<void>;
  reportNoAnswer(error: unknown): void;
}

/** Writes a line when a source's state or error changes, and one every ten seconds. */
function makeReporter(options: {
  sources: Source[];
  settings: Record<string, string>;
  write(line: string): void;
}): Reporter {
  const { sources, settings, write } = options;
  const reported = new Map<string, { condition: string; writtenAt: number }>();
  let noAnswer: string | null = null;
  return {
    async report(status) {
      noAnswer = null;
      const { source: id, state, last_error: error } = status;
      const before = reported.get(id);
      // Between two attempts the state goes back and forth; the failure is the same.
      const isRetrying = error.kind !== null && state !== 'stalled' && state !== 'paused';
      const shownState = isRetrying ? 'retrying' : state;
      const condition = JSON.stringify([shownState, error.kind, withoutReference(error.reason)]);
      const isNew = before?.condition !== condition;
      if (!isNew && Date.now() - before.writtenAt < LINE_MS) return;
      const source = sources.find(candidate => candidate.id === id);
      // A source that is not enabled gets a line only when it changes.
      if (source === undefined && before !== undefined && !isNew) return;
      reported.set(id, { condition, writtenAt: Date.now() });
      write(`${clock()}  ${statusLine(status)}`);
      if (!isNew || error.kind === null) return;
      const reason = plainText(error.reason ?? error.kind);
      if (error.kind === 'upstream-unreachable' && source !== undefined) {
        write(`${clock()}  ${await unreachable(source, settings, reason)}`);
      } else {
        const hint = error.hint === null ? '' : `. ${error.hint}`;
        write(`${clock()}  ${id}  ${error.kind}: ${reason}${hint}`);
      }
    },
    reportNoAnswer(error) {
      const reason = messageOf(error);
      if (noAnswer !== reason) write(`${clock()}  The worker does not answer (${reason}); trying again.`);
      noAnswer = reason;
    },
  };
}

/** Says which upstream this machine cannot reach, and what works without a network. */
async function unreachable(source: Source, settings: Record<string, string>, reason: string): Promise<string> {
  const urls = upstreamUrls(source, settings);
  const failures = await Promise.all(urls.map(probe));
  const down = urls.map((url, i) => `${url} (${failures[i]})`).filter((_, i) => failures[i] !== null);
  const which = down.length > 0 ? down.join(', ') : `its upstream: ${reason}`;
  return `${source.id}  cannot reach ${which}. It goes on by itself once that answers; npm run demo needs no network.`;
}

/** Why a URL's host cannot be reached; null when it answers, with whatever status. */
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

/** An error's text without the runtime's reference, which differs each time that the same error happens. */
function withoutReference(reason: string | null): string | null {
  return reason?.replace(/; reference = \w+/, '') ?? null;
}

function clock(): string {
  return new Date().toTimeString().slice(0, 8);
}

if (import.meta.main) {
  await runProgram(signal => runStart(process.env, { signal, write: line => void process.stdout.write(`${line}\n`) }));
}
