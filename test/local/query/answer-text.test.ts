import { expect, test } from 'vitest';
import { asCsv, asJson, asTable } from '../../../src/local/query/answer-text.ts';
import type { Answer } from '../../../src/local/query/tables.ts';

const ANSWER: Answer = {
  columns: ['name', 'description', 'n'],
  types: ['VARCHAR', 'VARCHAR', 'BIGINT'],
  numeric: [false, false, true],
  rows: [
    ['a', null, 2_000_000],
    ['b', '', 3],
    ['d', 'one\nline \u001b[31m"red", so', 5],
  ],
};

test('a table is aligned, counts its rows, and holds no control characters', () => {
  expect(asTable(ANSWER)).toBe(
    [
      'name  description                   n',
      '----  ----------------------  -------',
      'a     NULL                    2000000',
      'b                                   3',
      'd     one line [31m"red", so        5',
      '(3 rows)',
      '',
    ].join('\n'),
  );
});

test('a wide character takes two columns, and a long cell is cut', () => {
  const wide: Answer = {
    columns: ['x', 'y'],
    types: [],
    numeric: [false, false],
    rows: [
      ['日本', 'z'.repeat(100)],
      ['é', ''],
    ],
  };
  expect(asTable(wide)).toBe(
    ['x     y', `----  ${'-'.repeat(60)}`, `日本  ${'z'.repeat(59)}…`, 'é', '(2 rows)', ''].join('\n'),
  );
  expect(asTable({ columns: ['x'], numeric: [true], rows: [[1]] })).toBe('x\n-\n1\n(1 row)\n');
});

test('JSON is a list of objects, and CSV writes null and an empty text differently', () => {
  expect(JSON.parse(asJson(ANSWER))).toEqual(ANSWER.rows.map(([name, description, n]) => ({ name, description, n })));
  expect(asCsv(ANSWER)).toBe('name,description,n\na,,2000000\nb,"",3\nd,"one\nline \\u001b[31m""red"", so",5\n');
  const odd: Answer = { columns: ['a,b'], types: [], numeric: [false], rows: [[{ x: [1] }], [' y'], [true]] };
  expect(asCsv(odd)).toBe('"a,b"\n"{""x"":[1]}"\n" y"\ntrue\n');
});

test('JSON and CSV hold no character that controls a terminal, and JSON loses none', () => {
  const controls = Array.from({ length: 0xa0 }, (_, code) => String.fromCharCode(code)).filter(text =>
    /\p{Cc}/u.test(text),
  );
  const texts = [...controls, '\u202e', '\u2028', '\u{e0001}', '\r\n', '😀'];
  const answer: Answer = { columns: ['\u009b31m', 'text'], types: [], numeric: [], rows: texts.map(text => [1, text]) };
  const [json, csv] = [asJson(answer), asCsv(answer)];
  expect(json.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
  expect(JSON.parse(json).map((row: { text: string }) => row.text)).toEqual(texts);
  expect(csv.replace(/\r?\n|\t/g, '')).not.toMatch(/\p{Cc}/u);
  expect(csv).toContain('\\u009b31m,text');
  expect(csv).toContain('1,"\r\n"\n');
});
