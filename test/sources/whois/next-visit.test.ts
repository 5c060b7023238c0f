import { describe, expect, it, test } from 'vitest';
import { makeCoin } from '../../../src/sources/stand-in/faults.ts';
import { nextVisit, VISIT_LIMITS, type VisitReason, type VisitState } from '../../../src/sources/whois/next-visit.ts';
import { numberOf, seedOf } from '../../budget.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOW = Date.UTC(2026, 2, 1);

const CASES = numberOf('VISIT_CASES', 20_000);
const SEED = seedOf('VISIT_SEED');

function stateWith(fields: Partial<VisitState> = {}): VisitState {
  return {
    domain: 'example.com',
    nowMs: NOW,
    outcome: 'found',
    expiryMs: NOW + 300 * DAY,
    statuses: ['clientTransferProhibited'],
    changed: false,
    partials: 0,
    misses: 0,
    failures: 0,
    notBeforeMs: null,
    ...fields,
  };
}

/** Days until the next visit over many domains in the same state: the least, the most, and the reasons. */
function daysOf(fields: Partial<VisitState>): { least: number; most: number; reasons: VisitReason[] } {
  const visits = Array.from({ length: 500 }, (_, n) => nextVisit(stateWith({ domain: `d${n}.example`, ...fields })));
  const days = visits.map(({ atMs }) => (atMs - NOW) / DAY);
  return {
    least: Math.min(...days),
    most: Math.max(...days),
    reasons: [...new Set(visits.map(({ reason }) => reason))],
  };
}

function expectAbout(fields: Partial<VisitState>, days: number, reason: VisitReason): void {
  const { least, most, reasons } = daysOf(fields);
  expect(reasons).toEqual([reason]);
  // The jitter uses its whole range, and no more.
  expect(least).toBeGreaterThanOrEqual(days * 0.9);
  expect(least).toBeLessThan(days * 0.91);
  expect(most).toBeLessThanOrEqual(days * 1.1);
  expect(most).toBeGreaterThan(days * 1.09);
}

function expectExactly(fields: Partial<VisitState>, days: number, reason: VisitReason): void {
  expect(daysOf(fields)).toEqual({ least: days, most: days, reasons: [reason] });
}

describe('a registered domain', () => {
  it('is visited after a month, with jitter, so that domains added together do not stay due together', () => {
    expectAbout({}, 30, 'regular');
    expectAbout({ expiryMs: null }, 30, 'regular');
    const days = Array.from({ length: 1000 }, (_, n) => nextVisit(stateWith({ nowMs: NOW + n })).atMs - NOW - n);
    expect(Math.abs(days.reduce((sum, ms) => sum + ms, 0) / days.length / DAY - 30)).toBeLessThan(0.2);
  });

  it('is visited 30, 7 and 1 day before its expiry, and a day after it', () => {
    expectExactly({ expiryMs: NOW + 50 * DAY }, 20, 'before-expiry');
    expectExactly({ expiryMs: NOW + 30 * DAY }, 23, 'before-expiry');
    expectExactly({ expiryMs: NOW + 7 * DAY }, 6, 'before-expiry');
    expectExactly({ expiryMs: NOW + 1 * DAY }, 2, 'after-expiry');
    expectExactly({ expiryMs: NOW }, 1, 'after-expiry');
  });

  it('is visited at an expiry visit’s time even where the jitter of a regular visit is later', () => {
    for (let hours = -80; hours <= 80; hours++) {
      const dueAtMs = NOW + 30 * DAY + hours * HOUR;
      const atMs = nextVisit(stateWith({ expiryMs: dueAtMs + 30 * DAY })).atMs;
      expect(atMs).toBeLessThanOrEqual(dueAtMs);
    }
  });

  it('has no second visit for an expiry visit that is less than an hour away', () => {
    expectExactly({ expiryMs: NOW + 7 * DAY + HOUR }, 1 / 24, 'before-expiry');
    expectExactly({ expiryMs: NOW + 7 * DAY + HOUR - 1 }, 6 + 1 / 24 - 1 / DAY, 'before-expiry');
  });

  it('is visited every day while it is being deleted, because each stage lasts days', () => {
    for (const status of ['redemptionPeriod', 'pendingDelete', 'pendingRestore', 'pending delete'])
      expectAbout({ statuses: ['clientHold', status], changed: true, partials: 1 }, 1, 'leaving');
  });

  it('is visited every week past its expiry and in its renewal grace, because it may be deleted any day', () => {
    expectAbout({ expiryMs: NOW - 2 * DAY }, 7, 'lapsed');
    expectAbout({ expiryMs: NOW - 89 * DAY }, 7, 'lapsed');
    expectAbout({ statuses: ['autoRenewPeriod'] }, 7, 'lapsed');
    // An older date means that the registry no longer updates it.
    expectAbout({ expiryMs: NOW - 90 * DAY }, 30, 'regular');
  });

  it('is visited a day after a change, because other changes often follow', () => {
    expectAbout({ changed: true }, 1, 'changed');
    expectAbout({ changed: true, partials: 1 }, 1, 'changed');
    expectExactly({ changed: true, expiryMs: NOW + 7 * DAY + 12 * HOUR }, 0.5, 'before-expiry');
  });

  it('is visited a day after a visit without the registrar’s answer', () => {
    expectAbout({ partials: 1 }, 1, 'partial');
    expectAbout({ partials: 3 }, 4, 'partial');
    expectAbout({ partials: 1_000 }, 30, 'partial');
  });
});

describe('a domain that is not registered', () => {
  it('is visited a day after the first “not found”, then at intervals that double up to half a year', () => {
    expectAbout({ outcome: 'gone', misses: 1 }, 1, 'lost');
    for (const [misses, days] of [30, 60, 120, 180, 180].entries())
      expectAbout({ outcome: 'gone', misses: misses + 2 }, days, 'gone');
    expectAbout({ outcome: 'gone', misses: 1e9 }, 180, 'gone');
  });

  it('has no visits for an expiry', () => {
    expectAbout({ outcome: 'gone', misses: 2, expiryMs: NOW + 8 * DAY, statuses: ['pendingDelete'] }, 30, 'gone');
  });
});

describe('a domain whose visit failed', () => {
  it('is visited the next day, then at intervals that double up to a month', () => {
    for (const [failures, days] of [1, 2, 4, 8, 16, 30, 30].entries())
      expectAbout({ outcome: 'failed', failures: failures + 1 }, days, 'failed');
    expectAbout({ outcome: 'failed', failures: Number.MAX_VALUE }, 30, 'failed');
  });

  it('keeps the visits for its expiry, but none within a day', () => {
    expectExactly({ outcome: 'failed', failures: 9, expiryMs: NOW + 40 * DAY }, 10, 'before-expiry');
    expectExactly(
      { outcome: 'failed', failures: 9, expiryMs: NOW + 7 * DAY + 23 * HOUR },
      6 + 23 / 24,
      'before-expiry',
    );
  });

  it('is not visited daily because of its earlier statuses', () => {
    expectAbout({ outcome: 'failed', failures: 4, statuses: ['pendingDelete'], changed: true }, 8, 'failed');
  });
});

describe('a registry with Retry-After', () => {
  it('gets no request before that time', () => {
    expectExactly({ changed: true, notBeforeMs: NOW + 2 * DAY }, 2, 'registry-wait');
    expectExactly({ outcome: 'failed', failures: 1, notBeforeMs: NOW + 3 * DAY }, 3, 'registry-wait');
    expectExactly({ expiryMs: NOW + 8 * DAY, notBeforeMs: NOW + 3 * DAY }, 3, 'registry-wait');
  });

  it('changes nothing when the visit is due later', () => {
    expectAbout({ notBeforeMs: NOW + 2 * DAY }, 30, 'regular');
    expectAbout({ notBeforeMs: NOW - DAY }, 30, 'regular');
  });
});

describe('an impossible value', () => {
  it.each([
    ['a time that is NaN', { nowMs: Number.NaN }],
    ['an expiry that is NaN', { expiryMs: Number.NaN }],
    ['an infinite expiry', { expiryMs: Number.POSITIVE_INFINITY }],
    ['an expiry in 9999', { expiryMs: Date.UTC(9999, 11, 31) }],
    ['an expiry in 1970', { expiryMs: 0 }],
    ['a wait that is NaN', { notBeforeMs: Number.NaN }],
  ] satisfies [string, Partial<VisitState>][])('is ignored: %s', (_, fields) => {
    const state = stateWith(fields);
    const { atMs, reason } = nextVisit(state);
    const nowMs = Number.isNaN(state.nowMs) ? 0 : state.nowMs;
    expect(reason).toBe('regular');
    expect(Math.abs((atMs - nowMs) / DAY - 30)).toBeLessThan(3);
  });

  it('does not end the visits: the longest wait is 198 days', () => {
    for (const notBeforeMs of [Number.POSITIVE_INFINITY, Date.UTC(9999, 1, 1)])
      expectExactly({ notBeforeMs }, 198, 'registry-wait');
  });
});

test(`${CASES} visits (seed ${SEED}) are within the bounds, not before the registry allows, and never after an expiry visit’s time; they are pure`, () => {
  const coin = makeCoin(SEED);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(coin() * list.length)]!;
  const reasons = new Map<VisitReason, number>();
  const oddities = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -1, 0, 0.5, 1e300, -1e300];
  const count = () => (coin() < 0.1 ? pick(oddities) : Math.floor(coin() ** 4 * 50));
  const time = (nowMs: number) =>
    coin() < 0.05 ? pick([...oddities, 8.64e15, Date.UTC(9999, 0)]) : nowMs + (coin() ** 3 - coin() ** 3) * 400 * DAY;
  const statuses = ['ok', 'autoRenewPeriod', 'redemptionPeriod', 'pendingDelete', 'clientHold', '', '__proto__', '🦉'];
  for (let n = 0; n < CASES; n++) {
    const nowMs = coin() < 0.02 ? pick([0, 0.5, 8.64e15, 1e300, -5]) : NOW + Math.floor(coin() * 1000 * DAY);
    const state: VisitState = {
      domain: coin() < 0.1 ? pick(['', '🦉', '\ud800', 'x'.repeat(300)]) : `d${n}.example`,
      nowMs,
      outcome: pick(['found', 'found', 'gone', 'failed']),
      expiryMs: coin() < 0.2 ? null : time(nowMs),
      statuses: coin() < 0.7 ? ['ok'] : [pick(statuses), pick(statuses)],
      changed: coin() < 0.2,
      partials: coin() < 0.2 ? 1 : 0,
      misses: count(),
      failures: count(),
      notBeforeMs: coin() < 0.7 ? null : time(nowMs),
    };
    const before = structuredClone(state);
    const visit = nextVisit(state);
    const fault =
      faultOf(state, visit.atMs) ?? (same(visit, nextVisit(before)) && same(state, before) ? null : 'not pure');
    if (fault !== null)
      throw new Error(`VISIT_SEED=${SEED}, visit ${n}: ${fault}: ${JSON.stringify(state)} → ${JSON.stringify(visit)}`);
    reasons.set(visit.reason, (reasons.get(visit.reason) ?? 0) + 1);
  }
  console.log(`visits: seed ${SEED}, ${CASES}: ${JSON.stringify(Object.fromEntries(reasons))}`);
  // Cases that lack one of the eleven reasons do not test enough.
  expect(reasons.size).toBe(11);
  for (const [reason, count] of reasons) expect(count, reason).toBeGreaterThan(CASES / 1000);
});

/** The rule that a visit breaks; null if none. */
function faultOf({ nowMs, expiryMs, notBeforeMs, outcome }: VisitState, atMs: number): string | null {
  const from = Math.trunc(Math.min(Math.max(nowMs, 0), 8.64e15 - VISIT_LIMITS.visitMsMax));
  const latest = from + 198 * DAY;
  if (!Number.isSafeInteger(atMs)) return 'no whole milliseconds';
  if (atMs < from + HOUR) return 'within the hour';
  if (atMs > latest) return 'over the longest interval';
  if (notBeforeMs !== null && atMs < Math.min(notBeforeMs, latest)) return 'before the registry allows';
  if (expiryMs === null || !Number.isFinite(expiryMs) || outcome === 'gone') return null;
  const nearest = outcome === 'failed' ? DAY : HOUR;
  const expiryVisits = [-30, -7, -1, 1]
    .map(days => Math.trunc(expiryMs) + days * DAY)
    .filter(dueAtMs => dueAtMs >= from + nearest);
  if (atMs > Math.max(Math.min(...expiryVisits), Math.ceil(notBeforeMs || 0))) return 'after an expiry visit';
  return null;
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
