import { describe, expect, it } from 'vitest';
import { makeCoin } from '../../../src/sources/stand-in/faults.ts';
import { DOUBLINGS_MAX, nextVisit, VISIT_LIMITS, type VisitFacts } from '../../../src/sources/zones/next-visit.ts';
import { numberOf, seedOf } from '../../budget.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOW = Date.UTC(2026, 10, 29);
const CASES = numberOf('ZONE_VISITS', 5_000);
const SEED = seedOf('ZONES_SEED');

type Visit = Parameters<typeof nextVisit>[0];

const next = (visit: Partial<Visit> & { facts?: Partial<VisitFacts> | null } = {}, everyMs = DAY) =>
  nextVisit(
    { key: 'example.com', nowMs: NOW, outcome: 'found', times: 1, notBeforeMs: null, facts: null, ...visit },
    { everyMs },
  );
const hours = (visit: Parameters<typeof next>[0], everyMs?: number) => (next(visit, everyMs).atMs - NOW) / HOUR;
/** Within the jitter. */
const about = (value: number) =>
  expect.toSatisfy((found: number) => Math.abs(found - value) <= value / 10 + 1e-6, `about ${value}`);
const at = (ms: number) => new Date(NOW + ms).toISOString();

describe('nextVisit', () => {
  it('is a day later, or what the setting says', () => {
    expect(hours({})).toEqual(about(24));
    expect(next().reason).toBe('regular');
    expect(hours({ facts: { quiet: DOUBLINGS_MAX } }, 6 * HOUR)).toEqual(about(6));
    expect(hours({}, 30 * DAY)).toEqual(about(720));
  });

  it('is an hour after a change, and doubles until it is regular', () => {
    const waits = Array.from({ length: 7 }, (_, quiet) => hours({ facts: { quiet } }));
    expect(waits).toEqual([1, 2, 4, 8, 16, 24, 24].map(about));
    expect(next({ facts: { quiet: 0 } }).reason).toBe('changed');
    expect(hours({ facts: { quiet: 0 } }, 60_000)).toEqual(about(1 / 60));
  });

  it('grows while a domain does not exist, or gives no answer', () => {
    for (const outcome of ['gone', 'failed'] as const) {
      const waits = Array.from(
        { length: 8 },
        (_, times) => hours({ outcome, times: times + 1, facts: { quiet: 0 } }) / 24,
      );
      expect(waits).toEqual([1, 2, 4, 8, 16, 30, 30, 30].map(about));
      expect(next({ outcome }).reason).toBe(outcome);
    }
  });

  it.each(['found', 'gone'] as const)(
    'is every six hours around an expiry and in redemption, where it is %s',
    outcome => {
      for (const days of [-7 + 0.01, -3, 0, 1, 2.9]) {
        const visit = next({ outcome, times: 9, facts: { expiry: at(days * DAY) } });
        expect({ days, hours: (visit.atMs - NOW) / HOUR, reason: visit.reason }).toEqual({
          days,
          hours: about(6),
          reason: 'expiring',
        });
      }
      expect(next({ outcome, facts: { expiry: at(-7 * DAY) } }).reason).not.toBe('expiring');
      expect(hours({ outcome, times: 9, facts: { leaving: true } })).toEqual(about(6));
      // The visit before comes in time for the first of them.
      expect(hours({ outcome, times: 9, facts: { expiry: at(3.5 * DAY) } }, 30 * DAY)).toEqual(about(12));
      expect(hours({ outcome, facts: { expiry: 'soon' } })).toEqual(about(24));
    },
  );

  it('is not before a resolver allows', () => {
    expect(next({ outcome: 'failed', notBeforeMs: NOW + 40 * DAY })).toEqual({
      atMs: NOW + 40 * DAY,
      reason: 'resolver-wait',
    });
    expect(next({ outcome: 'failed', notBeforeMs: NOW + 300_000 }).reason).toBe('failed');
  });

  it('differs from domain to domain', () => {
    const times = new Set(Array.from({ length: 1_000 }, (_, n) => next({ key: `domain-${n}.com` }).atMs));
    expect(times.size).toBeGreaterThan(990);
    expect(Math.max(...times) - Math.min(...times)).toBeGreaterThan(0.19 * DAY);
  });

  it(`is a whole time between its bounds for any state (seed ${SEED})`, () => {
    console.log(`${CASES} visits, ZONES_SEED=${SEED}`);
    const coin = makeCoin(SEED);
    const one = <T>(values: readonly T[]) => values[Math.floor(coin() * values.length)]!;
    for (let turn = 0; turn < CASES; turn++) {
      const visit: Visit = {
        key: `${turn}.com`,
        nowMs: one([NOW, 0, -1, Number.NaN, 8.64e15, coin() * 4e12]),
        outcome: one(['found', 'gone', 'failed', 'partial'] as const),
        times: one([0, 1, 5, 1e9, Number.NaN]),
        notBeforeMs: one([null, null, NOW]),
        facts: one([
          null,
          {},
          {
            quiet: one([0, 3, -1, 1e9, Number.NaN]),
            expiry: one([null, '', at((coin() - 0.5) * 1e11), '9999-12-31']),
            leaving: coin() < 0.2,
          },
        ]),
      };
      const everyMs = one([60_000, DAY, 30 * DAY]);
      const { atMs, reason } = nextVisit(visit, { everyMs });
      expect(Number.isSafeInteger(atMs)).toBe(true);
      expect(reason).toEqual(expect.any(String));
      const nowMs = Math.min(Math.max(visit.nowMs || 0, 0), 8.64e15 - 200 * DAY);
      const most = Math.max(30 * DAY * (1 + VISIT_LIMITS.jitterShare), (visit.notBeforeMs ?? 0) - nowMs);
      expect(atMs - nowMs).toBeGreaterThan(Math.min(everyMs, HOUR) / 2);
      expect(atMs - nowMs).toBeLessThanOrEqual(most + 1);
    }
  });
});
