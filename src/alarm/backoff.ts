import { LIMITS, MINUTE } from '../limits.ts';

/** The back-off doubles up to this: a cause that ended is found within so many minutes. */
export const BACKOFF_MS_MAX = 5 * MINUTE;

/** Doubling from a second to five minutes. */
export function backoffMs(failures: number): number {
  return Math.min(LIMITS.backoffMsMin * 2 ** Math.min(failures - 1, 20), BACKOFF_MS_MAX);
}

/** A stored time to wait for; 0 where it is further ahead than any wait, because a clock that has jumped back set it. */
export function waitingUntil(untilMs: number, nowMs: number, maxMs: number): number {
  return untilMs > nowMs + maxMs * 2 ? 0 : untilMs;
}
