import type { Table } from '../../../schemas/table.ts';
import { LIMITS } from '../../config.ts';
import type { SqlPort } from '../../ports/sql.ts';

/** What the rows of a key say: its newest row is not a deletion, is one, or there is no row. */
export type RowState = 'present' | 'deleted' | 'missing';

/**
 * The state of a key; `failed` where it is not `present` and a change of it is parked or dead. `lsn`: the sum of the LSNs
 * of its newest row in each table, which rises with each of its rows; 0 without one. `revision`: the highest one of its rows
 * and of those that its accepted changes announced; null where none is known. `isParked`: a change of it is parked or dead.
 */
export interface KeyState {
  key: string;
  lsn: number;
  revision: number | null;
  isParked: boolean;
  state: RowState | 'failed';
}

/**
 * 1 when all rows of a key are deletions. Rows of immutable tables have null here and do not count, unless the key has
 * no other, because they outlast what they are rows of.
 */
const DELETED = 'iif(count(*) = 0, NULL, coalesce(min(deleted), 0))';

/** Keys of one statement. The list is one bound value, whose size SQLite limits. */
const LOOKUP_KEYS = 200;

/** A row that gets its LSN. `changeKey` is the key of the change that gave it, `rowKey` its own. */
export interface IndexedRow {
  changeKey: string;
  rowKey: string;
  lsn: number;
  /** All rows of this table that the change gave are deletions. */
  deleted: boolean;
  revision: number | null;
  /** The revision that the change announced; null where its feed has none. */
  announced: number | null;
  /** The tail pulled the change, so what changes before it announced counts no more. */
  isTail: boolean;
  documentBytes: number | null;
  isPush: boolean;
}

type ChangeKey = Pick<IndexedRow, 'lsn' | 'deleted' | 'revision' | 'announced' | 'isTail' | 'documentBytes'>;

/**
 * Writes both indexes for the rows that one append gives a table. The index of change keys has the newest row that the
 * changes of a key gave. The index of row keys has which change key gave the newest row of a row key; a row key that is
 * its own change key is left out, because its name says so. The caller holds the transaction, and calls `write` at its
 * end.
 */
export class KeyIndex {
  /** Change keys with a row that is newer than what their last visit saw, because a push or another key gave it. */
  readonly overtaken = new Set<string>();
  readonly #sql: SqlPort;
  readonly #table: Table;
  readonly #changeKeys = new Map<string, ChangeKey>();
  /** Entries of the index of row keys. */
  #rowKeys: number;

  constructor(sql: SqlPort, table: Table) {
    this.#sql = sql;
    this.#table = table;
    const statement = 'SELECT row_keys FROM tables WHERE name = ?';
    this.#rowKeys = sql.exec<{ row_keys: number }>(statement, table.name)[0]!.row_keys;
  }

  add(row: IndexedRow): void {
    if (this.#table.immutable) {
      // A pushed row stays out, because an entry for each of them would take more room than the packed digests.
      if (!row.isPush) this.#changeKeys.set(row.changeKey, row);
      return;
    }
    const { rowKey, lsn } = row;
    const other = this.#otherGiverOf(rowKey);
    // A push is no change of the upstream: its row counts for the key that gave the row before.
    const changeKey = row.isPush ? (other ?? rowKey) : row.changeKey;
    this.#changeKeys.set(changeKey, row);
    if (row.isPush) this.overtaken.add(changeKey);
    else if (changeKey !== (other ?? rowKey)) {
      this.#overtake(other ?? rowKey, lsn);
      this.#setGiver(rowKey, changeKey);
    }
  }

  /** Notes a row of an immutable table that is known already. Its change key is indexed, so that no sweep misses it. */
  addKnown(row: Omit<IndexedRow, 'lsn' | 'deleted' | 'rowKey'>, lastLsn: number): void {
    if (!row.isPush && !this.#changeKeys.has(row.changeKey))
      this.#changeKeys.set(row.changeKey, { ...row, lsn: lastLsn, deleted: false });
  }

  /** Writes the index of change keys, and the counts of both. */
  write(): void {
    const { name, immutable } = this.#table;
    let changeKeysAdded = 0;
    for (const [key, { lsn, deleted, revision, announced, isTail, documentBytes }] of this.#changeKeys) {
      const state = immutable ? null : Number(deleted);
      const values = [lsn, state, revision, announced, documentBytes, key, name];
      const before = isTail ? '-1' : 'coalesce(announced, -1)';
      const updated = this.#sql.exec(
        `UPDATE keys SET last_lsn = max(last_lsn, ?1), deleted = ?2, revision = ?3,
           announced = nullif(max(${before}, coalesce(?4, -1), coalesce(?3, -1)), coalesce(?3, -1)),
           document_bytes = coalesce(?5, document_bytes) WHERE key = ?6 AND table_name = ?7 RETURNING 1`,
        ...values,
      );
      if (updated.length > 0) continue;
      this.#sql.exec(
        `INSERT INTO keys (last_lsn, deleted, revision, announced, document_bytes, key, table_name)
         VALUES (?1, ?2, ?3, iif(?4 > coalesce(?3, -1), ?4, NULL), ?5, ?6, ?7)`,
        ...values,
      );
      changeKeysAdded += 1;
    }
    this.#sql.exec(
      'UPDATE tables SET change_keys = change_keys + ?, row_keys = ? WHERE name = ?',
      changeKeysAdded,
      this.#rowKeys,
      name,
    );
  }

  /** The change key that gave the newest row of a row key; null where that is the row key itself, or there is no row. */
  #otherGiverOf(rowKey: string): string | null {
    if (this.#rowKeys === 0) return null;
    const statement = 'SELECT change_key FROM row_keys WHERE table_name = ? AND row_key = ?';
    return this.#sql.exec<{ change_key: string }>(statement, this.#table.name, rowKey)[0]?.change_key ?? null;
  }

  #setGiver(rowKey: string, changeKey: string): void {
    const { name } = this.#table;
    const where = 'WHERE table_name = ? AND row_key = ? RETURNING 1';
    if (rowKey === changeKey) {
      this.#rowKeys -= this.#sql.exec(`DELETE FROM row_keys ${where}`, name, rowKey).length;
      return;
    }
    const updated = this.#sql.exec(`UPDATE row_keys SET change_key = ? ${where}`, changeKey, name, rowKey);
    if (updated.length > 0) return;
    const statement = 'INSERT INTO row_keys (change_key, table_name, row_key) VALUES (?, ?, ?)';
    this.#sql.exec(statement, changeKey, name, rowKey);
    this.#rowKeys += 1;
  }

  /** Makes late results of the key that gave the row before count as overtaken. */
  #overtake(changeKey: string, lsn: number): void {
    this.overtaken.add(changeKey);
    const held = this.#changeKeys.get(changeKey);
    if (held) held.lsn = lsn;
    else
      this.#sql.exec('UPDATE keys SET last_lsn = ? WHERE key = ? AND table_name = ?', lsn, changeKey, this.#table.name);
  }
}

interface Found {
  key: string;
  lsn: number | null;
  known: number | null;
  deleted: number | null;
  failed: number;
}

/** The state of each key, in the order given. */
export function keyStatesOf(sql: SqlPort, keys: string[]): KeyState[] {
  const states: KeyState[] = [];
  for (let first = 0; first < keys.length; first += LOOKUP_KEYS) {
    const found = sql.exec<Found>(
      `SELECT value AS key, (SELECT sum(last_lsn) FROM keys WHERE key = value) AS lsn,
         (SELECT max(max(coalesce(revision, -1), coalesce(announced, -1))) FROM keys WHERE key = value) AS known,
         (SELECT ${DELETED} FROM keys WHERE key = value) AS deleted,
         EXISTS (SELECT 1 FROM parked WHERE key = value) AS failed FROM json_each(?) ORDER BY id`,
      JSON.stringify(keys.slice(first, first + LOOKUP_KEYS)),
    );
    for (const { key, lsn, known, deleted, failed } of found) {
      const state = deleted === 0 ? 'present' : failed === 1 ? 'failed' : lsn === null ? 'missing' : 'deleted';
      const revision = known === null || known < 0 ? null : known;
      states.push({ key, lsn: lsn ?? 0, revision, isParked: failed === 1, state });
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
  const { where, bounds } = keyRange(after, upTo);
  return sql.exec<{ key: string; lsn: number; present: number }>(
    `SELECT key, sum(last_lsn) AS lsn, ${DELETED} = 0 AS present FROM keys ${where} GROUP BY key ORDER BY key LIMIT ?`,
    ...bounds,
    LIMITS.listOwnKeysMax,
  );
}

/**
 * The condition for keys after one and up to another. Only the bounds that are there are in it, because SQLite reads all
 * keys where a bound may be null.
 */
function keyRange(after: string | null, upTo: string | null): { where: string; bounds: string[] } {
  const conditions = [after === null ? [] : ['key > ?'], upTo === null ? [] : ['key <= ?']].flat();
  const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`;
  return { where, bounds: [after, upTo].filter(bound => bound !== null) };
}

/** Keys of the index after one, in byte order, whose newest row is no deletion. */
export function presentKeys(sql: SqlPort, { after, limit }: { after: string | null; limit: number }): string[] {
  const { where, bounds } = keyRange(after, null);
  return sql
    .exec<{ key: string }>(
      `SELECT key FROM keys ${where} GROUP BY key HAVING ${DELETED} = 0 ORDER BY key LIMIT ?`,
      ...bounds,
      limit,
    )
    .map(({ key }) => key);
}

/** The state of a key by its rows alone; parked changes do not count. */
export function rowStateOf(sql: SqlPort, key: string): RowState {
  const [found] = sql.exec<{ deleted: number | null; rows: number }>(
    `SELECT ${DELETED} AS deleted, count(*) AS rows FROM keys WHERE key = ?`,
    key,
  );
  return found!.rows === 0 ? 'missing' : found!.deleted === 1 ? 'deleted' : 'present';
}

/** The highest revision of a key's rows and of those that its accepted changes announced; null where none is known. */
export function knownRevisionOf(sql: SqlPort, key: string): number | null {
  const statement = 'SELECT max(max(coalesce(revision, -1), coalesce(announced, -1))) AS known FROM keys WHERE key = ?';
  const { known } = sql.exec<{ known: number | null }>(statement, key)[0]!;
  return known === null || known < 0 ? null : known;
}

/** Notes the revision that a change announced which gave no row, so that no sweep takes the key for stale because of it. */
export function noteAnnounced(sql: SqlPort, key: string, revision: number): void {
  sql.exec(
    'UPDATE keys SET announced = ?2 WHERE key = ?1 AND ?2 > max(coalesce(revision, -1), coalesce(announced, -1))',
    key,
    revision,
  );
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
