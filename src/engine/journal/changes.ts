import type { Failure } from '../../errors.ts';
import { messageOf, type ParkReason, type SkipReason } from '../../errors.ts';
import type { Change, LoadedRow, Seen } from '../../ports/change.ts';
import type { JournalRanges } from './ranges.ts';

/** The lane that follows the feed's newest end. */
export const TAIL = 'tail';

/** What an accepted change came to. */
export type Outcome =
  | { kind: 'rows'; rows: LoadedRow[]; revision: number | null; documentBytes: number; seen?: Seen | undefined }
  | { kind: 'skip'; reason: SkipReason }
  | ({ kind: 'park'; retryAfterMs: number | null } & Failure);

/** The outcome of a change whose rows SQLite refuses. */
export function refusedRows(error: unknown): Outcome {
  return { kind: 'park', reason: 'row-too-large', detail: messageOf(error), retryAfterMs: null };
}

/**
 * Appends changes as one. Where SQLite refuses that, what it refuses of their rows is found one by one and parked, and
 * the rest comes in all the same. Throws what SQLite says when no row is to blame.
 */
export function appendTaken<T>(
  journal: { takes(one: Accepted, nowMs: number): boolean },
  { accepted, nowMs }: { accepted: Accepted[]; nowMs: number },
  append: (accepted: Accepted[]) => T,
): T {
  try {
    return append(accepted);
  } catch (error) {
    if (accepted.every(({ outcome }) => outcome.kind !== 'rows')) throw error;
    return append(
      accepted.map(one =>
        one.outcome.kind === 'rows' && !journal.takes(one, nowMs) ? { ...one, outcome: refusedRows(error) } : one,
      ),
    );
  }
}

/** The upstream answered that there is no such document, or none any more. */
export function isGone(outcome: Outcome): boolean {
  return outcome.kind === 'park' && (outcome.reason === 'http-404' || outcome.reason === 'http-410');
}

export interface Accepted {
  change: Change;
  outcome: Outcome;
}

/** One slice of a page, in feed order, with the cursors before and after it. */
export interface Append {
  lane: string;
  cursorBefore: string;
  cursorAfter: string;
  accepted: Accepted[];
  nowMs: number;
}

/** One slice of a range, and how the range stands after it. */
export interface RangeAppend {
  accepted: Accepted[];
  patch: Parameters<JournalRanges['update']>[1];
  nowMs: number;
}

/** A change that failed and is being retried, or a revision that is still owed. */
export interface ParkedChange {
  change_number: number;
  key: string;
  cursor: string;
  deleted: number;
  revision: number | null;
  reason: ParkReason;
  detail: string;
  stack: string | null;
  /** Looks that counted; never set back, so that a late result is told from a present one. */
  attempts: number;
  /** The change is dead once it has been looked at so often. */
  attempts_max: number;
  /** JSON list of the last looks that counted: `{at, reason, detail}`. */
  history: string;
  parked_ms: number;
  /** When it was last handed out or looked at, or parked. */
  handled_ms: number;
  /** When it is to be handed out, or handed out again. */
  due_ms: number;
  died_ms: number | null;
  /** 1 of a change that a sweep found missing, whatever its last look came to. */
  from_sweep: number;
}
