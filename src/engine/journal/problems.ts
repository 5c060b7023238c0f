import { LIMITS } from '../../config.ts';
import type { SqlPort, SqlValue } from '../../ports/sql.ts';
import type { DataFile } from './files.ts';

/** The running self-check or, once it has `ended_ms`, the last one. */
export interface SelfCheckRow {
  requested: number;
  started_ms: number | null;
  ended_ms: number | null;
  /** The data file checked last. */
  table_name: string;
  first_lsn: number;
  files: number;
  problems: number;
}

/** A difference between the lake and `files`. `subject` is what was compared. */
export interface Problem {
  table_name: string;
  first_lsn: number;
  subject: 'object' | 'size' | 'digest' | 'bytes' | 'footer' | 'range';
  key: string;
  expected: string;
  actual: string;
}

type FilePosition = Pick<Problem, 'table_name' | 'first_lsn'>;

/** The self-check's progress and the problems it found, in the object's SQLite. */
export class JournalProblems {
  readonly #sql: SqlPort;

  constructor(sql: SqlPort) {
    this.#sql = sql;
  }

  current(): SelfCheckRow {
    return this.#sql.exec<SelfCheckRow & Record<string, SqlValue>>('SELECT * FROM self_check')[0]!;
  }

  /** Requests a self-check; false when one is requested or running. */
  request(): boolean {
    return this.#sql.transaction(() => {
      const { requested, started_ms, ended_ms } = this.current();
      if (requested === 1 || (started_ms !== null && ended_ms === null)) return false;
      this.#sql.exec('UPDATE self_check SET requested = 1');
      return true;
    });
  }

  /** Starts a self-check: checks the LSN ranges of all tables now; the files are checked later, some a run. */
  start(tables: string[], nowMs: number): void {
    this.#sql.transaction(() => {
      this.#sql.exec(
        `UPDATE self_check SET requested = 0, started_ms = ?, ended_ms = NULL, table_name = '', first_lsn = 0, files = 0,
           problems = 0`,
        nowMs,
      );
      this.#sql.exec("DELETE FROM problems WHERE subject = 'range'");
      const found = tables.flatMap(table => this.#rangeProblems(table));
      for (const problem of found) this.#insert(problem, nowMs);
      this.#sql.exec('UPDATE self_check SET problems = ?', found.length);
    });
  }

  /** The next data files to check, over all tables. */
  nextFiles({ table_name, first_lsn }: FilePosition): DataFile[] {
    return this.#sql.exec<DataFile & Record<string, SqlValue>>(
      `SELECT * FROM files WHERE table_name > ?1 OR (table_name = ?1 AND first_lsn > ?2)
       ORDER BY table_name, first_lsn LIMIT ?3`,
      table_name,
      first_lsn,
      LIMITS.selfCheckFilesAtOnce,
    );
  }

  fileAt({ table_name, first_lsn }: FilePosition): DataFile | null {
    const statement = 'SELECT * FROM files WHERE table_name = ? AND first_lsn = ?';
    return this.#sql.exec<DataFile & Record<string, SqlValue>>(statement, table_name, first_lsn)[0] ?? null;
  }

  /** Stores the results of the next files. Does nothing when the check has moved on since. */
  advance(from: SelfCheckRow, results: { file: DataFile; found: Problem[] }[], nowMs: number): void {
    this.#sql.transaction(() => {
      const check = this.current();
      const isSame = check.started_ms === from.started_ms && check.ended_ms === null;
      if (!isSame || check.table_name !== from.table_name || check.first_lsn !== from.first_lsn) return;
      for (const { file, found } of results) this.#replace(file, found, nowMs);
      const { table_name, first_lsn } = results.at(-1)?.file ?? check;
      const isLast = results.length < LIMITS.selfCheckFilesAtOnce;
      this.#sql.exec(
        `UPDATE self_check SET table_name = ?, first_lsn = ?, files = files + ?, problems = problems + ?, ended_ms = ?`,
        table_name,
        first_lsn,
        results.length,
        results.flatMap(({ found }) => found).length,
        isLast ? nowMs : null,
      );
    });
  }

  /** Replaces the problems of a file. */
  replace(file: FilePosition, found: Problem[], nowMs: number): void {
    this.#sql.transaction(() => this.#replace(file, found, nowMs));
  }

  /** Checks the LSN ranges of a table again. */
  checkRanges(table: string, nowMs: number): void {
    this.#sql.transaction(() => {
      this.#sql.exec("DELETE FROM problems WHERE table_name = ? AND subject = 'range'", table);
      for (const problem of this.#rangeProblems(table)) this.#insert(problem, nowMs);
    });
  }

  problems(): (Problem & { found_ms: number })[] {
    return this.#sql.exec<Problem & { found_ms: number }>(
      'SELECT * FROM problems ORDER BY table_name, first_lsn, subject',
    );
  }

  #replace({ table_name, first_lsn }: FilePosition, found: Problem[], nowMs: number): void {
    const before = this.problems().filter(other => other.table_name === table_name && other.first_lsn === first_lsn);
    const statement = "DELETE FROM problems WHERE table_name = ? AND first_lsn = ? AND subject <> 'range'";
    this.#sql.exec(statement, table_name, first_lsn);
    for (const problem of found) {
      const foundMs = before.find(other => other.subject === problem.subject)?.found_ms;
      this.#insert(problem, foundMs ?? nowMs);
    }
  }

  /** Stores at most as many problems as an answer names. */
  #insert({ table_name, first_lsn, subject, key, expected, actual }: Problem, foundMs: number): void {
    this.#sql.exec(
      `INSERT INTO problems (table_name, first_lsn, subject, key, expected, actual, found_ms)
       SELECT ?, ?, ?, ?, ?, ?, ? WHERE (SELECT count(*) FROM problems) < ? ON CONFLICT DO NOTHING`,
      table_name,
      first_lsn,
      subject,
      key,
      expected,
      actual,
      foundMs,
      LIMITS.auditNamesMax,
    );
  }

  /**
   * Checks that each LSN from 1 to the table's last is in one file or one entry, and that a file has as many rows as
   * LSNs.
   */
  #rangeProblems(table: string): Problem[] {
    const found = this.#sql.exec<{ key: string; first_lsn: number; last_lsn: number; after: number; rows: number }>(
      `WITH ranges AS (
         SELECT key, first_lsn, last_lsn, rows FROM files WHERE table_name = ?1
         UNION ALL SELECT 'journal', first_lsn, last_lsn, last_lsn - first_lsn + 1 FROM entries WHERE table_name = ?1
         UNION ALL SELECT 'end', last_lsn + 1, last_lsn + 1, 1 FROM tables WHERE name = ?1
       ), placed AS (
         SELECT *, coalesce(max(last_lsn) OVER (ORDER BY first_lsn, last_lsn
           ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS after FROM ranges
       )
       SELECT * FROM placed WHERE first_lsn <> after + 1 OR rows <> last_lsn - first_lsn + 1 ORDER BY first_lsn LIMIT ?2`,
      table,
      LIMITS.auditNamesMax,
    );
    return found.map(({ key, first_lsn, last_lsn, after, rows }) => ({
      table_name: table,
      first_lsn,
      subject: 'range',
      key,
      expected: first_lsn === after + 1 ? `${last_lsn - first_lsn + 1} rows` : `the first LSN to be ${after + 1}`,
      actual: first_lsn === after + 1 ? `${rows} rows` : `${first_lsn}`,
    }));
  }
}
