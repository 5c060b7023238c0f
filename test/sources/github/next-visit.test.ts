import { describe, expect, it } from 'vitest';
import type { Visit } from '../../../src/ports/change.ts';
import { nextVisit, VISIT_LIMITS } from '../../../src/sources/github/next-visit.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const NOW_MS = Date.parse('2026-11-25T12:00:00Z');

function next(key: string, visit: Partial<Visit> = {}) {
  const { atMs, reason } = nextVisit({
    key,
    nowMs: NOW_MS,
    outcome: 'found',
    times: 1,
    changed: false,
    facts: {},
    notBeforeMs: null,
    ...visit,
  });
  return { ms: atMs - NOW_MS, reason };
}

/** What the interval is without its jitter, which depends on the key alone. */
function plain(key: string, visit: Partial<Visit> = {}): number {
  const share = next(key, { outcome: 'failed' }).ms / VISIT_LIMITS.failedMsMin;
  return Math.round(next(key, visit).ms / share / MINUTE) * MINUTE;
}

const ago = (ms: number) => new Date(NOW_MS - ms).toISOString().replace('.000', '');

describe('the next visit', () => {
  it('of a repository comes after half the time since its last push, between 15 minutes and 7 days', () => {
    for (const [sinceMs, ms] of [
      [0, 15 * MINUTE],
      [-DAY, 15 * MINUTE],
      [2 * HOUR, HOUR],
      [4 * DAY, 2 * DAY],
      [400 * DAY, 7 * DAY],
    ] as const)
      expect(plain('repo:octo/boat', { facts: { pushed: ago(sinceMs) } })).toBe(ms);
    for (const facts of [null, {}, { pushed: null }, { pushed: 'never' }, { pushed: 7 }])
      expect(plain('repo:octo/boat', { facts })).toBe(7 * DAY);
  });

  it('of a profile and of an owner has bounds of its own', () => {
    expect(plain('user:sam', { facts: { updated: ago(0) } })).toBe(DAY);
    expect(plain('user:sam', { facts: { updated: ago(10 * DAY) } })).toBe(5 * DAY);
    expect(plain('user:sam', { facts: { updated: ago(1_000 * DAY) } })).toBe(30 * DAY);
    expect(plain('owner:sam', { facts: { pushed: ago(0) } })).toBe(HOUR);
    expect(plain('owner:sam', { facts: { pushed: ago(10 * DAY) } })).toBe(DAY);
  });

  it('after nothing was found comes in an hour, of what is gone in 7 days, doubled up to 180', () => {
    expect(plain('repo:a/b', { facts: { pushed: ago(0), misses: 1 } })).toBe(HOUR);
    const gone = [1, 2, 3, 6, 1_000].map(times => plain('repo:a/b', { outcome: 'gone', times }) / DAY);
    expect(gone).toEqual([7, 14, 28, 180, 180]);
  });

  it('after a comparison that GitHub failed comes in an hour', () => {
    const facts = { pushed: ago(0), reading: { kind: 'compare', failures: 1 } };
    expect(plain('repo:a/b', { facts })).toBe(HOUR);
  });

  it('after a failure comes in 15 minutes, doubled up to 7 days, and no sooner than the host allows', () => {
    const failed = [1, 2, 3, 1_000].map(times => plain('repo:a/b', { outcome: 'failed', times }));
    expect(failed).toEqual([15 * MINUTE, 30 * MINUTE, HOUR, 7 * DAY]);
    expect(next('repo:a/b', { outcome: 'failed', notBeforeMs: NOW_MS + 3 * HOUR })).toEqual({
      ms: 3 * HOUR,
      reason: 'host-wait',
    });
  });

  it('comes when the counters of the row have waited for a day', () => {
    const facts = { pushed: ago(100 * DAY), since: NOW_MS - 4 * HOUR };
    const { ms, reason } = next('repo:a/b', { facts });
    expect(reason).toBe('counters');
    expect(ms).toBeGreaterThanOrEqual(20 * HOUR);
    expect(ms).toBeLessThan(25 * HOUR);
    expect(next('repo:a/b', { facts: { ...facts, pushed: ago(0) } }).reason).toBe('age-of-push');
  });

  it('is spread over a tenth either way, by the key alone', () => {
    const shares = Array.from({ length: 500 }, (_, index) => next(`repo:a/${index}`, { outcome: 'failed' }).ms);
    const [least, most] = [Math.min(...shares), Math.max(...shares)];
    expect(least).toBeGreaterThanOrEqual(0.9 * 15 * MINUTE);
    expect(most).toBeLessThanOrEqual(1.1 * 15 * MINUTE);
    expect(most - least).toBeGreaterThan(0.15 * 15 * MINUTE);
    expect(next('repo:a/b')).toEqual(next('repo:a/b'));
  });
});
