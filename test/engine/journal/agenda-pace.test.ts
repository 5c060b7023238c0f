import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AgendaPace } from '../../../src/engine/journal/agenda-pace.ts';
import { openJournal } from '../../../src/engine/journal/open.ts';
import { nodeSql } from '../../simulation/world/node-sql.ts';

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;
const DAY = 24 * HOUR;

let sql: ReturnType<typeof nodeSql>;
let pace: AgendaPace;
let nowMs: number;
beforeEach(() => {
  sql = nodeSql();
  openJournal(sql, 'source', []);
  pace = new AgendaPace(sql);
  nowMs = Date.UTC(2026, 10, 29);
});
afterEach(() => sql.close());

const adjust = (keys: number, isIdle = false) => pace.adjust({ isIdle, keys, nowMs });

/** Slices of visits, one right after the other. */
function visit(keys: number, { slices, tookMs, waits }: { slices: number; tookMs: number; waits: (number | null)[] }) {
  adjust(keys);
  for (let slice = 0; slice < slices; slice++) {
    nowMs += tookMs;
    for (const waitMs of waits) pace.count(waitMs);
    adjust(keys);
  }
}

const daily = (count: number) => Array.from({ length: count }, () => DAY);

describe('the stretch', () => {
  it('is the time of a round of all keys, in the waits that they want, from the first slice on', () => {
    visit(100_000, { slices: 1, tookMs: 15.6 * SECOND, waits: daily(12) });
    // 100,000 visits of 1.3 s are 1.5 days.
    expect(pace.stretch()).toBeCloseTo(1.505, 3);
    visit(100_000, { slices: 500, tookMs: 15.6 * SECOND, waits: daily(12) });
    expect(pace.stretch()).toBeCloseTo(1.505, 3);
  });

  it('is 1 while there is room', () => {
    visit(60_000, { slices: 20, tookMs: 15.6 * SECOND, waits: daily(12) });
    expect(pace.stretch()).toBe(1);
  });

  it('does not rise while a backlog lasts, however late its keys are', () => {
    visit(100_000, { slices: 8_000, tookMs: 15.6 * SECOND, waits: daily(12) });
    expect(pace.stretch()).toBeCloseTo(1.505, 3);
  });

  it('counts keys by how often they want visits', () => {
    // Of 1,100 keys 1,000 want a visit a day and 100 one in 2.4 h, so half of all visits are of these.
    visit(1_100, { slices: 500, tookMs: 100 * SECOND, waits: [DAY, DAY / 10] });
    // They want 2,000 visits a day, and 1,728 are made.
    expect(pace.stretch()).toBeCloseTo(2_000 / 1_728, 2);
  });

  it('takes no time for work in which nothing is due', () => {
    for (let run = 0; run < 100; run++) {
      visit(1_000, { slices: 1, tookMs: SECOND, waits: daily(1) });
      adjust(1_000, true);
      nowMs += HOUR;
    }
    expect(pace.stretch()).toBe(1);
  });

  it('is hardly moved by an outage, or a pause, of hours', () => {
    visit(100_000, { slices: 1_000, tookMs: 15.6 * SECOND, waits: daily(12) });
    for (let run = 0; run < 60; run++) {
      adjust(100_000);
      nowMs += 6 * 60 * SECOND;
    }
    visit(100_000, { slices: 1, tookMs: 15.6 * SECOND, waits: daily(12) });
    expect(pace.stretch()).toBeGreaterThan(1.5);
    expect(pace.stretch()).toBeLessThan(1.56);
  });

  it('has nothing of visits that failed, or have more to load', () => {
    visit(100_000, { slices: 100, tookMs: 15.6 * SECOND, waits: daily(12) });
    const before = pace.stretch();
    visit(100_000, { slices: 100, tookMs: 15.6 * SECOND, waits: daily(12).map(() => null) });
    expect(pace.stretch()).toBe(before);
    visit(100_000, { slices: 100, tookMs: 31.2 * SECOND, waits: daily(12).concat(daily(12).map(() => null as never)) });
    expect(pace.stretch()).toBeCloseTo(before, 6);
  });

  it('follows another pace within a round, and the removal of keys at once', () => {
    visit(1_000, { slices: 1_000, tookMs: 130 * SECOND, waits: daily(1) });
    expect(pace.stretch()).toBeCloseTo(1.505, 2);
    visit(1_000, { slices: 3_000, tookMs: 260 * SECOND, waits: daily(1) });
    expect(pace.stretch()).toBeGreaterThan(2.8);
    visit(100, { slices: 1, tookMs: 260 * SECOND, waits: daily(1) });
    expect(pace.stretch()).toBe(1);
  });

  it('is 1 at first, at most 1,000, and takes any clock', () => {
    expect(pace.stretch()).toBe(1);
    visit(1_000_000_000, { slices: 10, tookMs: 60 * SECOND, waits: [HOUR] });
    expect(pace.stretch()).toBe(1_000);
    visit(10, { slices: 10, tookMs: -60 * SECOND, waits: [0] });
    expect(pace.stretch()).toBe(1);
  });
});
