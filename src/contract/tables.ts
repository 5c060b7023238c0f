/** A table's live data files in sum. */
export interface TableFacts {
  name: string;
  prefix: string;
  rows: number;
  files: number;
  bytes: number;
  last_lsn: number;
}

/** One data file that readers may read. */
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

/** One table: its schema, and its live files after an LSN, in LSN order. */
export interface TableDetail extends TableFacts {
  columns: { name: string; type: string; required: boolean; description: string; field_id: number }[];
  live_files: LiveFile[];
}
