import { LIMITS } from '../../config.ts';
import type { Change } from '../../ports/change.ts';
import type { EngineSource } from '../../ports/source.ts';
import { type DueVisit, type JournalAgenda, visitCursor } from '../journal/agenda.ts';
import type { Admission } from '../load/admission.ts';

/** The visits to make now. */
export interface PickedVisits {
  changes: Change[];
  /** When the first host without room has some again; null when every host has room. */
  roomAtMs: number | null;
}

interface PickOptions {
  agenda: JournalAgenda;
  admission: Admission;
  source: Pick<EngineSource, 'requests'>;
}

/**
 * Picks visits in turns, one of each space that has due keys, longest due first, as far as their hosts have room. The
 * space whose first key is due longest begins. Among spaces that are equally long due the order rotates with `first`, so
 * that each gets its turn at a host they share.
 */
export function pickVisits(
  { agenda, admission, source }: PickOptions,
  { nowMs, first }: { nowMs: number; first: number },
): PickedVisits {
  const room = new Room({ admission, source, nowMs });
  const servers = new Map(agenda.spaces().map(({ id, name }) => [id, agenda.serverOf(name)]));
  const spaces = [...servers.keys()];
  const next = first % Math.max(1, spaces.length);
  const heads = agenda.dueSpaces([...spaces.slice(next), ...spaces.slice(0, next)], nowMs);
  const times = room.times(heads.map(({ space }) => changeOf({ key: '', moreHosts: [] }, servers.get(space)!)));
  const open = heads.flatMap(({ space }, index) =>
    times[index]! > 0 ? [{ space, room: Math.min(times[index]!, LIMITS.visitsPerSpaceMax) }] : [],
  );
  const due = agenda.spreadDueVisits(open.slice(0, LIMITS.visitSpacesMax), { nowMs, most: LIMITS.visitsMax });
  const longest = due.reduce((most, { visits }) => Math.max(most, visits.length), 0);
  const changes: Change[] = [];
  for (let turn = 0; turn < longest && changes.length < LIMITS.visitsMax; turn++) {
    for (const { space, visits } of due) {
      const visit = visits[turn];
      const change = visit && room.take(visit, servers.get(space)!);
      if (change) changes.push(change);
    }
  }
  return { changes: changes.slice(0, LIMITS.visitsMax), roomAtMs: room.atMs };
}

function changeOf({ key, moreHosts }: Pick<DueVisit, 'key' | 'moreHosts'>, server: string | null): Change {
  return { key, cursor: visitCursor(key), deleted: false, revision: null, skip: null, server, moreHosts };
}

/** The room that hosts have within the time of a slice. Each host's room is read once. */
class Room {
  /** When the first host without room has some again. */
  atMs: number | null = null;
  readonly #admission: Admission;
  readonly #source: PickOptions['source'];
  readonly #nowMs: number;
  readonly #left = new Map<string, number>();
  readonly #requests = new Map<string, [host: string, count: number][]>();

  readonly #wanted: { want: number; nowMs: number; windowMs: number };

  constructor({ admission, source, nowMs }: Omit<PickOptions, 'agenda'> & { nowMs: number }) {
    this.#admission = admission;
    this.#source = source;
    this.#nowMs = nowMs;
    this.#wanted = { want: LIMITS.visitsMax, nowMs, windowMs: LIMITS.visitPermitMsMax };
  }

  /** For how many visits like each of these there is room. */
  times(changes: Change[]): number[] {
    const requests = changes.map(change => this.#requestsOf(change));
    const hosts = new Set(requests.flatMap(asked => asked.map(([host]) => host)));
    for (const [host, found] of this.#admission.rooms([...hosts], this.#wanted)) this.#note(host, found);
    return requests.map(asked => this.#times(asked));
  }

  /**
   * Takes the room that a visit needs; null while the visit has to wait. It waits for the hosts beside its server's at
   * most a while, and not at all for one that is blocked: then it goes without them.
   */
  take(visit: DueVisit, server: string | null): Change | null {
    const change = changeOf(visit, server);
    if (this.#takes(change)) return change;
    const { moreHosts, dueMs } = visit;
    const isPatient = dueMs > this.#nowMs - LIMITS.secondHostWaitMsMax;
    const isBlocked = moreHosts.some(host => this.#admission.isBlocked(host, this.#nowMs));
    if (moreHosts.length === 0 || (isPatient && !isBlocked)) return null;
    const alone = changeOf({ ...visit, moreHosts: [] }, server);
    return this.#takes(alone) ? alone : null;
  }

  #takes(change: Change): boolean {
    const requests = this.#requestsOf(change);
    if (this.#times(requests) === 0) return false;
    for (const [host, want] of requests) this.#left.set(host, this.#leftOf(host) - want);
    return true;
  }

  /** Visits with the same hosts make the same requests, so they are computed once for up to a thousand visits. */
  #requestsOf(change: Change): [host: string, count: number][] {
    const hosts = `${change.server} ${change.moreHosts?.join(' ')}`;
    const known = this.#requests.get(hosts) ?? Object.entries(this.#source.requests('load', [change]));
    this.#requests.set(hosts, known);
    return known;
  }

  #times(requests: [host: string, count: number][]): number {
    let least: number = LIMITS.visitsMax;
    for (const [host, want] of requests) least = Math.min(least, Math.floor(this.#leftOf(host) / want));
    return least;
  }

  #leftOf(host: string): number {
    return this.#left.get(host) ?? this.#note(host, this.#admission.room({ host, ...this.#wanted }));
  }

  #note(host: string, { count, atMs }: { count: number; atMs: number }): number {
    if (count === 0) this.atMs = Math.min(this.atMs ?? atMs, atMs);
    this.#left.set(host, count);
    return count;
  }
}
