/** `committed`: all files are; `gathering`: some wait for their commit. */
export type CatalogTableState = 'committed' | 'gathering' | 'backing-off' | 'stalled';

/** One table in the Iceberg catalog. Times are ISO 8601; an unknown value is null. */
export interface CatalogTableStatus {
  table: string;
  source: string;
  state: CatalogTableState;
  /** The last `_lsn` whose row is in the catalog's table. */
  committed_lsn: number | null;
  /** Live data files of the source that are not committed; at most 1,000 are counted. */
  files_waiting: number;
  /** A snapshot's id is text: it may have more digits than a number of JSON keeps. */
  last_commit: { at: string | null; snapshot: string | null; files: number | null; rows: number | null };
  last_error: {
    kind: string | null;
    reason: string | null;
    hint: string | null;
    retry: string | null;
    at: string | null;
  };
}

/** How far the Iceberg catalog is. Without its settings it is not enabled, and has no tables. */
export interface IcebergStatus {
  enabled: boolean;
  tables: CatalogTableStatus[];
  next_wake_at: string | null;
}
