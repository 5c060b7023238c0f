import { LIMITS } from '../../config.ts';
import type { Change, Seen, Visit } from '../../ports/change.ts';
import type { AgendaRules } from '../../ports/source.ts';
import type { SqlPort, SqlValue } from '../../ports/sql.ts';
import { type Accepted, type Outcome, TAIL } from './changes.ts';
import { JournalServers } from './servers.ts';

/** A key that is visited again and again. Times are milliseconds since 1970. */
export interface Watched {
  key: string;
  space: string;
  due_ms: number;
  /** Why it is due then. */
  reason: string;
  added_ms: number;
  /** The last visit that came to something. */
  checked_ms: number | null;
  /** What the last visit came to, and how many in a row did. */
  outcome: Visit['outcome'] | null;
  times: number;
  digest: string | null;
  main_digest: string | null;
  /** JSON list of the hosts that the last visit asked besides its server's; null where there were none. */
  more_hosts: string | null;
  /** JSON of what the last visit that came to something has seen. */
  facts: string | null;
}

/** A part of all keys that is served in one place; visits are spread among them. */
export interface Space {
  id: number;
  name: string;
  keys: number;
}

/** A key to visit, and the hosts that its last visit asked besides its server's. */
export interface Due {
  key: string;
  moreHosts: string[];
  dueMs: number;
}

export interface SpaceVisits {
  space: number;
  visits: Due[];
}

/** How much of the agenda is due. */
export interface AgendaCount {
  keys: number;
  due: number;
  overdue: number;
  oldestDueMs: number | null;
  /** When the next key is due that is not yet. */
  nextDueMs: number | null;
}

/** What a visit's change is called until it is accepted and gets its number. */
export function visitCursor(key: string): string {
  return `visit of ${key}`;
}

/** The agenda of a source that has no feed. Throws where it has one. */
export function agendaOf({ agenda }: { agenda: JournalAgenda | null }): JournalAgenda {
  if (!agenda) throw new Error('agenda: expected a source without a feed');
  return agenda;
}

/** The agenda in the object's SQLite: keys with due times. A key is due again in the transaction that accepts its visit. */
export class JournalAgenda {
  readonly servers: JournalServers;
  readonly #sql: SqlPort;
  readonly #rules: AgendaRules;

  constructor(sql: SqlPort, rules: AgendaRules) {
    this.#sql = sql;
    this.#rules = rules;
    this.servers = new JournalServers(sql);
  }

  /** Adds a key that is due at once. Null, or when it was added before; then it stays as it is. */
  add({ key, space }: { key: string; space: string }, nowMs: number): number | null {
    const id = this.#spaceId(space);
    const statement = `INSERT INTO agenda (key, space, due_ms, reason, added_ms) VALUES (?, ?, ?, 'added', ?)
      ON CONFLICT DO NOTHING RETURNING key`;
    if (this.#sql.exec(statement, key, id, nowMs, nowMs).length === 0) return this.find(key)!.added_ms;
    this.#sql.exec('UPDATE agenda_spaces SET keys = keys + 1 WHERE id = ?', id);
    return null;
  }

  /** Takes a key off the agenda; false when it is not on it. */
  remove(key: string): boolean {
    const [removed] = this.#sql.exec<{ space: number }>('DELETE FROM agenda WHERE key = ? RETURNING space', key);
    if (removed) this.#sql.exec('UPDATE agenda_spaces SET keys = keys - 1 WHERE id = ?', removed.space);
    return removed !== undefined;
  }

  find(key: string): Watched | null {
    return this.#watched('key = ?', key)[0] ?? null;
  }

  /** Keys after one, in order. */
  list({ after, limit }: { after: string | null; limit: number }): Watched[] {
    return this.#watched('key > ? ORDER BY key LIMIT ?', after ?? '', limit);
  }

  /** A condition of its own for each question: one that answers several is answered by reading the whole agenda. */
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

  /** Spaces with something due, and since when; the one due longest first. */
  heads(spaces: number[], nowMs: number): { space: number; dueMs: number }[] {
    const found = this.#sql.exec<{ space: number; head: number | null }>(
      `SELECT value AS space, (SELECT min(due_ms) FROM agenda INDEXED BY agenda_due WHERE space = value) AS head
       FROM json_each(?)`,
      JSON.stringify(spaces),
    );
    const due = found.flatMap(({ space, head }) => (head !== null && head <= nowMs ? [{ space, dueMs: head }] : []));
    return due.sort((a, b) => a.dueMs - b.dueMs);
  }

  /**
   * Visits of spaces, about `most` in all: what those with few do not need goes to those with many, each of which has no
   * more than its `room`.
   */
  shared(wanted: { space: number; room: number }[], { nowMs, most }: { nowMs: number; most: number }): SpaceVisits[] {
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

  /** The visits of some spaces that are due and not parked, those due longest first, at most so many a space. */
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
      const read = JSON.parse(keys) as [string, string[] | null, number][];
      return { space, visits: read.map(([key, moreHosts, dueMs]) => ({ key, moreHosts: moreHosts ?? [], dueMs })) };
    });
  }

  /** How much is due, `overdue` since before a time. A parked key is not: its looks go by their own times. */
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

  /** Has the visitor look at once for what is due. */
  lookAgain(): void {
    this.#sql.exec('UPDATE lanes SET next_pull_ms = 0 WHERE lane = ?', TAIL);
  }

  /** A key due later than any rule says was put there by a clock that has jumped back since: it is due now. */
  recall(nowMs: number): void {
    this.#sql.exec(
      `UPDATE agenda SET due_ms = ?1 WHERE key IN (
         SELECT key FROM agenda_spaces CROSS JOIN agenda INDEXED BY agenda_due ON space = id AND due_ms > ?2)`,
      nowMs,
      nowMs + LIMITS.agendaAheadMsMax,
    );
  }

  /** Where a key is asked for; nowhere while it is not watched. */
  hostsOf(key: string): Pick<Change, 'server' | 'moreHosts'> {
    const watched = this.find(key);
    if (!watched) return { server: null };
    const moreHosts = JSON.parse(watched.more_hosts ?? '[]') as string[];
    return { server: this.serverOf(watched.space), moreHosts };
  }

  /** The server the keys of a space are asked of; null where none is known. */
  serverOf(space: string): string | null {
    return this.#rules.directory?.serverOf(space, this.servers.told()?.servers ?? {}) ?? null;
  }

  /**
   * Says what a visit comes to and when the key is due again. One that finds what the last one found is `unchanged`, a
   * key that is gone and has no row to be deleted gives none, and a key that was removed meanwhile is `unwatched`. The
   * caller holds the transaction that accepts it.
   */
  settle(
    { change: { key }, outcome }: Accepted,
    { nowMs, standing }: { nowMs: number; standing: 'present' | 'deleted' | 'missing' },
  ): Outcome {
    const watched = this.find(key);
    this.#sql.exec('DELETE FROM suspects WHERE cursor = ?', visitCursor(key));
    if (!watched) return { kind: 'skip', reason: 'unwatched' };
    if (outcome.kind !== 'rows') {
      const retryAfterMs = outcome.kind === 'park' ? outcome.retryAfterMs : null;
      this.#visited(watched, { nowMs, outcome: 'failed', seen: null, isSame: true, retryAfterMs });
      return outcome;
    }
    const { seen } = outcome;
    if (!seen) throw new Error(`${key}: expected a visit to say what it has seen`);
    const isSame = seen.partial ? seen.mainDigest === watched.main_digest : seen.digest === watched.digest;
    const came = !seen.found ? 'gone' : seen.partial ? 'partial' : 'found';
    this.#visited(watched, { nowMs, outcome: came, seen, isSame, retryAfterMs: null });
    if (!seen.found && standing !== 'present')
      return { kind: 'skip', reason: standing === 'missing' ? 'no-rows' : 'unchanged' };
    return isSame && !seen.always ? { kind: 'skip', reason: 'unchanged' } : outcome;
  }

  #visited(
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
    // A part that is as it was says nothing of the whole.
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

/** Null for an empty list, because most keys have one and it takes room. */
function listText(list: string[]): string | null {
  return list.length === 0 ? null : JSON.stringify(list);
}

function earliest(times: (number | null)[]): number | null {
  return times.reduce((least, time) => (least === null || (time !== null && time < least) ? time : least), null);
}
