import { describe, expect, it } from 'vitest';
import { lowerBound, upperBound } from '../../../src/iceberg/format/single-value.ts';
import { randomFrom } from '../../parquet/rows.ts';

const utf8 = (text: string) => new TextEncoder().encode(text);
const hex = (bytes: Uint8Array | null) => bytes && Buffer.from(bytes).toString('hex');
const LAST = '\u{10ffff}';

describe('a bound in binary form', () => {
  // Iceberg spec, Appendix D: Binary single-value serialization.
  it.each([
    ['boolean', false, '00'],
    ['boolean', true, '01'],
    ['int32', 0, '00000000'],
    ['int32', 1, '01000000'],
    ['int32', -1, 'ffffffff'],
    ['int32', -(2 ** 31), '00000080'],
    ['int32', 2 ** 31 - 1, 'ffffff7f'],
    ['int64', 1n, '0100000000000000'],
    ['int64', -2n, 'feffffffffffffff'],
    ['int64', BigInt(Number.MAX_SAFE_INTEGER), 'ffffffffffff1f00'],
    ['float', -1.5, '0000c0bf'],
    ['float', 0.10000000149011612, 'cdcccc3d'],
    ['float', 3.4028234663852886e38, 'ffff7f7f'],
    ['float', Number.NEGATIVE_INFINITY, '000080ff'],
    ['utf8', utf8('express'), '65787072657373'],
    ['utf8', utf8(''), ''],
    ['utf8', utf8('\ufeffmark'), 'efbbbf6d61726b'],
  ] as const)('of %s %s is %s', (type, value, expected) => {
    expect(hex(lowerBound(type, value))).toBe(expected);
    expect(hex(upperBound(type, value))).toBe(expected);
  });

  it.each([
    ['float', Number.NaN],
    ['int64', 1],
    ['int32', 1n],
    ['boolean', 1],
    ['utf8', 1],
    // The last character is incomplete.
    ['utf8', Uint8Array.of(0x61, 0xe6, 0x9d)],
  ] as const)('of %s is null when the value is %s', (type, value) => {
    expect(lowerBound(type, value)).toBeNull();
    expect(upperBound(type, value)).toBeNull();
  });
});

describe('the bound of a text', () => {
  const sixteen = 'abcdefghijklmnop';

  it.each([
    [sixteen, sixteen, sixteen],
    [`${sixteen}q`, sixteen, 'abcdefghijklmnoq'],
    // The limit counts code points, not UTF-16 units, so sixteen emoji fit.
    ['\u{1f600}'.repeat(16), '\u{1f600}'.repeat(16), '\u{1f600}'.repeat(16)],
    ['\u{1f600}'.repeat(17), '\u{1f600}'.repeat(16), `${'\u{1f600}'.repeat(15)}\u{1f601}`],
    [`${'a'.repeat(15)}\u{ffff}b`, `${'a'.repeat(15)}\u{ffff}`, `${'a'.repeat(15)}\u{10000}`],
    // The code points after U+D7FF are surrogates, which text cannot hold.
    [`${'a'.repeat(15)}\ud7ffb`, `${'a'.repeat(15)}\ud7ff`, `${'a'.repeat(15)}\ue000`],
    [`${'a'.repeat(15)}${LAST}b`, `${'a'.repeat(15)}${LAST}`, `${'a'.repeat(14)}b`],
    [`a${LAST.repeat(16)}`, `a${LAST.repeat(15)}`, 'b'],
    [LAST.repeat(17), LAST.repeat(16), null],
  ])('is cut to sixteen code points, and incremented as upper bound: %#', (text, lower, upper) => {
    expect(lowerBound('utf8', utf8(text))).toEqual(utf8(lower));
    expect(upperBound('utf8', utf8(text))).toEqual(upper === null ? null : utf8(upper));
  });

  it('is never above its text as lower bound, nor below it as upper bound, in the order of UTF-8', () => {
    const random = randomFrom(3);
    const points = [0, 0x61, 0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xfeff, 0xffff, 0x10000, 0x10ffff];
    for (let i = 0; i < 5_000; i++) {
      const length = 10 + Math.floor(random() * 12);
      const text = String.fromCodePoint(...Array.from({ length }, () => points[Math.floor(random() * points.length)]!));
      const [lower, upper] = [lowerBound('utf8', utf8(text)), upperBound('utf8', utf8(text))];
      expect(Buffer.compare(lower!, utf8(text))).toBeLessThanOrEqual(0);
      if (upper) expect(Buffer.compare(upper, utf8(text))).toBeGreaterThanOrEqual(0);
    }
  });
});
