import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { SqlPort } from '../../../src/ports/sql.ts';
import { guardSql } from '../../../src/ports/sql-guard.ts';

/** Most prepared statements at once. A program has fewer, unless it builds statements from values. */
const STATEMENTS_MAX = 500;

/** As the runtime counts: without free pages. */
export const DATABASE_BYTES = `SELECT (page_count - freelist_count) * page_size AS bytes
  FROM pragma_page_count, pragma_freelist_count, pragma_page_size`;

/** The `sql` port on `node:sqlite`, in a file or in memory. `close` does not wait for a transaction. */
export function nodeSql(path = ':memory:'): SqlPort & { close(): void } {
  const database = new DatabaseSync(path);
  const statements = new Map<string, StatementSync>();
  // Prepared once, because a simulation runs more transactions than any other statement.
  const begin = database.prepare('BEGIN IMMEDIATE');
  const commit = database.prepare('COMMIT');
  const rollback = database.prepare('ROLLBACK');

  function prepare(statement: string): StatementSync {
    let prepared = statements.get(statement);
    if (prepared === undefined) {
      if (statements.size >= STATEMENTS_MAX) statements.clear();
      prepared = database.prepare(statement);
      statements.set(statement, prepared);
    }
    return prepared;
  }

  function transaction<T>(work: () => T): T {
    begin.run();
    try {
      const result = work();
      commit.run();
      return result;
    } catch (error) {
      // SQLite itself rolls back on some errors.
      if (database.isTransaction) rollback.run();
      throw error;
    }
  }

  const sql = guardSql({
    exec: (statement, params) => prepare(statement).all(...params) as Record<string, unknown>[],
    transaction,
    bytes: () => prepare(DATABASE_BYTES).get()!.bytes as number,
  });
  return { ...sql, close: () => database.close() };
}
