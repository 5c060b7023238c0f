const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** When a domain is looked at again: times in milliseconds, each with its reason. */
export const VISIT_LIMITS = {
  /** Registrations change rarely: ten million domains are then some four visits a second over all registries. */
  regularMs: 30 * DAY,
  /** Either way, so that domains added together do not come due together for ever. */
  jitterShare: 0.1,
  /** A renewal mostly comes a month, a week or a day before its last moment: one look at each. */
  beforeExpiryMs: [30 * DAY, 7 * DAY, 1 * DAY],
  /** Registries renew, hold or drop a domain within hours of its expiry. */
  afterExpiryMs: 1 * DAY,
  /** Lapsed and not yet let go: a renewal grace of 45 days, a redemption of 30 and a deletion of 5 (ICANN's EPP codes). */
  lapsedMs: 7 * DAY,
  lapsedMsMax: 90 * DAY,
  /** A deletion takes five days, a redemption thirty: one look a day misses neither. */
  leavingMs: 1 * DAY,
  /** A change often comes with others: a transfer, then name servers, then contacts. */
  changedMs: 1 * DAY,
  /** The registrar's half did not come: its server may be back tomorrow, or never; doubling from the first to the last. */
  partialMsMin: 1 * DAY,
  partialMsMax: 30 * DAY,
  /** A first "not found" may be the registry's mistake, or the beginning of a new registration. */
  lostMs: 1 * DAY,
  /** After that it is looked at ever less, doubling from the first to the last. */
  goneMsMin: 30 * DAY,
  goneMsMax: 180 * DAY,
  /** Retries within the hour are over by then; doubling from the first to the last. */
  failedMsMin: 1 * DAY,
  failedMsMax: 30 * DAY,
  /** Whatever was seen: no domain is asked for more often than this, nor forgotten for longer (jitter included). */
  visitMsMin: 1 * HOUR,
  visitMsMax: 198 * DAY,
} as const;

/** Doubling further than this changes nothing: every series has long reached its last. */
const DOUBLINGS_MAX = 16;

/** No clock of JavaScript goes further (ECMA-262, time values). */
const CLOCK_MS_MAX = 8.64e15;

/** Registered still, and about to be let go. EPP's codes in lower case. */
const LEAVING = new Set(['redemptionperiod', 'pendingrestore', 'pendingdelete']);

/** Past its expiry, and renewed by the registry until the registrar says otherwise; expiry itself is a year on. */
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

/** What the visit at `nowMs` saw of a domain. Times are milliseconds since 1970. */
export interface Seen {
  domain: string;
  nowMs: number;
  /** `failed`: neither an answer nor a clear no, after all retries. */
  outcome: 'found' | 'gone' | 'failed';
  /** As far as it is known; also from an earlier visit. */
  expiryMs: number | null;
  /** EPP codes, as `pendingDelete`. */
  statuses: string[];
  /** It differs from the last row. */
  changed: boolean;
  /** Consecutive visits at which the registrar's half did not come, with this one. */
  partials: number;
  /** Consecutive `gone`, with this one. */
  misses: number;
  /** Consecutive `failed`, with this one. */
  failures: number;
  /** The registry's own `Retry-After`. */
  notBeforeMs: number | null;
}

export interface Visit {
  atMs: number;
  reason: VisitReason;
}

/**
 * When a domain is looked at again, and why: the earliest of what its state asks for, never before the registry allows.
 * `atMs` is whole milliseconds, from `visitMsMin` to `visitMsMax` after `nowMs` whatever the input. Pure: the jitter is a
 * hash of the domain and the time of this visit.
 */
export function nextVisit(seen: Seen): Visit {
  const nowMs = Number.isFinite(seen.nowMs)
    ? Math.trunc(Math.min(Math.max(seen.nowMs, 0), CLOCK_MS_MAX - VISIT_LIMITS.visitMsMax))
    : 0;
  const spread = 1 + VISIT_LIMITS.jitterShare * jitterOf(seen.domain, nowMs);
  const after = (delayMs: number, reason: VisitReason): Visit => ({
    atMs: nowMs + Math.floor(delayMs * spread),
    reason,
  });
  const earliest = wanted(seen, nowMs, after).reduce((first, visit) => (visit.atMs < first.atMs ? visit : first));
  const floorMs = seen.notBeforeMs === null || Number.isNaN(seen.notBeforeMs) ? 0 : Math.ceil(seen.notBeforeMs);
  const { atMs, reason }: Visit = earliest.atMs < floorMs ? { atMs: floorMs, reason: 'registry-wait' } : earliest;
  const delayMs = Math.min(Math.max(atMs - nowMs, VISIT_LIMITS.visitMsMin), VISIT_LIMITS.visitMsMax);
  return { atMs: nowMs + delayMs, reason };
}

/** All a domain's state asks for; of two at the same time the first counts. */
function wanted(
  seen: Seen,
  nowMs: number,
  after: (delayMs: number, reason: VisitReason) => Visit,
): [Visit, ...Visit[]] {
  if (seen.outcome === 'gone') {
    if (!(seen.misses >= 2)) return [after(VISIT_LIMITS.lostMs, 'lost')];
    return [after(doubled(VISIT_LIMITS.goneMsMin, seen.misses - 2, VISIT_LIMITS.goneMsMax), 'gone')];
  }
  if (seen.outcome === 'failed') {
    const again = after(doubled(VISIT_LIMITS.failedMsMin, seen.failures - 1, VISIT_LIMITS.failedMsMax), 'failed');
    // An expiry is not slept through because its registry was down once; nor is a registry that is down asked at once.
    return [again, ...marksAfter(nowMs + VISIT_LIMITS.failedMsMin, seen.expiryMs)];
  }
  const statuses = seen.statuses.map(status => status.replaceAll(' ', '').toLowerCase());
  const visits: [Visit, ...Visit[]] = [after(VISIT_LIMITS.regularMs, 'regular')];
  if (isLapsed(seen.expiryMs, statuses, nowMs)) visits.unshift(after(VISIT_LIMITS.lapsedMs, 'lapsed'));
  visits.unshift(...marksAfter(nowMs + VISIT_LIMITS.visitMsMin, seen.expiryMs));
  if (seen.partials > 0)
    visits.unshift(after(doubled(VISIT_LIMITS.partialMsMin, seen.partials - 1, VISIT_LIMITS.partialMsMax), 'partial'));
  if (seen.changed) visits.unshift(after(VISIT_LIMITS.changedMs, 'changed'));
  if (statuses.some(status => LEAVING.has(status))) visits.unshift(after(VISIT_LIMITS.leavingMs, 'leaving'));
  return visits;
}

/** Past its expiry, by date or by what the registry says of it, but not so long that the date cannot be meant. */
function isLapsed(expiryMs: number | null, statuses: string[], nowMs: number): boolean {
  if (statuses.some(status => LAPSED.has(status))) return true;
  return expiryMs !== null && expiryMs <= nowMs && nowMs < expiryMs + VISIT_LIMITS.lapsedMsMax;
}

/**
 * The looks at an expiry that lie after a time. They have no jitter: a visit before a mark would not see what is looked
 * for, one after it may come too late. A mark that is too near to be met is held to be met by the visit of now.
 */
function marksAfter(fromMs: number, expiryMs: number | null): Visit[] {
  if (expiryMs === null || !Number.isFinite(expiryMs)) return [];
  const expiry = Math.trunc(expiryMs);
  const marks: Visit[] = [
    ...VISIT_LIMITS.beforeExpiryMs.map((beforeMs): Visit => ({ atMs: expiry - beforeMs, reason: 'before-expiry' })),
    { atMs: expiry + VISIT_LIMITS.afterExpiryMs, reason: 'after-expiry' },
  ];
  return marks.filter(({ atMs }) => atMs >= fromMs);
}

/** A delay doubled so many times, up to the longest. A count that is none is taken for its end of the series. */
function doubled(firstMs: number, times: number, lastMs: number): number {
  const doublings = Number.isNaN(times) ? 0 : Math.min(Math.max(times, 0), DOUBLINGS_MAX);
  return Math.min(firstMs * 2 ** doublings, lastMs);
}

/** From -1 to below 1: FNV-1a over the domain and the time, its bits mixed so that near times are far apart. */
function jitterOf(domain: string, nowMs: number): number {
  let hash = 0x811c9dc5;
  for (const character of `${domain} ${nowMs}`) hash = Math.imul(hash ^ character.codePointAt(0)!, 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x7feb352d);
  hash = Math.imul(hash ^ (hash >>> 15), 0x846ca68b);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 31 - 1;
}
