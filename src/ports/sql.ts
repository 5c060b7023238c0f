/** A value that SQLite takes and returns. Numbers are safe integers or floats; larger integers are text. */
export type SqlValue = null | number | string | Uint8Array;

/** The object's own SQLite. `guardSql` enforces its rules. */
export interface SqlPort {
  /**
   * Runs one statement and returns all its rows. Throws `RangeError` for a value over 2 MB or an unsafe integer,
   * `TypeError` for a value or statement of a wrong kind, and what SQLite throws.
   */
  exec<R = Record<string, SqlValue>>(statement: string, ...params: SqlValue[]): R[];
  /**
   * Runs `work` in one transaction: when it throws, nothing of it stays. Throws `TypeError` when it returns a promise.
   */
  transaction<T>(work: () => T): T;
  /** Bytes of the database, without the pages that are free to be used again. */
  bytes(): number;
}
