import { LIMITS } from '../../config.ts';
import type { SqlPort } from '../../ports/sql.ts';

/** Keys of a sweep that one transaction checks again. */
const CHECKS_MAX = 500;

/**
 * `missing`: listed, without a row. `deleted`: listed, and its newest row is a deletion. `stale`: listed with a higher
 * revision than any that is known here. `extra`: present here, and not listed.
 */
export type DifferenceKind = 'missing' | 'deleted' | 'stale' | 'extra';

/**
 * A key that differs. `lsn`: its newest row when it was compared, 0 without one. `revision`: the listed one. `after`: the
 * key that the page with it begins after.
 */
export interface Difference {
  sweep: number;
  kind: DifferenceKind;
  key: string;
  lsn: number;
  revision: number | null;
  after: string | null;
}

/**
 * The differences that sweeps found, each `found` by the listing, `confirmed` by a second check, and `loading` once it has
 * a change or needs none. Callers hold the transaction.
 */
export class Differences {
  readonly #sql: SqlPort;

  constructor(sql: SqlPort) {
    this.#sql = sql;
  }

  insert({ sweep, kind, key, lsn, revision, after }: Difference): void {
    this.#sql.exec(
      `INSERT INTO differences (sweep, kind, key, lsn, revision, after) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
      sweep,
      kind,
      key,
      lsn,
      revision,
      after,
    );
  }

  /** Some differences of a kind and state, in the order of their keys. */
  some(sweep: number, kind: DifferenceKind, state: 'found' | 'confirmed'): Difference[] {
    return this.#sql.exec<Difference & Record<string, never>>(
      `SELECT sweep, kind, key, lsn, revision, after FROM differences WHERE sweep = ? AND kind = ? AND state = ?
       ORDER BY key LIMIT ?`,
      sweep,
      kind,
      state,
      CHECKS_MAX,
    );
  }

  /** Extra keys that have not been checked again, of a page after one key and up to another. */
  extraIn(sweep: number, after: string | null, upTo: string | null): Difference[] {
    return this.#sql.exec<Difference & Record<string, never>>(
      `SELECT sweep, kind, key, lsn, revision, after FROM differences
       WHERE sweep = ?1 AND kind = 'extra' AND state = 'found' AND (?2 IS NULL OR key > ?2) AND (?3 IS NULL OR key <= ?3)`,
      sweep,
      after,
      upTo,
    );
  }

  /** Has the extra keys after a page's end checked again with a page that begins there. */
  moveExtra(sweep: number, after: string): void {
    this.#sql.exec(
      `UPDATE differences SET after = ?1 WHERE sweep = ?2 AND kind = 'extra' AND state = 'found' AND key > ?1
         AND (after IS NULL OR after < ?1)`,
      after,
      sweep,
    );
  }

  /** A second check found the same. */
  confirm(difference: Difference): void {
    this.#set(difference, 'found', 'confirmed');
  }

  /** The key has a change that loads it, or needs none. */
  load(difference: Difference): void {
    this.#set(difference, 'confirmed', 'loading');
  }

  drop({ sweep, kind, key }: Difference): void {
    this.#sql.exec('DELETE FROM differences WHERE sweep = ? AND kind = ? AND key = ?', sweep, kind, key);
  }

  /** Removes differences of these keys that have not been checked again. Returns their kinds. */
  dropFound(sweep: number, keys: string[]): DifferenceKind[] {
    return this.#sql
      .exec<{ kind: DifferenceKind }>(
        `DELETE FROM differences WHERE sweep = ? AND state = 'found' AND key IN (SELECT value FROM json_each(?))
         RETURNING kind`,
        sweep,
        JSON.stringify(keys),
      )
      .map(({ kind }) => kind);
  }

  dropAll(sweep: number, kind: DifferenceKind | null = null): void {
    this.#sql.exec('DELETE FROM differences WHERE sweep = ?1 AND (?2 IS NULL OR kind = ?2)', sweep, kind);
  }

  count(sweep: number): number {
    return this.#sql.exec<{ keys: number }>('SELECT count(*) AS keys FROM differences WHERE sweep = ?', sweep)[0]!.keys;
  }

  /** Keys that differ after the second check, at most `LIMITS.auditNamesMax`, in order. */
  confirmedKeys(sweep: number, kind: DifferenceKind): string[] {
    return this.#sql
      .exec<{ key: string }>(
        "SELECT key FROM differences WHERE sweep = ? AND kind = ? AND state <> 'found' ORDER BY key LIMIT ?",
        sweep,
        kind,
        LIMITS.auditNamesMax,
      )
      .map(({ key }) => key);
  }

  /**
   * Removes the differences of earlier sweeps, and of this one all but those that its answer names and those whose change
   * is still to be attempted, because a load may show that the upstream has the key.
   */
  trim(sweep: number): void {
    for (const kind of ['missing', 'stale', 'extra'] as const)
      this.#sql.exec(
        `DELETE FROM differences WHERE sweep = ?1 AND kind = ?2
           AND key NOT IN (SELECT key FROM differences WHERE sweep = ?1 AND kind = ?2 AND state <> 'found' ORDER BY key
             LIMIT ?3)
           AND NOT EXISTS (SELECT 1 FROM parked WHERE parked.key = differences.key AND from_sweep = 1)`,
        sweep,
        kind,
        LIMITS.auditNamesMax,
      );
    this.#sql.exec("DELETE FROM differences WHERE sweep < ? OR kind = 'deleted'", sweep);
  }

  #set({ sweep, kind, key }: Difference, before: 'found' | 'confirmed', state: 'confirmed' | 'loading'): void {
    const statement = 'UPDATE differences SET state = ? WHERE sweep = ? AND kind = ? AND state = ? AND key = ?';
    this.#sql.exec(statement, state, sweep, kind, before, key);
  }
}

/** An extra key whose load the upstream answered with a row is none: it was accepted after the listing was made. */
export function dropServedExtra(sql: SqlPort, key: string): void {
  const dropped = sql.exec<{ sweep: number }>(
    "DELETE FROM differences WHERE kind = 'extra' AND state <> 'found' AND key = ? RETURNING sweep",
    key,
  );
  for (const { sweep } of dropped) sql.exec('UPDATE sweeps SET extra = extra - 1 WHERE id = ?', sweep);
}
