import { DAY, HOUR } from '../../limits.ts';
import type { Visit } from '../../ports/change.ts';
import { jitterOf } from '../jitter.ts';

/** The times from one visit of a domain to the next, each with its reason. */
export const VISIT_LIMITS = {
  /** Earlier or later, so that domains which were added together do not stay due together. */
  jitterShare: 0.1,
  /** Changes come in groups: name servers, then addresses, then mail. The interval doubles until it is the regular one. */
  changedMs: 1 * HOUR,
  /** An owner may renew, or the registrar may take a domain out of the zone, within hours around its expiry. */
  expiringMs: 6 * HOUR,
  expiringBeforeMs: 3 * DAY,
  expiringAfterMs: 7 * DAY,
  /** A first NXDOMAIN may come before a new delegation. The interval doubles up to the last. */
  goneMsMin: 1 * DAY,
  goneMsMax: 30 * DAY,
  /** All attempts at the visit, which take hours, failed: the interval doubles up to the last. */
  failedMsMin: 1 * DAY,
  failedMsMax: 30 * DAY,
} as const;

/** Every interval reaches its last before this many doublings. */
export const DOUBLINGS_MAX = 16;

/** The largest time value of ECMA-262, less the longest interval. */
const CLOCK_MS_MAX = 8.64e15 - 200 * DAY;

/** The facts of a domain from its last visit that the next due time depends on. */
export interface VisitFacts {
  /** Visits since the last change, up to `DOUBLINGS_MAX`; as many where no change is known. */
  quiet: number;
  /** When the registration ends, ISO 8601. */
  expiry: string | null;
  /** It is in redemption, or about to be deleted. */
  leaving: boolean;
}

const NO_FACTS: VisitFacts = { quiet: DOUBLINGS_MAX, expiry: null, leaving: false };

export type VisitReason = 'regular' | 'changed' | 'expiring' | 'gone' | 'failed' | 'resolver-wait';

/**
 * When a domain is visited again, and why: the earliest of what its state needs, but not before a resolver allows. Pure,
 * because the jitter is a hash of the domain and the time of this visit.
 */
export function nextVisit(
  visit: Pick<Visit, 'key' | 'nowMs' | 'outcome' | 'times' | 'notBeforeMs'> & { facts: Partial<VisitFacts> | null },
  { everyMs }: { everyMs: number },
): { atMs: number; reason: VisitReason } {
  const nowMs = Math.trunc(Math.min(Math.max(visit.nowMs || 0, 0), CLOCK_MS_MAX));
  const spread = 1 + VISIT_LIMITS.jitterShare * jitterOf(visit.key, nowMs);
  const candidates = candidatesOf({ ...NO_FACTS, ...visit.facts }, { ...visit, nowMs, everyMs });
  const [first] = candidates.sort((a, b) => a.ms - b.ms);
  const atMs = nowMs + Math.floor(first!.ms * spread);
  const floorMs = Math.ceil(visit.notBeforeMs ?? 0);
  return atMs < floorMs ? { atMs: floorMs, reason: 'resolver-wait' } : { atMs, reason: first!.reason };
}

interface Candidate {
  ms: number;
  reason: VisitReason;
}

/** The wait for each thing that the domain's state needs; of two equal ones the first counts. */
function candidatesOf(
  { quiet, expiry, leaving }: VisitFacts,
  { outcome, times, nowMs, everyMs }: Pick<Visit, 'outcome' | 'times' | 'nowMs'> & { everyMs: number },
): Candidate[] {
  const { failedMsMin, failedMsMax, goneMsMin, goneMsMax, changedMs } = VISIT_LIMITS;
  if (outcome === 'failed') return [{ ms: doubled(failedMsMin, times - 1, failedMsMax), reason: 'failed' }];
  const expiring = expiringWait({ expiryMs: expiry === null ? null : Date.parse(expiry), leaving }, nowMs);
  if (outcome === 'gone')
    return [{ ms: doubled(goneMsMin, times - 1, goneMsMax), reason: 'gone' } as Candidate].concat(expiring);
  const changed: Candidate = { ms: doubled(changedMs, quiet, Number.POSITIVE_INFINITY), reason: 'changed' };
  return [{ ms: everyMs, reason: 'regular' } as Candidate].concat(changed, expiring);
}

/** Every six hours around an expiry and in redemption; before that, the visit with which it begins. */
function expiringWait(
  { expiryMs, leaving }: { expiryMs: number | null; leaving: boolean },
  nowMs: number,
): Candidate[] {
  const { expiringMs, expiringBeforeMs, expiringAfterMs } = VISIT_LIMITS;
  if (leaving) return [{ ms: expiringMs, reason: 'expiring' }];
  if (expiryMs === null || !Number.isFinite(expiryMs) || nowMs >= expiryMs + expiringAfterMs) return [];
  return [{ ms: Math.max(expiringMs, expiryMs - expiringBeforeMs - nowMs), reason: 'expiring' }];
}

/** A delay doubled `times` times, up to `lastMs`. */
function doubled(firstMs: number, times: number, lastMs: number): number {
  return Math.min(firstMs * 2 ** Math.min(Math.max(times || 0, 0), DOUBLINGS_MAX), lastMs);
}
