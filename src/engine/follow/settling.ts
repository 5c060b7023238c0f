import type { Change } from '../../ports/change.ts';

/** A key that keeps changing is waited for no longer than so many settle times. */
const SETTLE_TIMES_MAX = 3;

/** A change that is held back: its place, when it was first seen there, and since when its key is held. Plain JSON. */
export interface Held {
  key: string;
  cursor: string;
  seenMs: number;
  sinceMs: number;
}

/** A page parted into what may be asked for now and what is still held back, both in feed order. */
export interface Parted {
  through: Change[];
  held: Held[];
  /** When the first change of those held may be asked for; null when there is none. */
  ripeMs: number | null;
}

/**
 * Holds back changes that were first seen less than a settle time ago: right after a change an upstream often serves
 * the document before. Only a first part of the page is let through, since the cursor moves with it. A key that moves
 * on to a later place with each new change would never be in that part, so what has waited long takes all before it along.
 */
export function partPage(
  changes: Change[],
  { held, nowMs, settleMs }: { held: Held[]; nowMs: number; settleMs: number },
): Parted {
  const known = new Map(held.map(one => [one.key, one]));
  const waits = changes.map(({ key, cursor }): Held => {
    const before = known.get(key);
    // What was seen in the future was seen by a clock that jumped back since.
    const seenMs = before?.cursor === cursor ? Math.min(before.seenMs, nowMs) : nowMs;
    return { key, cursor, seenMs, sinceMs: Math.min(before?.sinceMs ?? nowMs, nowMs) };
  });
  const firstUnripe = waits.findIndex(({ seenMs }) => nowMs - seenMs < settleMs);
  const lastOverripe = waits.findLastIndex(({ sinceMs }) => nowMs - sinceMs >= SETTLE_TIMES_MAX * settleMs);
  const count = firstUnripe === -1 ? changes.length : Math.max(firstUnripe, lastOverripe + 1);
  const rest = waits.slice(count);
  return { through: changes.slice(0, count), held: rest, ripeMs: rest.length > 0 ? rest[0]!.seenMs + settleMs : null };
}
