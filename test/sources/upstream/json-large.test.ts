import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { packumentRow, readPackument, VERSIONS } from '../../../src/sources/npm/packument.ts';
import { NPM_RECORDINGS, readRecording, readRecordings } from '../../../src/sources/npm/stand-in/recordings.ts';
import { makeCoin } from '../../../src/sources/stand-in/faults.ts';
import { parseJson, Unread } from '../../../src/sources/upstream/json.ts';
import { parseLarge } from '../../../src/sources/upstream/json-large.ts';
import { numberOf, seedOf } from '../../budget.ts';

/** Set in the environment for a longer run, or to repeat one. */
const BUDGET = numberOf('FUZZ_RUNS', 1_000);
const SEED = seedOf('FUZZ_SEED');

const ALL = { unread: VERSIONS, valuesMax: 10_000_000 };
const answer = (bytes: Uint8Array, encoded = false) => ({ bytes, contentType: 'application/json', encoded });
const bytesOf = (text: string) => new TextEncoder().encode(text);
const large = (bytes: Uint8Array) => parseLarge('thing', answer(bytes), ALL);

/** The outcome of parsing: the value as JSON text, which shows numbers, key order and odd keys, or the reason of the refusal. */
function outcomeOf(work: () => unknown): string {
  try {
    return JSON.stringify(work(), (_key, value) => (value instanceof Unread ? value.read() : value));
  } catch (error) {
    return `refused: ${(error as { reason?: string }).reason ?? error}`;
  }
}

function expectSame(bytes: Uint8Array, encoded = false): string {
  const expected = outcomeOf(() => parseJson('thing', answer(bytes, encoded), ALL.valuesMax));
  const actual = outcomeOf(() => parseLarge('thing', answer(bytes, encoded), ALL));
  if (actual !== expected) throw new Error(`${JSON.stringify(new TextDecoder().decode(bytes))}: ${actual}`);
  return expected;
}

describe('a large document', () => {
  it('keeps the members of its map as bytes, and parses them when they are read', () => {
    const text =
      '{"name":"ä\\n","versions":{"1":{"a":"\\u00e9😀"},"2":[1],"3":4,"__proto__":{"b":{}}},"x":{"versions":{"1":{}}}}';
    const document = large(bytesOf(text)) as Record<string, Record<string, unknown>>;
    const versions = document.versions!;
    expect(Object.entries(versions).map(([key, value]) => [key, value instanceof Unread])).toEqual([
      ['1', true],
      ['2', true],
      ['3', false],
      ['__proto__', true],
    ]);
    expect((versions['1'] as Unread).read()).toEqual({ a: 'é😀' });
    expect((versions['2'] as Unread).read()).toEqual([1]);
    expect(document.x).toEqual({ versions: { '1': {} } });
  });

  it.each([
    ['{"versions":{"a":{"x":1},"b":{},"a":{"x":2}}}', '{"versions":{"a":{"x":2},"b":{}}}'],
    ['{"versions":{"a":{}},"z":1,"versions":{"b":[]}}', '{"versions":{"b":[]},"z":1}'],
    ['{"versions":{"a":{}},"versions":null}', '{"versions":null}'],
    ['{"versions":{"b":{},"10":{},"9":{}}}', '{"versions":{"9":{},"10":{},"b":{}}}'],
    ['{"\\u0076ersions":{"a":{"b":"\\ud83d"}}}', '{"versions":{"a":{"b":"\\ud83d"}}}'],
    ['\ufeff{"versions":{"a":{"b":1}}} \n', '{"versions":{"a":{"b":1}}}'],
    ['[1e400,-0,1E+2]', '[null,0,100]'],
    ['["versions",{"a":{"b":1}}]', '["versions",{"a":{"b":1}}]'],
    ['{"x":"versions","y":{"a":{"b":1}}}', '{"x":"versions","y":{"a":{"b":1}}}'],
    ['{"versions":[{"a":{"b":1}}]}', '{"versions":[{"a":{"b":1}}]}'],
    [
      '{"versions":{"a":{"b":"\\ufeff\ufeff"},"\ufeff":[]},"\ufeffx":"\ufeff"}',
      '{"versions":{"a":{"b":"\ufeff\ufeff"},"\ufeff":[]},"\ufeffx":"\ufeff"}',
    ],
    ['{"versions":{"a\\\\":{"b":"\\\\\\"}"}}}', '{"versions":{"a\\\\":{"b":"\\\\\\"}"}}}'],
    ['{"versions":{"a\\\\":{"b":"}"}}}', '{"versions":{"a\\\\":{"b":"}"}}}'],
    ['{"versions":{"a":{},"a":"text","b":"text","b":[]}}', '{"versions":{"a":"text","b":[]}}'],
    ['{"versions":{"a":{"b":[}]}}', 'refused: malformed-json'],
    ['{"versions":{"a":{}"b":{}}}', 'refused: malformed-json'],
    ['{"versions":{{}:1}}', 'refused: malformed-json'],
    ['{"versions" {"a":{}}}', 'refused: malformed-json'],
    ['\ufeff\ufeff{"versions":{}}', 'refused: malformed-json'],
    [' \ufeff{"versions":{}}', 'refused: malformed-json'],
    ['{\ufeff"versions":{}}', 'refused: malformed-json'],
    ['{"versions":{"a":{}}}}', 'refused: malformed-json'],
    ['{"versions":{"a":{}}}x', 'refused: malformed-json'],
    ['{"versions":{"a":{"b":01}}}', 'refused: malformed-json'],
    ['{"versions":{"a":{"b":"\n"}}}', 'refused: malformed-json'],
    ['{"versions":{"a":{,}}}', 'refused: malformed-json'],
    ['', 'refused: malformed-json'],
    ['<html>', 'refused: not-json'],
  ])('%j is %s', (text, expected) => {
    expect(expectSame(bytesOf(text))).toBe(expected);
  });

  it('that ends early is refused, and is truncated where it came compressed', () => {
    const whole = bytesOf('{"versions":{"1.0.0":{"a":"é😀\\u00e9","b":[true,null,-1.5e3]}},"name":"漢"}');
    for (let length = 0; length < whole.length; length++) {
      expect(expectSame(whole.subarray(0, length))).toBe('refused: malformed-json');
      expect(expectSame(whole.subarray(0, length), true)).toBe('refused: truncated');
    }
  });

  it('with bytes that are not UTF-8 is refused', () => {
    for (const bad of [[0xff], [0xc3, 0x28], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xc0, 0xaf]]) {
      const bytes = Uint8Array.from([...bytesOf('{"versions":{"a":{"b":"'), ...bad, ...bytesOf('"}}}')]);
      expect(expectSame(bytes)).toBe('refused: malformed-json');
    }
  });

  it('nested a million deep is read like any other', () => {
    const deep = `{"versions":{"a":${'['.repeat(1e6)}${']'.repeat(1e6)}},"b":${'['.repeat(1e6)}${']'.repeat(1e6)}}`;
    const { versions } = large(bytesOf(deep)) as { versions: Record<string, Unread> };
    expect(versions.a!.read()).toHaveLength(1);
    expect(() => large(bytesOf(deep.slice(0, -2)))).toThrow('a syntax error at its end');
  });

  it('is refused without quoting it', () => {
    expect(() => large(bytesOf('{"secret":"secret" "secret"}'))).toThrow(/^thing: expected JSON, got a syntax error$/);
  });

  it(`has the outcome of JSON.parse, broken or not (seed ${SEED})`, () => {
    const random = randomFrom(SEED);
    const outcomes = { read: 0, refused: 0 };
    for (let i = 0; i < BUDGET; i++) {
      const outcome = expectSame(spoil(bytesOf(documentText(random)), random));
      outcomes[outcome.startsWith('refused') ? 'refused' : 'read'] += 1;
    }
    expect(Math.min(outcomes.read, outcomes.refused)).toBeGreaterThan(BUDGET / 10);
  });
});

describe('the row of a large document', () => {
  const rowsOf = (bytes: Uint8Array, name: string) =>
    [parseJson('thing', answer(bytes), ALL.valuesMax), large(bytes)].map(document =>
      packumentRow(readPackument(document, name), { downloads: { month: 1, year: 2 } }),
    );

  it('is that of the document parsed whole, for each recorded document', () => {
    const recordings = readRecordings(path.resolve(NPM_RECORDINGS));
    let largest = 0;
    for (const recording of recordings.packuments.values()) {
      const bytes = bytesOf(readRecording(recordings.folder, recording));
      const [whole, streamed] = rowsOf(bytes, recording.name);
      expect(streamed).toEqual(whole);
      largest = Math.max(largest, bytes.length);
    }
    expect(largest).toBeGreaterThan(4 * 1024 * 1024);
  });

  it.each([
    ['latest before the versions', '"dist-tags":{"latest":"1.0.0"},"versions":V,"time":T'],
    ['latest after the versions', '"versions":V,"time":T,"dist-tags":{"latest":"1.0.0"}'],
    ['no latest', '"versions":V,"time":T'],
    ['neither latest nor times', '"versions":V'],
    ['latest that names no version', '"versions":V,"dist-tags":{"latest":"9.0.0"},"time":T'],
    ['latest called __proto__', '"versions":V,"dist-tags":{"latest":"__proto__"},"time":T'],
    ['latest that is no object', '"versions":V,"dist-tags":{"latest":"text"},"time":T'],
    ['latest that is a list', '"versions":V,"dist-tags":{"latest":"list"},"time":T'],
    ['latest that is too large for data', '"versions":V,"dist-tags":{"latest":"big"},"time":T'],
    ['latest too deep for data', '"versions":V,"dist-tags":{"latest":"deep"},"time":T'],
    ['versions twice', '"versions":{"1.0.0":{"license":"old"}},"dist-tags":{"latest":"1.0.0"},"versions":V'],
    ['no versions', '"versions":{},"dist-tags":{"latest":"1.0.0"},"time":T'],
  ])('is the same with %s', (_name, fields) => {
    const versions = [
      '"0.9.0":{"license":"ISC"}',
      '"1.0.0":{"license":"old"}',
      '"__proto__":{"license":"P","dependencies":{"__proto__":"1"}}',
      '"text":"none"',
      '"list":[{}]',
      `"big":{"license":"B","readme":"r","blob":"${'é'.repeat(300_000)}"}`,
      `"deep":{"license":"D","deep":${'['.repeat(100_000)}${']'.repeat(100_000)}}`,
      '"1.0.0":{"license":"MIT","readme":"r","keywords":["\\ud83d","😀"],"dependencies":{"a":"1"}}',
    ];
    const times =
      '{"created":"2020-01-01T00:00:00Z","1.0.0":"2020-01-02T00:00:00Z","__proto__":"2020-01-03T00:00:00Z"}';
    const body = fields.replace('"versions":V', () => `"versions":{${versions.join(',')}}`);
    const text = `{"_id":"thing","readme":"long",${body.replace('"time":T', () => `"time":${times}`)},"users":{"é":1}}`;
    const [whole, streamed] = rowsOf(bytesOf(text), 'thing');
    expect(streamed).toEqual(whole);
    expect(streamed?.version).not.toBeNull();
  });
});

type Random = (below: number) => number;

/** Whole numbers from 0 to below `below`. */
function randomFrom(seed: number): Random {
  const coin = makeCoin(seed);
  return below => Math.floor(coin() * below);
}

const KEYS = ['versions', '\\u0076ersions', 'a', '__proto__', '1', '0', 'constructor', '*', 'é\\u00e9', '\\ud83d'];
const SCALARS = [
  '""',
  '"a"',
  '"\\ud83d\\ude00"',
  '"\\ud83d"',
  '"\\ude00\\ud83d"',
  '"漢😀"',
  '"\ufeff"',
  '"\\\\"',
  '"}"',
  '"{[\\""',
  '"a\ufeff\ufeff"',
  '"\\\\\\"\\/\\b\\f\\n\\r\\t\\u0000"',
  '"\\ud800\\u0041"',
  '"\\ud83dé"',
  '0',
  '-0',
  '1.5',
  '-1e3',
  '1E+5',
  '1e400',
  '12345678901234567890',
  'true',
  'null',
];

function documentText(random: Random): string {
  const one = (list: string[]) => list[random(list.length)]!;
  const space = () => one(['', '', ' ', '\n', '\t\r ']);
  const value = (depth: number): string => {
    const kind = depth > 4 ? 0 : random(10);
    if (kind < 4) return one(SCALARS);
    const items = Array.from({ length: random(5) }, () => {
      const item = value(depth + 1);
      return kind < 9 ? `"${one(KEYS)}"${space()}:${space()}${item}` : item;
    });
    const inner = `${space()}${items.join(`${space()},${space()}`)}${space()}`;
    return kind < 9 ? `{${inner}}` : `[${inner}]`;
  };
  const again = random(2) === 0 ? `,"versions":${value(0)}` : '';
  const text = random(10) === 0 ? value(0) : `{"versions":${value(0)},"x":${value(1)}${again}}`;
  return `${one(['', '', '', '', '\ufeff'])}${space()}${text}${space()}`;
}

/** Changes half of the texts: cuts them, overwrites a byte, or inserts some. */
function spoil(bytes: Uint8Array, random: Random): Uint8Array {
  const at = random(bytes.length + 1);
  const odd = random(4) === 0 ? [random(256)] : [...bytesOf('{}[],:"\\0e.-+x \n\u0001\ufeff'.charAt(random(19)))];
  const kind = random(6);
  if (kind > 2) return bytes;
  const rest = kind === 0 ? [] : [...odd, ...bytes.subarray(kind === 1 ? at + 1 : at)];
  return Uint8Array.from([...bytes.subarray(0, at), ...rest]);
}
