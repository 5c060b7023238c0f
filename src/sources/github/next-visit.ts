import type { Visit } from '../../ports/change.ts';
import { COUNTERS_MS } from './facts.ts';
import { type Kind, kindOf } from './keys.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** The times from one visit to the next. */
export const VISIT_LIMITS = {
  /**
   * A thing that changed lately changes again soon: half the time since its last push, or since its last change, within
   * these bounds. Profiles change rarely, and their visits are asked by the probe as well.
   */
  bounds: {
    repo: { msMin: 15 * MINUTE, msMax: 7 * DAY },
    user: { msMin: 1 * DAY, msMax: 30 * DAY },
    owner: { msMin: 1 * HOUR, msMax: 1 * DAY },
  },
  /** Earlier or later, so that keys which were added together do not stay due together. */
  jitterShare: 0.1,
  /** Nothing was found once: it may be GitHub's mistake, or a rename under way. */
  missingMs: 1 * HOUR,
  /** GitHub failed to compare two heads, which takes it long. */
  comparisonMs: 1 * HOUR,
  /** It is gone: the interval doubles up to the last. It may come back, as a private repository does. */
  goneMsMin: 7 * DAY,
  goneMsMax: 180 * DAY,
  /** The visit's retries failed: the interval doubles up to the last. */
  failedMsMin: 15 * MINUTE,
  failedMsMax: 7 * DAY,
  /** No visit is due later than this, jitter and a host's wait included. */
  visitMsMax: 198 * DAY,
} as const;

/** Every interval reaches its last before this many doublings. */
const DOUBLINGS_MAX = 16;

type Reason =
  | 'age-of-push'
  | 'age-of-change'
  | 'unknown-age'
  | 'counters'
  | 'missing'
  | 'comparison'
  | 'gone'
  | 'failed'
  | 'host-wait';

/** When a key is due again, and why then. Pure: the jitter is a hash of the key. */
export function nextVisit(visit: Visit): { atMs: number; reason: Reason } {
  const { key, nowMs, notBeforeMs } = visit;
  const { ms, reason } = intervalOf(visit);
  const delayMs = Math.floor(ms * (1 + VISIT_LIMITS.jitterShare * jitterOf(key)));
  const atMs = nowMs + Math.max(1, Math.min(delayMs, VISIT_LIMITS.visitMsMax));
  return notBeforeMs !== null && notBeforeMs > atMs
    ? { atMs: Math.ceil(notBeforeMs), reason: 'host-wait' }
    : { atMs, reason };
}

function intervalOf({ key, nowMs, outcome, times, facts }: Visit): { ms: number; reason: Reason } {
  const { failedMsMin, failedMsMax, goneMsMin, goneMsMax, missingMs } = VISIT_LIMITS;
  if (outcome === 'failed') return { ms: doubled(failedMsMin, times - 1, failedMsMax), reason: 'failed' };
  if (outcome === 'gone') return { ms: doubled(goneMsMin, times - 1, goneMsMax), reason: 'gone' };
  if (facts?.misses !== undefined) return { ms: missingMs, reason: 'missing' };
  if (facts?.reading !== undefined) return { ms: VISIT_LIMITS.comparisonMs, reason: 'comparison' };
  const regular = ageOf(kindOf(key), nowMs, facts);
  // A row that waits for its counters is due with them, at the latest.
  const since = facts?.since;
  const leftMs =
    typeof since === 'number' ? Math.max(HOUR, since + COUNTERS_MS - nowMs) * COUNTERS_LATER : Number.POSITIVE_INFINITY;
  return leftMs < regular.ms ? { ms: leftMs, reason: 'counters' } : regular;
}

/** The jitter must not bring a visit for counters before their time. */
const COUNTERS_LATER = 1 / (1 - VISIT_LIMITS.jitterShare);

function ageOf(kind: Kind, nowMs: number, facts: Visit['facts']): { ms: number; reason: Reason } {
  const { msMin, msMax } = VISIT_LIMITS.bounds[kind] ?? VISIT_LIMITS.bounds.repo;
  const at = Date.parse(String(kind === 'user' ? facts?.updated : facts?.pushed));
  if (Number.isNaN(at)) return { ms: msMax, reason: 'unknown-age' };
  const ms = Math.min(Math.max((nowMs - at) / 2, msMin), msMax);
  return { ms, reason: kind === 'user' ? 'age-of-change' : 'age-of-push' };
}

function doubled(firstMs: number, times: number, lastMs: number): number {
  return Math.min(firstMs * 2 ** Math.min(Math.max(times, 0), DOUBLINGS_MAX), lastMs);
}

/** From -1 to below 1: FNV-1a over the key, with mixed bits so that like keys differ much. */
function jitterOf(key: string): number {
  let hash = 0x811c9dc5;
  for (const character of key) hash = Math.imul(hash ^ character.codePointAt(0)!, 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x7feb352d);
  hash = Math.imul(hash ^ (hash >>> 15), 0x846ca68b);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 31 - 1;
}
