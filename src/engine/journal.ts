import { createHash } from 'node:crypto';
import { tableNamed } from '../../schemas/index.ts';
import type { Table, Value } from '../../schemas/table.ts';
import { LIMITS } from '../config.ts';
import type { ParkReason, SkipReason } from '../errors.ts';
import { type ParkedChange, ParkedChanges, recheckDelayMs, retryDelayMs } from '../failures/parked.ts';
import type { Change, LoadedRow } from '../sources/source.ts';
import type { SourceRow } from './journal-state.ts';
import { JournalState } from './journal-state.ts';
import type { EncodePort, SqlPort } from './ports.ts';

/** The lane that follows the feed's newest end. */
export const TAIL = 'tail';

/** What an accepted change came to. */
export type Outcome =
  | { kind: 'rows'; rows: LoadedRow[]; revision: number | null; documentBytes: number }
  | { kind: 'skip'; reason: SkipReason }
  | { kind: 'park'; reason: ParkReason; detail: string; retryAfterMs: number | null };

export interface Accepted {
  change: Change;
  outcome: Outcome;
}

/** One slice of a page, in feed order, with the cursors before and after it. */
export interface Append {
  lane: string;
  cursorBefore: string;
  cursorAfter: string;
  accepted: Accepted[];
  nowMs: number;
}

/** A journaled row: operation, place, then the table's values in column order. */
export type JournalRow = [op: string, cursor: string, ...values: Value[]];

/** Accepts changes: rows, parked changes and the cursor in one transaction. */
export class Journal {
  readonly state: JournalState;
  readonly parked: ParkedChanges;
  readonly #sql: SqlPort;
  readonly #encode: EncodePort;

  constructor(sql: SqlPort, encode: EncodePort) {
    this.#sql = sql;
    this.#encode = encode;
    this.state = new JournalState(sql);
    this.parked = new ParkedChanges(sql);
  }

  /** Lets a slice in. False when the lane's cursor is no longer the one its page was pulled from: nothing happened. */
  append(append: Append): boolean {
    return this.#sql.transaction(() => {
      if (this.state.lane(append.lane).cursor !== append.cursorBefore) return false;
      this.#accept(append);
      return true;
    });
  }

  /** Keeps a slice of a page whose changes are no resume points, until `appendStaged`. */
  stage({ slice, done, append }: { slice: number; done: number; append: Append }): boolean {
    return this.#sql.transaction(() => {
      if (this.state.lane(append.lane).cursor !== append.cursorBefore) return false;
      const body = this.#encode.pack(JSON.stringify(append.accepted));
      this.#sql.exec('INSERT INTO staged (lane, slice, body) VALUES (?, ?, ?)', append.lane, slice, body);
      this.state.updateLane(append.lane, { page_done: done });
      return true;
    });
  }

  /** Lets all staged slices of a page in, then the last one, which carries the page's cursor. */
  appendStaged(last: Append): boolean {
    return this.#sql.transaction(() => {
      if (this.state.lane(last.lane).cursor !== last.cursorBefore) return false;
      const slices = this.#sql.exec<{ slice: number }>(
        'SELECT slice FROM staged WHERE lane = ? ORDER BY slice',
        last.lane,
      );
      for (const { slice } of slices) {
        const [staged] = this.#sql.exec<{ body: Uint8Array }>(
          'SELECT body FROM staged WHERE lane = ? AND slice = ?',
          last.lane,
          slice,
        );
        const accepted = JSON.parse(this.#encode.unpack(staged!.body)) as Accepted[];
        this.#accept({ ...last, cursorAfter: last.cursorBefore, accepted });
      }
      this.#accept(last);
      this.#sql.exec('DELETE FROM staged WHERE lane = ?', last.lane);
      this.state.updateLane(last.lane, { page: null, page_done: 0 });
      return true;
    });
  }

  /**
   * Takes the result of another look at a parked change. Refused, and looked at again later, when the change is no
   * longer parked as it was handed out or its key got a row since.
   */
  acceptRetry({
    parked,
    outcome,
    lastLsn,
    nowMs,
  }: {
    parked: ParkedChange;
    outcome: Outcome;
    lastLsn: number;
    nowMs: number;
  }): boolean {
    return this.#sql.transaction(() => {
      if (this.lastLsnOf(parked.key) !== lastLsn) return false;
      const recheck = parked.reason === 'lagging-revision';
      const settled = recheck ? this.#judgeRecheck(parked, outcome) : outcome;
      if (settled === null) {
        this.#postponeRecheck(parked, nowMs);
        return true;
      }
      if (settled.kind === 'park') {
        const delayMs = retryDelayMs({
          changeNumber: parked.change_number,
          attempts: parked.attempts + 1,
          retryAfterMs: settled.retryAfterMs,
        });
        this.parked.postpone(parked, { ...settled, dueMs: nowMs + delayMs });
        return true;
      }
      if (!this.parked.take(parked)) return false;
      this.#sql.exec('DELETE FROM suspects WHERE place = ?', parked.place);
      const source = this.state.source();
      const run = source.retry_run + 1;
      const change: Change = { ...parked, deleted: parked.deleted === 1, skip: null };
      const writer = new RowWriter();
      this.#settleChange(parked.change_number, { change, outcome: settled }, { writer, source, run, nowMs });
      source.retry_run = run;
      // No cursor before: a change that comes back late never holds the durable cursor up.
      const cursorAfter = this.state.lane(TAIL).cursor ?? '';
      this.#writeEntries(writer, { source, cursorBefore: null, cursorAfter, changes: 0, parked: 0, nowMs });
      return true;
    });
  }

  /** The newest LSN of a key over all tables, 0 when it has no row. */
  lastLsnOf(key: string): number {
    return (
      this.#sql.exec<{ lsn: number | null }>('SELECT max(last_lsn) AS lsn FROM keys WHERE key = ?', key)[0]!.lsn ?? 0
    );
  }

  /** Size of a key's last document, where one is known. */
  documentBytesOf(key: string): number | null {
    return this.#sql.exec<{ bytes: number | null }>(
      'SELECT max(document_bytes) AS bytes FROM keys WHERE key = ?',
      key,
    )[0]!.bytes;
  }

  /** Compressed bytes of rows not yet in a file, and of staged slices. */
  packedBytes(): number {
    const [entries] = this.#sql.exec<{ bytes: number }>('SELECT coalesce(sum(packed_bytes), 0) AS bytes FROM entries');
    const [staged] = this.#sql.exec<{ bytes: number }>('SELECT coalesce(sum(length(body)), 0) AS bytes FROM staged');
    return entries!.bytes + staged!.bytes;
  }

  #accept({ lane, cursorBefore, cursorAfter, accepted, nowMs }: Append): void {
    const source = this.state.source();
    const writer = new RowWriter();
    let parked = 0;
    for (const one of accepted) {
      // What waits for the same key is older than this change, whatever this change came to.
      this.#countOutcome('skipped:superseded', this.parked.supersede(one.change.key));
      parked += this.#settleChange(++source.change_number, one, { writer, source, run: null, nowMs });
      this.#sql.exec('DELETE FROM suspects WHERE place = ?', one.change.place);
    }
    this.#writeEntries(writer, { source, cursorBefore, cursorAfter, changes: accepted.length, parked, nowMs });
    this.state.updateLane(lane, { cursor: cursorAfter });
  }

  /** Gives a change its outcome; returns 1 when that is parked. A lagging revision is owed a second look: a change of its own. */
  #settleChange(
    number: number,
    { change, outcome }: Accepted,
    ctx: { writer: RowWriter; source: SourceRow; run: number | null; nowMs: number },
  ): number {
    if (outcome.kind === 'park') {
      const dueMs = ctx.nowMs + retryDelayMs({ changeNumber: number, attempts: 0, retryAfterMs: outcome.retryAfterMs });
      this.parked.park(number, change, { ...outcome, nowMs: ctx.nowMs, dueMs });
      return 1;
    }
    if (outcome.kind === 'skip' || outcome.rows.length === 0) {
      this.#countOutcome(`skipped:${outcome.kind === 'skip' ? outcome.reason : 'no-rows'}`, 1);
      return 0;
    }
    const cursor = ctx.run === null ? change.place : `${change.place}#${ctx.run}`;
    for (const row of outcome.rows) ctx.writer.add({ row, change, cursor, outcome });
    this.#countOutcome(outcome.rows.every(row => row.op === 'delete') ? 'tombstones' : 'rows', 1);
    if (change.revision !== null && outcome.revision !== null && outcome.revision < change.revision) {
      const detail = `expected revision ${change.revision}, got ${outcome.revision}`;
      this.parked.park(++ctx.source.change_number, change, {
        ...{ reason: 'lagging-revision', detail, nowMs: ctx.nowMs, dueMs: ctx.nowMs + LIMITS.recheckMs[0] },
      });
    }
    return 0;
  }

  /** What another look at a lagging revision means: an outcome, or null for "not yet". */
  #judgeRecheck(parked: ParkedChange, outcome: Outcome): Outcome | null {
    if (outcome.kind !== 'rows') return null;
    const [known] = this.#sql.exec<{ revision: number | null }>(
      'SELECT max(revision) AS revision FROM keys WHERE key = ?',
      parked.key,
    );
    const isNews = outcome.revision === null || known!.revision === null || outcome.revision > known!.revision;
    if (isNews) return outcome;
    const isReached = parked.revision === null || outcome.revision! >= parked.revision;
    return isReached ? { kind: 'skip', reason: 'unchanged' } : null;
  }

  #postponeRecheck(parked: ParkedChange, nowMs: number): void {
    const delayMs = recheckDelayMs(parked.attempts + 1);
    if (delayMs !== null) {
      this.parked.postpone(parked, { reason: parked.reason, detail: parked.detail, dueMs: nowMs + delayMs });
    } else if (this.parked.take(parked)) {
      this.#countOutcome('skipped:revision-never-served', 1);
    }
  }

  #countOutcome(outcome: string, changes: number): void {
    if (changes === 0) return;
    this.#sql.exec(
      'INSERT INTO outcomes (outcome, changes) VALUES (?, ?) ON CONFLICT (outcome) DO UPDATE SET changes = changes + excluded.changes',
      ...[outcome, changes],
    );
  }

  /** Numbers the rows and writes them as entries; saves the source's counters in any case. */
  #writeEntries(
    writer: RowWriter,
    append: {
      source: SourceRow;
      cursorBefore: string | null;
      cursorAfter: string;
      changes: number;
      parked: number;
      nowMs: number;
    },
  ): void {
    const { source, nowMs } = append;
    // Time never runs backwards from one LSN to the next, whatever the clock does.
    source.stamp_ms = Math.max(nowMs, source.stamp_ms);
    source.append_number += 1;
    source.loose_changes += append.changes;
    source.loose_parked += append.parked;
    for (const [name, rows] of writer.tables) {
      this.#writeTable(tableNamed(name), rows, append);
      const minute = Math.floor(nowMs / 60_000);
      this.#sql.exec(
        'INSERT INTO minutes (minute, rows) VALUES (?, ?) ON CONFLICT DO UPDATE SET rows = rows + excluded.rows',
        minute,
        rows.length,
      );
      this.#sql.exec('DELETE FROM minutes WHERE minute < ?', minute - 60);
    }
    const { change_number, append_number, retry_run, stamp_ms, loose_changes, loose_parked } = source;
    this.state.updateSource({ change_number, append_number, retry_run, stamp_ms, loose_changes, loose_parked });
  }

  #writeTable(
    table: Table,
    rows: PendingRow[],
    append: { source: SourceRow; cursorBefore: string | null; cursorAfter: string },
  ): void {
    const { source, cursorBefore, cursorAfter } = append;
    let [{ last_lsn: lsn }] = this.#sql.exec<{ last_lsn: number }>(
      'SELECT last_lsn FROM tables WHERE name = ?',
      table.name,
    ) as [{ last_lsn: number }];
    for (const chunk of chunksOf(rows)) {
      const text = `[${chunk.map(({ text }) => text).join(',')}]`;
      const body = this.#encode.pack(text);
      const digest = createHash('sha256').update(body).digest('hex');
      this.#sql.exec(
        `INSERT INTO entries (table_name, first_lsn, last_lsn, append_number, cursor_before, cursor_after, stamp_ms,
           schema_version, run_type, changes, parked, raw_bytes, packed_bytes, digest, body)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        ...[table.name, lsn + 1, lsn + chunk.length, source.append_number, cursorBefore, cursorAfter, source.stamp_ms],
        ...[table.version, 'follow', source.loose_changes, source.loose_parked, text.length, body.length, digest, body],
      );
      // Counted once, with the first entry that can carry them.
      source.loose_changes = 0;
      source.loose_parked = 0;
      for (const { key, revision, documentBytes } of chunk) {
        this.#sql.exec(
          `INSERT INTO keys (table_name, key, last_lsn, revision, document_bytes) VALUES (?, ?, ?, ?, ?)
           ON CONFLICT DO UPDATE SET last_lsn = excluded.last_lsn, revision = excluded.revision,
             document_bytes = coalesce(excluded.document_bytes, document_bytes)`,
          ...[table.name, key, ++lsn, revision, documentBytes],
        );
      }
    }
    this.#sql.exec('UPDATE tables SET last_lsn = ? WHERE name = ?', lsn, table.name);
  }
}

interface PendingRow {
  key: string;
  text: string;
  bytes: number;
  revision: number | null;
  documentBytes: number | null;
}

/** Gathers the rows of one append by table, in order, as they will stand in the journal. */
class RowWriter {
  readonly tables = new Map<string, PendingRow[]>();

  add({
    row,
    change,
    cursor,
    outcome,
  }: {
    row: LoadedRow;
    change: Change;
    cursor: string;
    outcome: Extract<Outcome, { kind: 'rows' }>;
  }): void {
    const table = tableNamed(row.table);
    const values = table.columns.slice(0, -LINEAGE_COLUMNS).map(column => row.row[column.name] ?? null);
    const text = JSON.stringify([row.op, cursor, ...values] satisfies JournalRow);
    const rows = this.tables.get(row.table) ?? [];
    if (rows.length === 0) this.tables.set(row.table, rows);
    const documentBytes = outcome.documentBytes > 0 ? outcome.documentBytes : null;
    rows.push({ key: change.key, text, bytes: Buffer.byteLength(text), revision: outcome.revision, documentBytes });
  }
}

/** `_lsn`, `_op` and `_cursor` stand last in every table. */
export const LINEAGE_COLUMNS = 3;

/** Cuts rows so that each part stays below the size and the row count of one entry. */
function* chunksOf(rows: PendingRow[]): Generator<PendingRow[]> {
  let chunk: PendingRow[] = [];
  let bytes = 0;
  for (const row of rows) {
    if (chunk.length > 0 && (bytes + row.bytes > LIMITS.entryBytesMax || chunk.length >= LIMITS.entryRowsMax)) {
      yield chunk;
      chunk = [];
      bytes = 0;
    }
    chunk.push(row);
    bytes += row.bytes + 1;
  }
  if (chunk.length > 0) yield chunk;
}
