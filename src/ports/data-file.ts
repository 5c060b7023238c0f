import type { Table, Value } from '../../schemas/table.ts';
import type { ByteRange } from './bucket.ts';

/** Encodes one data file from rows in LSN order. The bytes depend on the rows only. Misuse throws an `Error`. */
export interface DataFileEncoder {
  /** Adds one row: values in the order of `table.columns`, lineage included. Writes a row group when one is full. */
  append(values: Value[]): void;
  readonly rows: number;
  /** Bytes of the row groups that are written. */
  readonly encodedBytes: number;
  /** Bytes of row data that is not yet in a row group. */
  readonly openBytes: number;
  /** Writes the last row group, the indexes and the footer, and returns the file in chunks. Nothing can follow. */
  finish(facts: { lastLsn: number; cursor: string }): Uint8Array[];
}

/** The facts about a data file in its footer. */
export interface DataFileFooter {
  rows: number;
  firstLsn: number;
  lastLsn: number;
}

/** A data file in the lake, `bytes` long. `read` returns exactly the range, or throws. */
export interface StoredFile {
  table: Table;
  bytes: number;
  read(range: ByteRange): Promise<Uint8Array>;
  /** Names of the columns to read, `_lsn` among them; all of the table's by default. Bytes of others are not read. */
  columns?: string[];
}

/** Reads the rows of a data file back. */
export interface DataFileReader {
  readonly firstLsn: number;
  readonly lastLsn: number;
  /**
   * The rows from an LSN to the end of its row group, in LSN order: values in the order of `table.columns`, or of the
   * columns that were asked for. A column that is newer than the file is null. Throws an `Error` when the file does not
   * hold them.
   */
  rowsOf(fromLsn: number): Promise<Value[][]>;
}

/** Encodes and decodes data files and journal entries. */
export interface EncodePort {
  open(options: { source: string; table: Table; firstLsn: number }): DataFileEncoder;
  /**
   * Reads the footer from the last bytes of a data file; `endBytes` says how many bytes that takes when `end` is too
   * short. Throws an `Error` for bytes that are not the end of a data file.
   */
  footer(end: Uint8Array): DataFileFooter | { endBytes: number };
  /** Opens a data file to read its rows back. Throws an `Error` for a file that this project did not write. */
  reader(file: StoredFile): Promise<DataFileReader>;
  /** Compresses the text of one journal entry. */
  pack(text: string): Uint8Array;
  /** The text that `pack` compressed. */
  unpack(bytes: Uint8Array): string;
}

/** The least or greatest value of a column in a file. Text is its UTF-8 bytes, int64 is a bigint. */
export type ColumnBound = boolean | number | bigint | Uint8Array;

/** The facts about one column in a footer, over all row groups. Null: the footer does not say. */
export interface ColumnFacts {
  fieldId: number;
  /** Compressed, dictionaries included. */
  bytes: number;
  /** Nulls included. */
  values: number;
  nulls: number | null;
  /** No value is less than `min` or greater than `max`; a text may be cut. Both are null when all values are null. */
  min: ColumnBound | null;
  max: ColumnBound | null;
}

/** The facts about a data file in its footer, with those about its columns and row groups. */
export interface DataFileFacts extends DataFileFooter {
  columns: ColumnFacts[];
  /** Where each row group starts, in bytes from the start of the file, ascending. */
  rowGroupOffsets: number[];
}
