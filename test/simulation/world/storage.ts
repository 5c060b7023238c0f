import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { SqlPort, SqlValue } from '../../../src/ports/sql.ts';
import { guardSql } from '../../../src/ports/sql-guard.ts';
import { CachedSql } from './cached-sql.ts';
import { DATABASE_BYTES } from './node-sql.ts';

interface Prepared {
  statement: StatementSync;
  /** The columns of its answer; empty when it gives none. */
  columns: string[];
}

/** A database in memory with its prepared statements. Worlds reuse it, because making one costs more than a schedule. */
class PooledDatabase {
  readonly sql: CachedSql;
  /** The contents of its tables right after the object made them; null until then. */
  fresh: Map<string, Record<string, SqlValue>[]> | null = null;
  readonly #database = new DatabaseSync(':memory:');
  readonly #statements = new Map<string, Prepared>();

  constructor() {
    const guarded = guardSql({
      exec: (statement, params) => this.#exec(statement, params),
      transaction: work => this.#nested(work),
      bytes: () => Number(this.rows(DATABASE_BYTES)[0]!.bytes),
    });
    this.sql = new CachedSql(guarded);
  }

  rows(text: string): Record<string, SqlValue>[] {
    return rowsOf(this.#prepare(text), []);
  }

  run(statement: string, ...params: SqlValue[]): void {
    this.#prepare(statement).statement.run(...params);
  }

  #exec(statement: string, given: SqlValue[]): Record<string, unknown>[] {
    const { text, params } = withLimit(statement, given);
    const prepared = this.#prepare(text);
    if (prepared.columns.length > 0) return rowsOf(prepared, params);
    this.sql.changes = Number(prepared.statement.run(...params).changes);
    return [];
  }

  #nested<T>(work: () => T): T {
    this.run('SAVEPOINT work');
    try {
      const result = work();
      this.run('RELEASE work');
      return result;
    } catch (error) {
      this.run('ROLLBACK TO work');
      this.run('RELEASE work');
      this.sql.invalidate();
      throw error;
    }
  }

  #prepare(text: string): Prepared {
    let prepared = this.#statements.get(text);
    if (prepared === undefined) {
      const statement = this.#database.prepare(text);
      statement.setReturnArrays(true);
      prepared = { statement, columns: statement.columns().map(({ name }) => name) };
      this.#statements.set(text, prepared);
    }
    return prepared;
  }
}

/** Writes the limit into the statement, because SQLite prepares it again each time a limit is bound. */
function withLimit(statement: string, params: SqlValue[]): { text: string; params: SqlValue[] } {
  if (!statement.endsWith('LIMIT ?')) return { text: statement, params };
  return { text: `${statement.slice(0, -1)}${params.at(-1)}`, params: params.slice(0, -1) };
}

/** Rows as objects of one shape, which are quicker to read and to copy than those that SQLite gives. */
function rowsOf({ statement, columns }: Prepared, params: SqlValue[]): Record<string, SqlValue>[] {
  return (statement.all(...params) as unknown as SqlValue[][]).map(values => {
    const row: Record<string, SqlValue> = {};
    for (let index = 0; index < columns.length; index++) row[columns[index]!] = values[index]!;
    return row;
  });
}

const pool = new Map<string, PooledDatabase[]>();

/**
 * An object's SQLite and its alarm. Writes are safe when they are flushed. Calls out of the object flush first; an object
 * that dies may lose the writes since.
 */
export class SimulatedStorage {
  readonly sql: SqlPort;
  alarmMs: number | null = null;
  /** Makes SQLite refuse a statement, as it refuses values that are too large. */
  refuses: (statement: string, params: SqlValue[]) => boolean = () => false;
  /** Called after each statement, or transaction (null), that may have written. */
  onWritten: ((statement: string | null) => void) | null = null;
  /** Called when all writes so far are safe. */
  onFlushed: () => void = () => undefined;
  /** Called when the contents were rolled back or replaced. */
  onReplaced: () => void = () => undefined;
  /** The number of open transactions, one inside the other. */
  #depth = 0;
  readonly #kind: string;
  readonly #database: PooledDatabase;

  /** Storages of one `kind` have the same tables. With `caches: false`, SQLite itself runs every statement. */
  constructor(kind: string, { caches = true }: { caches?: boolean } = {}) {
    this.#kind = kind;
    this.#database = pool.get(kind)?.pop() ?? new PooledDatabase();
    this.#database.run('BEGIN');
    const { sql } = this.#database;
    this.sql = {
      exec: (statement, ...params) => {
        if (this.refuses(statement, params)) throw new RangeError('it is too large for SQLite');
        if (!caches) sql.invalidate();
        const rows = sql.exec(statement, params);
        if (this.onWritten && this.#depth === 0 && !statement.startsWith('SELECT')) this.onWritten(statement);
        return rows as never;
      },
      transaction: work => this.#transaction(work),
      bytes: () => sql.bytes(),
    };
  }

  flush(): void {
    if (!this.#database.sql.isWritten) return;
    this.#database.sql.isWritten = false;
    this.#database.run('COMMIT');
    this.#database.run('BEGIN');
    this.onFlushed();
  }

  lose(): void {
    this.#database.run('ROLLBACK');
    this.#database.run('BEGIN');
    this.#database.sql.isWritten = false;
    this.#database.sql.invalidate();
    this.onReplaced();
  }

  /** To be called when the object has made its tables: `wipe` goes back to this. */
  saveFresh(): void {
    this.#database.fresh ??= this.copy();
  }

  /** The rows of all tables. */
  copy(): Map<string, Record<string, SqlValue>[]> {
    const tables = this.#database.rows("SELECT name FROM sqlite_master WHERE type = 'table'");
    return new Map(tables.map(({ name }) => [String(name), this.#database.rows(`SELECT * FROM ${name}`)]));
  }

  /** Replaces all contents by those of a copy. */
  restore(copy: Map<string, Record<string, SqlValue>[]>): void {
    for (const [table, rows] of copy) {
      this.#database.run(`DELETE FROM ${table}`);
      for (const row of rows) {
        const placeholders = Object.keys(row).map(() => '?');
        this.#database.run(
          `INSERT INTO ${table} (${Object.keys(row)}) VALUES (${placeholders})`,
          ...Object.values(row),
        );
      }
    }
    this.#database.sql.isWritten = true;
    this.#database.sql.invalidate();
    this.onReplaced();
    this.flush();
  }

  /** Goes back to the tables as the object first made them. */
  wipe(): void {
    this.restore(this.#database.fresh!);
  }

  /** Gives its database to the next storage of its kind. This storage must not be used afterwards. */
  recycle(): void {
    this.wipe();
    this.#database.run('COMMIT');
    pool.set(this.#kind, [...(pool.get(this.#kind) ?? []), this.#database]);
  }

  #transaction<T>(work: () => T): T {
    this.#depth += 1;
    let result: T;
    try {
      result = this.#database.sql.transaction(work);
    } finally {
      this.#depth -= 1;
    }
    if (this.#depth === 0) this.onWritten?.(null);
    return result;
  }
}
