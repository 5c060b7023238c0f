import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { SqlPort, SqlValue } from '../../src/engine/ports.ts';
import { guardSql } from '../../src/engine/sql.ts';

/** A database in memory with the statements prepared on it. Kept and emptied: to make one costs more than a whole simulation. */
interface Prepared {
  database: DatabaseSync;
  statements: Map<string, StatementSync>;
  /** What its tables held right after they were made; null until then. */
  fresh: Map<string, Record<string, SqlValue>[]> | null;
}

const spare = new Map<string, Prepared[]>();

/**
 * An object's SQLite and its alarm. What is written is only safe once it is flushed: calls out of the object wait for
 * that, and an object that dies before it loses what it wrote since.
 */
export class SimulatedStorage {
  readonly sql: SqlPort;
  alarmMs: number | null = null;
  /** Makes SQLite refuse a statement, as it does with what is too large for it. */
  refuses: (statement: string, params: SqlValue[]) => boolean = () => false;
  readonly #kind: string;
  readonly #prepared: Prepared;

  /** Storages of one `kind` have the same tables. */
  constructor(kind: string) {
    this.#kind = kind;
    this.#prepared = spare.get(kind)?.pop() ?? {
      database: new DatabaseSync(':memory:'),
      statements: new Map(),
      fresh: null,
    };
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

  /** Notes that the object's tables were just made. */
  opened(): void {
    this.#prepared.fresh ??= this.copy();
  }

  /** All it holds. */
  copy(): Map<string, Record<string, SqlValue>[]> {
    const tables = this.#rows("SELECT name FROM sqlite_master WHERE type = 'table'").map(({ name }) => String(name));
    return new Map(tables.map(table => [table, this.#rows(`SELECT * FROM ${table}`)]));
  }

  /** Holds what a copy holds, and nothing else. */
  restore(copy: Map<string, Record<string, SqlValue>[]>): void {
    for (const [table, rows] of copy) {
      this.#run(`DELETE FROM ${table}`);
      for (const row of rows) {
        const places = Object.keys(row).map(() => '?');
        this.#prepare(`INSERT INTO ${table} (${Object.keys(row)}) VALUES (${places})`).run(...Object.values(row));
      }
    }
    this.flush();
  }

  /** As it was when the object first opened it. */
  wipe(): void {
    this.restore(this.#prepared.fresh!);
  }

  /** Gives its database to the next storage of its kind. Nothing may use this one afterwards. */
  recycle(): void {
    this.wipe();
    this.#run('COMMIT');
    spare.set(this.#kind, [...(spare.get(this.#kind) ?? []), this.#prepared]);
  }

  #rows(statement: string): Record<string, SqlValue>[] {
    return this.#prepare(statement).all() as Record<string, SqlValue>[];
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
    const { database, statements } = this.#prepared;
    const prepared = statements.get(statement) ?? database.prepare(statement);
    statements.set(statement, prepared);
    return prepared;
  }
}
