import { backoffMs } from '../../alarm/backoff.ts';
import { LIMITS } from '../../config.ts';
import { messageOf, StepError } from '../../errors.ts';
import { CatalogError, type CatalogErrorKind } from '../errors.ts';
import type { CommitFault } from './state.ts';

/** What a failure leads to: the table waits, longer each time, or it stalls and probes until the cause is gone. */
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

/** Hints for failures that are not the catalog's, by the kind of `StepError`. */
const STEP_HINTS: Record<string, string> = {
  'bucket-failed': 'If the failure persists, check the bucket and its binding.',
  deadline: 'A call did not end in time; the committer tries again by itself.',
  'source-failed': 'The source’s object did not answer; if the failure persists, check GET /v1/sources.',
  internal: 'This is an error in Tributary; please report it with the message.',
};

/** What a failure means for its table, and when the committer tries again: never sooner than the catalog asked for. */
export function faultOf(error: unknown, { before, nowMs }: { before: CommitFault | null; nowMs: number }): CommitFault {
  const { kind, hint, retryAfterMs, stalls } = classify(error);
  const failures = (before?.failures ?? 0) + 1;
  const ownMs = stalls ? LIMITS.probeMs : backoffMs(failures);
  const waitMs = Math.max(ownMs, Math.min(retryAfterMs ?? 0, LIMITS.retryAfterMsMax));
  return { kind, reason: messageOf(error), hint, stalls, failures, retryMs: nowMs + waitMs, atMs: nowMs };
}

function classify(error: unknown) {
  if (error instanceof CatalogError) {
    const { kind, hint, retryAfterMs } = error;
    return { kind, hint, retryAfterMs, stalls: ACTIONS[kind] === 'stall' };
  }
  const kind = error instanceof StepError ? error.kind : 'internal';
  return { kind, hint: STEP_HINTS[kind] ?? STEP_HINTS.internal!, retryAfterMs: null, stalls: false };
}
