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

/** Watched keys, by the wait that they want; null for those without a visit yet. */
function watch(...groups: [keys: number, waitMs: number | null][]): void {
  sql.exec('DELETE FROM agenda');
  for (const [index, [keys, waitMs]] of groups.entries())
    sql.exec(
      `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
       INSERT INTO agenda (key, space, due_ms, reason, added_ms, wait_ms) SELECT ? || i, 1, 0, 'added', 0, ? FROM n`,
      keys,
      `${index}-`,
      waitMs,
    );
}

const keysNow = () => sql.exec<{ keys: number }>('SELECT count(*) AS keys FROM agenda')[0]!.keys;
const adjust = (isIdle = false) => pace.adjust({ isIdle, keys: keysNow(), nowMs });

/** Slices of visits, one right after the other; the others failed, or have more to load. */
function visit({
  slices,
  tookMs,
  visits,
  others = 0,
}: {
  slices: number;
  tookMs: number;
  visits: number;
  others?: number;
}) {
  adjust();
  for (let slice = 0; slice < slices; slice++) {
    nowMs += tookMs;
    for (let made = 0; made < visits; made++) pace.count(true);
    for (let made = 0; made < others; made++) pace.count(false);
    adjust();
  }
}

describe('the stretch', () => {
  it('is the visits that all keys want in a time, times what one takes, from the first slice on', () => {
    watch([1_000, DAY]);
    visit({ slices: 1, tookMs: 260 * SECOND, visits: 2 });
    // 1,000 visits of 130 s are 1.5 days.
    expect(pace.stretch()).toBeCloseTo(1.505, 3);
    visit({ slices: 500, tookMs: 260 * SECOND, visits: 2 });
    expect(pace.stretch()).toBeCloseTo(1.505, 3);
  });

  it('is 1 while there is room', () => {
    watch([600, DAY]);
    visit({ slices: 20, tookMs: 130 * SECOND, visits: 1 });
    expect(pace.stretch()).toBe(1);
  });

  it('does not rise while a backlog lasts, however late its keys are', () => {
    watch([1_000, DAY]);
    visit({ slices: 8_000, tookMs: 130 * SECOND, visits: 1 });
    expect(pace.stretch()).toBeCloseTo(1.505, 3);
  });

  it('counts keys by how often they want visits, however often they were visited', () => {
    // They want 1,000 and 1,000 visits a day, and 1,728 are made.
    watch([1_000, DAY], [100, DAY / 10]);
    visit({ slices: 1_000, tookMs: 50 * SECOND, visits: 1 });
    expect(pace.stretch()).toBeCloseTo(2_000 / 1_728, 2);
    // A few that want one in years change nothing.
    watch([1_000, DAY], [100, DAY / 10], [10, 1_000 * DAY]);
    visit({ slices: 1, tookMs: 50 * SECOND, visits: 1 });
    expect(pace.stretch()).toBeCloseTo(2_000 / 1_728, 2);
  });

  it('takes keys without a visit for keys like the others', () => {
    watch([500, DAY], [500, null]);
    visit({ slices: 1_000, tookMs: 130 * SECOND, visits: 1 });
    expect(pace.stretch()).toBeCloseTo(1.505, 3);
  });

  it('takes no time for work in which nothing is due', () => {
    watch([1_000, DAY]);
    for (let run = 0; run < 100; run++) {
      visit({ slices: 1, tookMs: SECOND, visits: 1 });
      adjust(true);
      nowMs += HOUR;
    }
    expect(pace.stretch()).toBe(1);
  });

  it('is hardly moved by an outage, or a pause, of hours', () => {
    watch([1_000, DAY]);
    visit({ slices: 1_000, tookMs: 130 * SECOND, visits: 1 });
    for (let run = 0; run < 60; run++) {
      adjust();
      nowMs += 6 * 60 * SECOND;
    }
    visit({ slices: 1, tookMs: 130 * SECOND, visits: 1 });
    expect(pace.stretch()).toBeGreaterThan(1.5);
    expect(pace.stretch()).toBeLessThan(1.56);
  });

  it('has nothing of visits that failed, or have more to load', () => {
    watch([1_000, DAY]);
    visit({ slices: 1_000, tookMs: 130 * SECOND, visits: 1 });
    const before = pace.stretch();
    visit({ slices: 100, tookMs: 130 * SECOND, visits: 0, others: 1 });
    expect(pace.stretch()).toBe(before);
    visit({ slices: 100, tookMs: 260 * SECOND, visits: 1, others: 1 });
    expect(pace.stretch()).toBeCloseTo(before, 6);
  });

  it('follows another pace within a round, and the removal of keys, and other waits, at once', () => {
    watch([1_000, DAY]);
    visit({ slices: 1_000, tookMs: 130 * SECOND, visits: 1 });
    visit({ slices: 3_000, tookMs: 260 * SECOND, visits: 1 });
    expect(pace.stretch()).toBeGreaterThan(2.8);
    sql.exec('UPDATE agenda SET wait_ms = 2 * wait_ms');
    visit({ slices: 1, tookMs: 260 * SECOND, visits: 1 });
    expect(pace.stretch()).toBeGreaterThan(1.4);
    expect(pace.stretch()).toBeLessThan(1.6);
    sql.exec("DELETE FROM agenda WHERE key > '0-2'");
    visit({ slices: 1, tookMs: 260 * SECOND, visits: 1 });
    expect(pace.stretch()).toBe(1);
  });

  it('is 1 at first, at most 1,000, and takes any clock and any wait', () => {
    expect(pace.stretch()).toBe(1);
    watch([10_000, 1]);
    visit({ slices: 10, tookMs: 60 * SECOND, visits: 1 });
    expect(pace.stretch()).toBe(1_000);
    watch([10, 1]);
    visit({ slices: 3_000, tookMs: -60 * SECOND, visits: 1 });
    expect(pace.stretch()).toBe(1);
  });
});
