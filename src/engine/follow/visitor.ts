import { waitingUntil } from '../../alarm/backoff.ts';
import type { Run } from '../../alarm/run.ts';
import { LIMITS } from '../../config.ts';
import { messageOf, StepError } from '../../errors.ts';
import type { Ports } from '../../ports/ports.ts';
import type { EngineSource } from '../../ports/source.ts';
import { agendaOf, type JournalAgenda } from '../journal/agenda.ts';
import { type Accepted, appendTaken, TAIL } from '../journal/changes.ts';
import type { Journal } from '../journal/journal.ts';
import type { Lane } from '../journal/state.ts';
import type { Admission } from '../load/admission.ts';
import { failureError } from '../load/ask.ts';
import type { SliceLoader } from '../load/slices.ts';
import { type PickedVisits, pickVisits } from './visits.ts';

interface Parts {
  ports: Ports;
  source: EngineSource;
  journal: Journal;
  admission: Admission;
  slices: SliceLoader;
}

/**
 * Follows an upstream that has no feed: visits keys of the agenda that are due, spread over all hosts that may be asked,
 * each slice one append that makes its keys due again. Its cursor counts the visits accepted.
 */
export class Visitor {
  readonly #ports: Ports;
  readonly #source: EngineSource;
  readonly #journal: Journal;
  readonly #agenda: JournalAgenda;
  readonly #admission: Admission;
  readonly #slices: SliceLoader;

  constructor({ ports, source, journal, admission, slices }: Parts) {
    this.#ports = ports;
    this.#source = source;
    this.#journal = journal;
    this.#agenda = agendaOf(journal);
    this.#admission = admission;
    this.#slices = slices;
  }

  /** Goes on until nothing more can be visited, the run's end, or `enough`. Throws `StepError`; nothing of the slice counts then. */
  async follow(run: Run, enough: () => Promise<boolean>): Promise<void> {
    if (this.#lane().cursor === null)
      this.#update({ cursor: '0', first_cursor: '0', page_accepted_ms: this.#ports.clock.now() });
    await this.#askServers(run);
    this.#agenda.recall(this.#ports.clock.now());
    while (!(await enough()) && !run.over) {
      const { changes, roomAtMs } = this.#pick();
      if (changes.length === 0) return this.#rest(roomAtMs);
      const { outcomes } = await this.#slices.load(changes, { run, afresh: true, spread: true });
      const visited = outcomes.flatMap((outcome, index) => (outcome ? [{ change: changes[index]!, outcome }] : []));
      this.#letIn(visited);
      await run.keepArmed();
      // Nobody came to anything in time: the next run asks again.
      if (visited.length === 0) return this.#rest(this.#ports.clock.now() + LIMITS.backoffMsMin);
    }
    this.#rest(this.#ports.clock.now());
  }

  /** What is at hand is in the journal at all times. */
  drop(): void {}

  /** A visit is accepted as soon as it is loaded: nothing newer of a key is ever at hand. */
  expects(): boolean {
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

  /** A list that is older than it should be does until a newer one comes; without any there is nobody to ask. */
  async #askServers(run: Run): Promise<void> {
    const known = this.#agenda.servers.told();
    const nowMs = this.#ports.clock.now();
    if (known && waitingUntil(known.freshUntilMs, nowMs, LIMITS.serversFreshMsMax) > nowMs) return;
    try {
      const permits = this.#admission.takeAll(this.#source.requests('pull', []), nowMs);
      const answer = await run.call(() => this.#ports.load.servers(known, permits), {
        ms: LIMITS.pullMsMax,
        subject: 'servers',
      });
      this.#admission.learn(answer.hosts, this.#ports.clock.now());
      if (!answer.ok) throw failureError(answer.failure);
      this.#agenda.servers.save(answer.value);
    } catch (error) {
      if (!known) throw error;
      this.#ports.log('servers_failed', { source: this.#source.id, reason: messageOf(error) });
      this.#agenda.servers.save({ ...known, freshUntilMs: nowMs + LIMITS.serversRetryMs });
    }
  }

  #pick(): PickedVisits {
    const first = Number(this.#lane().cursor);
    const parts = { agenda: this.#agenda, admission: this.#admission, source: this.#source };
    return pickVisits(parts, { nowMs: this.#ports.clock.now(), first });
  }

  /** Notes how much is due still, and when to look again: where something is, `roomAtMs`. */
  #rest(roomAtMs: number | null): void {
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

  /** Gives visits their numbers and appends them. */
  #letIn(visited: Accepted[]): void {
    if (visited.length === 0) return;
    const nowMs = this.#ports.clock.now();
    const cursorBefore = this.#lane().cursor!;
    const numbered = visited.map(({ change, outcome }, index) => ({
      change: { ...change, cursor: String(Number(cursorBefore) + index + 1) },
      outcome,
    }));
    const cursorAfter = String(Number(cursorBefore) + visited.length);
    const isIn = appendTaken(this.#journal, { accepted: numbered, nowMs }, accepted =>
      this.#journal.append({ lane: TAIL, cursorBefore, cursorAfter, accepted, nowMs }),
    );
    if (!isIn) throw new StepError('internal', `visits: expected cursor ${cursorBefore}, got ${this.#lane().cursor}`);
    this.#update({ page_accepted_ms: nowMs });
    const parked = visited.filter(({ outcome }) => outcome.kind === 'park').length;
    const told = { changes: visited.length, parked, cursor: cursorAfter };
    this.#ports.log('slice_accepted', { source: this.#source.id, ...told });
  }
}
