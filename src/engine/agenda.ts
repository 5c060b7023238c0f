import { LIMITS } from '../config.ts';
import { messageOf, OwnError } from '../errors.ts';
import type { Change } from '../sources/source.ts';
import { type Admission, waitingUntil } from './admission.ts';
import type { Journal } from './journal.ts';
import { agendaOf, type Due, type JournalAgenda, visitPlace } from './journal-agenda.ts';
import { type Accepted, appendTaken, TAIL } from './journal-append.ts';
import type { Lane } from './journal-state.ts';
import type { EngineSource, Ports } from './ports.ts';
import { failureError, type Run } from './run.ts';
import type { SliceLoader } from './slice.ts';

interface Parts {
  ports: Ports;
  source: EngineSource;
  journal: Journal;
  admission: Admission;
  slices: SliceLoader;
}

/** Keys to visit now, and how it stands with those that are due as well. */
interface Slice {
  changes: Change[];
  /** When the first host that has no room now has some again; null when all of them have. */
  roomAtMs: number | null;
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

  /** Goes on until nothing more can be visited, the run's end, or `enough`. Throws `OwnError`; nothing of the slice counts then. */
  async follow(run: Run, enough: () => Promise<boolean>): Promise<void> {
    if (this.#lane().cursor === null)
      this.#update({ cursor: '0', first_cursor: '0', page_accepted_ms: this.#ports.clock.now() });
    await this.#askServers(run);
    this.#agenda.recall(this.#ports.clock.now());
    while (!(await enough()) && !run.over) {
      const { changes, roomAtMs } = this.#due();
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
    const known = this.#agenda.servers();
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
      this.#agenda.saveServers(answer.value);
    } catch (error) {
      if (!known) throw error;
      this.#ports.log('servers_failed', { source: this.#source.id, reason: messageOf(error) });
      this.#agenda.saveServers({ ...known, freshUntilMs: nowMs + LIMITS.serversRetryMs });
    }
  }

  /**
   * Those due longest of each space that has some, in turns, as far as their hosts have room. The space whose first key
   * is due longest comes first, of those due alike another one each time: so each gets its turn at a host they share.
   */
  #due(): Slice {
    const nowMs = this.#ports.clock.now();
    const room = new Room(this.#admission, nowMs);
    const servers = new Map(this.#agenda.spaces().map(({ id, name }) => [id, this.#agenda.serverOf(name)]));
    const spaces = [...servers.keys()];
    const next = Number(this.#lane().cursor) % Math.max(1, spaces.length);
    const inTurn = [...spaces.slice(next), ...spaces.slice(0, next)];
    const open = this.#agenda.heads(inTurn, nowMs).flatMap(({ space }) => {
      const requests = this.#requestsOf(changeOf({ key: '', alsoHost: null }, servers.get(space)!));
      const times = Math.min(LIMITS.visitsPerSpaceMax, room.times(requests));
      return times > 0 ? [{ space, room: times }] : [];
    });
    const due = this.#agenda.shared(open, { nowMs, most: LIMITS.visitsMax });
    const longest = due.reduce((most, { visits }) => Math.max(most, visits.length), 0);
    const changes: Change[] = [];
    for (let turn = 0; turn < longest && changes.length < LIMITS.visitsMax; turn++) {
      for (const { space, visits } of due) {
        const visit = visits[turn];
        const change = visit && this.#taken(visit, { server: servers.get(space)!, room, nowMs });
        if (change) changes.push(change);
      }
    }
    return { changes: changes.slice(0, LIMITS.visitsMax), roomAtMs: room.atMs };
  }

  /** The visit with its room; null while it has to wait. A second host that may not be asked is not waited for. */
  #taken(visit: Due, { server, room, nowMs }: { server: string | null; room: Room; nowMs: number }): Change | null {
    const change = changeOf(visit, server);
    if (room.take(this.#requestsOf(change))) return change;
    const { alsoHost, dueMs } = visit;
    const isPatient = dueMs > nowMs - LIMITS.secondHostWaitMsMax;
    if (alsoHost === null || (isPatient && !room.isBlocked(alsoHost))) return null;
    const alone = changeOf({ ...visit, alsoHost: null }, server);
    return room.take(this.#requestsOf(alone)) ? alone : null;
  }

  #requestsOf(change: Change): Record<string, number> {
    return this.#source.requests('load', [change]);
  }

  /** Notes how much is due still, and when to look again: where something is, `roomAtMs`. */
  #rest(roomAtMs: number | null): void {
    const nowMs = this.#ports.clock.now();
    const { due, nextDueMs } = this.#agenda.count({ nowMs, overdueMs: nowMs });
    const isWaiting = roomAtMs !== null && due > 0;
    const nextMs = (isWaiting ? roomAtMs : nextDueMs) ?? Number.POSITIVE_INFINITY;
    this.#update({
      ...{ lag_changes: isWaiting ? due : 0, at_head: isWaiting ? 0 : 1 },
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
      change: { ...change, place: String(Number(cursorBefore) + index + 1) },
      outcome,
    }));
    const cursorAfter = String(Number(cursorBefore) + visited.length);
    const isIn = appendTaken(this.#journal, { accepted: numbered, nowMs }, accepted =>
      this.#journal.append({ lane: TAIL, cursorBefore, cursorAfter, accepted, nowMs }),
    );
    if (!isIn) throw new OwnError('internal', `visits: expected cursor ${cursorBefore}, got ${this.#lane().cursor}`);
    this.#update({ page_accepted_ms: nowMs });
    const parked = visited.filter(({ outcome }) => outcome.kind === 'park').length;
    const told = { changes: visited.length, parked, cursor: cursorAfter };
    this.#ports.log('slice_accepted', { source: this.#source.id, ...told });
  }
}

function changeOf({ key, alsoHost }: Pick<Due, 'key' | 'alsoHost'>, server: string | null): Change {
  return { key, place: visitPlace(key), deleted: false, revision: null, skip: null, server, alsoHost };
}

/** What hosts have room for within the time of a slice; asked of each host once. */
class Room {
  /** When the first host without room has some again. */
  atMs: number | null = null;
  readonly #admission: Admission;
  readonly #nowMs: number;
  readonly #left = new Map<string, number>();

  constructor(admission: Admission, nowMs: number) {
    this.#admission = admission;
    this.#nowMs = nowMs;
  }

  /** How often there is room for these requests. */
  times(requests: Record<string, number>): number {
    const times = Object.entries(requests).map(([host, want]) => Math.floor(this.#leftOf(host) / want));
    return Math.min(LIMITS.visitsMax, ...times);
  }

  /** The host has said, or shown, that it may not be asked for a while. */
  isBlocked(host: string): boolean {
    return this.#admission.isBlocked(host, this.#nowMs);
  }

  take(requests: Record<string, number>): boolean {
    if (this.times(requests) === 0) return false;
    for (const [host, want] of Object.entries(requests)) this.#left.set(host, this.#leftOf(host) - want);
    return true;
  }

  #leftOf(host: string): number {
    const known = this.#left.get(host);
    if (known !== undefined) return known;
    const limits = { want: LIMITS.visitsMax, nowMs: this.#nowMs, windowMs: LIMITS.visitPermitMsMax };
    const { count, atMs } = this.#admission.room({ host, ...limits });
    if (count === 0) this.atMs = Math.min(this.atMs ?? atMs, atMs);
    this.#left.set(host, count);
    return count;
  }
}
