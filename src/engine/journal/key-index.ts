import { LIMITS } from '../../config.ts';
import type { SqlPort } from '../../ports/sql.ts';

/** What the rows of a key say: its newest row is not a deletion, is one, or there is no row. */
export type RowState = 'present' | 'deleted' | 'missing';

/**
 * The state of a key; `failed` where it is not `present` and a change of it is parked or dead. `lsn`: its newest row, 0
 * without one.
 */
export interface KeyState {
  key: string;
  lsn: number;
  state: RowState | 'failed';
}

/** Keys of one statement. The list is one bound value, whose size SQLite limits. */
const LOOKUP_KEYS = 200;

/** The state of each key, in the order given. */
export function keyStatesOf(sql: SqlPort, keys: string[]): KeyState[] {
  const states: KeyState[] = [];
  for (let first = 0; first < keys.length; first += LOOKUP_KEYS) {
    const found = sql.exec<{ key: string; lsn: number | null; deleted: number | null; failed: number }>(
      `SELECT value AS key, (SELECT max(last_lsn) FROM keys WHERE key = value) AS lsn,
         (SELECT min(deleted) FROM keys WHERE key = value) AS deleted,
         EXISTS (SELECT 1 FROM parked WHERE key = value) AS failed FROM json_each(?) ORDER BY id`,
      JSON.stringify(keys.slice(first, first + LOOKUP_KEYS)),
    );
    for (const { key, lsn, deleted, failed } of found) {
      const state = deleted === 0 ? 'present' : failed === 1 ? 'failed' : lsn === null ? 'missing' : 'deleted';
      states.push({ key, lsn: lsn ?? 0, state });
    }
  }
  return states;
}

/**
 * Keys of the index after one and up to another, in byte order, at most `LIMITS.listOwnKeysMax`. `present` is 1 unless
 * all rows are deletions.
 */
export function indexedKeys(
  sql: SqlPort,
  { after, upTo }: { after: string | null; upTo: string | null },
): { key: string; lsn: number; present: number }[] {
  return sql.exec<{ key: string; lsn: number; present: number }>(
    `SELECT key, max(last_lsn) AS lsn, min(deleted) = 0 AS present FROM keys
     WHERE (?1 IS NULL OR key > ?1) AND (?2 IS NULL OR key <= ?2) GROUP BY key ORDER BY key LIMIT ?3`,
    after,
    upTo,
    LIMITS.listOwnKeysMax,
  );
}

/** The state of a key by its rows alone; parked changes do not count. */
export function rowStateOf(sql: SqlPort, key: string): RowState {
  const [found] = sql.exec<{ deleted: number | null; rows: number }>(
    'SELECT min(deleted) AS deleted, count(*) AS rows FROM keys WHERE key = ?',
    key,
  );
  return found!.rows === 0 ? 'missing' : found!.deleted === 1 ? 'deleted' : 'present';
}

/** Changes made by sweeps that wait for their first attempt. */
export function waitingSweepChanges(sql: SqlPort): number {
  const statement = "SELECT count(*) AS changes FROM parked WHERE reason = 'missed' AND died_ms IS NULL";
  return sql.exec<{ changes: number }>(statement)[0]!.changes;
}

/** Compares texts by their UTF-8 bytes, as SQLite does. */
export function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

export function isAscending(keys: string[]): boolean {
  return keys.every((key, index) => index === 0 || byBytes(keys[index - 1]!, key) < 0);
}
