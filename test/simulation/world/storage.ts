import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { SqlPort, SqlValue } from '../../../src/ports/sql.ts';
import { guardSql } from '../../../src/ports/sql-guard.ts';
import { RememberedSql } from './remembered.ts';

interface Prepared {
  statement: StatementSync;
  /** What an answer's columns are called; none where the statement gives no answer. */
  columns: string[];
}

/** A database in memory with all that is made for it. Kept and emptied: to make one costs more than a whole simulation. */
class Kept {
  readonly sql: RememberedSql;
  /** What its tables held right after they were made; null until then. */
  fresh: Map<string, Record<string, SqlValue>[]> | null = null;
  readonly #database = new DatabaseSync(':memory:');
  readonly #statements = new Map<string, Prepared>();

  constructor() {
    const guarded = guardSql({
      exec: (statement, params) => this.#exec(statement, params),
      transaction: work => this.#nested(work),
    });
    this.sql = new RememberedSql(guarded);
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
      this.sql.forget();
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

/** SQLite prepares a statement anew each time its limit is bound; written out it is not. */
function withLimit(statement: string, params: SqlValue[]): { text: string; params: SqlValue[] } {
  if (!statement.endsWith('LIMIT ?')) return { text: statement, params };
  return { text: `${statement.slice(0, -1)}${params.at(-1)}`, params: params.slice(0, -1) };
}

/** Objects of one shape, which are quicker to read and to copy than those SQLite gives. */
function rowsOf({ statement, columns }: Prepared, params: SqlValue[]): Record<string, SqlValue>[] {
  return (statement.all(...params) as unknown as SqlValue[][]).map(values => {
    const row: Record<string, SqlValue> = {};
    for (let index = 0; index < columns.length; index++) row[columns[index]!] = values[index]!;
    return row;
  });
}

const spare = new Map<string, Kept[]>();

/**
 * An object's SQLite and its alarm. What is written is only safe once it is flushed: calls out of the object wait for
 * that, and an object that dies before it loses what it wrote since.
 */
export class SimulatedStorage {
  readonly sql: SqlPort;
  alarmMs: number | null = null;
  /** Makes SQLite refuse a statement, as it does with what is too large for it. */
  refuses: (statement: string, params: SqlValue[]) => boolean = () => false;
  /** Told of each statement, or transaction (null), that may have written; of what is safe now; and of other contents. */
  onWritten: ((statement: string | null) => void) | null = null;
  onSafe: () => void = () => undefined;
  onReplaced: () => void = () => undefined;
  /** Transactions that are open. */
  #depth = 0;
  readonly #kind: string;
  readonly #kept: Kept;

  /** Storages of one `kind` have the same tables. With `remembers` set to false, SQLite itself is asked each time. */
  constructor(kind: string, { remembers = true }: { remembers?: boolean } = {}) {
    this.#kind = kind;
    this.#kept = spare.get(kind)?.pop() ?? new Kept();
    this.#kept.run('BEGIN');
    const { sql } = this.#kept;
    this.sql = {
      exec: (statement, ...params) => {
        if (this.refuses(statement, params)) throw new RangeError('it is too large for SQLite');
        if (!remembers) sql.forget();
        const rows = sql.exec(statement, params);
        if (this.onWritten && this.#depth === 0 && !statement.startsWith('SELECT')) this.onWritten(statement);
        return rows as never;
      },
      transaction: work => this.#transaction(work),
    };
  }

  flush(): void {
    if (!this.#kept.sql.isWritten) return;
    this.#kept.sql.isWritten = false;
    this.#kept.run('COMMIT');
    this.#kept.run('BEGIN');
    this.onSafe();
  }

  lose(): void {
    this.#kept.run('ROLLBACK');
    this.#kept.run('BEGIN');
    this.#kept.sql.isWritten = false;
    this.#kept.sql.forget();
    this.onReplaced();
  }

  /** Notes that the object's tables were just made. */
  opened(): void {
    this.#kept.fresh ??= this.copy();
  }

  /** All it holds. */
  copy(): Map<string, Record<string, SqlValue>[]> {
    const tables = this.#kept.rows("SELECT name FROM sqlite_master WHERE type = 'table'");
    return new Map(tables.map(({ name }) => [String(name), this.#kept.rows(`SELECT * FROM ${name}`)]));
  }

  /** Holds what a copy holds, and nothing else. */
  restore(copy: Map<string, Record<string, SqlValue>[]>): void {
    for (const [table, rows] of copy) {
      this.#kept.run(`DELETE FROM ${table}`);
      for (const row of rows) {
        const places = Object.keys(row).map(() => '?');
        this.#kept.run(`INSERT INTO ${table} (${Object.keys(row)}) VALUES (${places})`, ...Object.values(row));
      }
    }
    this.#kept.sql.isWritten = true;
    this.#kept.sql.forget();
    this.onReplaced();
    this.flush();
  }

  /** As it was when the object first opened it. */
  wipe(): void {
    this.restore(this.#kept.fresh!);
  }

  /** Gives its database to the next storage of its kind. Nothing may use this one afterwards. */
  recycle(): void {
    this.wipe();
    this.#kept.run('COMMIT');
    spare.set(this.#kind, [...(spare.get(this.#kind) ?? []), this.#kept]);
  }

  #transaction<T>(work: () => T): T {
    this.#depth += 1;
    let result: T;
    try {
      result = this.#kept.sql.transaction(work);
    } finally {
      this.#depth -= 1;
    }
    if (this.#depth === 0) this.onWritten?.(null);
    return result;
  }
}
