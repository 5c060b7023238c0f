import { setTimeout as sleep } from 'node:timers/promises';
import type { SourceStatus } from '../../contract/source.ts';
import { messageOf } from '../../errors.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { fetchStatus } from '../status.ts';

/** Where a demo writes, and when it is to end early. */
export interface Screen {
  signal: AbortSignal;
  write(text: string): void;
  /** Whether a line can be written again. */
  isTerminal: boolean;
}

const LOOK_MS = 200;
const LINE_MS = 1_000;
const DURABLE_MS_MAX = 5 * 60_000;

/**
 * Shows a source's progress, a line at a time, until `isDone`, and gives the status then. Throws with the last trouble
 * when that takes longer than five minutes. `line` is told how many seconds have passed.
 */
export async function follow(
  { url, logFile }: Runtime,
  { signal, write, isTerminal }: Screen,
  what: {
    source: string;
    isDone(status: SourceStatus): boolean;
    line(status: SourceStatus, seconds: number): string;
  },
): Promise<SourceStatus> {
  const startedAt = Date.now();
  let lineAt = 0;
  let line = '';
  let trouble: unknown = null;
  while (Date.now() - startedAt < DURABLE_MS_MAX) {
    signal.throwIfAborted();
    try {
      const status = await fetchStatus(url, what.source);
      trouble = status.last_error.reason;
      const isDone = what.isDone(status);
      const next = what.line(status, (Date.now() - startedAt) / 1000);
      if (next !== line && (isTerminal || isDone || Date.now() - lineAt >= LINE_MS)) {
        write(isTerminal ? `\r${next}\u001b[K` : `${next}\n`);
        line = next;
        lineAt = Date.now();
      }
      if (isDone) {
        if (isTerminal) write('\n');
        return status;
      }
    } catch (error) {
      trouble = messageOf(error);
    }
    await sleep(LOOK_MS, undefined, { signal });
  }
  throw new Error(
    `demo: expected ${what.source} to be durable in ${DURABLE_MS_MAX / 1000} s; last trouble: ${trouble}; see ${logFile}`,
  );
}
