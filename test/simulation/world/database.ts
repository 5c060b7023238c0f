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

const spare: Prepared[] = [];

/** The operational database, with its real migrations. */
export class SimulatedDatabase implements D1Port {
  readonly #prepared = spare.pop() ?? migrated();

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

  /** The rows of a query. */
  rows(sql: string, ...params: SqlValue[]): Record<string, SqlValue>[] {
    return this.#prepare(sql).all(...params) as Record<string, SqlValue>[];
  }

  lastSequence(source: string): SqlValue {
    return this.rows('SELECT last_sequence FROM sync_state WHERE source = ?', source)[0]?.last_sequence ?? null;
  }

  runs(): Record<string, SqlValue>[] {
    return this.rows('SELECT * FROM ingestion_runs ORDER BY id');
  }

  /** Gives its database, emptied, to the next one. Nothing may use this one afterwards. */
  recycle(): void {
    for (const { name } of this.rows("SELECT name FROM sqlite_master WHERE type = 'table'"))
      this.#prepare(`DELETE FROM ${name}`).run();
    spare.push(this.#prepared);
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
