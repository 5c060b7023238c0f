import { waitingUntil } from '../../alarm/backoff.ts';
import type { Run } from '../../alarm/run.ts';
import { StepError } from '../../errors.ts';
import { LIMITS, SECOND } from '../../limits.ts';
import type { Change, Page } from '../../ports/change.ts';
import type { Ports } from '../../ports/ports.ts';
import type { EngineSource } from '../../ports/source.ts';
import { type Accepted, appendOrPark, type Outcome } from '../journal/changes.ts';
import type { Journal } from '../journal/journal.ts';
import type { Range, RangeLane } from '../journal/ranges.ts';
import type { Admission } from '../load/admission.ts';
import { ask } from '../load/ask.ts';
import type { SliceLoader } from '../load/slices.ts';

/**
 * A range loads in one run what its rate allows in this time, and at most this many changes: the tail waits for it.
 */
const RANGE_SLICE_MS = 5 * SECOND;
const RANGE_SLICE_CHANGES_MAX = 50;

interface RangeOptions {
  lane: RangeLane;
  ports: Ports;
  source: EngineSource;
  journal: Journal;
  admission: Admission;
  slices: SliceLoader;
  /** Whether the tail has a newer change of the key pending: nothing else of the key may be accepted before it. */
  isPending: (key: string) => boolean;
}

export const RANGE_LANES: RangeLane[] = ['rewind', 'backfill'];

/** The page being worked off, up to the range's end. It lives in memory only: after an eviction it is pulled again. */
interface Pending {
  run: number;
  cursorBefore: string;
  page: Page;
  /** Of each change, its key's newest LSN when the page was pulled. */
  lastLsns: number[];
  done: number;
  /** By index, outcomes of changes that are loaded and not accepted, each with its key's newest LSN from before the load. */
  loaded: Map<number, { outcome: Outcome; lastLsn: number }>;
}

/**
 * Pulls a stretch of the feed while the tail follows its newest end. It counts the changes first, then loads them at the
 * range's pace, one slice a run, so that the tail never waits for more than a slice. Every change is loaded afresh; where
 * its key got a row during the load, it is loaded again before it is accepted.
 */
export class RangePuller {
  readonly lane: RangeLane;
  readonly #options: RangeOptions;
  #pending: Pending | null = null;

  constructor(options: RangeOptions) {
    this.lane = options.lane;
    this.#options = options;
  }

  /** When there is something to do; null when there is not. */
  nextMs(nowMs: number): number | null {
    const range = this.#active();
    return range && waitingUntil(range.next_ms, nowMs, LIMITS.retryAfterMsMax);
  }

  drop(): void {
    this.#pending = null;
  }

  /** Counts one page, or loads one slice. Throws `StepError`; the range is then where it was. */
  async work(run: Run): Promise<void> {
    const range = this.#active();
    const nowMs = this.#options.ports.clock.now();
    if (!range || run.over || this.nextMs(nowMs)! > nowMs) return;
    try {
      if (this.#pending?.run !== range.run || this.#pending.cursorBefore !== range.cursor) this.#pending = null;
      this.#pending ??= await this.#pull(range, run);
      if (range.phase === 'counting') this.#count(range, this.#pending.page);
      else await this.#load(range, this.#pending, run);
    } catch (error) {
      const isWait = error instanceof StepError && error.kind === 'upstream-throttled';
      if (!isWait) {
        this.#pending = null;
        throw error;
      }
      // A host without room is no failure of the range: keep what is loaded and wait, because the tail goes first.
      const waitMs = Math.max(LIMITS.backoffMsMin, Math.min(error.retryAfterMs ?? 0, LIMITS.retryAfterMsMax));
      this.#options.journal.ranges.update(this.lane, { next_ms: this.#options.ports.clock.now() + waitMs });
    }
  }

  #active(): Range | null {
    const range = this.#options.journal.ranges.find(this.#options.lane);
    const isActive = range?.phase === 'counting' || range?.phase === 'loading';
    return range && isActive && range.paused === 0 ? range : null;
  }

  async #pull(range: Range, run: Run): Promise<Pending> {
    const { ports, source, admission } = this.#options;
    const pulled = await ask({
      ports,
      source,
      admission,
      run,
      step: 'pull',
      request: { cursor: range.cursor, poll: 0 },
      ms: LIMITS.pullMsMax,
      subject: `page of the ${range.lane}`,
    });
    const isIn = (cursor: string) => source.compare(cursor, range.to_cursor) <= 0;
    const changes = source.resumable ? withinRange(pulled.changes, isIn) : pulled.changes;
    const isEnd = !isIn(pulled.cursor) || pulled.cursor === range.to_cursor || pulled.atHead;
    const page = { ...pulled, changes, cursor: isEnd ? range.to_cursor : pulled.cursor };
    const lastLsns = changes.map(({ key }) => this.#options.journal.state.lastLsnOf(key));
    return { run: range.run, cursorBefore: range.cursor, page, lastLsns, done: 0, loaded: new Map() };
  }

  /** Adds a page's changes to the count. At the range's end it goes back to the beginning, to load what it counted. */
  #count(range: Range, page: Page): void {
    const { journal, ports } = this.#options;
    this.#pending = null;
    if (!this.#isCurrent(range)) return;
    const counted = range.counted + page.changes.length;
    const isEnd = page.cursor === range.to_cursor;
    const cursor = isEnd ? range.from_cursor : page.cursor;
    const nowMs = ports.clock.now();
    journal.ranges.update(range.lane, {
      counted,
      cursor,
      next_ms: 0,
      paced_ms: nowMs,
      paced_done: 0,
      ...(isEnd ? { phase: 'loading' } : {}),
    });
    if (isEnd && counted === 0) journal.ranges.update(range.lane, { phase: 'done', ended_ms: nowMs });
  }

  async #load(range: Range, pending: Pending, run: Run): Promise<void> {
    const { ports, source, journal, slices } = this.#options;
    const startedMs = ports.clock.now();
    const { page, loaded } = pending;
    const waiting = Array.from(page.changes.keys()).filter(index => index >= pending.done && !loaded.has(index));
    const missing = waiting.slice(0, sliceOf(range));
    if (missing.length > 0) {
      // An older change of a key that was deleted since is loaded as a deletion is.
      for (const index of missing) {
        const change = page.changes[index]!;
        if (journal.isDeletedSince(change)) page.changes[index] = { ...change, deleted: true };
      }
      const changes = missing.map(index => page.changes[index]!);
      const lastLsns = changes.map(({ key }) => journal.state.lastLsnOf(key));
      // Pull the page anew when a key of it got a row: a feed that shows each key once shows it at a later cursor now,
      // perhaps as a deletion.
      if (source.resumable && lastLsns.some((lsn, at) => lsn !== pending.lastLsns[missing[at]!])) {
        this.#pending = null;
        return;
      }
      const { outcomes, waitUntilMs } = await slices.load(changes, { run, afresh: true });
      for (const [at, outcome] of outcomes.entries())
        if (outcome) loaded.set(missing[at]!, { outcome, lastLsn: lastLsns[at]! });
      if (outcomes.every(outcome => outcome === null)) {
        const waitMs = Math.max(LIMITS.backoffMsMin, (waitUntilMs ?? 0) - ports.clock.now());
        throw new StepError('upstream-throttled', `${range.lane}: expected a host with room, got none yet`, waitMs);
      }
    }
    const accepted = this.#ready(pending);
    // Pace by what was loaded now, because some of what is accepted may have been loaded before.
    const nextMs = Math.round(startedMs + (missing.length * 1000) / range.rate);
    const isAll = pending.done + accepted.length === page.changes.length;
    // Accept what is ready; a page that cannot be resumed in the middle only as a whole.
    if (isAll || (source.resumable && accepted.length > 0)) {
      this.#accept(range, pending, { accepted, nextMs });
      return;
    }
    // With nothing left to load, the range waits for the tail.
    const next_ms = missing.length > 0 ? nextMs : startedMs + LIMITS.recoveryMs;
    journal.ranges.update(range.lane, { next_ms });
  }

  /**
   * Loaded changes from the page's front, up to the first one that must wait for the tail, or that must be loaded again
   * because its key got a row since.
   */
  #ready({ page, done, loaded: outcomes }: Pending): Accepted[] {
    const { journal, isPending } = this.#options;
    const accepted: Accepted[] = [];
    for (const [index, change] of page.changes.entries()) {
      if (index < done) continue;
      const loaded = outcomes.get(index);
      if (!loaded || isPending(change.key)) break;
      if (journal.state.lastLsnOf(change.key) !== loaded.lastLsn) {
        outcomes.delete(index);
        break;
      }
      accepted.push({ change, outcome: loaded.outcome });
    }
    return accepted;
  }

  #accept(range: Range, pending: Pending, { accepted, nextMs }: { accepted: Accepted[]; nextMs: number }): void {
    const { ports } = this.#options;
    const { page } = pending;
    if (!this.#isCurrent(range)) return;
    const done = pending.done + accepted.length;
    const isEnd = done === page.changes.length;
    const cursor = isEnd ? page.cursor : (accepted.at(-1)?.change.cursor ?? range.cursor);
    const nowMs = ports.clock.now();
    const isLast = isEnd && cursor === range.to_cursor;
    const patch = { cursor, done: range.done + accepted.length, next_ms: nextMs };
    const ended = isLast ? { phase: 'done' as const, ended_ms: nowMs } : {};
    const { journal } = this.#options;
    appendOrPark(journal, { accepted, nowMs }, taken =>
      journal.appendRange(range, { accepted: taken, patch: { ...patch, ...ended }, nowMs }),
    );
    for (let index = pending.done; index < done; index++) pending.loaded.delete(index);
    pending.done = done;
    pending.cursorBefore = cursor;
    if (isEnd) this.#pending = null;
    ports.log('slice_accepted', {
      source: this.#options.source.id,
      lane: range.lane,
      changes: accepted.length,
      cursor,
    });
  }

  /** Whether the range is still the one that was pulled for: not cancelled, started anew, or moved on by another run. */
  #isCurrent({ lane, run, cursor, phase }: Range): boolean {
    const now = this.#options.journal.ranges.find(lane);
    return now?.run === run && now.cursor === cursor && now.phase === phase;
  }
}

/** The changes of a page within a range. The last one of a key is loaded, also where a later one outside would have been. */
function withinRange(changes: Change[], isIn: (cursor: string) => boolean): Change[] {
  const within = changes.filter(({ cursor }) => isIn(cursor));
  if (within.length === changes.length) return within;
  const lastOf = new Map(within.map(change => [change.key, change]));
  return within.map(change =>
    change.skip === 'coalesced' && lastOf.get(change.key) === change ? { ...change, skip: null } : change,
  );
}

function sliceOf({ rate }: Range): number {
  return Math.max(1, Math.min(RANGE_SLICE_CHANGES_MAX, Math.floor((rate * RANGE_SLICE_MS) / 1000)));
}
