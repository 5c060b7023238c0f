import type { Row } from '../../schemas/table.ts';

/** A row of a feeding table, as an inlet sees it: only the columns that the inlet declares. */
export interface FeedingRow {
  op: 'upsert' | 'delete';
  lsn: number;
  /** The row's key in its table. */
  key: string;
  /** The declared columns; one that an older file lacks is null. A deletion has values in its key columns only. */
  row: Row;
}

/**
 * One thing that a row says of a key. Without `facts` it only adds the key to the agenda; with them it is kept as
 * evidence under the key, the row and the item.
 */
export interface Finding {
  /** In any form that the agenda reads. A text that is no key is counted by its reason and passed over. */
  key: string;
  /** What the facts are of, where a row says several things of one key; the last finding of an item counts. */
  item?: string;
  /** Small plain JSON. */
  facts?: Record<string, unknown>;
  /** A text that shows what the facts were read from. */
  sample?: string;
}

/** How a source reads the rows of another source's table. */
export interface InletRules {
  /** The id of the source that feeds. */
  source: string;
  table: string;
  /** The columns that `read` reads, besides operation, LSN and key. */
  columns: string[];
  /** What a row says. Pure: the same row gives the same findings. */
  read(row: FeedingRow): Finding[];
}

/** A finding whose key the agenda has read. `facts` is JSON, null where there is no evidence to keep. */
export interface KeyFinding {
  key: string;
  space: string;
  item: string;
  facts: string | null;
  sample: string | null;
}

/** What one row gave. `refused`: how many of its findings were passed over, by reason. */
export interface RowFindings {
  lsn: number;
  key: string;
  findings: KeyFinding[];
  refused: Record<string, number>;
}

/** A settled data file of a feeding table. */
export interface FeedingFile {
  key: string;
  etag: string;
  bytes: number;
  first_lsn: number;
  last_lsn: number;
}

/** Settled files with rows after an LSN, in order, and up to which LSN the table is settled. */
export interface FeedingFiles {
  /** The table's random id; null before its first row. */
  identity: string | null;
  lastLsn: number;
  files: FeedingFile[];
}

/** The objects of other sources, asked for the files of their tables. Throws `StepError` `source-failed`. */
export interface FeedingPort {
  settledFiles(source: string, query: { table: string; afterLsn: number; limit: number }): Promise<FeedingFiles>;
}

/**
 * The Loader's answer to a read: each row after the given LSN up to `lastLsn`, in order. `missing`: no such object is
 * there any more. `damaged`: it is there and cannot be read.
 */
export type InletAnswer =
  | { kind: 'rows'; rows: RowFindings[] }
  | { kind: 'missing' }
  | { kind: 'damaged'; message: string };
