import type { Row } from '../../../schemas/table.ts';
import { sha256 } from '../../digest.ts';
import { MINUTE } from '../../limits.ts';
import type { SqlPort } from '../../ports/sql.ts';

/** How long a repeated request that pushes rows is recognized. */
export const PUSH_RETENTION_MS = 14 * 24 * 60 * MINUTE;

/** Lines of one row of marks, which is a kilobyte. */
const BLOCK_LINES = 8_192;

/** Of each line's digest: by chance one of 10^19 other rows has the same. A whole block's are 64 KiB. */
const DIGEST_BYTES = 8;

/** A line of a request that pushes rows, with the digest of what it holds. */
export interface PushedLine {
  line: number;
  digest: Uint8Array;
}

/** A request has the identity of an earlier one, and another row in one of its accepted lines. */
export class PushConflict extends Error {
  override readonly name = 'PushConflict';

  constructor(line: number) {
    super(`line ${line}: expected the row that this idempotency key brought before, got another`);
  }
}

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

  /** Throws `PushConflict` where one of these lines, which are all accepted, held something else. */
  checkSame(identity: string, lines: PushedLine[]): void {
    for (const [block, of] of Map.groupBy(lines, ({ line }) => Math.floor(line / BLOCK_LINES))) {
      const known = this.#digests(identity, block);
      for (const { line, digest } of of)
        if (digest.some((byte, at) => byte !== known[digestAt(line) + at])) throw new PushConflict(line);
    }
  }

  /** Notes what lines hold that are marked. */
  noteDigests(identity: string, lines: PushedLine[]): void {
    for (const [block, of] of Map.groupBy(lines, ({ line }) => Math.floor(line / BLOCK_LINES))) {
      const known = this.#digests(identity, block);
      const bytes = Math.max(known.length, ...of.map(({ line }) => digestAt(line) + DIGEST_BYTES));
      const digests = new Uint8Array(bytes);
      digests.set(known);
      for (const { line, digest } of of) digests.set(digest, digestAt(line));
      const statement = 'UPDATE push_lines SET digests = ? WHERE identity = ? AND block = ?';
      this.#sql.exec(statement, digests, identity, block);
    }
  }

  #digests(identity: string, block: number): Uint8Array {
    const statement = 'SELECT digests FROM push_lines WHERE identity = ? AND block = ?';
    return this.#sql.exec<{ digests: Uint8Array }>(statement, identity, block)[0]?.digests ?? new Uint8Array();
  }

  #block(identity: string, block: number): Uint8Array | null {
    const statement = 'SELECT marks FROM push_lines WHERE identity = ? AND block = ?';
    return this.#sql.exec<{ marks: Uint8Array }>(statement, identity, block)[0]?.marks ?? null;
  }
}

/** The digest of a pushed row. A column that is null does not count, because a later version may add columns. */
export function pushDigest(table: string, row: Row): Uint8Array {
  const values = Object.entries(row).filter(([, value]) => value !== null);
  return sha256(JSON.stringify([table, values])).subarray(0, DIGEST_BYTES);
}

function digestAt(line: number): number {
  return (line % BLOCK_LINES) * DIGEST_BYTES;
}
