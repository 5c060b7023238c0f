import { beforeEach, expect, it } from 'vitest';
import { openJournal } from '../../../src/engine/journal/open.ts';
import { JournalState } from '../../../src/engine/journal/state.ts';
import { Admission } from '../../../src/engine/load/admission.ts';
import type { Quota } from '../../../src/http-headers.ts';
import { LIMITS } from '../../../src/limits.ts';
import { createTally } from '../../../src/sources/upstream/tally.ts';
import { nodeSql } from '../../simulation/world/node-sql.ts';

const NOW = Date.parse('2026-11-25T12:00:00Z');
const MINUTE = 60_000;
const HOST = 'api.test';
const PART = 'api.test/search';

let admission: Admission;
beforeEach(() => {
  const sql = nodeSql();
  openJournal(sql, 'source', []);
  const pace = { requestsPerSecond: 1, burst: 5 };
  admission = new Admission(new JournalState(sql), { hosts: { [HOST]: pace, [PART]: pace }, others: null });
});

const answered = (quota: Quota, { nowMs = NOW, requests = 1, throttled = 0 } = {}) =>
  admission.learn([{ ...createTally(HOST), requests, throttled, quota }], nowMs);

const roomAt = (nowMs: number, host = HOST) => admission.room({ host, want: 10, nowMs, windowMs: 0 });

it('a host that has none left is blocked until its reset, and a part of it with a name of its own is not', () => {
  answered({ remaining: 0, resetMs: 30 * MINUTE });
  expect(roomAt(NOW)).toEqual({ count: 0, atMs: NOW + 30 * MINUTE });
  expect(roomAt(NOW + 30 * MINUTE - 1).count).toBe(0);
  expect(roomAt(NOW + 30 * MINUTE).count).toBeGreaterThan(0);
  expect(roomAt(NOW, PART).count).toBeGreaterThan(0);
  expect(admission.isBlocked(HOST, NOW)).toBe(true);
});

it('a host with some left goes on, unless more permits are out than that', () => {
  answered({ remaining: 1, resetMs: 30 * MINUTE });
  expect(admission.isBlocked(HOST, NOW)).toBe(false);
  // Five start at once, and five more in the seconds after.
  admission.take({ host: HOST, count: 10, nowMs: NOW });
  answered({ remaining: 6, resetMs: 30 * MINUTE });
  expect(admission.isBlocked(HOST, NOW)).toBe(false);
  answered({ remaining: 5, resetMs: 30 * MINUTE });
  expect(admission.isBlocked(HOST, NOW)).toBe(true);
  expect(admission.isBlocked(HOST, NOW + 30 * MINUTE)).toBe(false);
});

it('no quota blocks a host for longer than a day, or into the past, however often it is told', () => {
  for (const resetMs of [Number.MAX_SAFE_INTEGER, LIMITS.retryAfterMsMax + 1, 5]) answered({ remaining: 0, resetMs });
  expect(roomAt(NOW).atMs).toBe(NOW + LIMITS.retryAfterMsMax);
  expect(admission.isBlocked(HOST, NOW + LIMITS.retryAfterMsMax)).toBe(false);
  const laterMs = NOW + LIMITS.retryAfterMsMax;
  answered({ remaining: 0, resetMs: -1_000 }, { nowMs: laterMs });
  expect(admission.isBlocked(HOST, laterMs)).toBe(false);
});

it('a quota does not shorten the wait of a 429, nor slow the host down by itself', () => {
  answered({ remaining: 0, resetMs: MINUTE });
  expect(admission.rateOf(HOST, NOW)).toBe(1);
  const tally = { ...createTally(HOST), requests: 1, throttled: 1, retryAfterMs: 10 * MINUTE };
  admission.learn([{ ...tally, quota: { remaining: 0, resetMs: MINUTE } }], NOW + 2 * MINUTE);
  expect(roomAt(NOW + 2 * MINUTE).atMs).toBe(NOW + 12 * MINUTE);
});
