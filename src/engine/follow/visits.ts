import { LIMITS } from '../../config.ts';
import type { Change } from '../../ports/change.ts';
import type { HostRequests } from '../../ports/hosts.ts';
import type { EngineSource } from '../../ports/source.ts';
import { type DueVisit, type JournalAgenda, type VisitKind, visitCursor } from '../journal/agenda.ts';
import type { Admission } from '../load/admission.ts';

/** The visits to make now. */
export interface PickedVisits {
  /** Revisits to ask the probe for; none without a probe. */
  probe: Change[];
  /** Visits to load. */
  load: Change[];
  /** Nothing is due, whether hosts have room or not. */
  isIdle: boolean;
  /** When the first host without room has some again; null when every host has room. */
  roomAtMs: number | null;
}

interface PickOptions {
  agenda: JournalAgenda;
  admission: Admission;
  source: Pick<EngineSource, 'requests' | 'probeKeysMax'>;
}

/**
 * Picks visits in turns, one of each space that has due keys, longest due first, as far as their hosts have room. The
 * space whose first key is due longest begins. Among spaces that are equally long due the order rotates with `first`, so
 * that each gets its turn at a host they share. While keys are due again, first visits get at most half of a host's room.
 */
export function pickVisits(
  { agenda, admission, source }: PickOptions,
  { nowMs, first, probeAtMs = 0 }: { nowMs: number; first: number; probeAtMs?: number },
): PickedVisits {
  const servers = new Map(agenda.spaces().map(({ id, name }) => [id, agenda.serverOf(name)]));
  const spaces = [...servers.keys()];
  const next = first % Math.max(1, spaces.length);
  const rotated = [...spaces.slice(next), ...spaces.slice(0, next)];
  // Find what is due, revisits at the hosts of the probe where there is one.
  const room = new Room({ admission, nowMs, requests: change => source.requests('load', [change]) });
  const { probeKeysMax } = source;
  const probeRoom =
    probeKeysMax === null ? room : new Room({ admission, nowMs, requests: shareOf(source, probeKeysMax) });
  const dueOf = (kind: VisitKind, of: Room) => {
    const heads = agenda.dueSpaces(rotated, { kind, nowMs });
    const times = of.times(heads.map(({ space }) => ({ space, change: changeOf(EMPTY, servers.get(space)!) })));
    const open = heads.flatMap(({ space }, index) =>
      times[index]! > 0 ? [{ space, room: Math.min(times[index]!, LIMITS.visitsPerSpaceMax) }] : [],
    );
    const most = { kind, nowMs, most: LIMITS.visitsMax };
    return {
      isIdle: heads.length === 0,
      due: agenda.spreadDueVisits(open.slice(0, LIMITS.visitSpacesMax), most),
    };
  };
  const { due: firsts, isIdle: isFirstIdle } = dueOf('first', room);
  const { due: again, isIdle: isAgainIdle } = dueOf('again', probeRoom);
  const isIdle = isFirstIdle && isAgainIdle;
  const isProbeWaiting = probeRoom !== room && probeAtMs > nowMs && again.length > 0;
  // Take the revisits, and leave room for first visits: at most half of it.
  const candidates = firsts.flatMap(({ space, visits }) =>
    visits.map(visit => ({ space, change: changeOf(visit, servers.get(space)!) })),
  );
  room.reserve(candidates, first % 2);
  const reserved = Math.min(LIMITS.visitsMax / 2, candidates.length);
  const revisits = takeTurns(isProbeWaiting ? [] : again, {
    servers,
    room: probeRoom,
    most: LIMITS.visitsMax - reserved,
  });
  // Take the first visits. The changed ones among probed keys need the other half of the room.
  if (probeRoom === room || revisits.length === 0) room.release();
  else room.keepReserved();
  const visits = takeTurns(firsts, { servers, room, most: LIMITS.visitsMax - revisits.length });
  const roomAtMs = earliest(earliest(room.atMs, probeRoom.atMs), isProbeWaiting ? probeAtMs : null);
  if (probeRoom === room) return { probe: [], load: [...revisits, ...visits], isIdle, roomAtMs };
  return { probe: revisits, load: visits, isIdle, roomAtMs };
}

/** The share of one key in the requests of a probe. */
function shareOf(source: PickOptions['source'], keysMax: number): (change: Change) => HostRequests {
  return change => {
    const whole = Object.entries(source.requests('probe', [change]));
    return Object.fromEntries(whole.map(([host, count]) => [host, count / keysMax]));
  };
}

/** Takes visits in turns, one of each space, as far as there is room. */
function takeTurns(
  due: { space: number; visits: DueVisit[] }[],
  { servers, room, most }: { servers: Map<number, string | null>; room: Room; most: number },
): Change[] {
  const longest = due.reduce((length, { visits }) => Math.max(length, visits.length), 0);
  const changes: Change[] = [];
  for (let turn = 0; turn < longest; turn++) {
    for (const { space, visits } of due) {
      if (changes.length >= most) return changes;
      const visit = visits[turn];
      const change = visit && room.take(visit, { space, server: servers.get(space)! });
      if (change) changes.push(change);
    }
  }
  return changes;
}

/** A visit that may be made, and the space of its key. */
interface Candidate {
  space: number;
  change: Change;
}

const EMPTY = { key: '', moreHosts: [], facts: null };

function changeOf({ key, moreHosts, facts }: Omit<DueVisit, 'dueMs'>, server: string | null): Change {
  return { key, cursor: visitCursor(key), deleted: false, revision: null, skip: null, server, moreHosts, facts };
}

function earliest(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.min(a, b);
}

/** The room that hosts have within the time of a slice. Each host's room is read once. */
class Room {
  /** When the first host without room has some again. */
  atMs: number | null = null;
  readonly #admission: Admission;
  readonly #requestsOfOne: (change: Change) => HostRequests;
  readonly #nowMs: number;
  readonly #left = new Map<string, number>();
  readonly #reserved = new Map<string, number>();
  readonly #requests = new Map<string, [host: string, count: number][]>();
  readonly #wanted: { want: number; nowMs: number; windowMs: number };

  constructor({
    admission,
    nowMs,
    requests,
  }: {
    admission: Admission;
    nowMs: number;
    requests: (change: Change) => HostRequests;
  }) {
    this.#admission = admission;
    this.#requestsOfOne = requests;
    this.#nowMs = nowMs;
    this.#wanted = { want: LIMITS.visitsMax, nowMs, windowMs: LIMITS.visitPermitMsMax };
  }

  /** For how many visits like each of these there is room. */
  times(candidates: Candidate[]): number[] {
    const requests = candidates.map(candidate => this.#requestsOf(candidate));
    const hosts = new Set(requests.flatMap(asked => asked.map(([host]) => host)));
    for (const [host, found] of this.#admission.rooms([...hosts], this.#wanted)) this.#note(host, found);
    return requests.map(asked => this.#times(asked));
  }

  /** Keeps room for these visits: at most half of what each host has, rounded up in every other slice (`odd` is 1). */
  reserve(candidates: Candidate[], odd: number): void {
    const wanted = new Map<string, number>();
    for (const candidate of candidates)
      for (const [host, count] of this.#requestsOf(candidate)) wanted.set(host, (wanted.get(host) ?? 0) + count);
    for (const [host, count] of wanted)
      this.#reserved.set(host, Math.min(count, Math.floor((this.#leftOf(host) + odd) / 2)));
  }

  /** Gives up what is reserved, so that it can be taken. */
  release(): void {
    this.#reserved.clear();
  }

  /** Leaves nothing but what is reserved. */
  keepReserved(): void {
    for (const [host, count] of this.#reserved) this.#left.set(host, count);
    this.#reserved.clear();
  }

  /**
   * Takes the room that a visit needs; null while the visit has to wait. It waits for the hosts beside its server's at
   * most a while, and not at all for one that is blocked: then it goes without them.
   */
  take(visit: DueVisit, { space, server }: { space: number; server: string | null }): Change | null {
    const change = changeOf(visit, server);
    if (this.#takes({ space, change })) return change;
    const { moreHosts, dueMs } = visit;
    const isPatient = dueMs > this.#nowMs - LIMITS.secondHostWaitMsMax;
    const isBlocked = moreHosts.some(host => this.#admission.isBlocked(host, this.#nowMs));
    if (moreHosts.length === 0 || (isPatient && !isBlocked)) return null;
    const alone = changeOf({ ...visit, moreHosts: [] }, server);
    return this.#takes({ space, change: alone }) ? alone : null;
  }

  #takes(candidate: Candidate): boolean {
    const requests = this.#requestsOf(candidate);
    if (this.#times(requests) === 0) return false;
    for (const [host, want] of requests) this.#left.set(host, this.#left.get(host)! - want);
    return true;
  }

  /** Visits of one space with the same hosts make the same requests, so they are computed once for all of them. */
  #requestsOf({ space, change }: Candidate): [host: string, count: number][] {
    const hosts = `${space} ${change.moreHosts?.join(' ')}`;
    const known = this.#requests.get(hosts) ?? Object.entries(this.#requestsOfOne(change));
    this.#requests.set(hosts, known);
    return known;
  }

  #times(requests: [host: string, count: number][]): number {
    let least: number = LIMITS.visitsMax;
    for (const [host, want] of requests) least = Math.min(least, Math.floor(this.#leftOf(host) / want));
    return least;
  }

  #leftOf(host: string): number {
    const left = this.#left.get(host) ?? this.#note(host, this.#admission.room({ host, ...this.#wanted }));
    return left - (this.#reserved.get(host) ?? 0);
  }

  #note(host: string, { count, atMs }: { count: number; atMs: number }): number {
    if (count === 0) this.atMs = Math.min(this.atMs ?? atMs, atMs);
    this.#left.set(host, count);
    return count;
  }
}
