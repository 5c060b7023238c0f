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

describe('no engine reads more tables than the reader', () => {
  test.each([
    ['TABLE behind a set operation', 'SELECT 1 UNION ALL BY NAME TABLE secret', 'one that only reads, got "TABLE"'],
    ['TABLE in parentheses', 'SELECT * FROM domain WHERE a IN (TABLE secret)', 'an expression, got "TABLE"'],
    ['TABLE as a statement', 'TABLE secret', 'one that only reads, got "TABLE"'],
    ['UNPIVOT of a function', 'SELECT * FROM (UNPIVOT read_csv() ON a)', 'a table, got "UNPIVOT"'],
    ['UNPIVOT in an expression', 'SELECT (UNPIVOT secret ON a)', 'an expression, got "UNPIVOT"'],
    ['PIVOT behind a table', 'FROM domain PIVOT (count(*) FOR a IN (b))', 'one statement, got another at "PIVOT"'],
    ['a description in an expression', 'SELECT (DESCRIBE secret)', 'an expression, got "DESCRIBE"'],
    ['a table of another time', 'FROM domain AT (VERSION => 1)', 'expected ), got "=>"'],
    ['what SHOW lists of another schema', 'SHOW TABLES FROM secret', 'got another at "FROM"'],
    ['AS as the name behind AS', 'SELECT name AS as FROM secret', 'AS: expected a name, got "as"'],
    ['FROM behind AS', 'SELECT name AS from FROM secret', 'AS: expected a name, got "from"'],
    ['JOIN behind a dot', 'SELECT domain.join FROM secret', 'a name, got "join"'],
    ['IS behind AS', 'SELECT 1 AS is DISTINCT FROM secret', 'AS: expected a name, got "is"'],
    ['AS in WHERE', 'SELECT 1 FROM domain WHERE a AS b', 'an expression, got "AS"'],
    ['a second FROM', 'SELECT 1 FROM domain FROM secret', 'each clause once, got "FROM"'],
    ['APPLY', 'SELECT 1 FROM domain CROSS APPLY secret', 'JOIN, got "APPLY"'],
    ['APPLY behind ON', 'SELECT 1 FROM domain JOIN domain ON a CROSS APPLY (secret)', 'JOIN, got "APPLY"'],
    ['a table with a prefix alias', 'SELECT 1 FROM domain: secret', 'got another at ":"'],
    ['U+200B as a space', 'SELECT 1\u200bFROM secret', 'only ASCII outside quotes'],
    ['U+2060 as a space', 'SELECT 1 FROM\u2060secret', 'only ASCII outside quotes'],
    ['U+00A0 as a space', 'SELECT 1\u00a0FROM domain', 'spaces, tabs and line ends'],
    ['a form feed as a space', 'SELECT 1\fFROM domain', 'spaces, tabs and line ends'],
    ['the Kelvin sign outside quotes', 'WITH k AS (SELECT 1) SELECT * FROM \u212a', 'only ASCII outside quotes'],
    ['the Kelvin sign in quotes', 'WITH k AS (SELECT 1) SELECT * FROM "\u212a"', 'a table of the lake, got "\u212a"'],
    [
      'another case in quotes',
      'WITH "Secret" AS (SELECT 1) SELECT * FROM secret',
      'the name "Secret" as its WITH writes it',
    ],
    [
      'one name in two cases',
      'WITH a AS (SELECT 1), "A" AS (SELECT 2) SELECT 1',
      'WITH: expected a new name, got "a" again',
    ],
    [
      'recursion without UNION',
      'WITH RECURSIVE x AS (SELECT 1 FROM x) SELECT * FROM x',
      'a table of the lake, got "x"',
    ],
    [
      'recursion before its UNION',
      'WITH RECURSIVE x AS (FROM x UNION SELECT 1) FROM x',
      'a table of the lake, got "x"',
    ],
    [
      'recursion in a middle part',
      'WITH RECURSIVE x AS (SELECT 1 UNION FROM x UNION SELECT 2) FROM x',
      'one UNION in the query of "x"',
    ],
    [
      'recursion in the order of its UNION',
      'WITH RECURSIVE x AS (SELECT 1 UNION SELECT 2 ORDER BY (FROM x)) FROM x',
      'got "x"',
    ],
    ['recursion by EXCEPT', 'WITH RECURSIVE x AS (SELECT 1 EXCEPT FROM x) FROM x', 'a table of the lake, got "x"'],
    ['recursion without RECURSIVE', 'WITH x AS (SELECT 1 UNION FROM x) FROM x', 'a table of the lake, got "x"'],
    ['a statement in a WITH', 'WITH a USING TABLE secret AS (SELECT 1) FROM a', 'WITH: expected AS, got "USING"'],
    ['NUL', 'SELECT 1 --\0\n FROM secret', 'no NUL'],
    ['NUL in a string', "SELECT 'a\0'", 'no NUL'],
    ['half a character', "SELECT '\ud83d'", 'well-formed Unicode'],
    ['a backtick', 'SELECT 1 ` FROM secret WHERE 1 `', 'double quotes around a name'],
    ['an escaped quote', "SELECT E'\\' FROM secret --'", 'a string that ends at the same quote'],
    ['escapes of a string before', "SELECT E'a'\n'\\' || ' FROM secret --'", 'an operator between two strings'],
    ['a raw string', "SELECT r'\\' || ' FROM secret --'", 'a string without a prefix'],
    ['a comment in a comment', 'SELECT 1 /* /* */ FROM secret -- */', 'a comment without another comment'],
    ['a hint in a comment', 'SELECT 1 /*! FROM secret */', 'a comment without another comment'],
    ['a line that ends for some', 'SELECT 1 -- \r /* \n FROM secret -- */', 'spaces, tabs and line ends'],
    ['a parameter', 'SELECT $1', 'no parameters'],
    ['a name with a dollar', 'SELECT a$$b, $$ FROM secret $$', 'a name without $'],
    ['a comment sign of others', 'SELECT 1 # FROM domain', 'an operator of SQL'],
    ['a name that begins with digits', 'SELECT 1FROM domain', 'a space between a number and a word'],
    ['a setting', "SELECT current_setting('temp_directory')", 'a function of values, got "current_setting"'],
    ['a setting, in quotes', `SELECT "Current_Setting"('threads')`, 'a function of values, got "current_setting"'],
    [
      'a setting, with a schema',
      "SELECT main.current_setting('threads')",
      'a function of values, got "current_setting"',
    ],
    ['a setting, as a method', "SELECT ('threads').current_setting()", 'a function of values, got "current_setting"'],
    ['a variable of the environment', "SELECT getenv('HOME')", 'a function of values, got "getenv"'],
    ['a plan of another query', "SELECT json_serialize_plan('FROM x')", 'a function of values'],
    ['a function in the arguments of a row function', "FROM range(getvariable('a'))", 'a function of values'],
  ])('%s', (_, text, message) => {
    expect(refusal(text)).toMatchObject({ name: 'SqlError', message: expect.stringContaining(message) });
    expect(refusal(text).hint).not.toBe('');
  });

  test.each([
    ['SELECT name AS "from", x."join", 1 AS "as" FROM domain', ['domain']],
    ['SELECT 1 -- für "x\n FROM domain', ['domain']],
    ["SELECT E'a\\n', 'it''s', '\u200b', \"日本\" FROM domain WHERE a LIKE 'a\\_%' ESCAPE '\\'", ['domain']],
    ['WITH RECURSIVE x AS (SELECT 1 UNION ALL (SELECT n FROM x JOIN domain ON a = n)) SELECT * FROM x', ['domain']],
    ['WITH RECURSIVE x(a) USING KEY (a) AS (SELECT 1 UNION SELECT a FROM x), y AS (FROM domain) FROM x, y', ['domain']],
    ['WITH RECURSIVE x AS (SELECT 1 FROM domain UNION SELECT 2 UNION SELECT 3) FROM x', ['domain']],
    ['WITH "Ab" AS (SELECT 1), c AS (FROM domain) SELECT * FROM "Ab", C', ['domain']],
    [
      'SELECT CAST(a AS TIMESTAMP WITH TIME ZONE), percentile_cont(0.5) WITHIN GROUP (ORDER BY b) FROM domain',
      ['domain'],
    ],
    ["SELECT [x FOR x IN [1, 2] IF x > 1], {'a': 1}.a, * EXCLUDE (b) REPLACE (1 AS c) FROM domain", ['domain']],
    ['FROM domain d JOIN npm_package p ON left(d.a, 1) = p.a SELECT d.a WHERE p.a = 1', ['domain', 'npm_package']],
    ['SELECT 1 FROM domain FETCH FIRST 3 ROWS WITH TIES', ['domain']],
    [
      'SELECT 1 FROM domain TABLESAMPLE reservoir(10 ROWS) REPEATABLE (1), unnest([1]) WITH ORDINALITY u(a, b)',
      ['domain'],
    ],
    ['SELECT 1 FROM domain USING SAMPLE 10% (bernoulli)', ['domain']],
    ['SHOW ALL TABLES', []],
  ])('and takes %s', (text, expected) => {
    expect(tablesOf(text)).toEqual(expected);
  });
});

test('an error shows its line with a caret, and of a long line the part around it', () => {
  const explained = (text: string) => explain(refusal(text), text).split('\n');
  expect(explained('SELECT 1,\n\t"日本" FROM nope').slice(1)).toEqual([
    'line 2:  "日本" FROM nope',
    '                     ^ column 12',
  ]);
  const [, line = '', caret = ''] = explained(`SELECT ${'x, '.repeat(500)}1 FROM nope ${'y '.repeat(100)}`);
  expect(line).toMatch(/^line 1: ….*x, x, 1 FROM nope y y .*…$/);
  expect(line.indexOf('nope')).toBe(caret.indexOf('^'));
});
