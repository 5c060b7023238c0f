import { describe, expect, it } from 'vitest';
import type { SqlPort, SqlValue } from '../../src/ports/sql.ts';
import { SQL_PARAMS_MAX, SQL_VALUE_BYTES_MAX } from '../../src/ports/sql-guard.ts';

/** Runs `work` on an empty database. In the worker it runs inside a Durable Object, so it returns a promise. */
export type WithSql = (work: (sql: SqlPort) => void) => void | Promise<void>;

/** The tests that each binding of `SqlPort` passes. */
export function sqlConformance(name: string, withSql: WithSql): void {
  describe(`sql on ${name}`, () => {
    values(withSql);
    statements(withSql);
    refusals(withSql);
    transactions(withSql);
    sizes(withSql);
  });
}

function values(withSql: WithSql): void {
  const stored: [string, SqlValue][] = [
    ['null', null],
    ['zero', 0],
    ['the largest safe integer', Number.MAX_SAFE_INTEGER],
    ['the smallest safe integer', Number.MIN_SAFE_INTEGER],
    ['a float', 0.1],
    ['a tiny float', Number.MIN_VALUE],
    ['an empty text', ''],
    ['text of many planes', 'naïve – 日本語 – 👩‍🔬 – \u2028 – \ufffd'],
    ['text that looks like a number', '007'],
    ['text with NUL inside', 'a\u0000b\u0000'],
    ['an empty blob', new Uint8Array(0)],
    ['a blob of every byte', Uint8Array.from({ length: 256 }, (_, byte) => byte)],
    ['a blob that is a view', new Uint8Array([9, 1, 2, 3, 9]).subarray(1, 4)],
    ['an integer over 2^53 as text', '9007199254740993'],
  ];

  for (const [name, value] of stored) {
    it(`gives back ${name}`, async () => {
      await withSql(sql => {
        sql.exec('CREATE TABLE stored (value)');
        sql.exec('INSERT INTO stored VALUES (?)', value);
        const [row] = sql.exec<{ value: SqlValue }>('SELECT value FROM stored');
        expect(row?.value).toEqual(value);
        expect(row?.value instanceof Uint8Array).toBe(value instanceof Uint8Array);
      });
    });
  }

  it('stores an integer as an integer in an INTEGER column', async () => {
    await withSql(sql => {
      sql.exec('CREATE TABLE stored (value INTEGER)');
      sql.exec('INSERT INTO stored VALUES (?)', Number.MAX_SAFE_INTEGER);
      const [row] = sql.exec('SELECT typeof(value) AS type, CAST(value AS TEXT) AS text FROM stored');
      expect(row).toMatchObject({ type: 'integer', text: '9007199254740991' });
    });
  });

  it('returns booleans as numbers', async () => {
    await withSql(sql => {
      expect(sql.exec('SELECT 1 = 1 AS yes, TRUE AND FALSE AS no')).toMatchObject([{ yes: 1, no: 0 }]);
    });
  });

  it('returns a blob that later statements do not change', async () => {
    await withSql(sql => {
      sql.exec('CREATE TABLE stored (value BLOB)');
      sql.exec('INSERT INTO stored VALUES (?)', new Uint8Array([1, 2, 3]));
      const [row] = sql.exec<{ value: Uint8Array }>('SELECT value FROM stored');
      sql.exec('UPDATE stored SET value = ?', new Uint8Array([7, 7, 7]));
      expect(row?.value).toEqual(new Uint8Array([1, 2, 3]));
    });
  });

  it('does not change a blob that it gets', async () => {
    await withSql(sql => {
      const blob = new Uint8Array([1, 2, 3]);
      sql.exec('SELECT ? AS value', blob);
      expect(blob).toEqual(new Uint8Array([1, 2, 3]));
    });
  });
}

function statements(withSql: WithSql): void {
  it('reads a RETURNING of many rows to its end, and its changes are stored', async () => {
    await withSql(sql => {
      sql.exec('CREATE TABLE numbers (n INTEGER)');
      const insert = 'INSERT INTO numbers SELECT value FROM json_each(?) RETURNING n';
      const numbers = Array.from({ length: 5_000 }, (_, n) => n);
      expect(sql.exec<{ n: number }>(insert, JSON.stringify(numbers)).map(row => row.n)).toEqual(numbers);
      expect(sql.exec('SELECT count(*) AS n FROM numbers')).toMatchObject([{ n: 5_000 }]);
    });
  });

  it('shows by RETURNING how many rows a statement changed', async () => {
    await withSql(sql => {
      sql.exec('CREATE TABLE numbers (n INTEGER)');
      sql.exec('INSERT INTO numbers VALUES (1), (2), (3)');
      expect(sql.exec('DELETE FROM numbers WHERE n > ? RETURNING 1', 1)).toHaveLength(2);
      expect(sql.exec('DELETE FROM numbers WHERE n > ? RETURNING 1', 1)).toHaveLength(0);
      expect(sql.exec('UPDATE numbers SET n = 9')).toEqual([]);
    });
  });

  it('upserts, and refuses an upsert whose guard does not hold', async () => {
    await withSql(sql => {
      sql.exec('CREATE TABLE keys (key TEXT PRIMARY KEY, lsn INTEGER) WITHOUT ROWID');
      const upsert = `INSERT INTO keys VALUES (?1, ?2)
        ON CONFLICT (key) DO UPDATE SET lsn = excluded.lsn WHERE excluded.lsn > keys.lsn RETURNING lsn`;
      expect(sql.exec(upsert, 'a', 1)).toMatchObject([{ lsn: 1 }]);
      expect(sql.exec(upsert, 'a', 5)).toMatchObject([{ lsn: 5 }]);
      expect(sql.exec(upsert, 'a', 3)).toEqual([]);
      expect(sql.exec('SELECT key, lsn FROM keys')).toMatchObject([{ key: 'a', lsn: 5 }]);
    });
  });

  it('orders text by its bytes', async () => {
    await withSql(sql => {
      sql.exec('CREATE TABLE keys (key TEXT PRIMARY KEY)');
      for (const key of ['b', 'B', 'a', 'é', 'z']) sql.exec('INSERT INTO keys VALUES (?)', key);
      const keys = sql.exec<{ key: string }>('SELECT key FROM keys ORDER BY key').map(row => row.key);
      expect(keys).toEqual(['B', 'a', 'b', 'z', 'é']);
    });
  });

  it('works after a statement that failed', async () => {
    await withSql(sql => {
      sql.exec('CREATE TABLE keys (key TEXT PRIMARY KEY)');
      sql.exec('INSERT INTO keys VALUES (?)', 'a');
      expect(() => sql.exec('INSERT INTO keys VALUES (?)', 'a')).toThrow(/UNIQUE/);
      expect(() => sql.exec('SELECT n FROM nowhere')).toThrow(/nowhere/);
      sql.exec('INSERT INTO keys VALUES (?)', 'b');
      expect(sql.exec('SELECT count(*) AS n FROM keys')).toMatchObject([{ n: 2 }]);
    });
  });

  it('accepts as many values as the platform does', async () => {
    await withSql(sql => {
      const given = Array.from({ length: SQL_PARAMS_MAX }, (_, n) => n);
      const list = given.map(() => '(?)').join();
      expect(
        sql.exec<{ n: number }>(`WITH t (n) AS (VALUES ${list}) SELECT sum(n) AS n FROM t`, ...given),
      ).toMatchObject([{ n: 4950 }]);
    });
  });

  it('finds no values and no statements in literals and comments', async () => {
    await withSql(sql => {
      const statement = `SELECT '?;''?' AS "a?;b", ? AS c -- ?; SELECT 2
        /* ?; */ ;`;
      expect(sql.exec(statement, 1)).toMatchObject([{ 'a?;b': "?;'?", c: 1 }]);
    });
  });
}

function sizes(withSql: WithSql): void {
  it('bytes() grows with what is stored, and falls when it is deleted', () =>
    withSql(sql => {
      sql.exec('CREATE TABLE blobs (body BLOB)');
      const empty = sql.bytes();
      for (let n = 0; n < 10; n++) sql.exec('INSERT INTO blobs VALUES (?)', new Uint8Array(100_000));
      expect(sql.bytes() - empty).toBeGreaterThan(1_000_000);
      expect(sql.bytes() - empty).toBeLessThan(1_100_000);
      sql.exec('DELETE FROM blobs');
      expect(sql.bytes() - empty).toBeLessThan(10_000);
    }));
}

function refusals(withSql: WithSql): void {
  const refused: [string, unknown, typeof TypeError | typeof RangeError, RegExp][] = [
    ['true', true, TypeError, /got boolean/],
    ['a bigint', 1n, TypeError, /got bigint/],
    ['undefined', undefined, TypeError, /got undefined/],
    ['an array', [1], TypeError, /got Array/],
    ['a date', new Date(0), TypeError, /got Date/],
    ['an ArrayBuffer', new ArrayBuffer(1), TypeError, /got ArrayBuffer/],
    ['NaN', Number.NaN, RangeError, /finite/],
    ['infinity', Number.POSITIVE_INFINITY, RangeError, /finite/],
    ['an unsafe integer', 2 ** 53, RangeError, /2\^53/],
    ['half a surrogate pair', 'a\ud800', TypeError, /well-formed/],
    ['text over the limit', 'x'.repeat(SQL_VALUE_BYTES_MAX + 1), RangeError, /at most 2000000 bytes/],
    ['text over the limit in UTF-8', 'é'.repeat(SQL_VALUE_BYTES_MAX / 2 + 1), RangeError, /at most 2000000 bytes/],
    ['a blob over the limit', new Uint8Array(SQL_VALUE_BYTES_MAX + 1), RangeError, /at most 2000000 bytes/],
  ];

  for (const [name, value, kind, message] of refused) {
    it(`refuses ${name}`, async () => {
      await withSql(sql => {
        sql.exec('CREATE TABLE stored (value)');
        const insert = () => sql.exec('INSERT INTO stored VALUES (?)', value as SqlValue);
        expect(insert).toThrow(kind);
        expect(insert).toThrow(message);
        expect(sql.exec('SELECT * FROM stored')).toEqual([]);
      });
    });
  }

  it('accepts text and blobs of exactly the limit', async () => {
    await withSql(sql => {
      const text = 'é'.repeat(SQL_VALUE_BYTES_MAX / 2);
      expect(sql.exec('SELECT length(?) AS length', text)).toMatchObject([{ length: SQL_VALUE_BYTES_MAX / 2 }]);
      const [row] = sql.exec<{ blob: Uint8Array }>('SELECT ? AS blob', new Uint8Array(SQL_VALUE_BYTES_MAX));
      expect(row?.blob.byteLength).toBe(SQL_VALUE_BYTES_MAX);
    });
  });

  it('refuses values that are over the limit together', async () => {
    await withSql(sql => {
      const half = new Uint8Array(SQL_VALUE_BYTES_MAX / 2);
      expect(() => sql.exec('SELECT length(?) + length(?) + length(?) AS n', half, half, 'x')).toThrow(RangeError);
    });
  });

  it('refuses to return integers over 2^53, and infinities', async () => {
    await withSql(sql => {
      expect(() => sql.exec('SELECT 9007199254740993 AS n')).toThrow(RangeError);
      expect(() => sql.exec('SELECT 9e999 AS n')).toThrow(RangeError);
      expect(sql.exec('SELECT CAST(9007199254740993 AS TEXT) AS n')).toMatchObject([{ n: '9007199254740993' }]);
    });
  });

  it('refuses more values than the platform accepts', async () => {
    await withSql(sql => {
      const given = Array.from({ length: SQL_PARAMS_MAX + 1 }, () => 1);
      expect(() => sql.exec(`VALUES ${given.map(() => '(?)').join()}`, ...given)).toThrow(/at most 100 values/);
    });
  });

  it('refuses too few and too many values', async () => {
    await withSql(sql => {
      expect(() => sql.exec('SELECT ? AS a, ? AS b', 1)).toThrow(/expected 2 values, got 1/);
      expect(() => sql.exec('SELECT ? AS a', 1, 2)).toThrow(/expected 1 values, got 2/);
      expect(() => sql.exec('SELECT ?2 AS a', 1)).toThrow(/expected 2 values, got 1/);
    });
  });

  it('refuses several statements at once, and statements over the platform’s length', async () => {
    await withSql(sql => {
      expect(() => sql.exec('SELECT 1; SELECT 2')).toThrow(/one statement/);
      expect(() => sql.exec(`SELECT '${'x'.repeat(100_000)}'`)).toThrow(RangeError);
    });
  });

  it('refuses transactions begun by a statement', async () => {
    await withSql(sql => {
      for (const statement of ['BEGIN', ' savepoint a', '-- now\nCOMMIT']) {
        expect(() => sql.exec(statement)).toThrow(/transaction\(\)/);
      }
    });
  });
}

function transactions(withSql: WithSql): void {
  const numbers = (sql: SqlPort) => sql.exec<{ n: number }>('SELECT n FROM numbers ORDER BY n').map(row => row.n);

  it('stores all of a transaction and returns its result', async () => {
    await withSql(sql => {
      sql.exec('CREATE TABLE numbers (n INTEGER)');
      const result = sql.transaction(() => {
        sql.exec('INSERT INTO numbers VALUES (1)');
        sql.exec('INSERT INTO numbers VALUES (2)');
        return numbers(sql);
      });
      expect(result).toEqual([1, 2]);
      expect(numbers(sql)).toEqual([1, 2]);
    });
  });

  it('stores nothing of a transaction that throws, and throws the same error', async () => {
    await withSql(sql => {
      sql.exec('CREATE TABLE numbers (n INTEGER)');
      const error = new Error('rolled back');
      let thrown: unknown;
      try {
        sql.transaction(() => {
          sql.exec('CREATE TABLE more (n INTEGER)');
          sql.exec('INSERT INTO numbers VALUES (1)');
          throw error;
        });
      } catch (caught) {
        thrown = caught;
      }
      expect(thrown).toBe(error);
      expect(numbers(sql)).toEqual([]);
      expect(() => sql.exec('SELECT * FROM more')).toThrow(/more/);
    });
  });

  it('stores nothing of a transaction that ends with a refused statement', async () => {
    await withSql(sql => {
      sql.exec('CREATE TABLE numbers (n INTEGER PRIMARY KEY)');
      const work = () => {
        sql.exec('INSERT INTO numbers VALUES (1)');
        sql.exec('INSERT INTO numbers VALUES (1)');
      };
      expect(() => sql.transaction(work)).toThrow(/UNIQUE/);
      expect(numbers(sql)).toEqual([]);
    });
  });

  it('continues a transaction after a statement whose error was caught', async () => {
    await withSql(sql => {
      sql.exec('CREATE TABLE numbers (n INTEGER PRIMARY KEY)');
      sql.transaction(() => {
        sql.exec('INSERT INTO numbers VALUES (1)');
        expect(() => sql.exec('INSERT INTO numbers VALUES (2), (1)')).toThrow(/UNIQUE/);
        sql.exec('INSERT INTO numbers VALUES (3)');
      });
      expect(numbers(sql)).toEqual([1, 3]);
    });
  });

  it('refuses a promise or a thenable, and stores nothing', async () => {
    await withSql(sql => {
      sql.exec('CREATE TABLE numbers (n INTEGER)');
      const insert = () => sql.exec('INSERT INTO numbers VALUES (1)');
      const thenable = () => {
        insert();
        // biome-ignore lint/suspicious/noThenProperty: the test needs a thenable
        return { then: () => undefined };
      };
      const failing = async () => {
        insert();
        throw new Error('not handled by a caller');
      };
      expect(() => sql.transaction(async () => insert())).toThrow(/promise/);
      expect(() => sql.transaction(failing)).toThrow(/promise/);
      expect(() => sql.transaction(thenable)).toThrow(/promise/);
      expect(numbers(sql)).toEqual([]);
    });
  });

  it('refuses a transaction inside another, and accepts one after it', async () => {
    await withSql(sql => {
      sql.exec('CREATE TABLE numbers (n INTEGER)');
      const insert = () => sql.exec('INSERT INTO numbers VALUES (1)');
      expect(() => sql.transaction(() => sql.transaction(insert))).toThrow(/inside another/);
      expect(numbers(sql)).toEqual([]);
      sql.transaction(insert);
      expect(numbers(sql)).toEqual([1]);
    });
  });
}
