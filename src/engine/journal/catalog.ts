import { LIMITS } from '../../config.ts';
import type { RowFactsJson } from '../../lake/catalog/row-facts.ts';
import type { NamedSegment, SettledFile } from '../../lake/catalog/write.ts';
import type { SqlPort } from '../../ports/sql.ts';

/** Segments whose removal one run begins: one R2 operation each. */
const CATALOG_REMOVED_MAX = 50;

/** What the journal knows of a table's catalog in the lake. */
interface CatalogState {
  /** The number of the newest known root. */
  snapshot: number;
  /** That root's etag; null while no root is known. */
  etag: string | null;
  /** The last LSN that a root of this journal named. */
  last_lsn: number;
  schema_digest: string | null;
}

/**
 * A segment with its index. `draft`: written down, and not put yet. `written`: put. `named`: a root names it. `old`: no
 * root of this journal will name it again.
 */
export interface SegmentRow extends NamedSegment {
  table_name: string;
  /** The cursor of its last file. */
  cursor: string;
  state: 'draft' | 'written' | 'named' | 'old';
}

const SEGMENT_COLUMNS = 'table_name, first_lsn, last_lsn, number, files, rows, bytes, cursor, settled_ms, state';
const NO_CATALOG: CatalogState = { snapshot: 0, etag: null, last_lsn: 0, schema_digest: null };

/** The state of each table's catalog, and its segments, in the object's SQLite. */
export class JournalCatalog {
  readonly #sql: SqlPort;

  constructor(sql: SqlPort) {
    this.#sql = sql;
  }

  state(table: string): CatalogState {
    const statement = 'SELECT snapshot, etag, last_lsn, schema_digest FROM catalogs WHERE table_name = ?';
    return this.#sql.exec<CatalogState>(statement, table)[0] ?? NO_CATALOG;
  }

  /** The last LSN of the table's data files; 0 without one. */
  lastLsn(table: string): number {
    const statement = 'SELECT last_lsn FROM files WHERE table_name = ? ORDER BY first_lsn DESC LIMIT 1';
    return this.#sql.exec<{ last_lsn: number }>(statement, table)[0]?.last_lsn ?? 0;
  }

  /** Whether files were settled that the table's root does not name. */
  isBehind(table: string): boolean {
    return this.lastLsn(table) > this.state(table).last_lsn;
  }

  saveSchemaDigest(table: string, digest: string): void {
    this.#update(table, { ...this.state(table), schema_digest: digest });
  }

  /** Notes the root that is in the lake, which another writer put; null as etag where there is none. */
  saveRoot(table: string, { snapshot, etag }: { snapshot: number; etag: string | null }): void {
    this.#update(table, { ...this.state(table), snapshot, etag });
  }

  /** The full segments from LSN 1 on, up to the first gap. They are never written again. */
  fullSegments(table: string): SegmentRow[] {
    const rows = this.#sql.exec<SegmentRow>(
      `SELECT ${SEGMENT_COLUMNS} FROM segments WHERE table_name = ? AND state IN ('written', 'named') AND files >= ?
       ORDER BY first_lsn`,
      table,
      LIMITS.catalogSegmentFilesMax,
    );
    const end = rows.findIndex(({ first_lsn }, index) => first_lsn !== (rows[index - 1]?.last_lsn ?? 0) + 1);
    return end === -1 ? rows : rows.slice(0, end);
  }

  /** Data files after an LSN, in order, at most as many as a segment holds. */
  filesAfter(table: string, lsn: number): SettledFile[] {
    const rows = this.#sql.exec<Omit<SettledFile, 'facts'> & { facts: string | null }>(
      `SELECT key, first_lsn, last_lsn, rows, bytes, etag, cursor, settled_ms, facts FROM files
       WHERE table_name = ? AND first_lsn > ? ORDER BY first_lsn LIMIT ?`,
      table,
      lsn,
      LIMITS.catalogSegmentFilesMax,
    );
    return rows.map(row => ({ ...row, facts: row.facts === null ? null : (JSON.parse(row.facts) as RowFactsJson) }));
  }

  /**
   * Writes down the segment of these files before it is put; finds the one that an earlier attempt at the same files
   * wrote down.
   */
  draftSegment(table: string, files: SettledFile[]): SegmentRow {
    const [first, last] = [files[0]!, files.at(-1)!];
    return this.#sql.transaction(() => {
      const [before] = this.#sql.exec<SegmentRow>(
        `SELECT ${SEGMENT_COLUMNS} FROM segments WHERE table_name = ? AND first_lsn = ? AND last_lsn = ?
         AND state <> 'old' ORDER BY number DESC LIMIT 1`,
        table,
        first.first_lsn,
        last.last_lsn,
      );
      if (before) return before;
      const row: SegmentRow = {
        table_name: table,
        first_lsn: first.first_lsn,
        last_lsn: last.last_lsn,
        number: this.state(table).snapshot + 1,
        files: files.length,
        rows: sumOf(files, 'rows'),
        bytes: sumOf(files, 'bytes'),
        cursor: last.cursor,
        settled_ms: last.settled_ms,
        state: 'draft',
      };
      this.#sql.exec(
        `INSERT INTO segments (${SEGMENT_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        row.table_name,
        row.first_lsn,
        row.last_lsn,
        row.number,
        row.files,
        row.rows,
        row.bytes,
        row.cursor,
        row.settled_ms,
        row.state,
      );
      return row;
    });
  }

  /** Notes that a segment and its index are in the lake. */
  markWritten({ table_name, first_lsn, last_lsn, number }: SegmentRow): void {
    this.#sql.exec(
      `UPDATE segments SET state = 'written' WHERE table_name = ? AND first_lsn = ? AND last_lsn = ? AND number = ?
       AND state = 'draft'`,
      table_name,
      first_lsn,
      last_lsn,
      number,
    );
  }

  /** Removes a draft whose name another object has. The next draft of these files gets another name. */
  removeDraft({ table_name, first_lsn, last_lsn, number }: SegmentRow): void {
    this.#sql.transaction(() => {
      this.#delete({ table_name, first_lsn, last_lsn, number });
      const state = this.state(table_name);
      this.#update(table_name, { ...state, snapshot: Math.max(state.snapshot, number) });
    });
  }

  /**
   * Notes a root of this journal's own, and the segments it names. Segments that it no longer names become `old`,
   * because readers of earlier roots may still read them. Does nothing when a later root is known.
   */
  saveOwnRoot(
    table: string,
    { snapshot, etag, segments, nowMs }: { snapshot: number; etag: string; segments: SegmentRow[]; nowMs: number },
  ): void {
    this.#sql.transaction(() => {
      const state = this.state(table);
      if (snapshot <= state.snapshot) return;
      this.#update(table, { ...state, snapshot, etag, last_lsn: segments.at(-1)!.last_lsn });
      // Update only segments that were not named before, because a catalog has many.
      for (const { first_lsn, last_lsn, number } of segments.filter(segment => segment.state !== 'named'))
        this.#sql.exec(
          `UPDATE segments SET state = 'named' WHERE table_name = ? AND first_lsn = ? AND last_lsn = ? AND number = ?`,
          table,
          first_lsn,
          last_lsn,
          number,
        );
      const named = new Set(segments.map(nameOf));
      const others = this.#sql.exec<SegmentRow>(
        `SELECT ${SEGMENT_COLUMNS} FROM segments WHERE table_name = ? AND unnamed_ms IS NULL`,
        table,
      );
      for (const { first_lsn, last_lsn, number } of others.filter(segment => !named.has(nameOf(segment))))
        this.#sql.exec(
          `UPDATE segments SET state = 'old', unnamed_ms = ? WHERE table_name = ? AND first_lsn = ? AND last_lsn = ?
           AND number = ?`,
          nowMs,
          table,
          first_lsn,
          last_lsn,
          number,
        );
    });
  }

  /**
   * Notes that a segment or its index is gone from the lake: both are written anew. Later segments stay as they are.
   */
  markLost({ table_name, first_lsn, last_lsn, number }: SegmentRow): void {
    this.#sql.exec(
      `UPDATE segments SET state = 'old' WHERE table_name = ? AND first_lsn = ? AND last_lsn = ? AND number = ?`,
      table_name,
      first_lsn,
      last_lsn,
      number,
    );
  }

  /** Notes that any segment may be gone from the lake: all are written anew, under new names. */
  markAllLost(table: string): void {
    this.#sql.exec("UPDATE segments SET state = 'old' WHERE table_name = ?", table);
  }

  /** Segments that no root has named since a time or longer. */
  unnamedSegments(table: string, sinceMs: number): SegmentRow[] {
    return this.#sql.exec<SegmentRow>(
      `SELECT ${SEGMENT_COLUMNS} FROM segments WHERE table_name = ? AND unnamed_ms <= ? ORDER BY unnamed_ms LIMIT ?`,
      table,
      sinceMs,
      CATALOG_REMOVED_MAX,
    );
  }

  removeSegments(segments: SegmentRow[]): void {
    this.#sql.transaction(() => {
      for (const segment of segments) this.#delete(segment);
    });
  }

  #update(table: string, { snapshot, etag, last_lsn, schema_digest }: CatalogState): void {
    this.#sql.exec(
      `INSERT INTO catalogs (table_name, snapshot, etag, last_lsn, schema_digest) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (table_name) DO UPDATE SET snapshot = excluded.snapshot, etag = excluded.etag,
         last_lsn = excluded.last_lsn, schema_digest = excluded.schema_digest`,
      table,
      snapshot,
      etag,
      last_lsn,
      schema_digest,
    );
  }

  #delete({ table_name, first_lsn, last_lsn, number }: Pick<SegmentRow, 'table_name'> & Name): void {
    this.#sql.exec(
      'DELETE FROM segments WHERE table_name = ? AND first_lsn = ? AND last_lsn = ? AND number = ?',
      table_name,
      first_lsn,
      last_lsn,
      number,
    );
  }
}

type Name = Pick<NamedSegment, 'first_lsn' | 'last_lsn' | 'number'>;

function nameOf({ first_lsn, last_lsn, number }: Name): string {
  return `${first_lsn} ${last_lsn} ${number}`;
}

function sumOf(files: SettledFile[], fact: 'rows' | 'bytes'): number {
  return files.reduce((sum, file) => sum + file[fact], 0);
}
