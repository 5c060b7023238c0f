import { keyOf, type Table } from '../../../schemas/table.ts';
import type { LoadedRow } from '../../ports/change.ts';
import type { SqlPort } from '../../ports/sql.ts';

/**
 * Which thing the newest row of each row key is of, in tables that declare an identity. A name may pass from one thing to
 * another, and the two are visited in any order: what deletes the row of the first must not delete that of the second.
 * One instance serves one append; the caller holds the transaction, and calls `write` at its end.
 */
export class RowIdentities {
  readonly #sql: SqlPort;
  /** What this append says, by table and row key; null where the newest row is a deletion. */
  readonly #changed = new Map<string, Map<string, string | null>>();

  constructor(sql: SqlPort) {
    this.#sql = sql;
  }

  /**
   * Notes a row, and returns it as it is appended. Null for a deletion whose thing does not have the key's newest row: it
   * must not be appended. A deletion that names no thing, with an empty identity, is of the thing that has that row.
   */
  add(table: Table, loaded: LoadedRow): LoadedRow | null {
    if (table.identity === null) return loaded;
    const { op, row } = loaded;
    const rowKey = keyOf(table, row);
    const identity = String(row[table.identity]);
    const current = op === 'delete' ? this.#identityOf(table, rowKey) : null;
    if (op === 'delete' && (current === null || (identity !== '' && identity !== current))) return null;
    const changed = this.#changed.get(table.name) ?? new Map<string, string | null>();
    this.#changed.set(table.name, changed);
    changed.set(rowKey, op === 'delete' ? null : identity);
    return identity === '' && op === 'delete' ? { ...loaded, row: { ...row, [table.identity]: current } } : loaded;
  }

  /** Writes what changed. */
  write(): void {
    for (const [table, changed] of this.#changed) {
      for (const [rowKey, identity] of changed) {
        if (identity === null)
          this.#sql.exec('DELETE FROM row_identities WHERE table_name = ? AND row_key = ?', table, rowKey);
        else
          this.#sql.exec(
            `INSERT INTO row_identities (table_name, row_key, identity) VALUES (?, ?, ?)
             ON CONFLICT DO UPDATE SET identity = excluded.identity WHERE identity <> excluded.identity`,
            table,
            rowKey,
            identity,
          );
      }
    }
    this.#changed.clear();
  }

  #identityOf({ name }: Table, rowKey: string): string | null {
    const changed = this.#changed.get(name)?.get(rowKey);
    if (changed !== undefined) return changed;
    const statement = 'SELECT identity FROM row_identities WHERE table_name = ? AND row_key = ?';
    return this.#sql.exec<{ identity: string }>(statement, name, rowKey)[0]?.identity ?? null;
  }
}
