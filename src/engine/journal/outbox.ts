import type { LoadedRow } from '../../ports/change.ts';
import type { EngineSource } from '../../ports/source.ts';
import type { SqlPort } from '../../ports/sql.ts';

/** A key to send to another source's agenda. */
export interface OutboxKey {
  id: number;
  target: string;
  key: string;
}

/**
 * Keys that rows give to the agendas of other sources. A key is added in the transaction that accepts its row, and
 * stays until the other source has it: what a queue loses is sent again.
 */
export class JournalOutbox {
  readonly #sql: SqlPort;
  readonly #feeds: EngineSource['feeds'];

  constructor(sql: SqlPort, feeds: EngineSource['feeds']) {
    this.#sql = sql;
    this.#feeds = feeds;
  }

  /** Adds the keys of accepted rows. The caller holds the transaction. */
  add(rows: LoadedRow[], nowMs: number): void {
    for (const [target, keysOf] of Object.entries(this.#feeds)) {
      for (const key of new Set(rows.filter(({ op }) => op === 'upsert').flatMap(keysOf)))
        this.#sql.exec(
          'INSERT INTO outbox (target, key, due_ms) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
          target,
          key,
          nowMs,
        );
    }
  }

  /** Keys to send, or to send again; those due longest first. */
  due(nowMs: number, limit: number): OutboxKey[] {
    const statement = 'SELECT id, target, key FROM outbox WHERE due_ms <= ? ORDER BY due_ms, id LIMIT ?';
    return this.#sql.exec<OutboxKey & Record<string, string | number>>(statement, nowMs, limit);
  }

  /** Sets when keys are sent again. */
  defer(ids: number[], dueMs: number): void {
    this.#sql.exec(
      'UPDATE outbox SET due_ms = ? WHERE id IN (SELECT value FROM json_each(?))',
      dueMs,
      JSON.stringify(ids),
    );
  }

  /** Removes keys that the other source has. */
  done(ids: number[]): void {
    this.#sql.exec('DELETE FROM outbox WHERE id IN (SELECT value FROM json_each(?))', JSON.stringify(ids));
  }

  nextDueMs(): number | null {
    return this.#sql.exec<{ due: number | null }>('SELECT min(due_ms) AS due FROM outbox')[0]!.due;
  }
}
