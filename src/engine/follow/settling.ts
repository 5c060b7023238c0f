import type { Change } from '../../ports/change.ts';

/** A key that keeps changing waits at most this many settle times. */
const SETTLE_TIMES_MAX = 3;

/** A change that waits for its settle time: when it was first seen at this cursor, and since when its key waits. Plain JSON. */
export interface Unsettled {
  key: string;
  cursor: string;
  seenMs: number;
  sinceMs: number;
}

/** A page split into the changes that may be loaded now and those that still wait, both in feed order. */
export interface SplitPage {
  settled: Change[];
  unsettled: Unsettled[];
  /** When the first change that waits may be loaded; null when none waits. */
  nextMs: number | null;
}

/**
 * Holds back changes that were first seen less than a settle time ago, because right after a change an upstream often
 * serves the document before it. Only the beginning of a page may be loaded, because the cursor moves with it. A key
 * that changes again and again moves to a later cursor each time and would never be in the beginning; so a key that has
 * waited `SETTLE_TIMES_MAX` settle times is loaded, with all changes before it.
 */
export function splitSettled(
  changes: Change[],
  { waiting, nowMs, settleMs }: { waiting: Unsettled[]; nowMs: number; settleMs: number },
): SplitPage {
  const known = new Map(waiting.map(one => [one.key, one]));
  const seen = changes.map(({ key, cursor }): Unsettled => {
    const before = known.get(key);
    // A time in the future was noted by a clock that has jumped back since.
    const seenMs = before?.cursor === cursor ? Math.min(before.seenMs, nowMs) : nowMs;
    return { key, cursor, seenMs, sinceMs: Math.min(before?.sinceMs ?? nowMs, nowMs) };
  });
  const firstUnsettled = seen.findIndex(({ seenMs }) => nowMs - seenMs < settleMs);
  const lastOverdue = seen.findLastIndex(({ sinceMs }) => nowMs - sinceMs >= SETTLE_TIMES_MAX * settleMs);
  const count = firstUnsettled === -1 ? changes.length : Math.max(firstUnsettled, lastOverdue + 1);
  const unsettled = seen.slice(count);
  return { settled: changes.slice(0, count), unsettled, nextMs: unsettled[0] ? unsettled[0].seenMs + settleMs : null };
}
