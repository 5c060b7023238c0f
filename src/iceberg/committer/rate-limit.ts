import { LIMITS } from '../../config.ts';
import { CatalogError } from '../errors.ts';
import type { CatalogChange } from '../rest/client.ts';
import type { CommitState } from './state.ts';

const MINUTE = 60_000;

/** The catalog's limits on changes of one minute (Basin Catalog, limits). */
const RULES: { text: string; max: number; counts(write: CatalogChange, change: CatalogChange): boolean }[] = [
  {
    text: 'commits to this table',
    max: LIMITS.catalogCommitsPerMinuteMax,
    counts: (write, change) =>
      change.operation === 'commit' && write.operation === 'commit' && write.table === change.table,
  },
  {
    text: 'tables made',
    max: LIMITS.catalogCreatesPerMinuteMax,
    counts: (write, change) => change.operation === 'create' && write.operation === 'create',
  },
  { text: 'changes', max: LIMITS.catalogWritesPerMinuteMax, counts: () => true },
];

/**
 * Notes a change that is about to be asked of the catalog. Throws `throttled`, with how long to wait, where it would be
 * one too many, or the catalog itself said to wait.
 */
export function admitChange(state: CommitState, change: CatalogChange, nowMs: number): void {
  const heldMs = state.heldUntilMs() - nowMs;
  // Nobody was told to wait longer: a clock has jumped back.
  if (heldMs > 0 && heldMs <= LIMITS.retryAfterMsMax)
    throw tooMany(`catalog: expected no change for ${heldMs} ms more`, heldMs);
  const writes = state.writesAfter(nowMs - MINUTE, nowMs);
  for (const { text, max, counts } of RULES) {
    const counted = writes.filter(({ operation, table_name: table }) => {
      return counts({ operation: operation as CatalogChange['operation'], table }, change);
    });
    if (counted.length < max) continue;
    const waitMs = counted.at(-max)!.at_ms + MINUTE - nowMs;
    throw tooMany(`catalog: expected at most ${max} ${text} a minute, got one more`, waitMs);
  }
  // Written down before it is sent: what was asked counts, whatever becomes of whoever asked.
  state.noteWrite({ at_ms: nowMs, operation: change.operation, table_name: change.table });
}

function tooMany(message: string, retryAfterMs: number): CatalogError {
  const hint = 'Nothing to do: the catalog limits its changes, and the committer waits.';
  return new CatalogError('throttled', message, { hint, retryAfterMs });
}
