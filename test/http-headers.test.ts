import { describe, expect, it } from 'vitest';
import { freshMs, retryAfterMs } from '../src/http-headers.ts';

const NOW = Date.parse('2026-11-23T12:00:00Z');
const DAY = 24 * 3_600_000;

describe('Retry-After', () => {
  it.each<[string | null, number | null]>([
    [null, null],
    ['0', 0],
    [' 120 ', 120_000],
    ['3600', 3_600_000],
    ['31536000', DAY],
    ['9'.repeat(400), DAY],
    ['Mon, 23 Nov 2026 12:01:00 GMT', 60_000],
    ['Monday, 23-Nov-26 12:01:00 GMT', 60_000],
    ['Mon, 23 Nov 2026 11:00:00 GMT', 0],
    ['Tue, 23 Nov 2027 12:00:00 GMT', DAY],
    ['-5', null],
    ['1.5', null],
    ['soon', null],
    ['', null],
  ])('%j asks for %j ms', (header, expected) => {
    expect(retryAfterMs(header, NOW)).toBe(expected);
  });
});

describe('an answer', () => {
  it.each<[Record<string, string>, number | null]>([
    [{}, null],
    [{ 'cache-control': 'public, max-age=300' }, 300_000],
    [{ 'cache-control': 'max-age=300', age: '100' }, 200_000],
    [{ 'cache-control': 'max-age=300', age: '400' }, 0],
    [{ 'cache-control': 'no-cache, max-age=300' }, 0],
    [{ expires: 'Mon, 23 Nov 2026 12:01:00 GMT' }, 60_000],
    [{ expires: 'Mon, 23 Nov 2026 11:00:00 GMT' }, 0],
    [{ expires: '0' }, null],
  ])('with the headers %j is fresh for %j ms', (headers, expected) => {
    expect(freshMs(new Headers(headers), NOW)).toBe(expected);
  });
});
