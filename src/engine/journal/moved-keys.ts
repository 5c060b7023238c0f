import type { SqlPort } from '../../ports/sql.ts';

/** Names that watched keys had before their items got others at the upstream, so that rows which say the old name count. */
export class MovedKeys {
  readonly #sql: SqlPort;

  constructor(sql: SqlPort) {
    this.#sql = sql;
  }

  /** The name that a key has now: the one that it moved to, or its own. */
  currentOf(key: string): string {
    return this.#sql.exec<{ to_key: string }>('SELECT to_key FROM moved_keys WHERE key = ?', key)[0]?.to_key ?? key;
  }

  /** Notes that a key moved. Names that led to it lead to the new one, so that one step always suffices. */
  note(key: string, to: string): void {
    this.forget(to);
    this.#sql.exec('UPDATE moved_keys SET to_key = ? WHERE to_key = ?', to, key);
    this.#sql.exec(
      'INSERT INTO moved_keys (key, to_key) VALUES (?, ?) ON CONFLICT DO UPDATE SET to_key = excluded.to_key',
      key,
      to,
    );
  }

  /** A key names something of its own again, because a person added it, or another key moved to it. */
  forget(key: string): void {
    this.#sql.exec('DELETE FROM moved_keys WHERE key = ?', key);
  }
}
