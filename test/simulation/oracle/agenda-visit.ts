import type { Seen } from '../../../src/ports/change.ts';
import type { LoadOutcome } from '../../../src/ports/loader.ts';
import { nextLook } from '../world/sources.ts';
import type { AgendaState, WatchedRow } from './agenda-state.ts';

/** What a Loader has brought of a key, or why it brought nothing. */
export type Came =
  | { seen: Seen; op: 'upsert' | 'delete'; bio: string | null }
  | { seen: null; reason: string; retryAfterMs: number | null };

/** What an accepted visit is counted as, its row, and how its key must stand after it. */
export interface Judged {
  counts: 'rows' | 'tombstones' | 'parked' | 'skipped:unchanged' | 'skipped:no-rows';
  row: { op: string; bio: string | null } | null;
  reason: string | null;
  after: WatchedRow;
}

/** Why a visit fails of which no answer tells: its host says "wait" to it, its Loader dies, SQLite refuses its row. */
export const UNTOLD: Came[] = ['http-429', 'document-kills-loader', 'row-too-large'].map(reason => ({
  seen: null,
  reason,
  retryAfterMs: null,
}));

/** What an outcome says of its key; null where it was not looked at. */
export function cameOf(outcome: LoadOutcome): Came | null {
  if (outcome.kind === 'park' || outcome.kind === 'unanswered')
    return { seen: null, reason: outcome.reason, retryAfterMs: outcome.retryAfterMs };
  if (outcome.kind !== 'rows' || !outcome.seen) return null;
  const [row] = outcome.rows;
  return { seen: outcome.seen, op: row!.op, bio: row!.row.bio as string | null };
}

/**
 * What must come of a visit that is accepted now: the key is due again from now on, by its rule; a row is given where
 * something is other than at the last visit that saw as much; a deletion only of what has a row that is none.
 */
export function judged(came: Came, before: WatchedRow, { deleted }: AgendaState, nowMs: number): Judged {
  const { seen } = came;
  if (!seen) {
    const notBeforeMs = came.retryAfterMs === null ? null : nowMs + came.retryAfterMs;
    const after = lookedAt(before, { nowMs, outcome: 'failed', seen: null, changed: false, notBeforeMs });
    return { counts: 'parked', row: null, reason: came.reason, after };
  }
  const isSame = seen.partial ? seen.mainDigest === before.main_digest : seen.digest === before.digest;
  const changed = !isSame && before.digest !== null;
  const outcome = !seen.found ? 'gone' : seen.partial ? 'partial' : 'found';
  const after = lookedAt(before, { nowMs, outcome, seen, changed, notBeforeMs: null });
  if (!(seen.partial && isSame)) Object.assign(after, { digest: seen.digest, main_digest: seen.mainDigest });
  const isKept = deleted.get(before.key) === false;
  if (!seen.found && !isKept) {
    const counts = deleted.has(before.key) ? 'skipped:unchanged' : 'skipped:no-rows';
    return { counts, row: null, reason: null, after };
  }
  if (isSame) return { counts: 'skipped:unchanged', row: null, reason: null, after };
  const { op, bio } = came;
  return { counts: op === 'delete' ? 'tombstones' : 'rows', row: { op, bio }, reason: null, after };
}

function lookedAt(
  before: WatchedRow,
  visit: {
    nowMs: number;
    outcome: 'found' | 'partial' | 'gone' | 'failed';
    seen: Seen | null;
    changed: boolean;
    notBeforeMs: number | null;
  },
): WatchedRow {
  const { seen, ...looked } = visit;
  const times = before.outcome === looked.outcome ? before.times + 1 : 1;
  const facts = seen?.facts ?? null;
  const { atMs } = nextLook({ key: before.key, times, facts, ...looked });
  const told = seen && {
    checked_ms: looked.nowMs,
    more_hosts: seen.moreHosts.length > 0 ? JSON.stringify(seen.moreHosts) : null,
    facts: JSON.stringify(facts),
  };
  return { ...before, ...told, due_ms: Math.round(atMs), outcome: looked.outcome, times };
}

/** What is wrong with how a key stands; null where nothing is. */
export function wrongRow(expected: WatchedRow, got: WatchedRow): string | null {
  const names = Object.keys(expected) as (keyof WatchedRow)[];
  const wrong = names.find(name => (name as string) !== 'reason' && expected[name] !== got[name]);
  return wrong ? `expected ${wrong} ${expected[wrong]}, got ${got[wrong]}` : null;
}
