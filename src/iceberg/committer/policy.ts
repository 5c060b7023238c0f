import { backoffMs } from '../../alarm/backoff.ts';
import { LIMITS } from '../../config.ts';
import { messageOf, StepError } from '../../errors.ts';
import { CatalogError, type CatalogErrorKind } from '../errors.ts';
import type { CommitFault } from './state.ts';

/** A table whose commit meets another one is planned anew at once, so many times in a row. */
const PLANNED_AT_ONCE_MAX = 3;
/** A page of a gateway is mostly gone with the next request: only so many in a row mean that there is no catalog. */
const PAGES_MAX = 3;

/** What a failure leads to. */
type Action =
  /** The table waits, longer after each failure in a row. */
  | 'wait'
  /** The table waits as the limit asks, however many failures of other kinds came before. */
  | 'pace'
  /** The catalog answered and the table has changed, so it is loaded and planned anew without a wait. */
  | 'plan-anew'
  /** The table stalls, and probes until the cause is gone. */
  | 'stall'
  /** The table waits and asks again, and stalls when it gets the same again. */
  | 'ask-again';

const ACTIONS: Record<CatalogErrorKind, Action> = {
  unauthorized: 'stall',
  forbidden: 'stall',
  'not-found': 'wait',
  'already-exists': 'wait',
  conflict: 'plan-anew',
  throttled: 'pace',
  refused: 'wait',
  unanswered: 'wait',
  'not-a-catalog': 'ask-again',
  'table-differs': 'stall',
  'rolled-back': 'stall',
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
  const { kind, hint, retryAfterMs, action } = classify(error);
  const ofKind = before?.kind === kind ? before.ofKind + 1 : 1;
  const stalls = action === 'stall' || (action === 'ask-again' && ofKind >= PAGES_MAX);
  // A conflict and a limit are clear answers of the catalog, so they neither lengthen the wait of other failures nor
  // share it.
  const isClear = action === 'plan-anew' || action === 'pace';
  const failures = (before?.failures ?? 0) + (isClear ? 0 : 1);
  const ownMs = stalls ? LIMITS.probeMs : ownWaitMs(action, { failures, ofKind });
  const waitMs = Math.max(ownMs, Math.min(retryAfterMs ?? 0, LIMITS.retryAfterMsMax));
  return { kind, reason: messageOf(error), hint, stalls, failures, ofKind, retryMs: nowMs + waitMs, atMs: nowMs };
}

function ownWaitMs(action: Action, { failures, ofKind }: { failures: number; ofKind: number }): number {
  if (action === 'pace') return backoffMs(ofKind);
  if (action !== 'plan-anew') return backoffMs(failures);
  return ofKind <= PLANNED_AT_ONCE_MAX ? 0 : backoffMs(ofKind - PLANNED_AT_ONCE_MAX);
}

function classify(error: unknown): { kind: string; hint: string; retryAfterMs: number | null; action: Action } {
  if (error instanceof CatalogError) {
    const { kind, hint, retryAfterMs, isConfig } = error;
    // The configuration says whether a catalog answers at the URI at all.
    const action = isConfig && kind === 'not-a-catalog' ? 'stall' : ACTIONS[kind];
    return { kind, hint, retryAfterMs, action };
  }
  const kind = error instanceof StepError ? error.kind : 'internal';
  return { kind, hint: STEP_HINTS[kind] ?? STEP_HINTS.internal!, retryAfterMs: null, action: 'wait' };
}
