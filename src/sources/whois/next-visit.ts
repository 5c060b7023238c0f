import { jitterOf } from '../jitter.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** The times from one visit of a domain to the next, each with its reason. */
export const VISIT_LIMITS = {
  /** Registrations change rarely. At this interval ten million domains are four visits a second over all registries. */
  regularMs: 30 * DAY,
  /** Earlier or later, so that domains which were added together do not stay due together. */
  jitterShare: 0.1,
  /** Most owners renew about a month, a week or a day before expiry, so each has a visit. */
  beforeExpiryMs: [30 * DAY, 7 * DAY, 1 * DAY],
  /** Registries renew, hold or delete a domain within hours after its expiry. */
  afterExpiryMs: 1 * DAY,
  /** Lapsed but not deleted: 45 days of renewal grace, 30 of redemption and 5 of deletion (ICANN's EPP codes). */
  lapsedMs: 7 * DAY,
  lapsedMsMax: 90 * DAY,
  /** A deletion takes five days and a redemption thirty, so a visit a day sees both. */
  leavingMs: 1 * DAY,
  /** Other changes often follow a change: a transfer, then name servers, then contacts. */
  changedMs: 1 * DAY,
  /** The registrar's answer is missing. Its server may be back tomorrow or never, so the interval doubles up to the last. */
  partialMsMin: 1 * DAY,
  partialMsMax: 30 * DAY,
  /** A first "not found" may be the registry's mistake, or come before a new registration. */
  lostMs: 1 * DAY,
  /** Still not found: the interval doubles up to the last. */
  goneMsMin: 30 * DAY,
  goneMsMax: 180 * DAY,
  /** The visit's retries, which take an hour, failed: the interval doubles up to the last. */
  failedMsMin: 1 * DAY,
  failedMsMax: 30 * DAY,
  /** Bounds of every interval, jitter included. */
  visitMsMin: 1 * HOUR,
  visitMsMax: 198 * DAY,
} as const;

/** Every interval reaches its last before this many doublings. */
const DOUBLINGS_MAX = 16;

/** The largest time value of ECMA-262. */
const CLOCK_MS_MAX = 8.64e15;

/** EPP codes, in lower case, of a domain that is about to be deleted. */
const LEAVING = new Set(['redemptionperiod', 'pendingrestore', 'pendingdelete']);

/** EPP codes of a domain past its expiry: the registry has renewed it for a year, but the registrar may still delete it. */
const LAPSED = new Set(['autorenewperiod']);

export type VisitReason =
  | 'regular'
  | 'before-expiry'
  | 'after-expiry'
  | 'lapsed'
  | 'leaving'
  | 'changed'
  | 'partial'
  | 'lost'
  | 'gone'
  | 'failed'
  | 'registry-wait';

/** A domain after its visit at `nowMs`. Times are milliseconds since 1970. */
export interface VisitState {
  domain: string;
  nowMs: number;
  /** `failed`: after all retries neither an answer nor a "not found". */
  outcome: 'found' | 'gone' | 'failed';
  /** May be of an earlier visit; null if unknown. */
  expiryMs: number | null;
  /** EPP codes such as `pendingDelete`. */
  statuses: string[];
  /** The answer differs from the last row. */
  changed: boolean;
  /** Consecutive visits without the registrar's answer, this one included. */
  partials: number;
  /** Consecutive visits with outcome `gone`, this one included. */
  misses: number;
  /** Consecutive visits with outcome `failed`, this one included. */
  failures: number;
  /** From the registry's `Retry-After`. */
  notBeforeMs: number | null;
}

export interface NextVisit {
  atMs: number;
  reason: VisitReason;
}

/**
 * The next visit of a domain and its reason: the earliest candidate of its state, but not before the registry allows.
 * `atMs` is whole milliseconds, from `visitMsMin` to `visitMsMax` after `nowMs` for any input. Pure, because the jitter is
 * a hash of the domain and the time of this visit.
 */
export function nextVisit(state: VisitState): NextVisit {
  const nowMs = Number.isFinite(state.nowMs)
    ? Math.trunc(Math.min(Math.max(state.nowMs, 0), CLOCK_MS_MAX - VISIT_LIMITS.visitMsMax))
    : 0;
  const spread = 1 + VISIT_LIMITS.jitterShare * jitterOf(state.domain, nowMs);
  const after = (delayMs: number, reason: VisitReason): NextVisit => ({
    atMs: nowMs + Math.floor(delayMs * spread),
    reason,
  });
  // Choose the earliest candidate, then apply the registry's wait and the bounds.
  const earliest = candidatesFor(state, nowMs, after).reduce((first, visit) =>
    visit.atMs < first.atMs ? visit : first,
  );
  const floorMs = state.notBeforeMs === null || Number.isNaN(state.notBeforeMs) ? 0 : Math.ceil(state.notBeforeMs);
  const { atMs, reason }: NextVisit = earliest.atMs < floorMs ? { atMs: floorMs, reason: 'registry-wait' } : earliest;
  const delayMs = Math.min(Math.max(atMs - nowMs, VISIT_LIMITS.visitMsMin), VISIT_LIMITS.visitMsMax);
  return { atMs: nowMs + delayMs, reason };
}

/** A visit for each thing that the domain's state needs; of two at the same time the first counts. */
function candidatesFor(
  state: VisitState,
  nowMs: number,
  after: (delayMs: number, reason: VisitReason) => NextVisit,
): [NextVisit, ...NextVisit[]] {
  if (state.outcome === 'gone') {
    if (!(state.misses >= 2)) return [after(VISIT_LIMITS.lostMs, 'lost')];
    return [after(doubled(VISIT_LIMITS.goneMsMin, state.misses - 2, VISIT_LIMITS.goneMsMax), 'gone')];
  }
  if (state.outcome === 'failed') {
    const again = after(doubled(VISIT_LIMITS.failedMsMin, state.failures - 1, VISIT_LIMITS.failedMsMax), 'failed');
    // The interval may be long, so the visits at an expiry stay, but none sooner than after a first failure.
    return [again, ...expiryVisitsFrom(nowMs + VISIT_LIMITS.failedMsMin, state.expiryMs)];
  }
  const statuses = state.statuses.map(status => status.replaceAll(' ', '').toLowerCase());
  const visits: [NextVisit, ...NextVisit[]] = [after(VISIT_LIMITS.regularMs, 'regular')];
  if (isLapsed(state.expiryMs, statuses, nowMs)) visits.unshift(after(VISIT_LIMITS.lapsedMs, 'lapsed'));
  visits.unshift(...expiryVisitsFrom(nowMs + VISIT_LIMITS.visitMsMin, state.expiryMs));
  if (state.partials > 0)
    visits.unshift(after(doubled(VISIT_LIMITS.partialMsMin, state.partials - 1, VISIT_LIMITS.partialMsMax), 'partial'));
  if (state.changed) visits.unshift(after(VISIT_LIMITS.changedMs, 'changed'));
  if (statuses.some(status => LEAVING.has(status))) visits.unshift(after(VISIT_LIMITS.leavingMs, 'leaving'));
  return visits;
}

/** Past its expiry by status, or by date unless that is so long ago that the registry no longer updates it. */
function isLapsed(expiryMs: number | null, statuses: string[], nowMs: number): boolean {
  if (statuses.some(status => LAPSED.has(status))) return true;
  return expiryMs !== null && expiryMs <= nowMs && nowMs < expiryMs + VISIT_LIMITS.lapsedMsMax;
}

/**
 * The visits before and after an expiry, from a time on. They have no jitter, because an earlier visit would miss the
 * change and a later one may be too late. A visit before `fromMs` is left out, because the visit of now takes its place.
 */
function expiryVisitsFrom(fromMs: number, expiryMs: number | null): NextVisit[] {
  if (expiryMs === null || !Number.isFinite(expiryMs)) return [];
  const expiry = Math.trunc(expiryMs);
  const visits: NextVisit[] = [
    ...VISIT_LIMITS.beforeExpiryMs.map((beforeMs): NextVisit => ({ atMs: expiry - beforeMs, reason: 'before-expiry' })),
    { atMs: expiry + VISIT_LIMITS.afterExpiryMs, reason: 'after-expiry' },
  ];
  return visits.filter(({ atMs }) => atMs >= fromMs);
}

/** A delay doubled `times` times, up to `lastMs`; NaN counts as 0. */
function doubled(firstMs: number, times: number, lastMs: number): number {
  const doublings = Number.isNaN(times) ? 0 : Math.min(Math.max(times, 0), DOUBLINGS_MAX);
  return Math.min(firstMs * 2 ** doublings, lastMs);
}
