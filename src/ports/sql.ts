/** What SQLite is given and gives back. Numbers are safe integers or floats; larger integers are text. */
export type SqlValue = null | number | string | Uint8Array;

/** The object's own SQLite. Every statement is read to its end at once. */
export interface SqlPort {
  /** Runs one statement and returns all its rows. Throws `RangeError` on a value over 2 MB or an unsafe integer. */
  exec<R = Record<string, SqlValue>>(statement: string, ...params: SqlValue[]): R[];
  /** Runs `work` in one transaction: all of it or, when it throws, nothing. Refuses a promise. */
  transaction<T>(work: () => T): T;
}
