import { describe, expect, it } from 'vitest';
import { exactJson, parseExactJson } from '../src/exact-json.ts';

describe('exact JSON', () => {
  it('keeps whole numbers of 63 bits', () => {
    const text = '{"snapshot-id":3051729675574597004,"ids":[9223372036854775807,-9007199254740993]}';
    expect(parseExactJson(text)).toEqual({
      'snapshot-id': 3051729675574597004n,
      ids: [9223372036854775807n, -9007199254740993n],
    });
    expect(exactJson(parseExactJson(text))).toBe(text);
  });

  it.each([2n ** 53n, 2n ** 53n + 1n, -(2n ** 53n) - 1n, 10n ** 16n, 99_999_999_999_999_999n])(
    'keeps %d exact, in a list and under a name',
    value => {
      expect(parseExactJson(`[${value}]`)).toEqual([value]);
      expect(parseExactJson(`{"id": ${value}}`)).toEqual({ id: value });
    },
  );

  it('gives rounded numbers as text where the caller wants their digits', () => {
    expect(parseExactJson('[9007199254740993, 7, 1e300]', String)).toEqual(['9007199254740993', 7, 1e300]);
  });

  it('leaves every other value as JSON has it', () => {
    const value = {
      a: 1,
      b: -0.5,
      c: 1e300,
      d: '9007199254740993',
      e: [null, true],
      f: {},
      g: Number.MAX_SAFE_INTEGER,
    };
    expect(parseExactJson(JSON.stringify(value))).toEqual(value);
    expect(exactJson(value)).toBe(JSON.stringify(value));
  });
});
