import { LIMITS } from '../../config.ts';
import type { Failure } from '../../errors.ts';
import type { SqlPort } from '../../ports/sql.ts';
import { isGone, type Outcome, type ParkedChange } from './changes.ts';
import { knownRevisionOf, rowStateOf } from './key-index.ts';

/**
 * The outcome of an attempt at a change whose upstream served an older revision than its feed announced; null while the
 * revision is still to come. `known` is the newest revision that has a row.
 */
export function judgeLaggingRevision(
  { revision }: ParkedChange,
  outcome: Outcome,
  known: number | null,
): Outcome | null {
  if (outcome.kind !== 'rows') return null;
  if (outcome.revision === null || known === null || outcome.revision > known) return outcome;
  const isReached = revision === null || outcome.revision >= revision;
  return isReached ? { kind: 'skip', reason: 'unchanged' } : null;
}

/** The newest that is known of a key: its revision, and whether that is its deletion. */
interface Latest {
  revision: number;
  deleted: boolean;
}

/** The newest that a parked or dead change of a key announced and, `withRows`, that its rows say; null where nothing is known. */
export function latestOf(sql: SqlPort, key: string, { withRows }: { withRows: boolean }): Latest | null {
  // SQLite takes `deleted` from the row that has the highest revision.
  const statement = 'SELECT max(revision) AS revision, deleted FROM parked WHERE key = ?';
  const [parked] = sql.exec<{ revision: number | null; deleted: number | null }>(statement, key);
  const known = withRows ? knownRevisionOf(sql, key) : null;
  const awaited = parked!.revision;
  if (awaited !== null && (known === null || awaited >= known))
    return { revision: awaited, deleted: parked!.deleted === 1 };
  return known === null ? null : { revision: known, deleted: rowStateOf(sql, key) === 'deleted' };
}

/** Why a change waits whose upstream served an older revision than was announced. */
export function laggingOf({ revision }: { revision: number | null }, outcome: Outcome): Failure {
  const actual = outcome.kind === 'rows' ? `got ${outcome.revision}` : 'got none';
  return { reason: 'lagging-revision', detail: `expected revision ${revision}, ${actual}` };
}

/** Whether the upstream answered with a row that is no deletion. */
export function isServed(outcome: Outcome): boolean {
  return outcome.kind === 'rows' && outcome.rows.some(row => row.op === 'upsert');
}

/** Whether an attempt counts: only one that the upstream answered does. That the document is gone is an answer. */
export function countsAsAttempt(outcome: Outcome): boolean {
  return outcome.kind !== 'park' || isGone(outcome);
}

/** The time until the next attempt after one that found nothing new; null after the last one. */
export function recheckDelayMs({ attempts }: ParkedChange, outcome: Outcome): number | null {
  if (countsAsAttempt(outcome)) return LIMITS.recheckMs[attempts + 1] ?? null;
  const retryAfterMs = outcome.kind === 'park' ? outcome.retryAfterMs : null;
  return Math.max(LIMITS.recheckMs[attempts] ?? LIMITS.parkedMsMax, retryAfterMs ?? 0);
}

/**
 * The outcome of an attempt at any other change. Of a change that a sweep made, the attempt may find that nothing was
 * missing, or that the upstream does not serve yet what it lists (null). `known` is the newest revision that has a row.
 */
export function judgeSweepChange(
  sql: SqlPort,
  { key, from_sweep, revision }: ParkedChange,
  outcome: Outcome,
  known: number | null,
): Outcome | null {
  if (from_sweep === 0) return outcome;
  // The upstream listed the key and does not serve it: there is no row to load.
  if (isGone(outcome)) return { kind: 'skip', reason: 'no-rows' };
  if (outcome.kind !== 'rows') return outcome;
  const state = rowStateOf(sql, key);
  if (outcome.rows.every(row => row.op === 'delete'))
    return state === 'deleted' ? { kind: 'skip', reason: 'unchanged' } : outcome;
  const isKnown = state === 'present' && outcome.revision !== null && known !== null && outcome.revision <= known;
  if (!isKnown) return outcome;
  return revision !== null && outcome.revision! < revision ? null : { kind: 'skip', reason: 'unchanged' };
}
