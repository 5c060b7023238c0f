import { describe, expect, test } from 'vitest';
import { TABLES } from '../../schemas/index.ts';
import { makeCoin } from '../../src/sources/stand-in/faults.ts';
import { currentColumns, r2SqlPath } from '../../src/sql/names.ts';
import { forLocalEngine, forR2Sql } from '../../src/sql/rewrite.ts';
import { readStatement } from '../../src/sql/statement.ts';
import { NAMES } from './names.ts';
import { pick, ROUNDS, SEED } from './random.ts';
import { SPEC_QUERIES } from './spec-queries.ts';

const remote = (text: string) => forR2Sql(readStatement(text, NAMES), { namespace: 'tributary', rowsMax: 100 });
const local = (text: string) => forLocalEngine(readStatement(text, NAMES));

/** The subquery of a table's current rows, for R2 SQL. */
function current(name: string): string {
  const table = TABLES.find(candidate => candidate.name === name)!;
  const columns = currentColumns(table).map(column => `"${column}"`);
  const key = table.key.map(column => `"${column}"`);
  return `(SELECT ${columns.join(', ')} FROM tributary.${name} QUALIFY row_number() OVER (PARTITION BY ${key.join(', ')} ORDER BY _lsn DESC) = 1 AND _op <> 'delete')`;
}

describe('for R2 SQL', () => {
  test.each([
    ['SELECT name FROM npm_package LIMIT 1', `SELECT name FROM ${current('npm_package')} AS npm_package LIMIT 1`],
    ['SELECT p.name FROM npm_package p LIMIT 1', `SELECT p.name FROM ${current('npm_package')} p LIMIT 1`],
    ['SELECT * FROM npm_package AS p LIMIT 1', `SELECT * FROM ${current('npm_package')} AS p LIMIT 1`],
    ['SELECT 1 FROM npm_package_history LIMIT 1', 'SELECT 1 FROM tributary.npm_package AS npm_package_history LIMIT 1'],
    ['SELECT 1 FROM npm_package_history h LIMIT 1', 'SELECT 1 FROM tributary.npm_package h LIMIT 1'],
    [
      'SELECT npm_package.x FROM tributary.npm_package LIMIT 1',
      'SELECT npm_package.x FROM tributary.npm_package LIMIT 1',
    ],
    [
      "SELECT * FROM r2_sql( 'data-ingestion/github/commits/partitions.parquet' /* x */ ) LIMIT 1",
      `SELECT * FROM ${current('github_commit')} AS github_commit LIMIT 1`,
    ],
  ])('%s', (text, expected) => {
    expect(remote(text).text).toBe(expected);
  });

  test('a query without a limit gets one, before a semicolon or comment at its end', () => {
    expect(remote('SELECT 1 FROM domain d; -- end').text).toMatch(/ d LIMIT 100; -- end$/);
    expect(remote('SELECT (SELECT 1 FROM domain LIMIT 1) FROM tributary.domain d').text).toMatch(/ d LIMIT 100$/);
    expect(remote('EXPLAIN SELECT 1 FROM tributary.domain d').text).toMatch(/ d$/);
    expect(remote('SELECT 1 FROM tributary.domain d FETCH FIRST 3 ROWS ONLY').text).toMatch(/ONLY$/);
  });

  test('DATE_ADD of an interval becomes a sum, also when it is nested', () => {
    expect(remote('SELECT DATE_ADD(a, INTERVAL 1 DAY) LIMIT 1').text).toBe('SELECT (a + INTERVAL 1 DAY) LIMIT 1');
    expect(remote("SELECT date_add(date_add(f(a, b), INTERVAL '1' DAY), INTERVAL 2 HOUR) LIMIT 1").text).toBe(
      "SELECT ((f(a, b) + INTERVAL '1' DAY) + INTERVAL 2 HOUR) LIMIT 1",
    );
    expect(remote("SELECT date_add('day', 1, a) LIMIT 1").text).toBe("SELECT date_add('day', 1, a) LIMIT 1");
  });

  test('only the tables and DATE_ADD of the specified queries are rewritten', () => {
    for (const query of Object.values(SPEC_QUERIES)) {
      expect(remote(query).text).toContain('QUALIFY row_number()');
      expect(remote(query).text).not.toMatch(/r2_sql|DATE_ADD/);
    }
  });
});

test('for the local engine only a path becomes the name of its table', () => {
  expect(
    local("SELECT npm_package.name FROM r2_sql('data-ingestion/npm/metadata/partitions.parquet'), domain").text,
  ).toBe('SELECT npm_package.name FROM main.npm_package, domain');
  const plain = 'SELECT DATE_ADD(a, INTERVAL 1 DAY) FROM npm_package, tributary.domain';
  expect(local(plain).text).toBe(plain);
});

test('a replaced table is never joined to the word before or after it', () => {
  const path = "r2_sql('data-ingestion/npm/metadata/partitions.parquet')";
  expect(local(`SELECT 1 FROM ${path}_history`).text).toBe('SELECT 1 FROM main.npm_package _history');
  expect(local(`SELECT 1 FROM ${path}LIMIT 1`).text).toBe('SELECT 1 FROM main.npm_package LIMIT 1');
  expect(remote(`SELECT 1 FROM ${path}LIMIT 1`).text).toBe(
    `SELECT 1 FROM ${current('npm_package')} AS npm_package LIMIT 1`,
  );
  expect(remote('SELECT 1 FROM"npm_package_history"LIMIT 1').text).toBe(
    'SELECT 1 FROM tributary.npm_package AS npm_package_history LIMIT 1',
  );
});

const NAMES_IN_TEXT = [
  'npm_package',
  'npm_package_history',
  'tributary.domain',
  `r2_sql('${r2SqlPath('data-ingestion', TABLES[0]!)}')`,
];

/** An expression that contains a name as text only, in a string, a quoted name, a comment or behind a dot. */
function disguised(random: () => number): string {
  const name = pick(random, NAMES_IN_TEXT);
  return pick(random, [
    () => `'FROM ${name.replaceAll("'", "''")}'`,
    () => `E'\\n FROM ${name.replaceAll("'", "''")}'`,
    () => `$q$, ${name} $q$`,
    () => `"JOIN ${name}"`,
    () => `/* FROM ${name} , ${name} ' */ 1`,
    () => `1 -- FROM ${name}\n`,
    () => `x."npm_package"`,
    () => 'domain.npm_package',
  ])();
}

test(`strings, quoted names and comments that hold table names are never rewritten (seed ${SEED})`, () => {
  const random = makeCoin(SEED);
  for (let round = 0; round < ROUNDS; round++) {
    const texts = Array.from({ length: 1 + Math.floor(random() * 5) }, () => disguised(random));
    const list = texts.join(', ');
    const query = `SELECT ${list} FROM domain d WHERE y IN (${list}) LIMIT 5`;
    const expected = `SELECT ${list} FROM ${current('domain')} d WHERE y IN (${list}) LIMIT 5`;
    expect(remote(query).text, `seed ${SEED}: ${query}`).toBe(expected);
    expect(local(query).text).toBe(query);
  }
});

test(`copied text has its own origin, and inserted text the origin of the text that it replaces (seed ${SEED})`, () => {
  const random = makeCoin(SEED);
  for (let round = 0; round < ROUNDS / 10; round++) {
    const marks = Array.from({ length: 6 }, (_, i) => `mark${i}`);
    const tables = marks.slice(1).map(mark => `${pick(random, NAMES_IN_TEXT)} t WHERE ${mark}`);
    const query = `SELECT mark0 FROM ${tables.join(' UNION SELECT 1 FROM ')}`;
    for (const { text, originOf } of [remote(query), local(query)]) {
      for (const mark of marks) expect(originOf(text.indexOf(mark))).toBe(query.indexOf(mark));
    }
    const { text, originOf } = remote(query);
    expect(originOf(text.indexOf('tributary.'))).toBe(query.search(/npm_package|tributary|r2_sql/));
  }
});
