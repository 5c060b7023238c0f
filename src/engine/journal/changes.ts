import type { Failure, ParkReason, SkipReason } from '../../errors.ts';
import type { Change, LoadedRow, Seen } from '../../ports/change.ts';
import { storableKey } from '../../ports/sql-guard.ts';
import type { JournalRanges } from './ranges.ts';

/** The lane that follows the feed's newest end. */
export const TAIL = 'tail';

/** The outcome of an accepted change. `retryAfterMs` is the upstream's own floor for the next attempt. */
export type Outcome =
  | { kind: 'rows'; rows: LoadedRow[]; revision: number | null; documentBytes: number; seen?: Seen | undefined }
  | { kind: 'skip'; reason: SkipReason }
  | ({ kind: 'park'; retryAfterMs: number | null } & Failure);

/**
 * Appends changes in one transaction. When SQLite refuses it, parks each change that SQLite refuses alone, whatever the
 * reason, and appends again. Throws SQLite's error when no single change causes it.
 */
export function appendOrPark<T>(
  journal: { refusalOf(one: Accepted, nowMs: number): string | null },
  { accepted, nowMs }: { accepted: Accepted[]; nowMs: number },
  append: (accepted: Accepted[]) => T,
): T {
  try {
    return append(accepted);
  } catch (error) {
    const refusals = accepted.map(one => journal.refusalOf(one, nowMs));
    if (refusals.every(refusal => refusal === null)) throw error;
    return append(accepted.map((one, index) => (refusals[index] === null ? one : parkedAs(one, refusals[index]!))));
  }
}

/** The change, parked with nothing of what the upstream sent but its name. */
function parkedAs({ change, outcome, ...rest }: Accepted, detail: string): Accepted {
  const reason = outcome.kind === 'park' ? outcome.reason : 'row-too-large';
  const revision = Number.isSafeInteger(change.revision) ? change.revision : null;
  return {
    ...rest,
    change: { ...change, key: storableKey(change.key), revision },
    outcome: { kind: 'park', reason, detail, retryAfterMs: null },
  };
}

/** The upstream answered that it has no such document, or no longer. */
export function isGone(outcome: Outcome): boolean {
  return outcome.kind === 'park' && (outcome.reason === 'http-404' || outcome.reason === 'http-410');
}

/** A change with its outcome. */
export interface Accepted {
  change: Change;
  outcome: Outcome;
  /** The version of the evidence that its load had; null, or absent, where the source has no inlets. */
  evidenceVersion?: number | null;
}

/** One slice of a page, in feed order, with the cursors before and after it. */
export interface Append {
  lane: string;
  cursorBefore: string;
  cursorAfter: string;
  accepted: Accepted[];
  nowMs: number;
}

/** One slice of a range, and the columns of the range that it changes. */
export interface RangeAppend {
  accepted: Accepted[];
  patch: Parameters<JournalRanges['update']>[1];
  nowMs: number;
}

/**
 * A change that failed, or whose upstream served an older revision than its feed announced. Dead ones have `died_ms`.
 */
export interface ParkedChange {
  change_number: number;
  key: string;
  cursor: string;
  deleted: number;
  revision: number | null;
  reason: ParkReason;
  detail: string;
  /** Attempts that counted. It never goes down, because a ticket and its late result are known by it. */
  attempts: number;
  /** The change is dead after so many attempts. */
  attempts_max: number;
  /** JSON list of the last attempts: `{at, reason, detail}`. */
  history: string;
  parked_ms: number;
  /** When its ticket is sent, or sent again. */
  due_ms: number;
  died_ms: number | null;
  /** 1 where a sweep made the change, whatever its reason is by now. */
  from_sweep: number;
}
