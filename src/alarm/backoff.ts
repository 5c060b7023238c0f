import { LIMITS } from '../config.ts';

/** Doubling from a second to five minutes. */
export function backoffMs(failures: number): number {
  return Math.min(LIMITS.backoffMsMin * 2 ** Math.min(failures - 1, 20), LIMITS.backoffMsMax);
}

/** A stored time to wait for; one further ahead than it can have been set comes from a clock that jumped, and is over. */
export function waitingUntil(untilMs: number, nowMs: number, maxMs: number): number {
  return untilMs > nowMs + maxMs * 2 ? 0 : untilMs;
}
