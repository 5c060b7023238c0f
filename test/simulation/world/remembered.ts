import type { SqlPort, SqlValue } from '../../../src/ports/sql.ts';

type Rows = Record<string, SqlValue>[];

interface Remembered {
  isQuery: boolean;
  /** Tables it reads or writes; null where it is neither a query nor a change of rows, and nothing of it is remembered. */
  tables: Table[] | null;
  /** By bound values: what it answered, and how often its tables had been written to by then. */
  answers: Map<string, { writes: number; rows: Rows }>;
}

interface Table {
  writes: number;
}

/** Where a statement names a table; `UPDATE SET` names none, and does no harm. */
const TABLE = /\b(?:FROM|JOIN|INTO|UPDATE)\s+(\w+)/g;
/** Tables named in a list. */
const SEVERAL = /\bFROM\s+\w+(?:\s+\w+)?\s*,/;

/** Answers kept of one statement; a statement that is bound to times has many, and none comes again. */
const ANSWERS_MAX = 50;

/**
 * Answers a statement from memory while nothing was written to its tables since: most of what an engine asks its
 * SQLite it has asked before. So does a write that changed nothing, which changes nothing again.
 */
export class RememberedSql {
  /** Something was written since this was last set. */
  isWritten = false;
  /** Rows that the last statement inserted, updated or deleted. */
  changes = 0;
  readonly #sql: SqlPort;
  readonly #statements = new Map<string, Remembered>();
  readonly #tables = new Map<string, Table>();

  constructor(sql: SqlPort) {
    this.#sql = sql;
  }

  exec<R = Record<string, SqlValue>>(statement: string, params: SqlValue[]): R[] {
    const remembered = this.#statements.get(statement) ?? this.#read(statement);
    if (remembered.tables === null) {
      this.isWritten = true;
      return this.#sql.exec<R>(statement, ...params);
    }
    const key = keyOf(params);
    const writes = writesTo(remembered.tables);
    const before = key === null ? undefined : remembered.answers.get(key);
    // Whoever asked may have written into the rows it got.
    if (before?.writes === writes) return before.rows.map(row => ({ ...row })) as R[];
    this.changes = 0;
    const rows = this.#sql.exec(statement, ...params);
    if (this.changes > 0 || (!remembered.isQuery && rows.length > 0)) {
      this.isWritten = true;
      for (const table of remembered.tables) table.writes += 1;
      return rows as R[];
    }
    if (key === null) return rows as R[];
    if (remembered.answers.size >= ANSWERS_MAX) remembered.answers.clear();
    remembered.answers.set(key, { writes, rows: rows.map(row => ({ ...row })) });
    return rows as R[];
  }

  transaction<T>(work: () => T): T {
    return this.#sql.transaction(work);
  }

  /** Something may be other than it was without a statement having passed here. */
  forget(): void {
    for (const table of this.#tables.values()) table.writes += 1;
  }

  #read(statement: string): Remembered {
    const isQuery = /^SELECT\b/.test(statement);
    const names = [...statement.matchAll(TABLE)].map(([, name]) => name!);
    const isPlain = (isQuery || /^(?:INSERT|UPDATE|DELETE)\b/.test(statement)) && !SEVERAL.test(statement);
    const tables = isPlain && !names.includes('sqlite_master') ? names.map(name => this.#table(name)) : null;
    const remembered = { isQuery, tables, answers: new Map() };
    this.#statements.set(statement, remembered);
    return remembered;
  }

  #table(name: string): Table {
    const table = this.#tables.get(name) ?? { writes: 0 };
    this.#tables.set(name, table);
    return table;
  }
}

/** Only ever grows, and with every write to one of them. */
function writesTo(tables: Table[]): number {
  let writes = 0;
  for (const table of tables) writes += table.writes;
  return writes;
}

/** Null where a value is no text and no number: such a statement does not come twice. */
function keyOf(params: SqlValue[]): string | null {
  let key = '';
  for (const param of params) {
    if (param instanceof Uint8Array) return null;
    key += typeof param === 'string' ? `'${param}',` : `${param},`;
  }
  return key;
}
