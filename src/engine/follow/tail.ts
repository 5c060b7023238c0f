import { waitingUntil } from '../../alarm/backoff.ts';
import type { Run } from '../../alarm/run.ts';
import { StepError } from '../../errors.ts';
import { LIMITS, MINUTE } from '../../limits.ts';
import type { Page } from '../../ports/change.ts';
import type { Ports } from '../../ports/ports.ts';
import type { EngineSource } from '../../ports/source.ts';
import { type Accepted, type Append, appendOrPark, type Outcome, TAIL } from '../journal/changes.ts';
import type { Journal } from '../journal/journal.ts';
import type { Lane } from '../journal/state.ts';
import type { Admission } from '../load/admission.ts';
import { ask } from '../load/ask.ts';
import type { SliceLoader } from '../load/slices.ts';
import { splitSettled, type Unsettled } from './settling.ts';

/** The engine works through a page in slices: one append, one SQLite transaction, and what a crash loses at most. */
export const SLICE_CHANGES_MAX = 200;
/** A head below the cursor is a sequence reset after this many readings over at least this time. */
const RESET_READINGS = 3;
const RESET_MS = 15 * MINUTE;

/** Characters of the changes that are noted as waiting: four bytes each are less than SQLite's 2 MB for a value. */
const UNSETTLED_LENGTH_MAX = 500_000;

/** The page being worked off. It lives in memory only: after an eviction it is pulled again, or read back from the lane. */
interface Pending {
  page: Page;
  cursorBefore: string;
  /** Changes that are accepted, or staged, already. */
  done: number;
  /** By index, outcomes of changes that were loaded before an earlier change was. */
  loaded: Map<number, Outcome>;
  /** How many changes of the pulled page wait for their settle time, and when the first one may be loaded. */
  unsettled: { changes: number; nextMs: number } | null;
}

interface TailOptions {
  ports: Ports;
  source: EngineSource;
  journal: Journal;
  admission: Admission;
  slices: SliceLoader;
  /** Called with the keys of a page before any of its changes is accepted. */
  onPulled: (keys: string[]) => void;
}

/** Follows the newest end of a feed: pulls a page and works it off slice by slice, each slice in one append. */
export class Tail {
  readonly #options: TailOptions;
  readonly #ports: Ports;
  readonly #source: EngineSource;
  readonly #journal: Journal;
  #pending: Pending | null = null;

  constructor(options: TailOptions) {
    this.#options = options;
    this.#ports = options.ports;
    this.#source = options.source;
    this.#journal = options.journal;
  }

  /** Goes on until the head, the end of the run, or `isDone`. Throws `StepError`; the cursor is then where it was. */
  async follow(run: Run, isDone: () => Promise<boolean>): Promise<void> {
    try {
      // Begin where the source begins.
      if (this.#lane().cursor === null) await this.#start(run);
      while (!(await isDone()) && !run.over) {
        // Pull the next page.
        this.#pending ??= await this.#nextPage(run);
        if (!this.#pending) return;
        // Load and append it, slice by slice.
        await this.#workOff(this.#pending, run, isDone);
      }
    } catch (error) {
      // Keep what is loaded when a host asked us to wait, so that it is not asked for again; else pull the page anew.
      if (!(error instanceof StepError && error.kind === 'upstream-throttled')) this.#pending = null;
      throw error;
    }
  }

  /** Forgets the pending page; the next run pulls it, or reads it back, again. */
  drop(): void {
    this.#pending = null;
  }

  /** Whether the pending page holds a change of this key that is not accepted yet; its document may be loaded already. */
  isPending(key: string): boolean {
    this.#pending ??= this.#storedPage(this.#lane());
    if (!this.#pending) return false;
    const { page, done } = this.#pending;
    // Staged changes are not accepted either: their page is accepted as a whole.
    return page.changes.slice(this.#source.resumable ? done : 0).some(change => change.key === key);
  }

  /** When there is something to do again: now while a page is pending. */
  nextMs(nowMs: number): number {
    const lane = this.#lane();
    if (this.#pending || lane.cursor === null || lane.page) return nowMs;
    return waitingUntil(lane.next_pull_ms, nowMs, Math.max(this.#source.pollMs, this.#source.settleMs));
  }

  #lane(): Lane {
    return this.#journal.state.lane(TAIL);
  }

  async #start(run: Run): Promise<void> {
    const cursor = await ask({
      ...this.#options,
      run,
      step: 'start',
      request: {},
      ms: LIMITS.pullMsMax,
      subject: 'start cursor',
    });
    this.#journal.state.updateLane(TAIL, { cursor, first_cursor: cursor, page_accepted_ms: this.#ports.clock.now() });
  }

  async #nextPage(run: Run): Promise<Pending | null> {
    const lane = this.#lane();
    const cursorBefore = lane.cursor!;
    // Go on with a page that was stored because it cannot be pulled again.
    const stored = this.#storedPage(lane);
    if (stored) return stored;
    // Wait until the next pull is due.
    const nowMs = this.#ports.clock.now();
    if (this.nextMs(nowMs) > nowMs) return null;
    // Pull, and count the pull before it is made.
    this.#journal.state.updateLane(TAIL, { polls: lane.polls + 1 });
    const page = await ask({
      ...this.#options,
      run,
      step: 'pull',
      request: { cursor: cursorBefore, poll: lane.polls },
      ms: LIMITS.pullMsMax,
      subject: 'page',
    });
    this.#checkReset(lane, page);
    this.#options.onPulled(page.changes.map(({ key }) => key));
    // Note the head, and whether this pull reached it.
    const hasReached = page.atHead && (page.changes.length > 0 || !this.#isHeadAhead(page));
    this.#journal.state.updateLane(TAIL, {
      head: page.head ?? lane.head,
      at_head: page.atHead ? 1 : 0,
      ...(hasReached ? { reached_head_ms: nowMs, head_poll: lane.polls } : {}),
    });
    // Hold back what has not settled.
    return this.#settledPart(lane, page, cursorBefore);
  }

  /** The page that was stored for staging, with what was in memory forgotten; null when none is stored. */
  #storedPage({ page, page_done, cursor }: Lane): Pending | null {
    if (!page) return null;
    const stored = JSON.parse(this.#ports.encode.unpack(page)) as Page;
    return { page: stored, cursorBefore: cursor!, done: page_done, loaded: new Map(), unsettled: null };
  }

  /** The part of a page at the head whose changes have settled; null when none has. */
  #settledPart(lane: Lane, page: Page, cursorBefore: string): Pending | null {
    const pending: Pending = { page, cursorBefore, done: 0, loaded: new Map(), unsettled: null };
    const { settleMs, resumable } = this.#source;
    if (settleMs === 0 || !resumable || !page.atHead) return this.#storePage(pending);
    const nowMs = this.#ports.clock.now();
    const waiting = JSON.parse(lane.unsettled ?? '[]') as Unsettled[];
    const { settled, unsettled, nextMs } = splitSettled(page.changes, { waiting, nowMs, settleMs });
    this.#journal.state.updateLane(TAIL, { unsettled: unsettledText(unsettled) });
    if (nextMs === null) return pending;
    const rest = { changes: unsettled.length, nextMs };
    const last = settled.at(-1);
    if (last) return { ...pending, page: { ...page, changes: settled, cursor: last.cursor }, unsettled: rest };
    this.#waitForUnsettled(rest);
    return null;
  }

  #waitForUnsettled({ changes, nextMs }: NonNullable<Pending['unsettled']>): void {
    const nextPollMs = this.#ports.clock.now() + this.#source.pollMs;
    this.#journal.state.updateLane(TAIL, { lag_changes: changes, next_pull_ms: Math.min(nextMs, nextPollMs) });
  }

  /**
   * When a source cannot resume in the middle of a page, stores the page until all its slices are appended, because a
   * second pull could return a different page.
   */
  #storePage(pending: Pending): Pending {
    if (!this.#source.resumable && pending.page.changes.length > 0) {
      const page = this.#ports.encode.pack(JSON.stringify(pending.page));
      this.#journal.state.updateLane(TAIL, { page, page_done: 0 });
    }
    return pending;
  }

  async #workOff(pending: Pending, run: Run, isDone: () => Promise<boolean>): Promise<void> {
    const { page } = pending;
    while (pending.done < page.changes.length) {
      if ((await isDone()) || run.over) return;
      // Load as many changes from the page's front as a slice may have.
      const accepted = await this.#nextSlice(pending, run);
      // Append them; SQLite refuses no slice for the sake of one row.
      const { done } = pending;
      const isLast = done + accepted.length === page.changes.length;
      const cursorAfter = isLast ? page.cursor : accepted.at(-1)!.change.cursor;
      appendOrPark(this.#journal, { accepted, nowMs: this.#ports.clock.now() }, taken =>
        this.#append(pending, taken, cursorAfter),
      );
      await run.keepArmed();
    }
    // A page without changes may move the cursor too.
    const hasMoved = page.cursor !== pending.cursorBefore;
    if (page.changes.length === 0 && hasMoved) this.#append(pending, [], page.cursor);
    this.#finishPage(pending, hasMoved || page.changes.length > 0);
    this.#pending = null;
  }

  /** The longest run of loaded changes from the page's front, within a slice's limits. */
  async #nextSlice(pending: Pending, run: Run): Promise<Accepted[]> {
    const { page, done, loaded } = pending;
    // Load the changes of the slice that are not loaded yet.
    const changes = page.changes.slice(done, done + SLICE_CHANGES_MAX);
    const missing = changes.flatMap((_, index) => (loaded.has(done + index) ? [] : [index]));
    const loading = missing.map(index => changes[index]!);
    const { outcomes, waitUntilMs } =
      loading.length === 0
        ? { outcomes: [], waitUntilMs: null }
        : await this.#options.slices.load(loading, { run, afresh: false });
    for (const [position, outcome] of outcomes.entries()) if (outcome) loaded.set(done + missing[position]!, outcome);
    // Take them up to the first one without an outcome, because the cursor must not pass it.
    const accepted: Accepted[] = [];
    for (const [index, change] of changes.entries()) {
      const outcome = loaded.get(done + index);
      if (!outcome) break;
      accepted.push({ change, outcome });
    }
    if (accepted.length > 0) return accepted;
    // Where the first one has none, wait as long as its hosts say.
    const nowMs = this.#ports.clock.now();
    const blockedMs = this.#options.admission.blockedMs(this.#source.requests('load', [changes[0]!]), nowMs);
    const retryAfterMs = Math.max(blockedMs, waitUntilMs === null ? 0 : waitUntilMs - nowMs);
    if (retryAfterMs > 0)
      throw new StepError('upstream-throttled', 'documents: expected a host with room, got none yet', retryAfterMs);
    throw new StepError('deadline', `slice of ${changes.length} changes: expected at least one loaded, got none`);
  }

  #append(pending: Pending, accepted: Accepted[], cursorAfter: string): void {
    const { page, cursorBefore } = pending;
    const nowMs = this.#ports.clock.now();
    const append: Append = { lane: TAIL, cursorBefore, cursorAfter, accepted, nowMs };
    const done = pending.done + accepted.length;
    // Where changes are resume points each slice is accepted at once; elsewhere slices are staged until the last one.
    const isAppended = this.#source.resumable
      ? this.#journal.append(append)
      : done === page.changes.length
        ? this.#journal.appendStaged(append)
        : this.#journal.stage({ slice: pending.done, done, append });
    if (!isAppended)
      throw new StepError('internal', `slice: expected cursor ${cursorBefore}, got ${this.#lane().cursor}`);
    for (let index = pending.done; index < done; index++) pending.loaded.delete(index);
    pending.done = done;
    if (this.#source.resumable) pending.cursorBefore = cursorAfter;
    const rows = accepted.reduce((sum, { outcome }) => sum + (outcome.kind === 'rows' ? outcome.rows.length : 0), 0);
    const parked = accepted.filter(({ outcome }) => outcome.kind === 'park').length;
    const facts = { changes: accepted.length, rows, parked, cursor: cursorAfter };
    this.#ports.log('slice_accepted', { source: this.#source.id, ...facts });
  }

  #finishPage({ page, unsettled }: Pending, hasMoved: boolean): void {
    const nowMs = this.#ports.clock.now();
    // An empty page while the head is ahead of us is no progress, however often it is answered.
    const isProgress = hasMoved || !this.#isHeadAhead(page);
    this.#journal.state.updateLane(TAIL, {
      ...(isProgress ? { page_accepted_ms: nowMs } : {}),
      lag_changes: page.atHead && isProgress ? 0 : null,
      next_pull_ms: page.atHead ? nowMs + this.#source.pollMs : 0,
    });
    if (unsettled) this.#waitForUnsettled(unsettled);
  }

  #isHeadAhead({ head, cursor }: Page): boolean {
    return head !== null && this.#source.compare(head, cursor) > 0;
  }

  /** A feed that was reset shows heads below our cursor. One such answer may be a stale one, several over time are not. */
  #checkReset(lane: Lane, page: Page): void {
    const nowMs = this.#ports.clock.now();
    if (!page.belowCursor) {
      if (lane.reset_readings > 0) this.#journal.state.updateLane(TAIL, { reset_readings: 0, reset_first_ms: null });
      return;
    }
    const reset_readings = lane.reset_readings + 1;
    const reset_first_ms = lane.reset_first_ms ?? nowMs;
    this.#journal.state.updateLane(TAIL, { reset_readings, reset_first_ms });
    const isReset = reset_readings >= RESET_READINGS && nowMs - reset_first_ms >= RESET_MS;
    const message = `head: expected at least the cursor ${lane.cursor}, got ${page.head ?? page.cursor} (reading ${reset_readings})`;
    if (isReset) throw new StepError('sequence-reset', message);
    throw new StepError('upstream-shape', message, RESET_MS / (RESET_READINGS - 1));
  }
}

/** The first of the changes that wait, as JSON; those behind them are noted when they are first. Null for none. */
function unsettledText(unsettled: Unsettled[]): string | null {
  const texts: string[] = [];
  let length = 0;
  for (const one of unsettled) {
    const text = JSON.stringify(one);
    length += text.length + 1;
    if (length > UNSETTLED_LENGTH_MAX) break;
    texts.push(text);
  }
  return texts.length > 0 ? `[${texts.join(',')}]` : null;
}
