import { LIMITS } from '../../config.ts';
import { CatalogError } from '../errors.ts';
import type { CatalogWrite } from '../rest/answer.ts';
import type { CommitState } from './state.ts';

/** Basin Catalog's own limits on writes in a minute. */
export const CATALOG_COMMITS_PER_MINUTE_MAX = 20;
const CATALOG_CREATES_PER_MINUTE_MAX = 10;
const CATALOG_WRITES_PER_MINUTE_MAX = 120;

const MINUTE = 60_000;

/** The catalog's limits on writes in one minute (Basin Catalog, limits). `counts`: whether an earlier write counts. */
const RULES: { text: string; max: number; counts(earlier: CatalogWrite, write: CatalogWrite): boolean }[] = [
  {
    text: 'commits to this table',
    max: CATALOG_COMMITS_PER_MINUTE_MAX,
    counts: (earlier, write) =>
      write.operation === 'commit' && earlier.operation === 'commit' && earlier.table === write.table,
  },
  {
    text: 'created tables',
    max: CATALOG_CREATES_PER_MINUTE_MAX,
    counts: (earlier, write) => write.operation === 'create' && earlier.operation === 'create',
  },
  { text: 'writes', max: CATALOG_WRITES_PER_MINUTE_MAX, counts: () => true },
];

/**
 * Records a write that is about to be sent to the catalog. Throws `throttled`, with how long to wait, when the write
 * would exceed a limit or the catalog itself asked to wait.
 */
export function admitWrite(state: CommitState, write: CatalogWrite, nowMs: number): void {
  const heldMs = state.heldUntilMs() - nowMs;
  // Ignore a longer wait than the catalog can have asked for: the clock has jumped back since.
  if (heldMs > 0 && heldMs <= LIMITS.retryAfterMsMax)
    throw throttled(`catalog: expected no write for ${heldMs} ms more, got one`, heldMs);
  const writes = state.writesAfter(nowMs - MINUTE, nowMs);
  for (const { text, max, counts } of RULES) {
    const counted = writes.filter(({ operation, table_name: table }) => counts({ operation, table }, write));
    if (counted.length < max) continue;
    const waitMs = counted.at(-max)!.at_ms + MINUTE - nowMs;
    throw throttled(`catalog: expected at most ${max} ${text} a minute, got one more`, waitMs);
  }
  // Record the write before it is sent, because the catalog counts it even if this object dies meanwhile.
  state.addWrite({ at_ms: nowMs, operation: write.operation, table_name: write.table });
}

function throttled(message: string, retryAfterMs: number): CatalogError {
  const hint = 'Nothing to do: the catalog limits writes, and the committer waits.';
  return new CatalogError('throttled', message, { hint, retryAfterMs });
}
