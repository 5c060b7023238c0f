import { describe, expect, it } from 'vitest';
import { wilson } from '../../../src/engine/audit/capture-rate.ts';
import { isSampled } from '../../../src/engine/journal/sampling.ts';

describe('the Wilson interval', () => {
  // Newcombe, Statistics in Medicine 17 (1998), 857-872, table I, method 3.
  it.each([
    [81, 263, 0.2553, 0.3662],
    [15, 148, 0.0624, 0.1605],
    [0, 20, 0, 0.1611],
    [1, 29, 0.0061, 0.1718],
  ])('of %i of %i is the published one', (hits, trials, low, high) => {
    const found = wilson(hits, trials)!;
    expect(found.share).toBe(hits / trials);
    expect(found.low).toBeCloseTo(low, 4);
    expect(found.high).toBeCloseTo(high, 4);
  });

  it('is symmetric in hits and misses', () => {
    const [some, others] = [wilson(3, 40)!, wilson(37, 40)!];
    expect(some.low).toBeCloseTo(1 - others.high, 12);
    expect(some.high).toBeCloseTo(1 - others.low, 12);
    expect(wilson(20, 20)).toMatchObject({ share: 1, high: 1 });
  });

  it('is null without a trial', () => {
    expect(wilson(0, 0)).toBeNull();
  });
});

describe('a sample', () => {
  const keys = Array.from({ length: 100_000 }, (_, index) => `@scope${index % 97}/package-${index}`);

  it.each([0.001, 0.01, 0.3, 0.9])('of %f has about this share of the keys', sample => {
    const count = keys.filter(key => isSampled(key, sample)).length;
    const deviation = Math.sqrt(keys.length * sample * (1 - sample));
    expect(Math.abs(count - keys.length * sample)).toBeLessThan(4 * deviation);
  });

  it('of all has all, and a smaller one is part of a larger one', () => {
    expect(keys.every(key => isSampled(key, 1))).toBe(true);
    expect(keys.filter(key => isSampled(key, 0.01)).every(key => isSampled(key, 0.02))).toBe(true);
  });
});
