import fs from 'node:fs';
import path from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { D1Port } from '../../../src/ports/platform.ts';
import type { SqlValue } from '../../../src/ports/sql.ts';

const MIGRATIONS = path.resolve(import.meta.dirname, '../../../migrations');

interface Prepared {
  database: DatabaseSync;
  statements: Map<string, StatementSync>;
}

/** Databases of earlier worlds, emptied: migrating one costs more than a schedule. */
const pool: Prepared[] = [];

/** The operational database, made by the real migrations. */
export class SimulatedDatabase implements D1Port {
  readonly #prepared = pool.pop() ?? migrated();

  async batch(statements: { sql: string; params: SqlValue[] }[]): Promise<Record<string, SqlValue>[][]> {
    this.#prepare('BEGIN').run();
    try {
      const answers = statements.map(({ sql, params }) => this.rows(sql, ...params));
      this.#prepare('COMMIT').run();
      return answers;
    } catch (error) {
      this.#prepare('ROLLBACK').run();
      throw error;
    }
  }

  rows(sql: string, ...params: SqlValue[]): Record<string, SqlValue>[] {
    return this.#prepare(sql).all(...params) as Record<string, SqlValue>[];
  }

  lastSequence(source: string): SqlValue {
    return this.rows('SELECT last_sequence FROM sync_state WHERE source = ?', source)[0]?.last_sequence ?? null;
  }

  runs(): Record<string, SqlValue>[] {
    return this.rows('SELECT * FROM ingestion_runs ORDER BY id');
  }

  /** Empties its database and gives it to the next instance of this class. This one must not be used afterwards. */
  recycle(): void {
    for (const { name } of this.rows("SELECT name FROM sqlite_master WHERE type = 'table'"))
      this.#prepare(`DELETE FROM ${name}`).run();
    pool.push(this.#prepared);
  }

  #prepare(statement: string): StatementSync {
    const { database, statements } = this.#prepared;
    const prepared = statements.get(statement) ?? database.prepare(statement);
    statements.set(statement, prepared);
    return prepared;
  }
}

function migrated(): Prepared {
  const database = new DatabaseSync(':memory:');
  for (const file of fs.readdirSync(MIGRATIONS).sort())
    database.exec(fs.readFileSync(path.join(MIGRATIONS, file), 'utf8'));
  return { database, statements: new Map() };
}
