import type { Table, Value } from '../../schemas/table.ts';
import type { ByteRange } from './bucket.ts';

/** One data file being encoded, rows in LSN order. What it gives is a function of the rows alone. */
export interface DataFileEncoder {
  /** Adds one row: values in the order of `table.columns`, lineage included. Seals a row group when it is full. */
  append(values: Value[]): void;
  readonly rows: number;
  /** Bytes of sealed row groups. */
  readonly encodedBytes: number;
  /** Bytes of row data not yet in a row group. */
  readonly openBytes: number;
  /** Seals the rest, writes indexes and footer, and gives the file in chunks. The encoder is done then. */
  finish(facts: { lastLsn: number; cursor: string }): Uint8Array[];
}

/** What the footer of a data file says of it. */
export interface DataFileFooter {
  rows: number;
  firstLsn: number;
  lastLsn: number;
}

/** A data file of `bytes` in the lake. `read` gives what was asked for, all of it, or throws. */
export interface StoredFile {
  table: Table;
  bytes: number;
  read(range: ByteRange): Promise<Uint8Array>;
}

/** A data file whose rows are read back. */
export interface DataFileReader {
  readonly firstLsn: number;
  readonly lastLsn: number;
  /**
   * Rows from an LSN of the file on, to the end of its row group and in LSN order: values in the order of
   * `table.columns`. Throws when the file does not hold them.
   */
  rowsOf(fromLsn: number): Promise<Value[][]>;
}

export interface EncodePort {
  open(options: { source: string; table: Table; firstLsn: number }): DataFileEncoder;
  /** Reads a data file's end: its footer, or how many bytes of the end it takes. Throws when that is no data file's. */
  footer(end: Uint8Array): DataFileFooter | { endBytes: number };
  /** Opens a data file to read rows back. Throws when it is none of ours. */
  reader(file: StoredFile): Promise<DataFileReader>;
  /** Compresses one journal entry's text, and back. */
  pack(text: string): Uint8Array;
  unpack(bytes: Uint8Array): string;
}

/** A bound of a column in a file: text is its UTF-8 bytes, int64 a bigint. */
export type ColumnBound = boolean | number | bigint | Uint8Array;

/** What the footer says of one column, over all row groups; null where it does not say. */
export interface ColumnFacts {
  fieldId: number;
  /** On disk, dictionaries included. */
  bytes: number;
  /** Nulls included. */
  values: number;
  nulls: number | null;
  /** Less or equal than every value; a text may be cut. Null also where all values are null. */
  min: ColumnBound | null;
  max: ColumnBound | null;
}

/** What the footer of a data file says of it, its columns and its row groups. */
export interface DataFileFacts extends DataFileFooter {
  columns: ColumnFacts[];
  /** Where each row group starts, in bytes from the file's start; ascending. */
  rowGroupOffsets: number[];
}
