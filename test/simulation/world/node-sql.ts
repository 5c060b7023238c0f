import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { SqlPort } from '../../../src/ports/sql.ts';
import { guardSql } from '../../../src/ports/sql-guard.ts';

/** Prepared statements kept; a program has fewer, unless it builds them from values. */
const STATEMENTS_MAX = 500;

/** The object's SQLite outside the worker: a file, or memory. `close` ends it without waiting for a transaction. */
export function nodeSql(path = ':memory:'): SqlPort & { close(): void } {
  const database = new DatabaseSync(path);
  const statements = new Map<string, StatementSync>();
  // Prepared once: a simulation has more transactions than anything else.
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
      // Some failures have rolled back already.
      if (database.isTransaction) rollback.run();
      throw error;
    }
  }

  const sql = guardSql({
    exec: (statement, params) => prepare(statement).all(...params) as Record<string, unknown>[],
    transaction,
  });
  return { ...sql, close: () => database.close() };
}
