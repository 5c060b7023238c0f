import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { differenceOf } from '../../src/local/query/parse-tree.ts';
import { makeCoin } from '../../src/sources/stand-in/faults.ts';
import { forLocalEngine, nameOf } from '../../src/sql/rewrite.ts';
import { readStatement, type Statement } from '../../src/sql/statement.ts';
import { tokenize } from '../../src/sql/tokens.ts';
import { StatementWriter } from './generated.ts';
import { NAMES } from './names.ts';
import { treeOf } from './parse-tree.ts';
import { pick, ROUNDS, SEED } from './random.ts';

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

/** What only a statement that reads more than the lake has, or one that engines read differently. */
const FOREIGN = [
  ...['secret', '"secret"', "'secret.csv'", "read_csv('secret')", "glob('secret')", 'other.secret', '$$secret$$'],
  ...[
    'UNION ALL BY NAME TABLE secret',
    'UNION TABLE secret',
    'UNPIVOT secret ON a',
    'PIVOT secret ON a',
    'FROM secret',
  ],
  ...[
    'AS as FROM secret',
    'AS from',
    'AS join',
    'domain.as',
    'AS is',
    'AS distinct',
    'AS extract',
    'AT (VERSION => 1)',
  ],
  ...['(TABLE secret)', '(DESCRIBE secret)', '(SUMMARIZE secret)', '(SHOW secret)', '(UNPIVOT read_csv() ON a)'],
  ...['\u200b', '\u2060', '\u00a0', '\u212a', '\0', '`', '#1', '?', '$1', '\\', "E'\\' FROM secret --'", '\r', '\f'],
  ...[
    "E'a'\n'\\' || ' FROM secret --'",
    '/* /* */ FROM secret */',
    '-- \r FROM secret\n',
    '1FROM secret',
    'secret: domain',
  ],
  ...["current_setting('threads')", "'threads'.getvariable()", "query('FROM secret')", 'WITH secret AS (SELECT 1)'],
  ...['WITH RECURSIVE secret AS (SELECT 1 FROM secret)', 'WITH RECURSIVE s AS (FROM s UNION FROM domain UNION FROM s)'],
];
const PIECES = [
  ...FOREIGN,
  ...'FROM , ( ) [ ] . : ; AS JOIN SELECT WITH RECURSIVE UNION DISTINCT IS ON USING LATERAL VALUES DESCRIBE TABLE'.split(
    ' ',
  ),
  ...'domain q0 q1 q2 n 1 extract( trim( * NOT IN ALL EXISTS BY NAME CROSS NATURAL LEFT ORDER LIMIT WINDOW'.split(' '),
];

/** A statement in which a few tokens are removed, added or replaced. Most results are not valid SQL. */
function mutated(random: () => number, statement: string): string {
  const tokens = tokenize(statement).map(token => token.text);
  for (let change = 1 + Math.floor(random() * 4); change > 0; change--) {
    const at = Math.floor(random() * tokens.length);
    const isRemoved = random() < 0.4;
    tokens.splice(at, isRemoved ? 1 : 0, ...(isRemoved && random() < 0.6 ? [] : [` ${pick(random, PIECES)} `]));
  }
  return tokens.join('');
}

/** The statement in the form that the local engine gets, and without EXPLAIN, of which it gives no tree. */
function localText(statement: Statement): string {
  const { text } = forLocalEngine(statement);
  return statement.kind === 'explanation' ? text.slice(statement.tokens[statement.first]!.at) : text;
}

function taken(text: string): Statement | null {
  try {
    return readStatement(text, NAMES);
  } catch (error) {
    expect(error, `seed ${SEED}: ${text}`).toMatchObject({ name: 'SqlError', hint: expect.stringMatching(/./) });
    return null;
  }
}

/** What the parse tree of a taken statement has and its reader did not find, as text; null where both agree. */
async function difference(statement: Statement): Promise<string | null> {
  const tree = await treeOf(connection, localText(statement));
  return tree === null ? null : differenceOf(tree, { references: statement.references, namespace: NAMES.namespace });
}

/** More than a statement takes on a busy machine, so that a long run is not ended early. */
const MS_EACH = 30;

test(`reader and parse tree agree on every taken statement, and generated ones that only read are taken (seed ${SEED})`, {
  timeout: 60_000 + ROUNDS * MS_EACH,
}, async () => {
  const random = makeCoin(SEED);
  const writer = new StatementWriter(random);
  const [counts, refused] = [
    { statements: 0, parsed: 0, taken: 0, mutants: 0, mutantsTaken: 0 },
    new Map<string, string>(),
  ];
  for (let round = 0; round < ROUNDS; round++) {
    const isMutant = round % 2 === 1;
    const text = isMutant ? mutated(random, writer.statement()) : writer.statement();
    const statement = taken(text);
    counts.statements++;
    if (statement !== null) {
      expect(await difference(statement), `seed ${SEED}: ${text}`).toBeNull();
      // Reading the rewritten text again finds the same tables, so rewriting never moves a border of tokens.
      const again = taken(forLocalEngine(statement).text.replaceAll('main.', ''));
      expect(again?.references.map(nameOf), `seed ${SEED}: ${text}`).toEqual(statement.references.map(nameOf));
    }
    if (isMutant) {
      counts.mutants++;
      counts.mutantsTaken += statement === null ? 0 : 1;
      continue;
    }
    // DuckDB refuses a few of them, such as a window within a window.
    if ((await treeOf(connection, text.replace(/^EXPLAIN /, ''))) === null) continue;
    counts.parsed++;
    if (statement === null) refused.set(messageOf(text), text);
    else counts.taken++;
  }
  if (process.env.SQL_ROUNDS) process.stdout.write(`${JSON.stringify(counts)}\n`);
  expect(counts.parsed).toBeGreaterThan((counts.statements - counts.mutants) * 0.8);
  expect(counts.mutantsTaken).toBeGreaterThan(counts.mutants * 0.02);
  expect(counts.taken / counts.parsed, [...refused].join('\n')).toBeGreaterThanOrEqual(0.95);
});

function messageOf(text: string): string {
  try {
    readStatement(text, NAMES);
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}
