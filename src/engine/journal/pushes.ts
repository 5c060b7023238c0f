import { LIMITS } from '../../config.ts';
import type { SqlPort } from '../../ports/sql.ts';

/** Lines whose marks stand in one row: a kilobyte of them. */
const BLOCK_LINES = 8_192;

/**
 * What was pushed: each request's lines, one mark a line, so that a request that is repeated adds only what is not
 * there yet. Callers hold the transaction.
 */
export class JournalPushes {
  readonly #sql: SqlPort;

  constructor(sql: SqlPort) {
    this.#sql = sql;
  }

  /** The run of a request's rows, or null of one that is new. */
  runOf(identity: string): number | null {
    return this.#sql.exec<{ run: number }>('SELECT run FROM pushes WHERE identity = ?', identity)[0]?.run ?? null;
  }

  /** Notes a new request, and forgets those that nobody will repeat any more. */
  begin(identity: string, { run, nowMs }: { run: number; nowMs: number }): void {
    const oldMs = nowMs - LIMITS.pushRetentionMs;
    this.#sql.exec('DELETE FROM push_lines WHERE identity IN (SELECT identity FROM pushes WHERE begun_ms < ?)', oldMs);
    this.#sql.exec('DELETE FROM pushes WHERE begun_ms < ?', oldMs);
    this.#sql.exec('INSERT INTO pushes (identity, run, begun_ms) VALUES (?, ?, ?)', identity, run, nowMs);
  }

  /** Which of these lines are not there yet. */
  missing(identity: string, lines: number[]): Set<number> {
    const blocks = new Map<number, Uint8Array | null>();
    const isMissing = (line: number) => {
      const block = Math.floor(line / BLOCK_LINES);
      if (!blocks.has(block)) blocks.set(block, this.#block(identity, block));
      const at = line % BLOCK_LINES;
      return ((blocks.get(block)?.[at >> 3] ?? 0) & (1 << (at & 7))) === 0;
    };
    return new Set(lines.filter(isMissing));
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
