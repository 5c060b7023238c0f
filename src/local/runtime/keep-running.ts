import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../errors.ts';
import type { Runtime } from './runtime.ts';

/** A runtime that does not answer for this long is started again. Its longest pauses, for a data file, take seconds. */
const SILENT_MS_MAX = 20_000;
const PROBE_MS = 2_000;
const PROBE_MS_MAX = 5_000;
/** The wait before another start after one that failed: it doubles from the first of these to the last. */
const START_WAIT_MS_MIN = 1_000;
const START_WAIT_MS_MAX = 60_000;

export interface KeepOptions {
  /** Starts the runtime, each time on the same state and port. */
  start(): Promise<Runtime>;
  /** Uses a runtime until `signal` aborts, which it does as well when the runtime is lost. */
  use(runtime: Runtime, signal: AbortSignal): Promise<void>;
  /** Gets a line whenever the runtime is started again. */
  write(line: string): void;
  signal: AbortSignal;
  silentMsMax?: number;
  probeMs?: number;
}

/**
 * Keeps a runtime running until `signal` aborts: one that ends, or no longer answers while its processes live, is
 * stopped as a tree and started again. Gives the last one, for the caller to stop. Throws when the first start fails.
 */
export async function keepRunning(options: KeepOptions): Promise<Runtime | null> {
  const { start, use, write, signal } = options;
  let runtime: Runtime | null = await start();
  while (runtime !== null && !signal.aborted) {
    const lost = new AbortController();
    const using = use(runtime, AbortSignal.any([signal, lost.signal]));
    const reason = await untilLost(runtime, options);
    lost.abort();
    await using;
    if (reason === null) return runtime;
    write(`${reason}: its processes are stopped, and it starts again on the same state.`);
    await runtime.stop();
    runtime = await startAgain(options);
    if (runtime !== null) write(`Running again on ${runtime.url}`);
  }
  return runtime;
}

/** Starts the runtime, and tries again with growing waits where that fails; null when `signal` aborts meanwhile. */
async function startAgain({ start, write, signal }: KeepOptions): Promise<Runtime | null> {
  for (let waitMs = START_WAIT_MS_MIN; ; waitMs = Math.min(waitMs * 2, START_WAIT_MS_MAX)) {
    try {
      return await start();
    } catch (error) {
      if (signal.aborted) return null;
      write(`The runtime does not start (${messageOf(error)}); trying again in ${waitMs / 1000} s.`);
    }
    await sleep(waitMs, undefined, { signal }).catch(() => {});
    if (signal.aborted) return null;
  }
}

/** Waits until a runtime ends or has not answered for too long, and says which; null when `signal` aborts. */
async function untilLost(
  runtime: Runtime,
  { signal, silentMsMax = SILENT_MS_MAX, probeMs = PROBE_MS }: Pick<KeepOptions, 'signal' | 'silentMsMax' | 'probeMs'>,
): Promise<string | null> {
  const ended = new AbortController();
  let end = '';
  void runtime.ended.then(({ code, signal: name }) => {
    end = `The runtime ended by itself (${name ?? `code ${code}`}; its last lines are in runtime.previous.log)`;
    ended.abort();
  });
  const waiting = AbortSignal.any([signal, ended.signal]);
  // A clock that stops while the machine sleeps.
  let answeredAt = performance.now();
  while (!signal.aborted) {
    if (end !== '') return end;
    if (await answers(runtime.url, waiting)) answeredAt = performance.now();
    else if (performance.now() - answeredAt >= silentMsMax && end === '' && !signal.aborted)
      return `The runtime has not answered for ${Math.round(silentMsMax / 1000)} s, though its process ${runtime.pid} lives`;
    await sleep(probeMs, undefined, { signal: waiting }).catch(() => {});
  }
  return null;
}

/** Whether the worker itself answers. Without it, what holds the port may still answer with a status of 500 or more. */
async function answers(url: string, signal: AbortSignal): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(PROBE_MS_MAX)]) });
    await response.body?.cancel();
    return response.status < 500;
  } catch {
    return false;
  }
}
