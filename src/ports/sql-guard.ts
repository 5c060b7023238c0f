import type { SqlPort, SqlValue } from './sql.ts';

/** Characters of a change's key that are stored: more than an object key has, less than an SQLite value holds. */
export const CHANGE_KEY_LENGTH_MAX = 8_192;

/** SQLite in a Durable Object rejects a value or a row over 2 MB. SQLite elsewhere does not, so this file does. */
export const SQL_VALUE_BYTES_MAX = 2_000_000;
/** The platform's limit on the values of one statement. */
export const SQL_PARAMS_MAX = 100;
/** The platform's limit on the text of one statement: 100 KB. */
export const SQL_STATEMENT_LENGTH_MAX = 100_000;
/** Checked statements that are remembered. A program has fewer, unless it builds statements from values. */
const CHECKED_MAX = 1_000;

const CONTROL = /^\s*(?:BEGIN|COMMIT|END|ROLLBACK|SAVEPOINT|RELEASE)\b/i;
/** String literals, quoted names and comments: a `?` or `;` in them means nothing. */
const QUOTED = /'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\]|--[^\n]*|\/\*[\s\S]*?\*\//g;
const UTF8 = new TextEncoder();

/** A binding of SQLite. Throws what SQLite throws. */
export interface RawSql {
  exec(statement: string, params: SqlValue[]): Iterable<Record<string, unknown>>;
  transaction<T>(work: () => T): T;
  bytes(): number;
}

/**
 * The key cut to `CHANGE_KEY_LENGTH_MAX` characters and well-formed, because SQLite takes no other. A cut key is
 * longer than any key of the lake, so no document is stored under it.
 */
export function storableKey(key: string): string {
  return key.slice(0, CHANGE_KEY_LENGTH_MAX).toWellFormed();
}

/**
 * Enforces the rules of `SqlPort` over a binding of SQLite, so that every binding accepts and rejects the same. Throws
 * `RangeError` for a value that is too large, `TypeError` for a value or statement of a wrong kind.
 */
export function guardSql(raw: RawSql): SqlPort {
  const checked = new Map<string, number>();
  let open = false;

  function checkStatement(statement: string, given: number): void {
    let expected = checked.get(statement);
    if (expected === undefined) {
      expected = paramsOf(statement);
      if (checked.size >= CHECKED_MAX) checked.clear();
      checked.set(statement, expected);
    }
    if (given !== expected) throw new TypeError(`sql statement: expected ${expected} values, got ${given}`);
  }

  return {
    exec<R>(statement: string, ...params: SqlValue[]): R[] {
      checkStatement(statement, params.length);
      checkParams(params);
      // Read all rows at once: an unread RETURNING breaks the commit of the Durable Object.
      const rows = [...raw.exec(statement, params)];
      for (const row of rows) readRow(row);
      return rows as R[];
    },

    transaction(work) {
      if (open) throw new Error('sql transaction: expected no open transaction, got one inside another');
      open = true;
      try {
        return raw.transaction(() => refusePromise(work()));
      } finally {
        open = false;
      }
    },

    bytes: () => raw.bytes(),
  };
}

/** Checks a statement's text and returns how many values it takes. */
function paramsOf(statement: string): number {
  if (statement.length > SQL_STATEMENT_LENGTH_MAX) {
    throw new RangeError(`sql statement: expected at most ${SQL_STATEMENT_LENGTH_MAX} bytes, got ${statement.length}`);
  }
  const bare = statement.replace(QUOTED, ' ');
  if (CONTROL.test(bare))
    throw new TypeError('sql statement: expected transactions to go through transaction(), got one in a statement');
  if (/;\s*\S/.test(bare) && !/^\s*CREATE\s+(?:TEMP\w*\s+)?TRIGGER\b/i.test(bare)) {
    throw new TypeError('sql statement: expected one statement, got several');
  }
  let highest = 0;
  for (const [, number] of bare.matchAll(/\?(\d*)/g))
    highest = number ? Math.max(highest, Number(number)) : highest + 1;
  if (highest > SQL_PARAMS_MAX) {
    throw new RangeError(`sql statement: expected at most ${SQL_PARAMS_MAX} values, got ${highest}`);
  }
  return highest;
}

function checkParams(params: unknown[]): void {
  let bytesMax = 0;
  for (const [index, value] of params.entries()) bytesMax += checkValue(value, index + 1);
  if (bytesMax <= SQL_VALUE_BYTES_MAX) return;
  // The values of a statement may all go into one row, and a row has the same limit as a value.
  const bytes = params.reduce((sum: number, value) => sum + bytesOf(value), 0);
  if (bytes > SQL_VALUE_BYTES_MAX) {
    throw new RangeError(`sql values: expected at most ${SQL_VALUE_BYTES_MAX} bytes in one statement, got ${bytes}`);
  }
}

/** Rejects a wrong value, and returns how many bytes it has at most: a UTF-16 unit becomes up to three bytes. */
function checkValue(value: unknown, position: number): number {
  const subject = `sql value ${position}`;
  if (value === null) return 0;
  if (typeof value === 'number') {
    checkNumber(value, subject);
    return 8;
  }
  if (typeof value === 'string') {
    // SQLite stores UTF-8, which has no half of a surrogate pair: it would come back as another character.
    if (!value.isWellFormed()) throw new TypeError(`${subject}: expected well-formed text, got half a character`);
    return value.length * 3;
  }
  if (value instanceof Uint8Array) return value.byteLength;
  throw new TypeError(`${subject}: expected null, number, string or Uint8Array, got ${kindOf(value)}`);
}

function bytesOf(value: unknown): number {
  if (typeof value === 'string') return UTF8.encode(value).byteLength;
  return value instanceof Uint8Array ? value.byteLength : 8;
}

function readRow(row: Record<string, unknown>): void {
  for (const column in row) {
    const value = row[column];
    if (value === null || typeof value === 'string' || value instanceof Uint8Array) continue;
    if (value instanceof ArrayBuffer) row[column] = new Uint8Array(value);
    else if (typeof value === 'number') checkNumber(value, `sql column ${column}`);
    else throw new TypeError(`sql column ${column}: expected null, number, string or bytes, got ${kindOf(value)}`);
  }
}

function checkNumber(value: number, subject: string): void {
  if (!Number.isFinite(value)) throw new RangeError(`${subject}: expected a finite number, got ${value}`);
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
    throw new RangeError(`${subject}: expected an integer up to 2^53 - 1 (larger ones as text), got a larger one`);
  }
}

function refusePromise<T>(result: T): T {
  if (typeof (result as { then?: unknown } | null | undefined)?.then !== 'function') return result;
  // The promise is rejected here already, so its own failure needs no handler.
  if (result instanceof Promise) result.catch(() => undefined);
  throw new TypeError('sql transaction: expected synchronous work, got a promise');
}

function kindOf(value: unknown): string {
  return typeof value === 'object' ? (value?.constructor?.name ?? 'object') : typeof value;
}

/** Runs `work` in a transaction and rolls it back, to see whether SQLite accepts it. Throws what SQLite throws. */
export function rehearse(sql: SqlPort, work: () => void): void {
  const rehearsed = new Error('rehearsed');
  try {
    sql.transaction(() => {
      work();
      throw rehearsed;
    });
  } catch (error) {
    if (error !== rehearsed) throw error;
  }
}
