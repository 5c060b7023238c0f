/** `committed`: the table has every file. `gathering`: files wait for their commit. */
export type CatalogTableState = 'committed' | 'gathering' | 'backing-off' | 'stalled';

/** One table of the Iceberg catalog. Times are ISO 8601; an unknown value is null. */
export interface CatalogTableStatus {
  table: string;
  source: string;
  state: CatalogTableState;
  /** The last `_lsn` that is in the catalog's table. */
  committed_lsn: number | null;
  /** Live data files of the source that are not committed, counted up to 1,000. */
  files_waiting: number;
  /** `snapshot` is an id as text, because it can have more digits than a JSON number holds. */
  last_commit: { at: string | null; snapshot: string | null; files: number | null; rows: number | null };
  last_error: {
    kind: string | null;
    reason: string | null;
    hint: string | null;
    retry: string | null;
    at: string | null;
  };
}

/** The status of the Iceberg catalog. Without its settings it is not enabled and has no tables. */
export interface IcebergStatus {
  enabled: boolean;
  tables: CatalogTableStatus[];
  next_wake_at: string | null;
}
