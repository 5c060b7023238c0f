import { LIMITS } from '../../config.ts';
import { messageOf, StepError } from '../../errors.ts';
import { CatalogError, type CatalogErrorKind } from '../errors.ts';
import type { CommitFault } from './state.ts';

/** What follows a failure: the table waits a while that grows, or it stalls and probes until the cause is gone. */
type Action = 'wait' | 'stall';

const ACTIONS: Record<CatalogErrorKind, Action> = {
  unauthorized: 'stall',
  forbidden: 'stall',
  'not-found': 'wait',
  'already-exists': 'wait',
  conflict: 'wait',
  throttled: 'wait',
  refused: 'wait',
  unanswered: 'wait',
  'not-a-catalog': 'stall',
  'table-differs': 'stall',
  'files-broken': 'wait',
  'metadata-broken': 'stall',
  'copy-differs': 'stall',
};

/** Of failures that are none of the catalog's. */
const OWN_HINTS: Record<string, string> = {
  'bucket-failed': 'Nothing to do if it passes; if it stays, look at the bucket and its binding.',
  deadline: 'A call did not end in time; the committer looks again by itself.',
  'source-failed': 'The object of the source did not answer; look at GET /v1/sources if it stays.',
  internal: 'This is a fault of Tributary; please report it with the message.',
};

/** What a failure means for its table: when it is looked at again, never sooner than the catalog asked for. */
export function faultOf(error: unknown, { before, nowMs }: { before: CommitFault | null; nowMs: number }): CommitFault {
  const { kind, hint, retryAfterMs, stalls } = judged(error);
  const failures = (before?.failures ?? 0) + 1;
  const ownMs = stalls ? LIMITS.probeMs : backoffMs(failures);
  const waitMs = Math.max(ownMs, Math.min(retryAfterMs ?? 0, LIMITS.retryAfterMsMax));
  return { kind, reason: messageOf(error), hint, stalls, failures, retryMs: nowMs + waitMs, atMs: nowMs };
}

function judged(error: unknown) {
  if (error instanceof CatalogError) {
    const { kind, hint, retryAfterMs } = error;
    return { kind, hint, retryAfterMs, stalls: ACTIONS[kind] === 'stall' };
  }
  const kind = error instanceof StepError ? error.kind : 'internal';
  return { kind, hint: OWN_HINTS[kind] ?? OWN_HINTS.internal!, retryAfterMs: null, stalls: false };
}

/** Doubling from a second to five minutes. */
function backoffMs(failures: number): number {
  return Math.min(LIMITS.backoffMsMin * 2 ** Math.min(failures - 1, 20), LIMITS.backoffMsMax);
}
