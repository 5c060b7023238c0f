import { describe, expect, test } from 'vitest';
import { makeCoin } from '../../src/sources/stand-in/faults.ts';
import { nameValue, stringValue, tokenize } from '../../src/sql/tokens.ts';
import { pick, ROUNDS, SEED } from './random.ts';

const kinds = (text: string) =>
  tokenize(text)
    .filter(({ kind }) => kind !== 'space')
    .map(token => `${token.kind} ${token.text}`);

describe('tokens', () => {
  test.each([
    [
      "SELECT 'it''s', E'a\\'b', $$x'y$$, $a$ $$ $a$",
      ["string 'it''s'", "string E'a\\'b'", "string $$x'y$$", 'string $a$ $$ $a$'],
    ],
    ['SELECT "a""b", `c`, d$e, ünï, 日本', ['quoted "a""b"', 'quoted `c`', 'word d$e', 'word ünï', 'word 日本']],
    ['SELECT 1, 1.5e-3, .5, 1_000, 0x1F', ['number 1', 'number 1.5e-3', 'number .5', 'number 1_000', 'number 0x1F']],
  ])('of %s', (text, expected) => {
    expect(kinds(text).filter(token => token !== 'mark ,' && token !== 'word SELECT')).toEqual(expected);
  });

  test('comments end with the line, or with the end of the outermost block comment', () => {
    expect(kinds("-- it's\n1 /* a /* b */ ' */ 2")).toEqual([
      "comment -- it's",
      'number 1',
      "comment /* a /* b */ ' */",
      'number 2',
    ]);
  });

  test('marks of several characters, ranges and parameters are single tokens', () => {
    expect(kinds('a::b->>c<>d||$1?x')).toEqual([
      'word a',
      'mark ::',
      'word b',
      'mark ->>',
      'word c',
      'mark <>',
      'word d',
      'mark ||',
      'parameter $1',
      'parameter ?',
      'word x',
    ]);
    expect(kinds('1..2')).toEqual(['number 1', 'mark .', 'number .2']);
  });

  test.each([
    ["SELECT 'a''", "'", 7],
    ["SELECT e'a\\'", "e'", 7],
    ['SELECT "a', '"', 7],
    ['1 /* /* */', '/*', 2],
    ['x $t$ y $$', '$t$', 2],
  ])('an error names the start of a token without an end: %s', (text, open, at) => {
    expect(text.startsWith(open, at)).toBe(true);
    expect(() => tokenize(text)).toThrow(expect.objectContaining({ name: 'SqlError', at }));
  });

  test('values and names have no quotes', () => {
    const [string, , name, , word] = tokenize('\'it\'\'s\' "A""b" Word');
    expect([stringValue(string!), nameValue(name!), nameValue(word!)]).toEqual(["it's", 'a"b', 'word']);
    expect([stringValue(name!), nameValue(string!), stringValue(tokenize("E'x'")[0]!)]).toEqual([null, null, null]);
  });
});

const PIECES = [
  "'",
  "''",
  '"',
  '`',
  '$',
  '$$',
  '$t$',
  '--',
  '/*',
  '*/',
  '\\',
  '\n',
  '\r\n',
  ' ',
  '\t',
  '\u00a0',
  '\0',
  '\ud83d',
  '😀',
  'SELECT',
  'from',
  'npm_package',
  'E',
  "e'",
  'ü',
  '日本',
  '1',
  '1.',
  '.5',
  '0x',
  '1e5',
  '$1',
  '?',
  ';',
  '(',
  ')',
  ',',
  '.',
  '::',
  '->>',
  '<=',
  '||',
  '[',
  ']',
  '{',
  '}',
  '@',
  '#',
  ':=',
];

test(`all tokens joined are the text (seed ${SEED})`, () => {
  const random = makeCoin(SEED);
  let whole = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const text = Array.from({ length: Math.floor(random() * 24) }, () => pick(random, PIECES)).join('');
    try {
      const tokens = tokenize(text);
      expect(tokens.map(token => token.text).join('')).toBe(text);
      let at = 0;
      for (const token of tokens) {
        expect(token.text.length).toBeGreaterThan(0);
        expect(token.at).toBe(at);
        at += token.text.length;
      }
      whole++;
    } catch (error) {
      // The only errors are quotes and comments without an end.
      expect(error, `${SEED}: ${JSON.stringify(text)}`).toMatchObject({ name: 'SqlError', at: expect.any(Number) });
    }
  }
  expect(whole).toBeGreaterThan(ROUNDS / 10);
});

test('a long text is read in linear time', () => {
  const text = `SELECT ${"'it''s' /* x */ \"y\", ".repeat(50_000)} 1`;
  expect(tokenize(text).length).toBeGreaterThan(300_000);
  expect(() => tokenize(`'${"''".repeat(500_000)}`)).toThrow('to end what');
});
