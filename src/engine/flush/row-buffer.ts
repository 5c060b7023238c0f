import type { Table, Value } from '../../../schemas/table.ts';
import { LIMITS } from '../../config.ts';
import { RowFacts } from '../../lake/catalog/row-facts.ts';
import type { DataFileEncoder, EncodePort } from '../../ports/data-file.ts';
import { isoTime } from '../../time.ts';
import { type JournalRow, LINEAGE_COLUMNS } from '../journal/entries.ts';
import type { Entry, JournalFiles } from '../journal/files.ts';

/**
 * The rows of one table's journal tail on their way into the next data file. Only ever filled from the journal, so
 * it can be thrown away at any moment. Where it is cut depends on the rows alone, never on when they came.
 */
export class RowBuffer {
  readonly table: Table;
  readonly #source: string;
  readonly #files: JournalFiles;
  readonly #encode: EncodePort;
  #encoder: DataFileEncoder | null = null;
  #facts: RowFacts | null = null;
  #first: Entry | null = null;
  #last: Entry | null = null;
  #full = false;

  constructor({
    table,
    source,
    files,
    encode,
  }: { table: Table; source: string; files: JournalFiles; encode: EncodePort }) {
    this.table = table;
    this.#source = source;
    this.#files = files;
    this.#encode = encode;
  }

  /** The range held, or null. */
  get range(): { firstLsn: number; lastLsn: number; stampMs: number; cursor: string } | null {
    if (!this.#first || !this.#last) return null;
    const { first_lsn: firstLsn, stamp_ms: stampMs } = this.#first;
    return { firstLsn, lastLsn: this.#last.last_lsn, stampMs, cursor: this.#last.cursor_after };
  }

  /** What the catalog says of the rows held, as JSON. */
  get facts(): string {
    return JSON.stringify(this.#facts);
  }

  get bytes(): number {
    return this.#encoder ? this.#encoder.encodedBytes + this.#encoder.openBytes : 0;
  }

  /** The next entry of the journal belongs to another file. */
  get full(): boolean {
    return this.#full;
  }

  /** The journal goes on after the range held, and the file may still take it. */
  get behind(): boolean {
    return !this.#full && this.#nextEntry() !== null;
  }

  /**
   * Takes the journal's next entry, up to its end or the file's limits; or, whatever the limits are, up to the LSN of
   * an intent. Returns whether it did. An entry takes up to some tenths of a second: a whole file's must not be read
   * in one go.
   */
  readNext(lastLsn: number | null = null): boolean {
    const entry = this.#full ? null : this.#nextEntry();
    if (!entry || (lastLsn !== null && entry.last_lsn > lastLsn)) return false;
    if (lastLsn === null && !this.#fits(entry)) {
      this.#full = true;
      return false;
    }
    this.#take(entry);
    return true;
  }

  /** The file's chunks for the range held; the buffer is empty after it. */
  finish(): Uint8Array[] {
    const range = this.range;
    if (!this.#encoder || !range) throw new Error('row buffer: expected rows to finish, got none');
    const chunks = this.#encoder.finish(range);
    this.drop();
    return chunks;
  }

  /** Forgets everything; the next reading starts at the journal's first row. */
  drop(): void {
    this.#encoder = null;
    this.#facts = null;
    this.#first = null;
    this.#last = null;
    this.#full = false;
  }

  #nextEntry(): Entry | null {
    return this.#last
      ? this.#files.entryAt(this.table.name, this.#last.last_lsn + 1)
      : this.#files.firstEntry(this.table.name);
  }

  #fits(entry: Entry): boolean {
    if (!this.#encoder || !this.#first) return true;
    const rows = this.#encoder.rows + entry.last_lsn - entry.first_lsn + 1;
    const isSameMonth = monthOf(entry.stamp_ms) === monthOf(this.#first.stamp_ms);
    return isSameMonth && rows <= LIMITS.fileRowsMax && this.bytes + entry.raw_bytes <= LIMITS.fileBytesMax;
  }

  #take(entry: Entry): void {
    this.#first ??= entry;
    this.#encoder ??= this.#encode.open({ source: this.#source, table: this.table, firstLsn: entry.first_lsn });
    let lsn = entry.first_lsn;
    this.#facts ??= new RowFacts(this.table);
    for (const row of this.#files.rowsOf(entry)) {
      const values = lakeRow(this.table, row, { lsn: lsn++, stampMs: entry.stamp_ms });
      this.#encoder.append(values);
      this.#facts.add(values);
    }
    this.#last = entry;
  }
}

/** The month a row is partitioned by, `YYYY-MM` in UTC. */
function monthOf(stampMs: number): string {
  return isoTime(stampMs).slice(0, 7);
}

/**
 * A journaled row as the lake has it: columns added since it was accepted are null, `updated_at` is the append's
 * stamp, lineage stands last.
 */
function lakeRow(
  table: Table,
  [op, cursor, ...values]: JournalRow,
  { lsn, stampMs }: { lsn: number; stampMs: number },
): Value[] {
  const row = table.columns.map((column, index) => {
    if (column.name === 'updated_at') return isoTime(stampMs);
    return values[index] ?? null;
  });
  row.splice(-LINEAGE_COLUMNS, LINEAGE_COLUMNS, lsn, op, cursor);
  return row;
}
