import { StepError } from '../../errors.ts';
import type { SqlPort } from '../../ports/sql.ts';

/** The facts of a settled data file that reading it takes. */
export interface ReadableFile {
  key: string;
  first_lsn: number;
  last_lsn: number;
  bytes: number;
  etag: string;
}

/** The rows that each stream has acknowledged, in the object's SQLite. */
export class JournalStreams {
  readonly #sql: SqlPort;

  constructor(sql: SqlPort) {
    this.#sql = sql;
  }

  /** The last LSN of a table that a stream has, with all before it; 0 where it has none. */
  lastLsn(table: string, binding: string): number {
    const statement = 'SELECT last_lsn FROM streams WHERE table_name = ? AND binding = ?';
    return this.#sql.exec<{ last_lsn: number }>(statement, table, binding)[0]?.last_lsn ?? 0;
  }

  /** Rows in data files that the stream does not have. */
  waitingRows(table: string, binding: string): number {
    const statement = 'SELECT last_lsn FROM files WHERE table_name = ? ORDER BY first_lsn DESC LIMIT 1';
    const lastSettledLsn = this.#sql.exec<{ last_lsn: number }>(statement, table)[0]?.last_lsn ?? 0;
    return Math.max(0, lastSettledLsn - this.lastLsn(table, binding));
  }

  /** The settled file with an LSN; null when there is none. */
  fileContaining(table: string, lsn: number): ReadableFile | null {
    const [file] = this.#sql.exec<ReadableFile>(
      `SELECT key, first_lsn, last_lsn, bytes, etag FROM files WHERE table_name = ? AND first_lsn <= ?
       ORDER BY first_lsn DESC LIMIT 1`,
      table,
      lsn,
    );
    return file && file.last_lsn >= lsn ? file : null;
  }

  /**
   * Notes that the stream has these rows. Rows noted before change nothing, because an abandoned run may get its answer
   * after the next run got one. Throws where the stream does not have the rows before them.
   */
  acknowledge(table: string, binding: string, { firstLsn, lastLsn }: { firstLsn: number; lastLsn: number }): void {
    this.#sql.transaction(() => {
      const known = this.lastLsn(table, binding);
      if (firstLsn > known + 1)
        throw new StepError('internal', `stream of ${table}: expected LSN ${known + 1} next, got ${firstLsn}`);
      if (lastLsn <= known) return;
      this.#sql.exec(
        `INSERT INTO streams (table_name, binding, last_lsn) VALUES (?, ?, ?)
         ON CONFLICT (table_name, binding) DO UPDATE SET last_lsn = excluded.last_lsn`,
        table,
        binding,
        lastLsn,
      );
    });
  }
}
