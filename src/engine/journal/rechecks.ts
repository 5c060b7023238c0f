import { LIMITS } from '../../config.ts';
import type { SqlPort } from '../../ports/sql.ts';
import type { ParkedChange } from './changes.ts';
import { isGone, type Outcome } from './changes.ts';
import { standingOf } from './key-index.ts';

/**
 * What another look at a lagging revision means, where `known` is the newest revision there is a row of: an outcome, or
 * null for "not yet".
 */
export function judgeRecheck({ revision }: ParkedChange, outcome: Outcome, known: number | null): Outcome | null {
  if (outcome.kind !== 'rows') return null;
  if (outcome.revision === null || known === null || outcome.revision > known) return outcome;
  const isReached = revision === null || outcome.revision >= revision;
  return isReached ? { kind: 'skip', reason: 'unchanged' } : null;
}

/** Whether a look counts. Where nobody answered it was none; that the document is gone is an answer, and may stay so. */
export function isLook(outcome: Outcome): boolean {
  return outcome.kind !== 'park' || isGone(outcome);
}

/** When to look again after a look that found nothing new; null when it was looked at often enough. */
export function recheckDelayMs({ attempts }: ParkedChange, outcome: Outcome): number | null {
  if (isLook(outcome)) return LIMITS.recheckMs[attempts + 1] ?? null;
  const askedMs = outcome.kind === 'park' ? outcome.retryAfterMs : null;
  return Math.max(LIMITS.recheckMs[attempts] ?? LIMITS.parkedMsMax, askedMs ?? 0);
}

/** What a look at a change means that a sweep had made: it may find that nothing was missing after all. */
export function judgeMissed(sql: SqlPort, { key, from_sweep }: ParkedChange, outcome: Outcome): Outcome {
  if (from_sweep === 0) return outcome;
  // It was listed, and is gone by now: no row of it was ever owed.
  if (isGone(outcome)) return { kind: 'skip', reason: 'no-rows' };
  const isDeletion = outcome.kind === 'rows' && outcome.rows.every(row => row.op === 'delete');
  const isKnown = isDeletion && standingOf(sql, key) === 'deleted';
  return isKnown ? { kind: 'skip', reason: 'unchanged' } : outcome;
}
