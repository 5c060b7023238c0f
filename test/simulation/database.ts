import fs from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { D1Port, SqlValue } from '../../src/engine/ports.ts';

const MIGRATIONS = path.resolve(import.meta.dirname, '../../migrations');

/** The operational database, with its real migrations. */
export class SimulatedDatabase implements D1Port {
  readonly #database = new DatabaseSync(':memory:');

  constructor() {
    for (const file of fs.readdirSync(MIGRATIONS).sort())
      this.#database.exec(fs.readFileSync(path.join(MIGRATIONS, file), 'utf8'));
  }

  async batch(statements: { sql: string; params: SqlValue[] }[]): Promise<void> {
    this.#database.exec('BEGIN');
    try {
      for (const { sql, params } of statements) this.#database.prepare(sql).run(...params);
      this.#database.exec('COMMIT');
    } catch (error) {
      this.#database.exec('ROLLBACK');
      throw error;
    }
  }

  /** The rows of a query. */
  rows(sql: string, ...params: SqlValue[]): Record<string, SqlValue>[] {
    return this.#database.prepare(sql).all(...params) as Record<string, SqlValue>[];
  }

  lastSequence(source: string): SqlValue {
    return this.rows('SELECT last_sequence FROM sync_state WHERE source = ?', source)[0]?.last_sequence ?? null;
  }

  runs(): Record<string, SqlValue>[] {
    return this.rows('SELECT * FROM ingestion_runs ORDER BY id');
  }
}
