import { describe, expect, it } from 'vitest';
import { freshMs, quotaOf, retryAfterMs } from '../src/http-headers.ts';

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

describe('what is left of a quota', () => {
  const two = {
    remaining: 'x-ratelimit-remaining',
    reset: 'x-ratelimit-reset',
    resetIs: 'seconds-since-1970',
  } as const;
  const headersOf = (remaining: string, reset: string) =>
    new Headers({ 'x-ratelimit-remaining': remaining, 'x-ratelimit-reset': reset });
  const inSeconds = (seconds: number) => String(NOW / 1000 + seconds);

  it.each<[string, string, { remaining: number; resetMs: number } | null]>([
    ['4999', inSeconds(3_600), { remaining: 4_999, resetMs: 3_600_000 }],
    [' 0 ', inSeconds(1), { remaining: 0, resetMs: 1_000 }],
    ['0', inSeconds(-5), { remaining: 0, resetMs: 0 }],
    ['0', '0', { remaining: 0, resetMs: 0 }],
    ['0', inSeconds(400 * 86_400), { remaining: 0, resetMs: DAY }],
    ['0', '9'.repeat(15), { remaining: 0, resetMs: DAY }],
    ['0', '9'.repeat(400), null],
    ['-1', inSeconds(60), null],
    ['0', '-60', null],
    ['0', 'soon', null],
    ['none', inSeconds(60), null],
    ['1e3', inSeconds(60), null],
    ['0', '', null],
  ])('%j and reset %j → %j', (remaining, reset, expected) => {
    expect(quotaOf(headersOf(remaining, reset), two, NOW)).toEqual(expected);
  });

  it('may have its reset as a wait, and other names', () => {
    const headers = new Headers({ left: '3', again: '90' });
    const names = { remaining: 'left', reset: 'again', resetIs: 'seconds' } as const;
    expect(quotaOf(headers, names, NOW)).toEqual({ remaining: 3, resetMs: 90_000 });
    expect(quotaOf(headers, two, NOW)).toBeNull();
  });

  it.each<[string, { remaining: number; resetMs: number } | null]>([
    ['"xmlrpc.client";r=3599;t=12', { remaining: 3_599, resetMs: 12_000 }],
    ['"a-0";r=7;t=1, "a-1";r=2;t=3000', { remaining: 2, resetMs: 3_000_000 }],
    ['"a-0";r=0;t=1,"a-1";r=0;t=3000', { remaining: 0, resetMs: 3_000_000 }],
    ['"a,b;r=9;t=9";t=5 ; r=1', { remaining: 1, resetMs: 5_000 }],
    ['"a";r=x;t=1, "b";r=4;t=2', { remaining: 4, resetMs: 2_000 }],
    ['"a";r=1;t=99999999999', { remaining: 1, resetMs: DAY }],
    ['"a";r=1', null],
    ['"a";r=-1;t=5', null],
    ['"', null],
    ['', null],
  ])('in one header %j → %j', (field, expected) => {
    expect(quotaOf(new Headers({ ratelimit: field }), { field: 'ratelimit' }, NOW)).toEqual(expected);
  });
});
