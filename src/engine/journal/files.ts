import { createHash } from 'node:crypto';
import type { Table } from '../../../schemas/table.ts';
import type { ObjectHead } from '../../ports/bucket.ts';
import type { EncodePort } from '../../ports/data-file.ts';
import type { SqlPort } from '../../ports/sql.ts';
import { isoTime } from '../../time.ts';
import { TAIL } from './changes.ts';
import { FLUSH_SECONDS, withTime } from './counts.ts';
import type { JournalRow } from './entries.ts';
import { JournalState } from './state.ts';

/** A journal entry without its rows. */
export interface Entry {
  table_name: string;
  first_lsn: number;
  last_lsn: number;
  cursor_after: string;
  stamp_ms: number;
  schema_version: number;
  run_type: string;
  changes: number;
  parked: number;
  raw_bytes: number;
  digest: string;
}

/** A range that becomes a data file. It is written down before the file's put. */
export interface Intent {
  table_name: string;
  first_lsn: number;
  last_lsn: number;
  key: string;
  digest: string;
  /** JSON of the facts about its rows that the catalog publishes. */
  facts: string;
  attempts: number;
  started_ms: number;
}

/** A settled data file. */
export interface DataFile {
  table_name: string;
  first_lsn: number;
  last_lsn: number;
  key: string;
  rows: number;
  bytes: number;
  etag: string;
  digest: string;
  cursor: string;
  run_type: string;
  changes: number;
  parked: number;
  started_ms: number;
  settled_ms: number;
}

/** A data file that was just settled, with the time of the attempt that settled it. */
export interface Settled extends DataFile {
  duration_ms: number;
}

const ENTRY_COLUMNS = `table_name, first_lsn, last_lsn, cursor_after, stamp_ms, schema_version, run_type, changes, parked,
  raw_bytes, digest`;
const FILE_COLUMNS = `table_name, first_lsn, last_lsn, key, rows, bytes, etag, digest, cursor, run_type, changes, parked,
  started_ms, settled_ms`;

/** Entries, intents and data files in the object's SQLite: how rows leave the journal. */
export class JournalFiles {
  readonly #sql: SqlPort;
  readonly #encode: EncodePort;
  readonly #state: JournalState;

  constructor(sql: SqlPort, encode: EncodePort) {
    this.#sql = sql;
    this.#encode = encode;
    this.#state = new JournalState(sql);
  }

  /** The entry that starts at an LSN; null at the journal's end. */
  entryAt(table: string, firstLsn: number): Entry | null {
    const statement = `SELECT ${ENTRY_COLUMNS} FROM entries WHERE table_name = ? AND first_lsn = ?`;
    return this.#sql.exec<Entry>(statement, table, firstLsn)[0] ?? null;
  }

  firstEntry(table: string): Entry | null {
    const statement = `SELECT ${ENTRY_COLUMNS} FROM entries WHERE table_name = ? ORDER BY first_lsn LIMIT 1`;
    return this.#sql.exec<Entry>(statement, table)[0] ?? null;
  }

  /** The rows of an entry as they were accepted. */
  rowsOf(entry: Entry): JournalRow[] {
    const statement = 'SELECT body FROM entries WHERE table_name = ? AND first_lsn = ?';
    const [found] = this.#sql.exec<{ body: Uint8Array }>(statement, entry.table_name, entry.first_lsn);
    return JSON.parse(this.#encode.unpack(found!.body)) as JournalRow[];
  }

  /** The rows that are in no data file yet, of all tables or one. */
  backlog(table: string | null = null): { rows: number; bytes: number; oldest_ms: number | null } {
    const [backlog] = this.#sql.exec<{ rows: number; bytes: number; oldest_ms: number | null }>(
      `SELECT coalesce(sum(last_lsn - first_lsn + 1), 0) AS rows, coalesce(sum(raw_bytes), 0) AS bytes,
         min(stamp_ms) AS oldest_ms FROM entries WHERE ? IS NULL OR table_name = ?`,
      table,
      table,
    );
    return backlog!;
  }

  intent(table: string): Intent | null {
    return this.#sql.exec<Intent>('SELECT * FROM intents WHERE table_name = ?', table)[0] ?? null;
  }

  /**
   * Writes the range down, or finds it written, and counts the attempt before its put: one that kills the object counts
   * too.
   */
  writeIntent({
    table,
    key,
    firstLsn,
    lastLsn,
    facts,
    nowMs,
  }: {
    table: Table;
    key: string;
    firstLsn: number;
    lastLsn: number;
    facts: string;
    nowMs: number;
  }): Intent {
    return this.#sql.transaction(() => {
      const digest = this.#digest(table.name, firstLsn, lastLsn);
      this.#sql.exec(
        `INSERT INTO intents (table_name, first_lsn, last_lsn, key, digest, facts, started_ms) VALUES (?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT DO NOTHING`,
        table.name,
        firstLsn,
        lastLsn,
        key,
        digest,
        facts,
        nowMs,
      );
      this.#sql.exec('UPDATE intents SET attempts = attempts + 1 WHERE table_name = ?', table.name);
      return this.intent(table.name)!;
    });
  }

  /**
   * Settles a file that was put: adds it to `files` and removes its entries, which moves the durable cursor. Null when
   * it is settled already, because an abandoned run may get its put's answer after the next run has settled the same
   * range.
   */
  settle({
    intent,
    head,
    startedMs,
    nowMs,
  }: {
    intent: Intent;
    head: ObjectHead;
    startedMs: number;
    nowMs: number;
  }): Settled | null {
    return this.#sql.transaction(() => {
      const { table_name: table, first_lsn } = intent;
      const [settled] = this.files({ table, afterLsn: first_lsn - 1, limit: 1 });
      if (settled?.first_lsn === first_lsn) return null;
      const file = this.#fileOf(intent, head, nowMs);
      this.#sql.exec(
        `INSERT INTO files (${FILE_COLUMNS}, facts) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        file.table_name,
        file.first_lsn,
        file.last_lsn,
        file.key,
        file.rows,
        file.bytes,
        file.etag,
        file.digest,
        file.cursor,
        file.run_type,
        file.changes,
        file.parked,
        file.started_ms,
        file.settled_ms,
        intent.facts,
      );
      const range = [intent.table_name, intent.first_lsn, intent.last_lsn];
      this.#sql.exec('DELETE FROM entries WHERE table_name = ? AND first_lsn >= ? AND last_lsn <= ?', ...range);
      this.#sql.exec('DELETE FROM intents WHERE table_name = ?', intent.table_name);
      this.#sql.exec(
        'UPDATE tables SET rows = rows + ?, files = files + 1, bytes = bytes + ? WHERE name = ?',
        file.rows,
        file.bytes,
        file.table_name,
      );
      const duration_ms = Math.max(0, nowMs - startedMs);
      this.#countFlush(file, duration_ms);
      return { ...file, duration_ms };
    });
  }

  #countFlush({ key, rows, bytes, settled_ms }: DataFile, duration_ms: number): void {
    const { flush_times } = this.#state.source();
    this.#state.updateSource({
      last_flush: JSON.stringify({ at: isoTime(settled_ms), rows, bytes, key, duration_ms }),
      flush_times: withTime(flush_times, { ms: duration_ms, bounds: FLUSH_SECONDS }),
    });
  }

  /** The newest accepted cursor before which every row of every table is in a settled file. */
  durableCursor(): string | null {
    const [oldest] = this.#sql.exec<{ cursor_before: string }>(
      'SELECT cursor_before FROM entries WHERE cursor_before IS NOT NULL ORDER BY append_number LIMIT 1',
    );
    return oldest ? oldest.cursor_before : this.#state.lane(TAIL).cursor;
  }

  /** Data files of a table after an LSN, in order. */
  files({ table, afterLsn, limit }: { table: string; afterLsn: number; limit: number }): DataFile[] {
    const statement = `SELECT ${FILE_COLUMNS} FROM files WHERE table_name = ? AND first_lsn > ? ORDER BY first_lsn LIMIT ?`;
    return this.#sql.exec<DataFile>(statement, table, afterLsn, limit);
  }

  /** The identity of a table; null before its first row. */
  identity(table: string): string | null {
    return this.#sql.exec<{ identity: string | null }>('SELECT identity FROM tables WHERE name = ?', table)[0]!
      .identity;
  }

  /** Data files with rows after an LSN, in order: the first may begin before it. */
  filesHolding({ table, afterLsn, limit }: { table: string; afterLsn: number; limit: number }): DataFile[] {
    const [first] = this.#sql.exec<{ lsn: number | null }>(
      'SELECT max(first_lsn) AS lsn FROM files WHERE table_name = ? AND first_lsn <= ?',
      table,
      afterLsn + 1,
    );
    const found = this.files({ table, afterLsn: (first!.lsn ?? 1) - 1, limit: limit + 1 });
    return found.filter(file => file.last_lsn > afterLsn).slice(0, limit);
  }

  /** The newest settled file of a table. */
  lastFile(table: string): DataFile | null {
    const statement = `SELECT ${FILE_COLUMNS} FROM files WHERE table_name = ? ORDER BY first_lsn DESC LIMIT 1`;
    return this.#sql.exec<DataFile>(statement, table)[0] ?? null;
  }

  unpublished(limit: number): DataFile[] {
    const statement = `SELECT ${FILE_COLUMNS} FROM files WHERE published = 0 ORDER BY settled_ms, table_name, first_lsn LIMIT ?`;
    return this.#sql.exec<DataFile>(statement, limit);
  }

  /**
   * The stamp of the next publication: later than any before, so that the database can tell an old one from a new one.
   */
  nextPublishedMs(nowMs: number): number {
    const published_ms = Math.max(nowMs, this.#state.source().published_ms + 1);
    this.#state.updateSource({ published_ms });
    return published_ms;
  }

  /** Makes the next stamp later than one that the database has and this journal does not know. */
  raisePublishedMs(storedMs: number): void {
    this.#state.updateSource({ published_ms: Math.max(storedMs, this.#state.source().published_ms) });
  }

  markPublished(files: DataFile[], cursor: string | null): void {
    this.#sql.transaction(() => {
      for (const { table_name, first_lsn } of files) {
        this.#sql.exec('UPDATE files SET published = 1 WHERE table_name = ? AND first_lsn = ?', table_name, first_lsn);
      }
      this.#state.updateSource({ published_cursor: cursor });
    });
  }

  #digest(table: string, firstLsn: number, lastLsn: number): string {
    const hash = createHash('sha256');
    for (const entry of this.#range(table, firstLsn, lastLsn)) {
      const { first_lsn, last_lsn, stamp_ms, schema_version, digest } = entry;
      hash.update(`${first_lsn} ${last_lsn} ${stamp_ms} ${schema_version} ${digest}\n`);
    }
    return hash.digest('hex');
  }

  #range(table: string, firstLsn: number, lastLsn: number): Entry[] {
    const statement = `SELECT ${ENTRY_COLUMNS} FROM entries WHERE table_name = ? AND first_lsn >= ? AND last_lsn <= ? ORDER BY first_lsn`;
    return this.#sql.exec<Entry>(statement, table, firstLsn, lastLsn);
  }

  #fileOf(intent: Intent, head: ObjectHead, nowMs: number): DataFile {
    const { table_name, first_lsn, last_lsn, key, digest, started_ms } = intent;
    const entries = this.#range(table_name, first_lsn, last_lsn);
    const types = new Set(entries.map(entry => entry.run_type));
    return {
      table_name,
      first_lsn,
      last_lsn,
      key,
      digest,
      started_ms,
      rows: last_lsn - first_lsn + 1,
      bytes: head.bytes,
      etag: head.etag,
      cursor: entries.at(-1)!.cursor_after,
      run_type: types.size === 1 ? [...types][0]! : types.has('refresh') ? 'refresh' : 'follow',
      changes: entries.reduce((sum, entry) => sum + entry.changes, 0),
      parked: entries.reduce((sum, entry) => sum + entry.parked, 0),
      settled_ms: nowMs,
    };
  }
}
