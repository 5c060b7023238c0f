/** A table and its live data files in sum. */
export interface TableFacts {
  name: string;
  prefix: string;
  rows: number;
  files: number;
  bytes: number;
  last_lsn: number;
  /** Rows that were not appended because the table is immutable and has a row of their key. */
  known_rows: number;
}

/** One data file of a table; `year` and `month` are its partition. */
export interface LiveFile {
  key: string;
  first_lsn: number;
  last_lsn: number;
  rows: number;
  bytes: number;
  etag: string;
  year: number;
  month: number;
}

/** A table with its columns, and its live files after an LSN in LSN order. */
export interface TableDetail extends TableFacts {
  columns: { name: string; type: string; required: boolean; description: string; field_id: number }[];
  live_files: LiveFile[];
}
