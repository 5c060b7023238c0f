import { waitingUntil } from '../../alarm/backoff.ts';
import type { Run } from '../../alarm/run.ts';
import { LIMITS } from '../../config.ts';
import { StepError } from '../../errors.ts';
import type { Page } from '../../ports/change.ts';
import type { EncodePort } from '../../ports/data-file.ts';
import type { Permit } from '../../ports/hosts.ts';
import type { Answer } from '../../ports/loader.ts';
import type { Ports } from '../../ports/ports.ts';
import type { EngineSource } from '../../ports/source.ts';
import { type Accepted, type Append, type Outcome, refusedRows, TAIL } from '../journal/changes.ts';
import type { Journal } from '../journal/journal.ts';
import type { Lane } from '../journal/state.ts';
import type { Admission } from '../load/admission.ts';
import { failureError } from '../load/ask.ts';
import type { SliceLoader } from '../load/slices.ts';
import { type Held, partPage } from './settling.ts';

/** A page being worked off. Lives in memory only: pulled again after an eviction, or read back where it is kept. */
interface Pending {
  page: Page;
  cursorBefore: string;
  /** Changes accepted (or staged) already. */
  done: number;
  /** Outcomes of changes loaded before an earlier one was. */
  ahead: Map<number, Outcome>;
  /** The changes that have not settled yet, and when the first of them has. */
  rest: { changes: number; ripeMs: number } | null;
}

interface Parts {
  ports: Ports;
  source: EngineSource;
  journal: Journal;
  admission: Admission;
  slices: SliceLoader;
  /** Told of the keys whose changes a page shows, before any is accepted. */
  onShown: (keys: string[]) => void;
}

/** Follows the newest end of a feed: pull a page, work it off slice by slice, each slice one append. */
export class Tail {
  readonly #ports: Ports;
  readonly #source: EngineSource;
  readonly #journal: Journal;
  readonly #admission: Admission;
  readonly #slices: SliceLoader;
  readonly #encode: EncodePort;
  readonly #onShown: (keys: string[]) => void;
  #pending: Pending | null = null;

  constructor({ ports, source, journal, admission, slices, onShown }: Parts) {
    this.#ports = ports;
    this.#source = source;
    this.#journal = journal;
    this.#admission = admission;
    this.#slices = slices;
    this.#encode = ports.encode;
    this.#onShown = onShown;
  }

  /** Goes on until the head, the run's end, or `enough`. Throws `StepError`; the cursor then stands where it stood. */
  async follow(run: Run, enough: () => Promise<boolean>): Promise<void> {
    try {
      if (this.#lane().cursor === null) await this.#start(run);
      while (!(await enough()) && !run.over) {
        this.#pending ??= await this.#nextPage(run);
        if (!this.#pending) return;
        await this.#workOff(this.#pending, run, enough);
      }
    } catch (error) {
      // What was loaded before its host said "wait" is not asked for again.
      if (!(error instanceof StepError && error.kind === 'upstream-throttled')) this.#pending = null;
      throw error;
    }
  }

  /** Forgets the page at hand; it is pulled, or read back, again. */
  drop(): void {
    this.#pending = null;
  }

  /** A change of this key is in the page at hand and not accepted yet; its document may be loaded already. */
  expects(key: string): boolean {
    this.#pending ??= this.#kept(this.#lane());
    if (!this.#pending) return false;
    const { page, done } = this.#pending;
    // What is staged of a page that comes in as a whole is not accepted either.
    return page.changes.slice(this.#source.resumable ? done : 0).some(change => change.key === key);
  }

  /** When there is something to do again: now while a page is being worked off. */
  nextMs(nowMs: number): number {
    const lane = this.#lane();
    if (this.#pending || lane.cursor === null || lane.page) return nowMs;
    return waitingUntil(lane.next_pull_ms, nowMs, Math.max(this.#source.pollMs, this.#source.settleMs));
  }

  #lane(): Lane {
    return this.#journal.state.lane(TAIL);
  }

  async #start(run: Run): Promise<void> {
    const permits = this.#permits();
    const answer = await run.call(() => this.#ports.load.start(permits), {
      ms: LIMITS.pullMsMax,
      subject: 'start cursor',
    });
    const cursor = this.#valueOf(answer);
    this.#journal.state.updateLane(TAIL, { cursor, first_cursor: cursor, page_accepted_ms: this.#ports.clock.now() });
  }

  async #nextPage(run: Run): Promise<Pending | null> {
    const lane = this.#lane();
    const cursorBefore = lane.cursor!;
    const kept = this.#kept(lane);
    if (kept) return kept;
    const nowMs = this.#ports.clock.now();
    if (this.nextMs(nowMs) > nowMs) return null;
    this.#journal.state.updateLane(TAIL, { polls: lane.polls + 1 });
    const permits = this.#permits();
    const request = { cursor: cursorBefore, poll: lane.polls };
    const answer = await run.call(() => this.#ports.load.pull(request, permits), {
      ms: LIMITS.pullMsMax,
      subject: 'page',
    });
    const page = this.#valueOf(answer);
    this.#checkReset(lane, page);
    this.#onShown(page.changes.map(({ key }) => key));
    const reached = page.atHead && (page.changes.length > 0 || !this.#isHeadAhead(page));
    this.#journal.state.updateLane(TAIL, {
      head: page.head ?? lane.head,
      at_head: page.atHead ? 1 : 0,
      ...(reached ? { reached_head_ms: nowMs, shown_poll: lane.polls } : {}),
    });
    return this.#settling(lane, page, cursorBefore);
  }

  /** The page that was being staged, as far as it is known without what was in memory. */
  #kept({ page, page_done, cursor }: Lane): Pending | null {
    if (!page) return null;
    const known = JSON.parse(this.#encode.unpack(page)) as Page;
    return { page: known, cursorBefore: cursor!, done: page_done, ahead: new Map(), rest: null };
  }

  /** At the head, lets through only what has settled; null when that is nothing. */
  #settling(lane: Lane, page: Page, cursorBefore: string): Pending | null {
    const pending: Pending = { page, cursorBefore, done: 0, ahead: new Map(), rest: null };
    const { settleMs, resumable } = this.#source;
    if (settleMs === 0 || !resumable || !page.atHead) return this.#keep(pending);
    const nowMs = this.#ports.clock.now();
    const before = JSON.parse(lane.held ?? '[]') as Held[];
    const { through, held, ripeMs } = partPage(page.changes, { held: before, nowMs, settleMs });
    this.#journal.state.updateLane(TAIL, { held: held.length > 0 ? JSON.stringify(held) : null });
    if (ripeMs === null) return pending;
    const rest = { changes: held.length, ripeMs };
    if (through.length > 0) {
      return { ...pending, page: { ...page, changes: through, cursor: through.at(-1)!.cursor }, rest };
    }
    this.#waitForRest(rest);
    return null;
  }

  #waitForRest({ changes, ripeMs }: NonNullable<Pending['rest']>): void {
    const nextPollMs = this.#ports.clock.now() + this.#source.pollMs;
    this.#journal.state.updateLane(TAIL, { lag_changes: changes, next_pull_ms: Math.min(ripeMs, nextPollMs) });
  }

  /** A page of several slices that is no chain of resume points is kept until its last slice: it must not be pulled anew. */
  #keep(pending: Pending): Pending {
    if (!this.#source.resumable && pending.page.changes.length > 0) {
      const page = this.#encode.pack(JSON.stringify(pending.page));
      this.#journal.state.updateLane(TAIL, { page, page_done: 0 });
    }
    return pending;
  }

  async #workOff(pending: Pending, run: Run, enough: () => Promise<boolean>): Promise<void> {
    const { page } = pending;
    while (pending.done < page.changes.length) {
      if ((await enough()) || run.over) return;
      const accepted = await this.#nextSlice(pending, run);
      this.#letIn(pending, accepted);
      await run.keepArmed();
    }
    const hasMoved = page.cursor !== pending.cursorBefore;
    if (page.changes.length === 0 && hasMoved) this.#append(pending, [], page.cursor);
    this.#finishPage(pending, hasMoved || page.changes.length > 0);
    this.#pending = null;
  }

  /** The longest run of loaded changes from where the page stands, within a slice's limits. */
  async #nextSlice(pending: Pending, run: Run): Promise<Accepted[]> {
    const { page, done, ahead } = pending;
    const changes = page.changes.slice(done, done + LIMITS.sliceChangesMax);
    const missing = changes.flatMap((_, index) => (ahead.has(done + index) ? [] : [index]));
    const loading = missing.map(index => changes[index]!);
    const { outcomes, waitUntilMs } =
      loading.length === 0
        ? { outcomes: [], waitUntilMs: null }
        : await this.#slices.load(loading, { run, afresh: false });
    for (const [position, outcome] of outcomes.entries()) if (outcome) ahead.set(done + missing[position]!, outcome);
    const accepted: Accepted[] = [];
    for (const [index, change] of changes.entries()) {
      const outcome = ahead.get(done + index);
      if (!outcome) break;
      accepted.push({ change, outcome });
    }
    if (accepted.length > 0) return accepted;
    const nowMs = this.#ports.clock.now();
    const hostWaitMs = this.#admission.blockedMs(this.#source.requests('load', [changes[0]!]), nowMs);
    const retryAfterMs = Math.max(hostWaitMs, waitUntilMs === null ? 0 : waitUntilMs - nowMs);
    if (retryAfterMs > 0)
      throw new StepError('upstream-throttled', 'its documents: expected room to ask, got none yet', retryAfterMs);
    throw new StepError('deadline', `slice of ${changes.length} changes: expected at least one loaded, got none`);
  }

  /** Appends; what SQLite refuses is halved until the one change it refuses stands alone, and is parked. */
  #letIn(pending: Pending, accepted: Accepted[]): void {
    const { page, done } = pending;
    const isLast = done + accepted.length === page.changes.length;
    const cursorAfter = isLast ? page.cursor : accepted.at(-1)!.change.cursor;
    try {
      this.#append(pending, accepted, cursorAfter);
    } catch (error) {
      if (accepted.length === 1) {
        const [{ change, outcome }] = accepted as [Accepted];
        if (outcome.kind === 'park') throw error;
        this.#letIn(pending, [{ change, outcome: refusedRows(error) }]);
        return;
      }
      const half = Math.ceil(accepted.length / 2);
      this.#letIn(pending, accepted.slice(0, half));
      this.#letIn(pending, accepted.slice(half));
    }
  }

  #append(pending: Pending, accepted: Accepted[], cursorAfter: string): void {
    const { page, cursorBefore } = pending;
    const nowMs = this.#ports.clock.now();
    const append: Append = { lane: TAIL, cursorBefore, cursorAfter, accepted, nowMs };
    const done = pending.done + accepted.length;
    const isIn = this.#source.resumable
      ? this.#journal.append(append)
      : done === page.changes.length
        ? this.#journal.appendStaged(append)
        : this.#journal.stage({ slice: pending.done, done, append });
    if (!isIn) throw new StepError('internal', `slice: expected cursor ${cursorBefore}, got ${this.#lane().cursor}`);
    for (let index = pending.done; index < done; index++) pending.ahead.delete(index);
    pending.done = done;
    if (this.#source.resumable) pending.cursorBefore = cursorAfter;
    const rows = accepted.reduce((sum, { outcome }) => sum + (outcome.kind === 'rows' ? outcome.rows.length : 0), 0);
    const parked = accepted.filter(({ outcome }) => outcome.kind === 'park').length;
    const told = { changes: accepted.length, rows, parked, cursor: cursorAfter };
    this.#ports.log('slice_accepted', { source: this.#source.id, ...told });
  }

  #finishPage({ page, rest }: Pending, hasMoved: boolean): void {
    const nowMs = this.#ports.clock.now();
    // A page that brings nothing while the head is ahead is no progress, however often it is answered.
    const isAccepted = hasMoved || !this.#isHeadAhead(page);
    this.#journal.state.updateLane(TAIL, {
      ...(isAccepted ? { page_accepted_ms: nowMs } : {}),
      lag_changes: page.atHead && isAccepted ? 0 : null,
      next_pull_ms: page.atHead ? nowMs + this.#source.pollMs : 0,
    });
    if (rest) this.#waitForRest(rest);
  }

  #isHeadAhead({ head, cursor }: Page): boolean {
    return head !== null && this.#source.compare(head, cursor) > 0;
  }

  /** A feed that counts anew shows heads below our cursor; one reading may be an old answer, several are not. */
  #checkReset(lane: Lane, page: Page): void {
    const nowMs = this.#ports.clock.now();
    if (!page.belowCursor) {
      if (lane.reset_readings > 0) this.#journal.state.updateLane(TAIL, { reset_readings: 0, reset_first_ms: null });
      return;
    }
    const reset_readings = lane.reset_readings + 1;
    const reset_first_ms = lane.reset_first_ms ?? nowMs;
    this.#journal.state.updateLane(TAIL, { reset_readings, reset_first_ms });
    const isReset = reset_readings >= LIMITS.resetReadings && nowMs - reset_first_ms >= LIMITS.resetMs;
    const message = `head: expected at least the cursor ${lane.cursor}, got ${page.head ?? page.cursor} (reading ${reset_readings})`;
    if (isReset) throw new StepError('sequence-reset', message);
    throw new StepError('upstream-shape', message, LIMITS.resetMs / (LIMITS.resetReadings - 1));
  }

  #permits(): Permit[] {
    return this.#admission.takeAll(this.#source.requests('pull', []), this.#ports.clock.now());
  }

  #valueOf<T>(answer: Answer<T>): T {
    this.#admission.learn(answer.hosts, this.#ports.clock.now());
    if (!answer.ok) throw failureError(answer.failure);
    return answer.value;
  }
}
