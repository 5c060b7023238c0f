import type { Table, Value } from '../../../schemas/table.ts';
import { LIMITS } from '../../config.ts';
import { RowFacts } from '../../lake/catalog/row-facts.ts';
import type { DataFileEncoder, EncodePort } from '../../ports/data-file.ts';
import { isoTime } from '../../time.ts';
import type { JournalRow } from '../journal/entries.ts';
import type { Entry, JournalFiles } from '../journal/files.ts';

/**
 * The rows at the end of one table's journal, encoded for the next data file. It is filled from the journal only, so it
 * can be dropped at any time. Where a file ends depends on the rows alone, never on when they were read.
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
  #isFull = false;

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

  /** The range of its rows; null when it is empty. */
  get range(): { firstLsn: number; lastLsn: number; stampMs: number; cursor: string } | null {
    if (!this.#first || !this.#last) return null;
    const { first_lsn: firstLsn, stamp_ms: stampMs } = this.#first;
    return { firstLsn, lastLsn: this.#last.last_lsn, stampMs, cursor: this.#last.cursor_after };
  }

  /** JSON of the facts about its rows that the catalog publishes. */
  get facts(): string {
    return JSON.stringify(this.#facts);
  }

  get bytes(): number {
    return this.#encoder ? this.#encoder.encodedBytes + this.#encoder.openBytes : 0;
  }

  /** Whether the journal's next entry belongs to another file. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /**
   * Adds the journal's next entry. False at the journal's end and at the file's limits; or, where `lastLsn` of an
   * intent is given, at that LSN, whatever the limits are. An entry takes up to some tenths of a second, so the caller
   * gives others turns in between.
   */
  readNext(lastLsn: number | null = null): boolean {
    const entry = this.#isFull ? null : this.#nextEntry();
    if (!entry || (lastLsn !== null && entry.last_lsn > lastLsn)) return false;
    if (lastLsn === null && !this.#fits(entry)) {
      this.#isFull = true;
      return false;
    }
    this.#add(entry);
    return true;
  }

  /** The chunks of the data file. Empties the buffer. */
  finish(): Uint8Array[] {
    const range = this.range;
    if (!this.#encoder || !range) throw new Error('row buffer: expected rows to finish, got none');
    const chunks = this.#encoder.finish(range);
    this.drop();
    return chunks;
  }

  /** Empties the buffer; reading starts again at the journal's first entry. */
  drop(): void {
    this.#encoder = null;
    this.#facts = null;
    this.#first = null;
    this.#last = null;
    this.#isFull = false;
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

  #add(entry: Entry): void {
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

/** The month of a row's partition, `YYYY-MM` in UTC. */
function monthOf(stampMs: number): string {
  return isoTime(stampMs).slice(0, 7);
}

/**
 * A row of an entry as a data file has it: `updated_at` is the append's stamp, columns added to the table since are
 * null, and the lineage is in its place.
 */
function lakeRow(
  table: Table,
  [op, cursor, ...values]: JournalRow,
  { lsn, stampMs }: { lsn: number; stampMs: number },
): Value[] {
  values.splice(table.lineageAt, 0, lsn, op, cursor);
  return table.columns.map((column, index) => {
    if (column.name === 'updated_at') return isoTime(stampMs);
    return values[index] ?? null;
  });
}
