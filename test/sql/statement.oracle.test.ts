import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readStatement } from '../../src/sql/statement.ts';
import { tokenize } from '../../src/sql/tokens.ts';
import { NAMES } from './names.ts';
import { pick, ROUNDS, randomOf, SEED } from './random.ts';

let instance: DuckDBInstance;
let connection: DuckDBConnection;

beforeAll(async () => {
  instance = await DuckDBInstance.create(':memory:');
  connection = await instance.connect();
});

afterAll(() => {
  connection.closeSync();
  instance.closeSync();
});

const QUERIES = [
  'SELECT * FROM npm_package p LEFT JOIN domain d ON p.name = d.domain WHERE a IN (SELECT x FROM organization) ORDER BY 1, 2',
  'WITH a AS (SELECT * FROM domain), b(x) AS (FROM a) SELECT * FROM a, b, npm_package',
  "SELECT extract(year FROM t), substring(x FROM 2), trim(both 'a' FROM b), a IS NOT DISTINCT FROM b FROM whois_record, domain",
  'SELECT ((SELECT 1) UNION (SELECT max(x) FROM domain)) FROM (npm_package NATURAL JOIN domain) GROUP BY ALL HAVING count(*) > 1',
  'SELECT * FROM (VALUES (1, 2)) v(a, b), LATERAL (SELECT * FROM unnest([1, 2]) u(c)) ORDER BY a, b LIMIT 3 OFFSET 1',
  'FROM domain SELECT domain AS x, count(*) FILTER (WHERE true) OVER (PARTITION BY a ORDER BY b, c) EXCEPT SELECT 1, 2 FROM domain',
  'WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT CASE WHEN n = 1 THEN CAST(n AS text) END FROM t, domain',
].map(query => tokenize(query).map(token => token.text));
const FOREIGN = [
  'secret',
  '"secret"',
  "'secret.csv'",
  "read_csv('secret')",
  "glob('secret')",
  'other.secret',
  '$$secret$$',
];
const PIECES = [
  ...FOREIGN,
  ...'FROM , ( ) . AS JOIN SELECT WITH UNION DISTINCT IS ON USING LATERAL VALUES DESCRIBE domain x 1 extract( trim( TABLE * NOT IN ALL EXISTS'.split(
    ' ',
  ),
];

/** A query in which a few tokens are removed, added or replaced. Most results are not valid SQL. */
function mutated(random: () => number): string {
  const tokens = [...pick(random, QUERIES)];
  for (let change = 1 + Math.floor(random() * 4); change > 0; change--) {
    const at = Math.floor(random() * tokens.length);
    const isRemoved = random() < 0.4;
    tokens.splice(at, isRemoved ? 1 : 0, ...(isRemoved && random() < 0.6 ? [] : [` ${pick(random, PIECES)} `]));
  }
  return tokens.join('');
}

/** The tables and table functions that DuckDB parses in a query; null for a query that it cannot parse. */
async function tablesOf(query: string): Promise<string[] | null> {
  const reader = await connection.runAndReadAll('SELECT json_serialize_sql(CAST($1 AS VARCHAR))::VARCHAR', [query]);
  const tree = String(reader.getRows()[0]![0]);
  if (tree.startsWith('{"error":true')) return null;
  const found: string[] = [];
  JSON.parse(tree, (_, value) => {
    if (value?.type === 'BASE_TABLE') found.push(value.table_name.toLowerCase());
    if (value?.type === 'TABLE_FUNCTION') found.push(`${value.function.function_name}()`);
    return value;
  });
  return found;
}

test(`an accepted query reads the tables that were found in it and nothing else, by DuckDB’s own parser (seed ${SEED})`, async () => {
  const random = randomOf(SEED);
  let compared = 0;
  for (let round = 0; round < ROUNDS * 2; round++) {
    const query = mutated(random);
    let references: string[];
    try {
      references = readStatement(query, NAMES).references.map(({ table }) => table.name);
    } catch (error) {
      expect(error, `seed ${SEED}: ${query}`).toMatchObject({ name: 'SqlError' });
      continue;
    }
    const tables = await tablesOf(query);
    if (tables === null) continue;
    compared++;
    // Names that the WITH of a query defines, and a function that reads nothing.
    const isOther = (table: string) => ['a', 'b', 't', 'x', 'unnest()'].includes(table);
    expect(tables.filter(table => !isOther(table)).sort(), `seed ${SEED}: ${query}`).toEqual(references.sort());
  }
  expect(compared).toBeGreaterThan(ROUNDS / 20);
});
