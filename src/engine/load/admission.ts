import { backoffMs, waitingUntil } from '../../alarm/backoff.ts';
import { LIMITS } from '../../config.ts';
import { StepError } from '../../errors.ts';
import type { HostPace, HostRequests, HostTally, Permit } from '../../ports/hosts.ts';
import type { EngineSource } from '../../ports/source.ts';
import type { HostState, JournalState } from '../journal/state.ts';

/** The slowest pace of a host that keeps refusing, in requests a second. */
const RATE_MIN = 0.05;
/** A clean answer raises the pace by this share of the host's own. */
const RATE_STEP = 0.1;
/** Calls in a row that a host must refuse before it is blocked, because one or two may be a document's fault. */
const REFUSALS_MIN = 3;
/** The name under which hosts are counted that no setting names. */
const OTHERS = 'others';
/** A timeline further ahead than this was written by a clock that has jumped back since. */
const AHEAD_MS_MAX = 10 * 60_000;

interface RoomWanted {
  want: number;
  nowMs: number;
  windowMs: number;
}

interface HostRoom {
  count: number;
  atMs: number;
}

/**
 * Gives permits to ask hosts. Each host has a timeline of slots that survives restarts. A 429 halves the host's pace and
 * blocks it for a while; so does a call with nothing but forbidden or late answers, which blocks the host only when such
 * calls go on. Clean answers raise the pace step by step. A host that says how many requests are left is blocked until it
 * has more, once it has given as many permits out.
 */
export class Admission {
  readonly #state: JournalState;
  readonly #paces: Record<string, HostPace>;
  readonly #others: HostPace | null;

  constructor(state: JournalState, { hosts, others }: Pick<EngineSource, 'hosts' | 'others'>) {
    this.#state = state;
    this.#paces = hosts;
    this.#others = others;
  }

  /** How many requests a host has room for within the window, at most `want`; where none, from when it has some. */
  room({ host, ...wanted }: RoomWanted & { host: string }): HostRoom {
    return this.#room({ host, ...wanted, known: this.#state.host(host) });
  }

  /** The same of many hosts at once. */
  rooms(hosts: string[], wanted: RoomWanted): Map<string, HostRoom> {
    const known = new Map(this.#state.hosts(hosts).map(state => [state.host, state]));
    return new Map(hosts.map(host => [host, this.#room({ host, ...wanted, known: known.get(host) ?? null })]));
  }

  #room({ host, want, nowMs, windowMs, known }: RoomWanted & { host: string; known: HostState | null }): HostRoom {
    const { startAtMs, intervalMs, blockedUntilMs } = this.#timeline(host, nowMs, known);
    if (blockedUntilMs > nowMs) return { count: 0, atMs: blockedUntilMs };
    const count = Math.min(want, Math.floor((nowMs + windowMs - startAtMs) / intervalMs) + 1);
    return count > 0 ? { count, atMs: nowMs } : { count: 0, atMs: Math.ceil(startAtMs - windowMs) };
  }

  /** For how long, in milliseconds, at least one of these hosts stays blocked. */
  blockedMs(requests: Record<string, number>, nowMs: number): number {
    const waits = Object.keys(requests).map(host => this.#timeline(host, nowMs).blockedUntilMs - nowMs);
    return Math.max(0, ...waits);
  }

  /** Takes slots on the host's timeline; ask `room` first. */
  take({ host, count, nowMs }: { host: string; count: number; nowMs: number }): Permit {
    const { state, startAtMs, intervalMs } = this.#timeline(host, nowMs);
    this.#state.saveHost({ ...state, next_slot_ms: startAtMs + count * intervalMs });
    return { host, count, startAtMs, intervalMs };
  }

  /** Takes all permits of a step. Throws `upstream-throttled` where a host has too little room yet. */
  takeAll(requests: HostRequests, nowMs: number): Permit[] {
    const wanted = Object.entries(requests);
    for (const [host, want] of wanted) {
      const { count, atMs } = this.room({ host, want, nowMs, windowMs: LIMITS.slicePermitMsMax });
      if (count >= want) continue;
      throw new StepError(
        'upstream-throttled',
        `${host}: expected room for ${want} requests, got room for ${count}`,
        Math.max(1, atMs - nowMs),
      );
    }
    return wanted.map(([host, count]) => this.take({ host, count, nowMs }));
  }

  /** Takes as many permits of a step as its hosts have room for, where loads can do without the rest. */
  takeSome(requests: HostRequests, nowMs: number): Permit[] {
    return Object.entries(requests).flatMap(([host, want]) => {
      const { count } = this.room({ host, want, nowMs, windowMs: LIMITS.slicePermitMsMax });
      return count > 0 ? [this.take({ host, count, nowMs })] : [];
    });
  }

  /** Adjusts paces to what hosts answered during a Loader call, and counts it. `loadMs`: how long a load took. */
  learn(tallies: HostTally[], nowMs: number, loadMs: number | null = null): void {
    // Count hosts that only the upstream names under one name, because they are too many.
    const hosts = tallies.map(tally => (tally.host in this.#paces ? tally : { ...tally, host: OTHERS }));
    this.#state.countCall({ hosts, loadMs });
    for (const tally of tallies) {
      const pace = this.#paceOf(tally.host);
      if (!pace) continue;
      const { state } = this.#timeline(tally.host, nowMs);
      if (tally.throttled > 0) this.#state.saveHost(throttledHost(state, tally, nowMs));
      else if (tally.refused > 0 && tally.refused === tally.requests) this.#state.saveHost(refusedHost(state, nowMs));
      else if (tally.requests > tally.errors && (state.rate < pace.requestsPerSecond || state.strikes > 0)) {
        const rate = Math.min(pace.requestsPerSecond, state.rate + RATE_STEP * pace.requestsPerSecond);
        this.#state.saveHost({ ...state, rate, strikes: 0 });
      }
      this.#heedQuota(tally, nowMs);
    }
  }

  /** Blocks a host that has none left, or fewer than the permits that are out, for no longer than a `Retry-After` may. */
  #heedQuota({ host, quota }: HostTally, nowMs: number): void {
    if (!quota) return;
    const { state, startAtMs, intervalMs } = this.#timeline(host, nowMs);
    const permitted = Math.ceil((startAtMs - nowMs) / intervalMs);
    if (quota.remaining > 0 && quota.remaining >= permitted) return;
    const untilMs = nowMs + Math.min(Math.max(0, quota.resetMs), LIMITS.retryAfterMsMax);
    this.#state.saveHost({ ...state, blocked_until_ms: Math.max(state.blocked_until_ms, untilMs) });
  }

  /** A permit for one request that was not foreseen; null when the host has no room within the window. */
  takeOne({ host, nowMs, windowMs }: { host: string; nowMs: number; windowMs: number }): Permit | null {
    const { count } = this.room({ host, want: 1, nowMs, windowMs });
    return count > 0 ? this.take({ host, count, nowMs }) : null;
  }

  /** Whether the host has said, or shown, that it must not be asked for a while. */
  isBlocked(host: string, nowMs: number): boolean {
    return this.#timeline(host, nowMs).blockedUntilMs > nowMs;
  }

  /** Requests a second the host is asked at present. */
  rateOf(host: string, nowMs: number): number {
    return this.#timeline(host, nowMs).state.rate;
  }

  #paceOf(host: string): HostPace | null {
    return this.#paces[host] ?? this.#others;
  }

  #timeline(
    host: string,
    nowMs: number,
    known: HostState | null = this.#state.host(host),
  ): { state: HostState; startAtMs: number; intervalMs: number; blockedUntilMs: number } {
    const pace = this.#paceOf(host);
    if (!pace) throw new Error(`admission: expected a host the source declares, got ${host}`);
    const state = known ?? {
      host,
      rate: pace.startRequestsPerSecond ?? pace.requestsPerSecond,
      next_slot_ms: 0,
      blocked_until_ms: 0,
      strikes: 0,
    };
    state.rate = Math.min(state.rate, pace.requestsPerSecond);
    const intervalMs = 1000 / state.rate;
    const nextSlotMs = state.next_slot_ms > nowMs + AHEAD_MS_MAX ? nowMs : state.next_slot_ms;
    // After a pause, up to `burst` slots lie in the past; their requests go out at once.
    const startAtMs = Math.max(nowMs - (pace.burst - 1) * intervalMs, nextSlotMs);
    return {
      state,
      startAtMs,
      intervalMs,
      blockedUntilMs: waitingUntil(state.blocked_until_ms, nowMs, LIMITS.retryAfterMsMax),
    };
  }
}

function throttledHost(state: HostState, tally: HostTally, nowMs: number): HostState {
  // Requests that were under way at the first 429 get the same answer: only extend the block, do not slow down again.
  if (state.blocked_until_ms > nowMs) {
    const untilMs = nowMs + Math.min(tally.retryAfterMs ?? 0, LIMITS.retryAfterMsMax);
    return { ...state, blocked_until_ms: Math.max(state.blocked_until_ms, untilMs) };
  }
  // Waits grow only while every request is refused; one answer shows that the last wait was long enough.
  const strikes = tally.requests > tally.throttled ? 1 : state.strikes + 1;
  const waitMs = Math.max(backoffMs(strikes), Math.min(tally.retryAfterMs ?? 0, LIMITS.retryAfterMsMax));
  return { ...state, strikes, rate: Math.max(RATE_MIN, state.rate / 2), blocked_until_ms: nowMs + waitMs };
}

/** A host that forbids everything, or answers nothing in time, is blocked from the third such call on, longer each time. */
function refusedHost(state: HostState, nowMs: number): HostState {
  const strikes = state.strikes + 1;
  const waitMs = strikes < REFUSALS_MIN ? 0 : backoffMs(strikes);
  const blockedMs = Math.max(state.blocked_until_ms, waitMs === 0 ? 0 : nowMs + waitMs);
  return { ...state, strikes, rate: Math.max(RATE_MIN, state.rate / 2), blocked_until_ms: blockedMs };
}
