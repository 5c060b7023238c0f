import { LIMITS } from '../../config.ts';
import type { SqlPort } from '../../ports/sql.ts';

/**
 * Where a key stands here. `present`: its newest row is no deletion, or nobody noted whether it is one; else `failed`:
 * a change of it is parked or dead; else `deleted` or `missing`. `lsn`: its newest row, 0 without one.
 */
export interface KeyState {
  key: string;
  lsn: number;
  standing: 'present' | 'failed' | 'deleted' | 'missing';
}

/** Keys looked up in one statement: their text stays below what SQLite takes. */
const LOOKUP_KEYS = 200;

/** Where keys stand, in the order they were given. */
export function standingsOf(sql: SqlPort, keys: string[]): KeyState[] {
  const states: KeyState[] = [];
  for (let first = 0; first < keys.length; first += LOOKUP_KEYS) {
    const found = sql.exec<{ key: string; lsn: number | null; deleted: number | null; failed: number }>(
      `SELECT value AS key, (SELECT max(last_lsn) FROM keys WHERE key = value) AS lsn,
         (SELECT min(deleted) FROM keys WHERE key = value) AS deleted,
         EXISTS (SELECT 1 FROM parked WHERE key = value) AS failed FROM json_each(?) ORDER BY id`,
      JSON.stringify(keys.slice(first, first + LOOKUP_KEYS)),
    );
    for (const { key, lsn, deleted, failed } of found) {
      const standing = deleted === 0 ? 'present' : failed === 1 ? 'failed' : lsn === null ? 'missing' : 'deleted';
      states.push({ key, lsn: lsn ?? 0, standing });
    }
  }
  return states;
}

/** Keys of the index after one and up to another, in byte order; `held` when the newest row is known to be no deletion. */
export function ownKeys(
  sql: SqlPort,
  { after, upTo }: { after: string | null; upTo: string | null },
): { key: string; lsn: number; held: number }[] {
  return sql.exec<{ key: string; lsn: number; held: number }>(
    `SELECT key, max(last_lsn) AS lsn, min(deleted) = 0 AS held FROM keys
     WHERE (?1 IS NULL OR key > ?1) AND (?2 IS NULL OR key <= ?2) GROUP BY key ORDER BY key LIMIT ?3`,
    after,
    upTo,
    LIMITS.listOwnKeysMax,
  );
}

/** Where a key stands by its rows alone, of which a change of it that is parked says nothing. */
export function standingOf(sql: SqlPort, key: string): 'present' | 'deleted' | 'missing' {
  const [found] = sql.exec<{ deleted: number | null; rows: number }>(
    'SELECT min(deleted) AS deleted, count(*) AS rows FROM keys WHERE key = ?',
    key,
  );
  return found!.rows === 0 ? 'missing' : found!.deleted === 1 ? 'deleted' : 'present';
}

/** How many changes that sweeps had made have not been looked at yet. */
export function missedWaiting(sql: SqlPort): number {
  const statement = "SELECT count(*) AS changes FROM parked WHERE reason = 'missed' AND died_ms IS NULL";
  return sql.exec<{ changes: number }>(statement)[0]!.changes;
}

/** Order of texts by their UTF-8 bytes, which is SQLite's. */
export function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

export function isAscending(keys: string[]): boolean {
  return keys.every((key, index) => index === 0 || byBytes(keys[index - 1]!, key) < 0);
}
