import { setTimeout as sleep } from 'node:timers/promises';
import type { SourceStatus } from '../../contract/source.ts';
import { messageOf } from '../../errors.ts';
import type { DemoAct } from '../../sources/stand-in/demo.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { count, fetchStatus, tableSums } from '../status.ts';

/** The terminal of a demo, and the signal that ends it early. */
export interface Screen {
  signal: AbortSignal;
  write(text: string): void;
  /** Whether a line can be written again. */
  isTerminal: boolean;
}

const POLL_MS = 200;
/** Where lines cannot be written again, there is at most one in this time. */
const LINE_MS = 1_000;
const DONE_MS_MAX = 5 * 60_000;

/**
 * Shows a source's progress on one line until its act is done and its inlets have read all. `startedAt` is when the source
 * began to work, `aheadMs` how far the worker's clock is ahead. Throws with the last error when that takes longer than five
 * minutes.
 */
export async function untilDone(
  { url, token, logFile }: Runtime,
  { signal, write, isTerminal }: Screen,
  { source, act, startedAt, aheadMs }: { source: string; act: DemoAct; startedAt: number; aheadMs: number },
): Promise<void> {
  const deadline = Date.now() + DONE_MS_MAX;
  const turnMs = Date.now() + aheadMs;
  let writtenAt = 0;
  let line = '';
  let lastError: unknown = null;
  while (Date.now() < deadline) {
    signal.throwIfAborted();
    try {
      const status = await fetchStatus(url, source, token);
      lastError = status.last_error.reason;
      const isDone = act.isDone(status) && hasReadAll(status, turnMs);
      const next = progressLine(status, act, (Date.now() - startedAt) / 1000);
      if (next !== line && (isTerminal || isDone || Date.now() - writtenAt >= LINE_MS)) {
        write(isTerminal ? `\r${next}\u001b[K` : `${next}\n`);
        line = next;
        writtenAt = Date.now();
      }
      if (isDone) return isTerminal ? write('\n') : undefined;
    } catch (error) {
      lastError = messageOf(error);
    }
    await sleep(POLL_MS, undefined, { signal });
  }
  throw new Error(
    `demo: expected ${source} to be done in ${DONE_MS_MAX / 1000} s; last error: ${lastError}; see ${logFile}`,
  );
}

/** Whether each inlet has read all rows since a time. The sources that feed this one are at rest by then. */
function hasReadAll({ inlets }: SourceStatus, sinceMs: number): boolean {
  return inlets.every(({ behind, asked_at }) => behind === 0 && asked_at !== null && Date.parse(asked_at) > sinceMs);
}

function progressLine(status: SourceStatus, act: DemoAct, seconds: number): string {
  const { done, total, unit } = act.progress(status);
  const { rows, files } = tableSums(status);
  const rate = done / Math.max(seconds, 0.001);
  const left = Math.max(0, total - done);
  // A retry or a repeated fetch counts as a change more.
  const parts = [
    `${count(done)} of ${count(Math.max(total, done))} ${unit}`,
    `${count(rows)} rows durable`,
    `${count(files)} files`,
    `${count(Math.round(rate))} ${unit}/s`,
    left === 0 || rate > 0 ? `${count(left === 0 ? 0 : Math.ceil(left / rate))} s left` : 'starting',
  ];
  return `  ${status.source}  ${parts.join('  ')}`;
}
