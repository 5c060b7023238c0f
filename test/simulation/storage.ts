import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { SqlPort, SqlValue } from '../../src/engine/ports.ts';
import { guardSql } from '../../src/engine/sql.ts';

/**
 * An object's SQLite and its alarm. What is written is only safe once it is flushed: calls out of the object wait for
 * that, and an object that dies before it loses what it wrote since.
 */
export class SimulatedStorage {
  readonly sql: SqlPort;
  alarmMs: number | null = null;
  /** Makes SQLite refuse a statement, as it does with what is too large for it. */
  refuses: (statement: string, params: SqlValue[]) => boolean = () => false;
  readonly #database = new DatabaseSync(':memory:');
  readonly #statements = new Map<string, StatementSync>();

  constructor() {
    this.#run('BEGIN');
    this.sql = guardSql({
      exec: (statement, params) => {
        if (this.refuses(statement, params)) throw new RangeError('it is too large for SQLite');
        return this.#prepare(statement).all(...params) as Record<string, unknown>[];
      },
      transaction: work => this.#nested(work),
    });
  }

  flush(): void {
    this.#run('COMMIT');
    this.#run('BEGIN');
  }

  lose(): void {
    this.#run('ROLLBACK');
    this.#run('BEGIN');
  }

  #nested<T>(work: () => T): T {
    this.#run('SAVEPOINT work');
    try {
      const result = work();
      this.#run('RELEASE work');
      return result;
    } catch (error) {
      this.#run('ROLLBACK TO work');
      this.#run('RELEASE work');
      throw error;
    }
  }

  #run(statement: string): void {
    this.#prepare(statement).run();
  }

  #prepare(statement: string): StatementSync {
    const prepared = this.#statements.get(statement) ?? this.#database.prepare(statement);
    this.#statements.set(statement, prepared);
    return prepared;
  }
}
