import { describe, expect, test } from 'vitest';
import { explain, type SqlError } from '../../src/sql/sql-error.ts';
import { readStatement } from '../../src/sql/statement.ts';
import { NAMES } from './names.ts';

/** The tables a query names, as `<table>` or `<table>_history`, in order. */
function tablesOf(text: string): string[] {
  return readStatement(text, NAMES).references.map(
    ({ table, rows }) => table.name + (rows === 'history' ? '_history' : ''),
  );
}

function refusal(text: string): SqlError {
  try {
    readStatement(text, NAMES);
  } catch (error) {
    return error as SqlError;
  }
  throw new Error(`expected to be refused: ${text}`);
}

describe('the tables of a query', () => {
  test.each([
    ['SELECT * FROM npm_package', ['npm_package']],
    ['select * from NPM_Package_History', ['npm_package_history']],
    ['SELECT * FROM "npm_package" AS p JOIN whois_record w ON p.name = w.domain', ['npm_package', 'whois_record']],
    ['SELECT * FROM npm_package p, LATERAL (SELECT * FROM whois_record) w', ['npm_package', 'whois_record']],
    [
      'SELECT * FROM (npm_package LEFT JOIN domain USING (name)), organization',
      ['npm_package', 'domain', 'organization'],
    ],
    ['SELECT (SELECT max(domain) FROM domain) FROM npm_package', ['domain', 'npm_package']],
    ['SELECT 1 WHERE EXISTS (FROM domain) AND x IN ((SELECT id FROM organization))', ['domain', 'organization']],
    ['(SELECT 1 FROM npm_package) UNION ALL (SELECT 2 FROM domain) LIMIT 3', ['npm_package', 'domain']],
    ['SELECT * FROM ((SELECT 1 FROM npm_package) UNION SELECT 2 FROM domain) t', ['npm_package', 'domain']],
    ['SELECT * FROM tributary.npm_package', ['npm_package_history']],
    ["SELECT * FROM r2_sql('data-ingestion/npm/metadata/partitions.parquet/') r", ['npm_package']],
    ['FROM npm_package SELECT name, version', ['npm_package']],
    ['DESCRIBE npm_package', ['npm_package']],
    ['SUMMARIZE SELECT * FROM domain', ['domain']],
    ['EXPLAIN ANALYZE SELECT * FROM domain', ['domain']],
    ['SHOW TABLES', []],
    ['VALUES (1, 2), (3, 4)', []],
  ])('%s', (text, expected) => {
    expect(tablesOf(text)).toEqual(expected);
  });

  test.each([
    ["SELECT extract(year FROM npm_package), substring(a FROM 2), trim(both ' ' FROM b) FROM domain", ['domain']],
    ['SELECT a IS NOT DISTINCT FROM npm_package, b IS DISTINCT FROM c FROM domain', ['domain']],
    ['SELECT npm_package.name, domain.npm_package AS npm_package FROM domain ORDER BY npm_package, name', ['domain']],
    [
      'SELECT \'FROM npm_package\', "FROM npm_package", $$FROM npm_package$$ -- FROM npm_package\nFROM domain /* , npm_package */',
      ['domain'],
    ],
    ['SELECT * FROM unnest([1]) u(npm_package), generate_series(1, 3) s, range(2)', []],
    ['SELECT count(*) FILTER (WHERE a), string_agg(a ORDER BY b, c) OVER (PARTITION BY d, e) FROM domain', ['domain']],
  ])('are not found in strings, comments, columns and expressions: %s', (text, expected) => {
    expect(tablesOf(text)).toEqual(expected);
  });

  test('are not the names that WITH defines, within their scope', () => {
    expect(tablesOf('WITH npm_package AS (SELECT * FROM npm_package) SELECT * FROM npm_package')).toEqual([
      'npm_package',
    ]);
    expect(tablesOf('WITH a AS (FROM domain), b(x) AS MATERIALIZED (FROM a) SELECT * FROM a, b')).toEqual(['domain']);
    expect(tablesOf('WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT * FROM t')).toEqual([]);
    expect(tablesOf('SELECT * FROM (WITH domain AS (SELECT 1) SELECT * FROM domain) x, domain')).toEqual(['domain']);
    expect(refusal('SELECT * FROM (WITH a AS (SELECT 1) SELECT 1) x, a').message).toContain('got "a"');
  });
});

describe('a statement that is refused', () => {
  test.each([
    ['DELETE FROM npm_package', 'one that only reads, got "DELETE"', 0],
    ['  insert into npm_package values (1)', 'one that only reads, got "insert"', 2],
    ['WITH a AS (SELECT 1) UPDATE npm_package SET name = 1', 'one that only reads, got "UPDATE"', 21],
    ['WITH a AS (DELETE FROM npm_package RETURNING *) SELECT * FROM a', 'one that only reads, got "DELETE"', 11],
    ['EXPLAIN ANALYZE DROP TABLE npm_package', 'one that only reads, got "DROP"', 16],
    ['SELECT * INTO t FROM npm_package', 'one that only reads, got "INTO"', 9],
    ["COPY (SELECT 1) TO 'x.csv'", 'one that only reads, got "COPY"', 0],
    ["ATTACH 'x.db'", 'got "ATTACH"', 0],
    ['INSTALL httpfs', 'got "INSTALL"', 0],
    ['PRAGMA database_list', 'got "PRAGMA"', 0],
    ['SET threads = 1', 'got "SET"', 0],
    ['CALL pragma_version()', 'got "CALL"', 0],
    ['SELECT 1; DROP TABLE npm_package', 'one statement, got another', 10],
    ["SELECT * FROM read_parquet('x')", 'the function "read_parquet"', 14],
    ["SELECT * FROM npm_package, read_csv('x')", 'the function "read_csv"', 27],
    ["SELECT * FROM a.read_csv('x')", 'the function "a.read_csv"', 14],
    ["SELECT (SELECT ((SELECT 1) UNION SELECT * FROM glob('*')))", 'the function "glob"', 47],
    ["SELECT * FROM (VALUES (1)) t JOIN query('x') ON true", 'the function "query"', 34],
    ["FROM 'x.parquet'", 'a table, got "\'x.parquet\'"', 5],
    ['FROM "x.parquet"', 'a table of the lake, got "x.parquet"', 5],
    ['FROM $$x$$', 'a table, got "$$x$$"', 5],
    ['DESCRIBE read_csv(1)', 'the function "read_csv"', 9],
    ['SELECT * FROM nope', 'a table of the lake, got "nope"', 14],
    ['SELECT * FROM other.npm_package', 'got "other.npm_package"', 14],
    ['SELECT * FROM tributary.npm_package_history', 'got "tributary.npm_package_history"', 14],
    ["FROM r2_sql('elsewhere/npm/metadata/partitions.parquet')", 'r2_sql: expected the path', 12],
    ["FROM r2_sql('data-ingestion/../x')", 'r2_sql: expected the path', 12],
    ['FROM r2_sql("data-ingestion")', 'r2_sql: expected one path in single quotes', 12],
    ["FROM r2_sql('a', 'b')", 'r2_sql: expected one path', 12],
    ['SELECT * FROM (VALUES npm_package)', 'a table of the lake, got "values"', 15],
    ['SELECT * FROM domain VALUES, secret', 'a table of the lake, got "secret"', 29],
    ['FROM', 'a table, got the end of the query', 4],
    ['SELECT (1', 'expected ) for this (', 7],
    ['SELECT 1)', 'no ) without its (', 8],
    [`SELECT ${'('.repeat(201)}1${')'.repeat(201)}`, 'at most 200 nested parentheses', 207],
  ])('%s', (text, message, at) => {
    expect(refusal(text)).toMatchObject({ name: 'SqlError', message: expect.stringContaining(message), at });
    expect(refusal(text).hint).not.toBe('');
  });

  test.each(['', ' ; ; ', '-- nothing', '/* nothing */'])('is missing: %j', text => {
    expect(refusal(text)).toMatchObject({ message: 'query: expected a statement, got none', at: null });
  });
});

test('an error shows its line with a caret, and of a long line the part around it', () => {
  const explained = (text: string) => explain(refusal(text), text).split('\n');
  expect(explained('SELECT 1,\n\t日本 FROM nope').slice(1)).toEqual([
    'line 2:  日本 FROM nope',
    '                   ^ column 10',
  ]);
  const [, line = '', caret = ''] = explained(`SELECT ${'x, '.repeat(500)}1 FROM nope ${'y '.repeat(100)}`);
  expect(line).toMatch(/^line 1: ….*x, x, 1 FROM nope y y .*…$/);
  expect(line.indexOf('nope')).toBe(caret.indexOf('^'));
});
