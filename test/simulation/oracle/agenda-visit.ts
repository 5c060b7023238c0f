import type { Seen } from '../../../src/ports/change.ts';
import type { LoadOutcome } from '../../../src/ports/loader.ts';
import { nextVisit } from '../world/sources.ts';
import type { AgendaState, WatchedRow } from './agenda-state.ts';

/** No rule of the simulated source, and no stretch, sets a due time later than this. */
export const AHEAD_MS_MAX = 200 * 24 * 3_600_000;

/** What a Loader loaded for a key, or why it loaded nothing. */
export type LoadResult = { evidenceVersion: number | null } & (
  | { seen: Seen; op: 'upsert' | 'delete'; bio: string | null }
  | { seen: null; reason: string; retryAfterMs: number | null }
);

/** How an accepted visit must be counted, its row, and the key's row in the agenda after it. */
export interface ExpectedVisit {
  counts: 'rows' | 'tombstones' | 'parked' | 'skipped:unchanged' | 'skipped:no-rows';
  row: { op: string; bio: string | null } | null;
  reason: string | null;
  after: WatchedRow;
}

/** Failures that no answer of a Loader reports: its host is throttled, the Loader dies, SQLite refuses the row. */
export function unreportedFailures(evidenceVersion: number | null): LoadResult[] {
  const reasons = ['http-429', 'document-kills-loader', 'row-too-large'];
  // A call that fails before it is made has the evidence of that time, which no load shows.
  const versions = [...new Set([evidenceVersion, null])];
  return versions.flatMap(version =>
    reasons.map(reason => ({ seen: null, reason, retryAfterMs: null, evidenceVersion: version })),
  );
}

/** The result of one outcome; null when the key was not visited. */
export function resultOf(outcome: LoadOutcome, evidenceVersion: number | null): LoadResult | null {
  if (outcome.kind === 'park' || outcome.kind === 'unanswered')
    return { seen: null, reason: outcome.reason, retryAfterMs: outcome.retryAfterMs, evidenceVersion };
  if (outcome.kind !== 'rows' || !outcome.seen) return null;
  const [row] = outcome.rows;
  return { seen: outcome.seen, op: row!.op, bio: row!.row.bio as string | null, evidenceVersion };
}

/**
 * What a visit that is accepted now must do. Where its key's evidence is another one than its load had, the due time
 * stays. The next due time counts from now. It gives a row when the digest differs
 * from that of the last visit that saw as much, and a deletion only when the key's newest row is none.
 */
export function expectedVisit(
  result: LoadResult,
  before: WatchedRow,
  state: Pick<AgendaState, 'deleted' | 'stretch' | 'inlet'>,
  nowMs: number,
): ExpectedVisit {
  const expected = scheduledVisit(result, before, state, nowMs);
  const version = state.inlet?.versions.get(before.key) ?? 0;
  const isOvertaken = result.evidenceVersion !== null && result.evidenceVersion !== version;
  if (!isOvertaken) return expected;
  return { ...expected, after: { ...expected.after, due_ms: before.due_ms, revisit: before.revisit } };
}

function scheduledVisit(
  result: LoadResult,
  before: WatchedRow,
  { deleted, stretch }: Pick<AgendaState, 'deleted' | 'stretch'>,
  nowMs: number,
): ExpectedVisit {
  const { seen } = result;
  if (!seen) {
    const notBeforeMs = result.retryAfterMs === null ? null : nowMs + result.retryAfterMs;
    const failed = { outcome: 'failed' as const, seen: null, changed: false, notBeforeMs };
    const after = visitedRow(before, { nowMs, stretch: 1, ...failed });
    return { counts: 'parked', row: null, reason: result.reason, after };
  }
  const digest = JSON.stringify(seen.digests);
  const isSame = seen.partial ? seen.mainDigest === before.main_digest : digest === before.digest;
  const changed = !isSame && before.digest !== null;
  const outcome = !seen.found ? 'gone' : seen.partial ? 'partial' : 'found';
  const after = visitedRow(before, { nowMs, stretch, outcome, seen, changed, notBeforeMs: null });
  if (!(seen.partial && isSame)) Object.assign(after, { digest, main_digest: seen.mainDigest });
  const hasRow = deleted.get(before.key) === false;
  if (!seen.found && !hasRow) {
    const counts = deleted.has(before.key) ? 'skipped:unchanged' : 'skipped:no-rows';
    return { counts, row: null, reason: null, after };
  }
  if (isSame) return { counts: 'skipped:unchanged', row: null, reason: null, after };
  const { op, bio } = result;
  return { counts: op === 'delete' ? 'tombstones' : 'rows', row: { op, bio }, reason: null, after };
}

function visitedRow(
  before: WatchedRow,
  visit: {
    nowMs: number;
    stretch: number;
    outcome: 'found' | 'partial' | 'gone' | 'failed';
    seen: Seen | null;
    changed: boolean;
    notBeforeMs: number | null;
  },
): WatchedRow {
  const { seen, stretch, ...rest } = visit;
  const times = before.outcome === rest.outcome ? before.times + 1 : 1;
  const facts = seen?.facts ?? null;
  const { atMs } = nextVisit({ key: before.key, times, facts, ...rest });
  const dueMs = Math.min(rest.nowMs + (atMs - rest.nowMs) * stretch, Math.max(atMs, rest.nowMs + AHEAD_MS_MAX));
  const answered = seen && {
    revisit: 1,
    checked_ms: rest.nowMs,
    wait_ms: Math.max(1, Math.round(atMs - rest.nowMs)),
    more_hosts: seen.moreHosts?.length ? JSON.stringify(seen.moreHosts) : null,
    facts: JSON.stringify(facts),
  };
  return { ...before, ...answered, due_ms: Math.round(dueMs), outcome: rest.outcome, times };
}

/** The first difference between two rows of the agenda, but for the reason; null when they are equal. */
export function differenceOf(expected: WatchedRow, got: WatchedRow): string | null {
  const names = Object.keys(expected) as (keyof WatchedRow)[];
  const differing = names.find(name => (name as string) !== 'reason' && expected[name] !== got[name]);
  return differing ? `expected ${differing} ${expected[differing]}, got ${got[differing]}` : null;
}
