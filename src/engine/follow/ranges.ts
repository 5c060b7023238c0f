import { waitingUntil } from '../../alarm/backoff.ts';
import type { Run } from '../../alarm/run.ts';
import { LIMITS } from '../../config.ts';
import { StepError } from '../../errors.ts';
import type { Page } from '../../ports/change.ts';
import type { Ports } from '../../ports/ports.ts';
import type { EngineSource } from '../../ports/source.ts';
import { type Accepted, appendTaken, type Outcome } from '../journal/changes.ts';
import type { Journal } from '../journal/journal.ts';
import type { Range, RangeLane } from '../journal/ranges.ts';
import type { Admission } from '../load/admission.ts';
import { failureError } from '../load/ask.ts';
import type { SliceLoader } from '../load/slices.ts';

interface Parts {
  lane: RangeLane;
  ports: Ports;
  source: EngineSource;
  journal: Journal;
  admission: Admission;
  slices: SliceLoader;
  /** A newer change of the key is at hand in the tail: nothing else of it may come in before. */
  isExpected: (key: string) => boolean;
}

export const RANGE_LANES: RangeLane[] = ['rewind', 'backfill'];

/** A page at hand, up to the range's end. Lives in memory only: after an eviction it is pulled again. */
interface Pending {
  run: number;
  cursorBefore: string;
  page: Page;
  /** Of each change, its key's newest LSN when the page was pulled. */
  lastLsns: number[];
  done: number;
  /** Outcomes of changes that are loaded and not accepted yet, each with its key's newest LSN from before. */
  ahead: Map<number, { outcome: Outcome; lastLsn: number }>;
}

/**
 * Pulls a stretch of the feed beside the tail: counts its changes first, then loads them at a pace of its own, one
 * slice a run, so that the tail never waits for more than that. What comes is loaded afresh, and stays out where its
 * key got a row meanwhile until it is loaded again.
 */
export class RangePuller {
  readonly lane: RangeLane;
  readonly #parts: Parts;
  #pending: Pending | null = null;

  constructor(parts: Parts) {
    this.lane = parts.lane;
    this.#parts = parts;
  }

  /** When there is something to do; null when there is not. */
  nextMs(nowMs: number): number | null {
    const range = this.#active();
    return range && waitingUntil(range.next_ms, nowMs, LIMITS.retryAfterMsMax);
  }

  drop(): void {
    this.#pending = null;
  }

  /** Counts one page, or loads one slice. Throws `StepError`; the range then stands where it stood. */
  async work(run: Run): Promise<void> {
    const range = this.#active();
    const nowMs = this.#parts.ports.clock.now();
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
      // A host without room for it is no failure of a range: what was loaded waits, the tail goes first.
      const waitMs = Math.max(LIMITS.backoffMsMin, Math.min(error.retryAfterMs ?? 0, LIMITS.retryAfterMsMax));
      this.#parts.journal.ranges.update(this.lane, { next_ms: this.#parts.ports.clock.now() + waitMs });
    }
  }

  #active(): Range | null {
    const range = this.#parts.journal.ranges.find(this.#parts.lane);
    const isActive = range?.phase === 'counting' || range?.phase === 'loading';
    return range && isActive && range.paused === 0 ? range : null;
  }

  async #pull(range: Range, run: Run): Promise<Pending> {
    const { ports, source, admission } = this.#parts;
    const nowMs = ports.clock.now();
    const permits = admission.takeAll(source.requests('pull', []), nowMs);
    const answer = await run.call(() => ports.load.pull({ cursor: range.cursor, poll: 0 }, permits), {
      ms: LIMITS.pullMsMax,
      subject: `page of the ${range.lane}`,
    });
    admission.learn(answer.hosts, ports.clock.now());
    if (!answer.ok) throw failureError(answer.failure);
    const pulled = answer.value;
    const isIn = (cursor: string) => source.compare(cursor, range.to_cursor) <= 0;
    const changes = source.resumable ? pulled.changes.filter(({ cursor }) => isIn(cursor)) : pulled.changes;
    const isEnd = !isIn(pulled.cursor) || pulled.cursor === range.to_cursor || pulled.atHead;
    const page = { ...pulled, changes, cursor: isEnd ? range.to_cursor : pulled.cursor };
    const lastLsns = changes.map(({ key }) => this.#parts.journal.state.lastLsnOf(key));
    return { run: range.run, cursorBefore: range.cursor, page, lastLsns, done: 0, ahead: new Map() };
  }

  /** Only the number of changes is kept; at the range's end it starts anew, to be loaded. */
  #count(range: Range, page: Page): void {
    const { journal, ports } = this.#parts;
    this.#pending = null;
    if (!this.#stands(range)) return;
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
    const { ports, source, journal, slices } = this.#parts;
    const startedMs = ports.clock.now();
    const { page, ahead } = pending;
    const waiting = Array.from(page.changes.keys()).filter(index => index >= pending.done && !ahead.has(index));
    const missing = waiting.slice(0, sliceOf(range));
    if (missing.length > 0) {
      const changes = missing.map(index => page.changes[index]!);
      const lastLsns = changes.map(({ key }) => journal.state.lastLsnOf(key));
      // A feed that shows each key once shows it elsewhere by now, perhaps as a deletion, and the tail has been there.
      if (source.resumable && lastLsns.some((lsn, at) => lsn !== pending.lastLsns[missing[at]!])) {
        this.#pending = null;
        return;
      }
      const { outcomes, waitUntilMs } = await slices.load(changes, { run, afresh: true });
      for (const [at, outcome] of outcomes.entries())
        if (outcome) ahead.set(missing[at]!, { outcome, lastLsn: lastLsns[at]! });
      if (outcomes.every(outcome => outcome === null)) {
        const waitMs = Math.max(LIMITS.backoffMsMin, (waitUntilMs ?? 0) - ports.clock.now());
        throw new StepError('upstream-throttled', `${range.lane}: expected room to ask, got none yet`, waitMs);
      }
    }
    const accepted = this.#ready(pending);
    // Paced by what was loaded now: some of what comes in may have been loaded before.
    const nextMs = Math.round(startedMs + (missing.length * 1000) / range.rate);
    const isAll = pending.done + accepted.length === page.changes.length;
    // A page whose changes are no places to resume from comes in as a whole.
    if (isAll || (source.resumable && accepted.length > 0)) {
      this.#accept(range, pending, { accepted, nextMs });
      return;
    }
    // Where nothing was left to load, the tail is what is waited for.
    const next_ms = missing.length > 0 ? nextMs : startedMs + LIMITS.recoveryMs;
    journal.ranges.update(range.lane, { next_ms });
  }

  /** Loaded changes from where the page stands; what got a row since, or is expected by the tail, is loaded again. */
  #ready({ page, done, ahead }: Pending): Accepted[] {
    const { journal, isExpected } = this.#parts;
    const accepted: Accepted[] = [];
    for (const [index, change] of page.changes.entries()) {
      if (index < done) continue;
      const loaded = ahead.get(index);
      if (!loaded || isExpected(change.key)) break;
      if (journal.state.lastLsnOf(change.key) !== loaded.lastLsn) {
        ahead.delete(index);
        break;
      }
      accepted.push({ change, outcome: loaded.outcome });
    }
    return accepted;
  }

  #accept(range: Range, pending: Pending, { accepted, nextMs }: { accepted: Accepted[]; nextMs: number }): void {
    const { ports } = this.#parts;
    const { page } = pending;
    if (!this.#stands(range)) return;
    const done = pending.done + accepted.length;
    const isEnd = done === page.changes.length;
    const cursor = isEnd ? page.cursor : (accepted.at(-1)?.change.cursor ?? range.cursor);
    const nowMs = ports.clock.now();
    const isLast = isEnd && cursor === range.to_cursor;
    const patch = { cursor, done: range.done + accepted.length, next_ms: nextMs };
    const ended = isLast ? { phase: 'done' as const, ended_ms: nowMs } : {};
    const { journal } = this.#parts;
    appendTaken(journal, { accepted, nowMs }, taken =>
      journal.appendRange(range, { accepted: taken, patch: { ...patch, ...ended }, nowMs }),
    );
    for (let index = pending.done; index < done; index++) pending.ahead.delete(index);
    pending.done = done;
    pending.cursorBefore = cursor;
    if (isEnd) this.#pending = null;
    ports.log('slice_accepted', { source: this.#parts.source.id, lane: range.lane, changes: accepted.length, cursor });
  }

  /** The range is still the one that was pulled from: not cancelled, started anew or moved on by another run. */
  #stands({ lane, run, cursor, phase }: Range): boolean {
    const now = this.#parts.journal.ranges.find(lane);
    return now?.run === run && now.cursor === cursor && now.phase === phase;
  }
}

function sliceOf({ rate }: Range): number {
  return Math.max(1, Math.min(LIMITS.rangeSliceChangesMax, Math.floor((rate * LIMITS.rangeSliceMs) / 1000)));
}
