import type { SqlPort, SqlValue } from '../../../src/ports/sql.ts';

type Rows = Record<string, SqlValue>[];

interface CachedStatement {
  isQuery: boolean;
  /** Tables it reads or writes; null when its answers are not cached, because it is no plain query or change of rows. */
  tables: Table[] | null;
  /** Its answers by bound values, each with the number of writes to its tables at that time. */
  answers: Map<string, { writes: number; rows: Rows }>;
}

interface Table {
  writes: number;
}

/** The tables a statement names. `DO UPDATE SET` gives a table `SET`, which nothing writes to. */
const TABLE = /\b(?:FROM|JOIN|INTO|UPDATE)\s+(\w+)/g;
/** A list of tables after FROM. */
const SEVERAL = /\bFROM\s+\w+(?:\s+\w+)?\s*,/;

/** Cached answers of one statement. A statement with bound times has many answers that are never asked for again. */
const ANSWERS_MAX = 50;

/**
 * Answers a statement from memory when nothing was written to its tables since it last ran, because an engine repeats
 * most of its statements. A write that changed no row is cached too: it would change no row again.
 */
export class CachedSql {
  /** Whether anything was written since the owner set this to false. */
  isWritten = false;
  /** Rows that the last statement inserted, updated or deleted. */
  changes = 0;
  readonly #sql: SqlPort;
  readonly #statements = new Map<string, CachedStatement>();
  readonly #tables = new Map<string, Table>();

  constructor(sql: SqlPort) {
    this.#sql = sql;
  }

  exec<R = Record<string, SqlValue>>(statement: string, params: SqlValue[]): R[] {
    const cached = this.#statements.get(statement) ?? this.#read(statement);
    if (cached.tables === null) {
      this.isWritten = true;
      return this.#sql.exec<R>(statement, ...params);
    }
    const key = keyOf(params);
    const writes = writesTo(cached.tables);
    const before = key === null ? undefined : cached.answers.get(key);
    // Rows are copied, because the caller may change those it gets.
    if (before?.writes === writes) return before.rows.map(row => ({ ...row })) as R[];
    this.changes = 0;
    const rows = this.#sql.exec(statement, ...params);
    if (this.changes > 0 || (!cached.isQuery && rows.length > 0)) {
      this.isWritten = true;
      for (const table of cached.tables) table.writes += 1;
      return rows as R[];
    }
    if (key === null) return rows as R[];
    if (cached.answers.size >= ANSWERS_MAX) cached.answers.clear();
    cached.answers.set(key, { writes, rows: rows.map(row => ({ ...row })) });
    return rows as R[];
  }

  transaction<T>(work: () => T): T {
    return this.#sql.transaction(work);
  }

  bytes(): number {
    return this.#sql.bytes();
  }

  /** To be called when contents change other than by `exec`. */
  invalidate(): void {
    for (const table of this.#tables.values()) table.writes += 1;
  }

  #read(statement: string): CachedStatement {
    const isQuery = /^SELECT\b/.test(statement);
    const names = [...statement.matchAll(TABLE)].map(([, name]) => name!);
    const isPlain = (isQuery || /^(?:INSERT|UPDATE|DELETE)\b/.test(statement)) && !SEVERAL.test(statement);
    const tables = isPlain && !names.includes('sqlite_master') ? names.map(name => this.#table(name)) : null;
    const cached = { isQuery, tables, answers: new Map() };
    this.#statements.set(statement, cached);
    return cached;
  }

  #table(name: string): Table {
    const table = this.#tables.get(name) ?? { writes: 0 };
    this.#tables.set(name, table);
    return table;
  }
}

/** The writes to all of these tables; it only grows. */
function writesTo(tables: Table[]): number {
  let writes = 0;
  for (const table of tables) writes += table.writes;
  return writes;
}

/** The bound values as text; null when one is a blob, because such a statement is not repeated. */
function keyOf(params: SqlValue[]): string | null {
  let key = '';
  for (const param of params) {
    if (param instanceof Uint8Array) return null;
    key += typeof param === 'string' ? `'${param}',` : `${param},`;
  }
  return key;
}
