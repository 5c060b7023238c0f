import { MINUTE } from '../../limits.ts';
import type { Change, Seen, Visit } from '../../ports/change.ts';
import type { AgendaRules } from '../../ports/source.ts';
import type { SqlPort, SqlValue } from '../../ports/sql.ts';
import { type Accepted, type Outcome, TAIL } from './changes.ts';
import type { RowState } from './key-index.ts';
import { JournalServers } from './servers.ts';

/** No rule sets a later due time than this. A later one comes from a clock that was ahead, and counts as due. */
export const AGENDA_AHEAD_MS_MAX = 200 * 24 * 60 * MINUTE;

/** A watched key, which is visited again and again. Times are milliseconds since 1970. */
export interface Watched {
  key: string;
  space: string;
  due_ms: number;
  /** Why it is due then. */
  reason: string;
  added_ms: number;
  /** When the last visit that did not fail was accepted. */
  checked_ms: number | null;
  /** The outcome of the last visit, and how many visits in a row had it. */
  outcome: Visit['outcome'] | null;
  times: number;
  digest: string | null;
  main_digest: string | null;
  /** JSON list of the hosts that the last visit asked besides its server's; null where there were none. */
  more_hosts: string | null;
  /** JSON of the facts of the last visit that did not fail. */
  facts: string | null;
}

/** A part of the key space that one server serves. Visits are spread over the spaces. */
interface Space {
  id: number;
  name: string;
  keys: number;
}

/** A key to visit, with the hosts that its last visit asked besides its server's. */
export interface DueVisit {
  key: string;
  moreHosts: string[];
  dueMs: number;
}

/** Due visits of one space, those due longest first. */
interface SpaceVisits {
  space: number;
  visits: DueVisit[];
}

/** How much of the agenda is due. */
export interface AgendaCount {
  keys: number;
  due: number;
  overdue: number;
  oldestDueMs: number | null;
  /** When the first key becomes due that is not due yet. */
  nextDueMs: number | null;
}

/** The cursor of a visit's change until it is accepted and gets its number. */
export function visitCursor(key: string): string {
  return `visit of ${key}`;
}

/** The agenda of a source without a feed. Throws for a source with one. */
export function agendaOf({ agenda }: { agenda: JournalAgenda | null }): JournalAgenda {
  if (!agenda) throw new Error('agenda: expected a source without a feed, got one with a feed');
  return agenda;
}

/**
 * The agenda in the object's SQLite: keys with due times. The transaction that accepts a visit also sets the next due
 * time.
 */
export class JournalAgenda {
  readonly servers: JournalServers;
  readonly #sql: SqlPort;
  readonly #rules: AgendaRules;

  constructor(sql: SqlPort, rules: AgendaRules) {
    this.#sql = sql;
    this.#rules = rules;
    this.servers = new JournalServers(sql);
  }

  /**
   * Adds a key, due at once, and returns null. A key that is watched already stays as it is; returns when it was added.
   */
  add({ key, space }: { key: string; space: string }, nowMs: number): number | null {
    const id = this.#spaceId(space);
    const statement = `INSERT INTO agenda (key, space, due_ms, reason, added_ms) VALUES (?, ?, ?, 'added', ?)
      ON CONFLICT DO NOTHING RETURNING key`;
    if (this.#sql.exec(statement, key, id, nowMs, nowMs).length === 0) return this.find(key)!.added_ms;
    this.#sql.exec('UPDATE agenda_spaces SET keys = keys + 1 WHERE id = ?', id);
    return null;
  }

  /** Removes a key; false when it is not watched. */
  remove(key: string): boolean {
    const [removed] = this.#sql.exec<{ space: number }>('DELETE FROM agenda WHERE key = ? RETURNING space', key);
    if (removed) this.#sql.exec('UPDATE agenda_spaces SET keys = keys - 1 WHERE id = ?', removed.space);
    return removed !== undefined;
  }

  /** Makes the next visit of a key give a row, whatever it finds. */
  forgetDigests(key: string): void {
    this.#sql.exec('UPDATE agenda SET digest = NULL, main_digest = NULL WHERE key = ? AND digest IS NOT NULL', key);
  }

  find(key: string): Watched | null {
    return this.#watched('key = ?', key)[0] ?? null;
  }

  /** Watched keys after one, in order. */
  list({ after, limit }: { after: string | null; limit: number }): Watched[] {
    return this.#watched('key > ? ORDER BY key LIMIT ?', after ?? '', limit);
  }

  /** Each query has a condition of its own, because SQLite reads the whole agenda for one with optional parts. */
  #watched(condition: string, ...params: SqlValue[]): Watched[] {
    return this.#sql.exec<Watched & Record<string, SqlValue>>(
      `SELECT agenda.*, (SELECT name FROM agenda_spaces WHERE id = agenda.space) AS space FROM agenda WHERE ${condition}`,
      ...params,
    );
  }

  spaces(): Space[] {
    return this.#sql.exec<Space & Record<string, SqlValue>>(
      'SELECT id, name, keys FROM agenda_spaces WHERE keys > 0 ORDER BY id',
    );
  }

  /** Spaces with due keys, and since when; the one due longest first. */
  dueSpaces(spaces: number[], nowMs: number): { space: number; dueMs: number }[] {
    const found = this.#sql.exec<{ space: number; first: number | null }>(
      `SELECT value AS space, (SELECT min(due_ms) FROM agenda INDEXED BY agenda_due WHERE space = value) AS first
       FROM json_each(?)`,
      JSON.stringify(spaces),
    );
    const due = found.flatMap(({ space, first }) =>
      first !== null && first <= nowMs ? [{ space, dueMs: first }] : [],
    );
    return due.sort((a, b) => a.dueMs - b.dueMs);
  }

  /**
   * Due visits of some spaces, about `most` in all. Each space gets an equal share; spaces with more due visits also
   * get what the others leave, up to their `room`.
   */
  spreadDueVisits(
    wanted: { space: number; room: number }[],
    { nowMs, most }: { nowMs: number; most: number },
  ): SpaceVisits[] {
    const share = Math.max(1, Math.floor(most / Math.max(1, wanted.length)));
    const spaces = wanted.map(({ space }) => space);
    const first = this.due(spaces, { nowMs, each: share });
    const full = wanted.filter(({ room }, index) => room > share && first[index]!.visits.length === share);
    const left = most - first.reduce((sum, { visits }) => sum + visits.length, 0);
    const room = full.reduce((largest, one) => Math.max(largest, one.room), 0);
    const each = Math.min(room, share + Math.floor(left / Math.max(1, full.length)));
    if (each <= share) return first;
    const second = this.due(
      full.map(({ space }) => space),
      { nowMs, each },
    );
    const more = new Map(second.map(({ space, visits }) => [space, visits]));
    return first.map(({ space, visits }) => ({ space, visits: more.get(space) ?? visits }));
  }

  /**
   * The due visits of some spaces, at most `each` a space. A parked key is left out, because its attempts have their
   * own times.
   */
  due(spaces: number[], { nowMs, each }: { nowMs: number; each: number }): SpaceVisits[] {
    const found = this.#sql.exec<{ space: number; keys: string }>(
      `SELECT value AS space, (SELECT json_group_array(json_array(key, json(more_hosts), due_ms)) FROM (
         SELECT key, more_hosts, due_ms FROM agenda INDEXED BY agenda_due WHERE space = value AND due_ms <= ?2
           AND NOT EXISTS (SELECT 1 FROM parked WHERE parked.key = agenda.key AND died_ms IS NULL)
         ORDER BY due_ms LIMIT ?3)) AS keys FROM json_each(?1)`,
      JSON.stringify(spaces),
      nowMs,
      each,
    );
    return found.map(({ space, keys }) => {
      const visits = JSON.parse(keys) as [string, string[] | null, number][];
      return { space, visits: visits.map(([key, moreHosts, dueMs]) => ({ key, moreHosts: moreHosts ?? [], dueMs })) };
    });
  }

  /**
   * Counts due keys, and those due since `overdueMs` or longer. A parked key does not count, because its attempts have
   * their own times.
   */
  count({ nowMs, overdueMs }: { nowMs: number; overdueMs: number }): AgendaCount {
    const counted = this.#sql.exec<
      Record<'keys' | 'due' | 'overdue', number> & Record<'oldest' | 'next', number | null>
    >(
      `SELECT keys,
         (SELECT count(*) FROM agenda WHERE space = id AND due_ms <= ?1) AS due,
         (SELECT count(*) FROM agenda WHERE space = id AND due_ms <= ?2) AS overdue,
         (SELECT due_ms FROM agenda INDEXED BY agenda_due WHERE space = id AND due_ms <= ?1
            AND NOT EXISTS (SELECT 1 FROM parked WHERE parked.key = agenda.key AND died_ms IS NULL)
          ORDER BY due_ms LIMIT 1) AS oldest,
         (SELECT min(due_ms) FROM agenda WHERE space = id AND due_ms > ?1) AS next
       FROM agenda_spaces WHERE keys > 0`,
      nowMs,
      overdueMs,
    );
    const [parked] = this.#sql.exec<Record<'due' | 'overdue', number>>(
      `SELECT count(DISTINCT agenda.key) AS due, count(DISTINCT iif(agenda.due_ms <= ?2, agenda.key, NULL)) AS overdue
       FROM parked JOIN agenda ON agenda.key = parked.key WHERE died_ms IS NULL AND agenda.due_ms <= ?1`,
      nowMs,
      overdueMs,
    );
    const sum = (of: (space: (typeof counted)[number]) => number) => counted.reduce((total, one) => total + of(one), 0);
    return {
      keys: sum(one => one.keys),
      due: sum(one => one.due) - parked!.due,
      overdue: sum(one => one.overdue) - parked!.overdue,
      oldestDueMs: earliest(counted.map(one => one.oldest)),
      nextDueMs: earliest(counted.map(one => one.next)),
    };
  }

  /** Makes the visitor's next run visit what is due. */
  wakeVisitor(): void {
    this.#sql.exec('UPDATE lanes SET next_pull_ms = 0 WHERE lane = ?', TAIL);
  }

  /** Makes keys due now whose due time is later than any rule gives: a clock that was ahead set it. */
  correctDueTimes(nowMs: number): void {
    this.#sql.exec(
      `UPDATE agenda SET due_ms = ?1 WHERE key IN (
         SELECT key FROM agenda_spaces CROSS JOIN agenda INDEXED BY agenda_due ON space = id AND due_ms > ?2)`,
      nowMs,
      nowMs + AGENDA_AHEAD_MS_MAX,
    );
  }

  /** The hosts that a visit of a key asks; no server where the key is not watched. */
  hostsOf(key: string): Pick<Change, 'server' | 'moreHosts'> {
    const watched = this.find(key);
    if (!watched) return { server: null };
    const moreHosts = JSON.parse(watched.more_hosts ?? '[]') as string[];
    return { server: this.serverOf(watched.space), moreHosts };
  }

  /** The server of a space; null where none is known. */
  serverOf(space: string): string | null {
    return this.#rules.directory?.serverOf(space, this.servers.current()?.servers ?? {}) ?? null;
  }

  /**
   * Gives the outcome of a visit, and sets when its key is due again. A visit that finds what the last one found is
   * skipped as `unchanged`, one of a key that is gone and has no row to delete as `no-rows` or `unchanged`, and one of
   * a key that was removed meanwhile as `unwatched`. The caller holds the transaction that accepts the visit.
   */
  acceptVisit(
    { change: { key }, outcome }: Accepted,
    { nowMs, rowState }: { nowMs: number; rowState: RowState },
  ): Outcome {
    const watched = this.find(key);
    this.#sql.exec('DELETE FROM suspects WHERE cursor = ?', visitCursor(key));
    if (!watched) return { kind: 'skip', reason: 'unwatched' };
    // Schedule a failed visit again.
    if (outcome.kind !== 'rows') {
      const retryAfterMs = outcome.kind === 'park' ? outcome.retryAfterMs : null;
      this.#scheduleNext(watched, { nowMs, outcome: 'failed', seen: null, isSame: true, retryAfterMs });
      return outcome;
    }
    // Compare what the visit has seen with what the last one has, and schedule the next visit.
    const { seen } = outcome;
    if (!seen) throw new Error(`visit of ${key}: expected what it has seen, got nothing`);
    const isSame = seen.partial ? seen.mainDigest === watched.main_digest : seen.digest === watched.digest;
    const visitOutcome = !seen.found ? 'gone' : seen.partial ? 'partial' : 'found';
    this.#scheduleNext(watched, { nowMs, outcome: visitOutcome, seen, isSame, retryAfterMs: null });
    // Skip a deletion of no row, and what has not changed.
    if (!seen.found && rowState !== 'present')
      return { kind: 'skip', reason: rowState === 'missing' ? 'no-rows' : 'unchanged' };
    return isSame && !seen.always ? { kind: 'skip', reason: 'unchanged' } : outcome;
  }

  #scheduleNext(
    watched: Watched,
    visit: {
      nowMs: number;
      outcome: Visit['outcome'];
      seen: Seen | null;
      isSame: boolean;
      retryAfterMs: number | null;
    },
  ): void {
    const { key } = watched;
    const { nowMs, outcome, seen, isSame, retryAfterMs } = visit;
    const times = watched.outcome === outcome ? watched.times + 1 : 1;
    const facts = seen ? JSON.stringify(seen.facts) : watched.facts;
    const { atMs, reason } = this.#rules.next({
      key,
      nowMs,
      outcome,
      times,
      changed: !isSame && watched.digest !== null,
      facts: facts === null ? null : (JSON.parse(facts) as Visit['facts']),
      notBeforeMs: retryAfterMs === null ? null : nowMs + retryAfterMs,
    });
    // An unchanged partial answer does not prove that the whole record is unchanged, so keep the old digests.
    const digests = seen && !(seen.partial && isSame) ? seen : null;
    this.#sql.exec(
      `UPDATE agenda SET due_ms = ?, reason = ?, checked_ms = ?, outcome = ?, times = ?, digest = ?, main_digest = ?,
         more_hosts = ?, facts = ? WHERE key = ?`,
      Math.round(atMs),
      reason,
      seen ? nowMs : watched.checked_ms,
      outcome,
      times,
      digests?.digest ?? watched.digest,
      digests?.mainDigest ?? watched.main_digest,
      seen ? listText(seen.moreHosts) : watched.more_hosts,
      facts,
      key,
    );
  }

  #spaceId(name: string): number {
    this.#sql.exec('INSERT INTO agenda_spaces (name) VALUES (?) ON CONFLICT DO NOTHING', name);
    return this.#sql.exec<{ id: number }>('SELECT id FROM agenda_spaces WHERE name = ?', name)[0]!.id;
  }
}

/** JSON of a list; null for an empty one, because most keys have none and it would take room. */
function listText(list: string[]): string | null {
  return list.length === 0 ? null : JSON.stringify(list);
}

function earliest(times: (number | null)[]): number | null {
  return times.reduce((least, time) => (least === null || (time !== null && time < least) ? time : least), null);
}
