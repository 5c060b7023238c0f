import { waitingUntil } from '../../alarm/backoff.ts';
import type { Run } from '../../alarm/run.ts';
import type { Steps } from '../../alarm/steps.ts';
import { messageOf, StepError } from '../../errors.ts';
import { LIMITS, MINUTE, SECOND } from '../../limits.ts';
import type { Change } from '../../ports/change.ts';
import type { Ports } from '../../ports/ports.ts';
import type { EngineSource } from '../../ports/source.ts';
import { agendaOf, type JournalAgenda } from '../journal/agenda.ts';
import { type Accepted, appendOrPark, TAIL } from '../journal/changes.ts';
import type { Journal } from '../journal/journal.ts';
import type { Lane } from '../journal/state.ts';
import type { Admission } from '../load/admission.ts';
import { ask } from '../load/ask.ts';
import type { SliceLoader } from '../load/slices.ts';
import { probeVisits } from './probe.ts';
import { type PickedVisits, pickVisits } from './visits.ts';

/** The longest time a list of servers counts as fresh, whatever its upstream says. */
const SERVERS_FRESH_MS_MAX = 7 * 24 * 60 * MINUTE;
/** When the list of servers is fetched again after a failure. */
const SERVERS_RETRY_MS = 60 * MINUTE;

/**
 * How long a key waits that has changed and got no permit. Longer than a slice, and first visits would take what slices
 * in between leave to revisits.
 */
const PERMIT_WAIT_MS = 15 * SECOND;

/** The name of the step that asks the probe. */
const PROBE = 'probe';

interface VisitorOptions {
  ports: Ports;
  source: EngineSource;
  journal: Journal;
  admission: Admission;
  slices: SliceLoader;
  steps: Steps;
}

/**
 * Follows an upstream that has no feed: visits the keys of the agenda that are due, spread over all hosts that have
 * room. Each slice of visits is one append, which also sets when its keys are due again. The cursor counts the accepted
 * visits.
 */
export class Visitor {
  readonly #ports: Ports;
  readonly #source: EngineSource;
  readonly #journal: Journal;
  readonly #agenda: JournalAgenda;
  readonly #options: VisitorOptions;

  constructor(options: VisitorOptions) {
    this.#options = options;
    this.#ports = options.ports;
    this.#source = options.source;
    this.#journal = options.journal;
    this.#agenda = agendaOf(options.journal);
  }

  /** Goes on until no key can be visited now, the end of the run, or `isDone`. Throws `StepError`; the slice then counts nothing. */
  async follow(run: Run, isDone: () => Promise<boolean>): Promise<void> {
    // Begin to count visits.
    if (this.#lane().cursor === null)
      this.#update({ cursor: '0', first_cursor: '0', page_accepted_ms: this.#ports.clock.now() });
    // Refresh the directory of servers.
    await this.#readDirectory(run);
    // Repair due times that a clock ahead of time has set.
    this.#agenda.correctDueTimes(this.#ports.clock.now());
    while (!(await isDone()) && !run.over) {
      // Pick due keys whose hosts have room, and note how long visits take.
      const { probe, load, isIdle, roomAtMs } = this.#pick();
      const isAtRest = isIdle && !this.#agenda.hasWaiting();
      this.#agenda.adjustStretch({ isIdle: isAtRest, nowMs: this.#ports.clock.now() });
      if (probe.length + load.length === 0) return this.#wait(roomAtMs);
      // Ask the probe which keys changed, and append those that did not.
      const { changed, unchanged, failed } = await this.#probe(probe, run);
      this.#append(unchanged);
      this.#putOff(failed);
      // Visit the others, and append what the visits found.
      const visited = await this.#visit(changed, load, run);
      this.#append(visited);
      await run.keepArmed();
      // Leave the rest to the next run when no visit ended in time.
      if (visited.length + unchanged.length + failed.length === 0 && load.length > 0)
        return this.#wait(this.#ports.clock.now() + LIMITS.backoffMsMin);
    }
    this.#wait(this.#ports.clock.now());
  }

  /**
   * Asks the probe for keys. When it fails as a whole, the keys stay due and the probe has a back-off of its own, so that
   * first visits go on.
   */
  async #probe(changes: Change[], run: Run): ReturnType<typeof probeVisits> {
    const probed: Awaited<ReturnType<typeof probeVisits>> = { changed: [], unchanged: [], failed: [] };
    if (changes.length === 0) return probed;
    await this.#options.steps.run(PROBE, async () => {
      Object.assign(probed, await probeVisits(changes, { ...this.#options, run }));
    });
    return probed;
  }

  /**
   * Loads visits: `changed` are those that the probe found, `others` have room at their hosts. Returns those that ended.
   */
  async #visit(changed: Change[], others: Change[], run: Run): Promise<Accepted[]> {
    // The others come first, because they were picked for their half of the room; the changed ones take the rest.
    const changes = [...others, ...changed];
    if (changes.length === 0) return [];
    const { outcomes, evidenceVersions, waitUntilMs } = await this.#options.slices.load(changes, {
      run,
      afresh: true,
      spread: true,
    });
    // Put off the changed keys that got no permit, because they would be picked and probed again before all others.
    const waiting = changed.filter((_, index) => outcomes[others.length + index] === null).map(({ key }) => key);
    const dueMs = Math.max(waitUntilMs ?? 0, this.#ports.clock.now() + PERMIT_WAIT_MS);
    if (waiting.length > 0) this.#agenda.postpone(waiting, dueMs);
    return outcomes.flatMap((outcome, index) =>
      outcome ? [{ change: changes[index]!, outcome, evidenceVersion: evidenceVersions[index]! }] : [],
    );
  }

  /** Schedules keys again whose probe failed. */
  #putOff(failed: { key: string; reason: string }[]): void {
    if (failed.length === 0) return;
    const { journal } = this.#options;
    this.#ports.sql.transaction(() =>
      journal.visits!.putOff(
        failed.map(({ key }) => key),
        this.#ports.clock.now(),
      ),
    );
    this.#ports.log('probe_failed', { source: this.#source.id, keys: failed.length, reason: failed[0]!.reason });
  }

  /** There is nothing to forget: all that the visitor knows is in the journal. */
  drop(): void {}

  /** A visit is accepted as soon as it is loaded, so no change is ever pending. */
  isPending(): boolean {
    return false;
  }

  nextMs(nowMs: number): number {
    const { cursor, next_pull_ms } = this.#lane();
    return cursor === null ? nowMs : waitingUntil(next_pull_ms, nowMs, this.#source.pollMs);
  }

  #lane(): Lane {
    return this.#journal.state.lane(TAIL);
  }

  #update(patch: Parameters<Journal['state']['updateLane']>[1]): void {
    this.#journal.state.updateLane(TAIL, patch);
  }

  /** Reads the directory again when it is no longer fresh. A stale one is used on when that fails; without any, it throws. */
  async #readDirectory(run: Run): Promise<void> {
    if (!this.#source.agenda?.directory) return;
    const known = this.#agenda.servers.current();
    const nowMs = this.#ports.clock.now();
    if (known && waitingUntil(known.freshUntilMs, nowMs, SERVERS_FRESH_MS_MAX) > nowMs) return;
    try {
      const servers = await ask({
        ...this.#options,
        run,
        step: 'servers',
        request: { known },
        ms: LIMITS.pullMsMax,
        subject: 'servers',
      });
      this.#agenda.servers.save(servers);
    } catch (error) {
      if (!known) throw error;
      this.#ports.log('servers_failed', { source: this.#source.id, reason: messageOf(error) });
      this.#agenda.servers.save({ ...known, freshUntilMs: nowMs + SERVERS_RETRY_MS });
    }
  }

  #pick(): PickedVisits {
    const first = Number(this.#lane().cursor);
    const { admission, source, steps } = this.#options;
    const nowMs = this.#ports.clock.now();
    const probeAtMs = steps.retryMs(PROBE);
    return pickVisits({ agenda: this.#agenda, admission, source }, { nowMs, first, probeAtMs });
  }

  /** Notes how many keys are still due, and when to go on: at `roomAtMs` where some are, else when the next one is. */
  #wait(roomAtMs: number | null): void {
    const nowMs = this.#ports.clock.now();
    const { due, nextDueMs } = this.#agenda.count({ nowMs, overdueMs: nowMs });
    const isWaiting = roomAtMs !== null && due > 0;
    const nextMs = (isWaiting ? roomAtMs : nextDueMs) ?? Number.POSITIVE_INFINITY;
    this.#update({
      lag_changes: isWaiting ? due : 0,
      at_head: isWaiting ? 0 : 1,
      ...(isWaiting ? {} : { reached_head_ms: nowMs, page_accepted_ms: nowMs }),
      next_pull_ms: Math.max(nowMs, Math.min(nextMs, nowMs + this.#source.pollMs)),
    });
  }

  /** Numbers the visits and appends them. */
  #append(visited: Accepted[]): void {
    if (visited.length === 0) return;
    const nowMs = this.#ports.clock.now();
    const cursorBefore = this.#lane().cursor!;
    const numbered = visited.map(({ change, ...rest }, index) => ({
      change: { ...change, cursor: String(Number(cursorBefore) + index + 1) },
      ...rest,
    }));
    const cursorAfter = String(Number(cursorBefore) + visited.length);
    const isAppended = appendOrPark(this.#journal, { accepted: numbered, nowMs }, accepted =>
      this.#journal.append({ lane: TAIL, cursorBefore, cursorAfter, accepted, nowMs }),
    );
    if (!isAppended)
      throw new StepError('internal', `visits: expected cursor ${cursorBefore}, got ${this.#lane().cursor}`);
    this.#update({ page_accepted_ms: nowMs });
    const parked = visited.filter(({ outcome }) => outcome.kind === 'park').length;
    const facts = { changes: visited.length, parked, cursor: cursorAfter };
    this.#ports.log('slice_accepted', { source: this.#source.id, ...facts });
  }
}
