import { MINUTE } from '../../limits.ts';
import type { SqlPort } from '../../ports/sql.ts';

/** How long a repeated request that pushes rows is recognized. */
export const PUSH_RETENTION_MS = 14 * 24 * 60 * MINUTE;

/** Lines of one row of marks, which is a kilobyte. */
const BLOCK_LINES = 8_192;

/**
 * The accepted lines of requests that push rows, one bit a line, so that a repeated request adds only lines that are
 * not accepted yet. Callers hold the transaction.
 */
export class JournalPushes {
  readonly #sql: SqlPort;

  constructor(sql: SqlPort) {
    this.#sql = sql;
  }

  /** The run of a request's rows; null for a new request. */
  runOf(identity: string): number | null {
    return this.#sql.exec<{ run: number }>('SELECT run FROM pushes WHERE identity = ?', identity)[0]?.run ?? null;
  }

  /** Adds a new request, and removes those that are too old to be repeated. */
  start(identity: string, { run, nowMs }: { run: number; nowMs: number }): void {
    const beforeMs = nowMs - PUSH_RETENTION_MS;
    this.#sql.exec(
      'DELETE FROM push_lines WHERE identity IN (SELECT identity FROM pushes WHERE started_ms < ?)',
      beforeMs,
    );
    this.#sql.exec('DELETE FROM pushes WHERE started_ms < ?', beforeMs);
    this.#sql.exec('INSERT INTO pushes (identity, run, started_ms) VALUES (?, ?, ?)', identity, run, nowMs);
  }

  /** Those of these lines that are not accepted yet. */
  unmarked(identity: string, lines: number[]): Set<number> {
    const blocks = new Map<number, Uint8Array | null>();
    const isUnmarked = (line: number) => {
      const block = Math.floor(line / BLOCK_LINES);
      if (!blocks.has(block)) blocks.set(block, this.#block(identity, block));
      const bit = line % BLOCK_LINES;
      return ((blocks.get(block)?.[bit >> 3] ?? 0) & (1 << (bit & 7))) === 0;
    };
    return new Set(lines.filter(isUnmarked));
  }

  mark(identity: string, lines: Iterable<number>): void {
    for (const [block, marked] of Map.groupBy(lines, line => Math.floor(line / BLOCK_LINES))) {
      const marks = this.#block(identity, block) ?? new Uint8Array(BLOCK_LINES / 8);
      for (const line of marked) marks[(line % BLOCK_LINES) >> 3]! |= 1 << (line & 7);
      this.#sql.exec(
        `INSERT INTO push_lines (identity, block, marks) VALUES (?, ?, ?)
         ON CONFLICT (identity, block) DO UPDATE SET marks = excluded.marks`,
        identity,
        block,
        marks,
      );
    }
  }

  #block(identity: string, block: number): Uint8Array | null {
    const statement = 'SELECT marks FROM push_lines WHERE identity = ? AND block = ?';
    return this.#sql.exec<{ marks: Uint8Array }>(statement, identity, block)[0]?.marks ?? null;
  }
}
