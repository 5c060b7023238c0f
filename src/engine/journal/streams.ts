import { StepError } from '../../errors.ts';
import type { SqlPort } from '../../ports/sql.ts';

/** A settled data file, as far as it takes to read it. */
export interface ReadableFile {
  key: string;
  first_lsn: number;
  last_lsn: number;
  bytes: number;
  etag: string;
}

/** How far streams have followed `files`, in the object's SQLite. */
export class JournalStreams {
  readonly #sql: SqlPort;

  constructor(sql: SqlPort) {
    this.#sql = sql;
  }

  /** The last LSN of a table that a stream has; 0 without one. All before it are there too. */
  lastLsn(table: string, binding: string): number {
    const statement = 'SELECT last_lsn FROM streams WHERE table_name = ? AND binding = ?';
    return this.#sql.exec<{ last_lsn: number }>(statement, table, binding)[0]?.last_lsn ?? 0;
  }

  /** Rows that are in files and not in the stream. */
  waiting(table: string, binding: string): number {
    const statement = 'SELECT last_lsn FROM files WHERE table_name = ? ORDER BY first_lsn DESC LIMIT 1';
    const settled = this.#sql.exec<{ last_lsn: number }>(statement, table)[0]?.last_lsn ?? 0;
    return Math.max(0, settled - this.lastLsn(table, binding));
  }

  /** The settled file that holds an LSN; null when none does. */
  fileWith(table: string, lsn: number): ReadableFile | null {
    const [file] = this.#sql.exec<ReadableFile>(
      `SELECT key, first_lsn, last_lsn, bytes, etag FROM files WHERE table_name = ? AND first_lsn <= ?
       ORDER BY first_lsn DESC LIMIT 1`,
      table,
      lsn,
    );
    return file && file.last_lsn >= lsn ? file : null;
  }

  /**
   * The stream has these rows. Nothing happens when it had them before: a run that was given up may hear so after its
   * successor did. Throws where rows before them are missing.
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
