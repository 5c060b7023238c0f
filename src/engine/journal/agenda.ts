import { MINUTE } from '../../limits.ts';
import type { Change, Visit } from '../../ports/change.ts';
import type { AgendaRules } from '../../ports/source.ts';
import type { SqlPort, SqlValue } from '../../ports/sql.ts';
import { AgendaPace } from './agenda-pace.ts';
import { TAIL } from './changes.ts';
import { MovedKeys } from './moved-keys.ts';
import { JournalServers } from './servers.ts';

/** No rule sets a later due time than this. A later one comes from a clock that was ahead, and counts as due. */
export const AGENDA_AHEAD_MS_MAX = 200 * 24 * 60 * MINUTE;

/** A watched key, which is visited again and again. Times are milliseconds since 1970. */
export interface Watched {
  key: string;
  space: string;
  due_ms: number;
  /** 1 where the next visit is a revisit, which a probe may answer; 0 also where a change of evidence makes it due. */
  revisit: number;
  /** Why it is due then. */
  reason: string;
  added_ms: number;
  /** When the last visit that did not fail was accepted. */
  checked_ms: number | null;
  /** The outcome of the last visit, and how many visits in a row had it. */
  outcome: Visit['outcome'] | null;
  times: number;
  /** JSON of the digests of the last visit by table; null before the first. */
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

/** A key to visit, with what its last visit left: the hosts that it asked besides the key's server, and its facts. */
export interface DueVisit {
  key: string;
  moreHosts: string[];
  dueMs: number;
  facts: Change['facts'];
}

/** First visits, with those that go on with unfinished ones; or revisits, which a probe may answer. */
export type VisitKind = 'first' | 'again';

/** Due visits of one space, those due longest first. */
interface SpaceVisits {
  space: number;
  visits: DueVisit[];
}

/** How much of the agenda is due. */
export interface AgendaCount {
  keys: number;
  due: number;
  /** How many of the due ones are first visits, or go on with unfinished ones. */
  firstDue: number;
  overdue: number;
  oldestDueMs: number | null;
  /** When the first key becomes due that is not due yet. */
  nextDueMs: number | null;
}

/** The values of `agenda.revisit`, by kind of visit and as a table. */
const REVISIT: Record<VisitKind, number> = { first: 0, again: 1 };
const KINDS = '(SELECT 0 AS kind UNION ALL SELECT 1)';

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
  readonly moved: MovedKeys;
  readonly pace: AgendaPace;
  readonly #sql: SqlPort;
  readonly #rules: AgendaRules;

  constructor(sql: SqlPort, rules: AgendaRules) {
    this.#sql = sql;
    this.#rules = rules;
    this.servers = new JournalServers(sql);
    this.moved = new MovedKeys(sql);
    this.pace = new AgendaPace(sql);
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

  /** Adds a key as `add` does because a person asks for it: rows and visits may add it again from now on. */
  watch(key: { key: string; space: string }, nowMs: number): number | null {
    this.#sql.exec('DELETE FROM removed_keys WHERE key = ?', key.key);
    this.moved.forget(key.key);
    return this.add(key, nowMs);
  }

  /** Removes a key; false when it is not watched. */
  remove(key: string): boolean {
    const [removed] = this.#sql.exec<{ space: number }>('DELETE FROM agenda WHERE key = ? RETURNING space', key);
    if (removed) this.#sql.exec('UPDATE agenda_spaces SET keys = keys - 1 WHERE id = ?', removed.space);
    return removed !== undefined;
  }

  /**
   * Makes the next visit of a key give a row, whatever it finds: no probe answers it, and the ETag in its facts is
   * forgotten, because an answer that nothing changed has no row.
   */
  forgetDigests(key: string): void {
    this.#sql.exec(
      `UPDATE agenda SET digest = NULL, main_digest = NULL, revisit = 0, facts = json_remove(facts, '$.etag')
       WHERE key = ? AND digest IS NOT NULL`,
      key,
    );
  }

  /** Removes a key because a person asks for it: it stays out until a person adds it again. */
  unwatch(key: string): boolean {
    if (!this.remove(key)) return false;
    this.#sql.exec('INSERT INTO removed_keys (key) VALUES (?) ON CONFLICT DO NOTHING', key);
    return true;
  }

  /** Whether a person removed a key and has not added it again. */
  isRemoved(key: string): boolean {
    return this.#sql.exec('SELECT key FROM removed_keys WHERE key = ?', key).length > 0;
  }

  /** Makes a watched key due at a time, unless it is due before that. No probe may answer its next visit. */
  advance(key: string, { dueMs, reason }: { dueMs: number; reason: string }): void {
    this.#sql.exec(
      'UPDATE agenda SET due_ms = min(due_ms, ?1), reason = iif(due_ms > ?1, ?2, reason), revisit = 0 WHERE key = ?3',
      dueMs,
      reason,
      key,
    );
  }

  /** Makes a watched key due at a time, unless it is due before that. False when it is not watched. */
  hasten(key: string, { dueMs, reason }: { dueMs: number; reason: string }): boolean {
    const hastened = this.#sql.exec(
      'UPDATE agenda SET reason = iif(due_ms > ?1, ?2, reason), due_ms = min(due_ms, ?1) WHERE key = ?3 RETURNING key',
      dueMs,
      reason,
      key,
    );
    return hastened.length > 0;
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

  /** Spaces with due keys of a kind, and since when; the one due longest first. */
  dueSpaces(spaces: number[], { kind, nowMs }: { kind: VisitKind; nowMs: number }): { space: number; dueMs: number }[] {
    const found = this.#sql.exec<{ space: number; first: number | null }>(
      `SELECT value AS space, (SELECT min(due_ms) FROM agenda INDEXED BY agenda_due WHERE space = value AND revisit = ?2)
         AS first
       FROM json_each(?1)`,
      JSON.stringify(spaces),
      REVISIT[kind],
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
    { kind, nowMs, most }: { kind: VisitKind; nowMs: number; most: number },
  ): SpaceVisits[] {
    const share = Math.max(1, Math.floor(most / Math.max(1, wanted.length)));
    const spaces = wanted.map(({ space }) => space);
    const first = this.due(spaces, { kind, nowMs, each: share });
    const full = wanted.filter(({ room }, index) => room > share && first[index]!.visits.length === share);
    const left = most - first.reduce((sum, { visits }) => sum + visits.length, 0);
    const room = full.reduce((largest, one) => Math.max(largest, one.room), 0);
    const each = Math.min(room, share + Math.floor(left / Math.max(1, full.length)));
    if (each <= share) return first;
    const second = this.due(
      full.map(({ space }) => space),
      { kind, nowMs, each },
    );
    const more = new Map(second.map(({ space, visits }) => [space, visits]));
    return first.map(({ space, visits }) => ({ space, visits: more.get(space) ?? visits }));
  }

  /**
   * The due visits of a kind of some spaces, at most `each` a space. A parked key is left out, because its attempts have their
   * own times.
   */
  due(spaces: number[], { kind, nowMs, each }: { kind: VisitKind; nowMs: number; each: number }): SpaceVisits[] {
    const found = this.#sql.exec<{ space: number; keys: string }>(
      `SELECT value AS space, (SELECT json_group_array(json_array(key, json(more_hosts), due_ms, json(facts))) FROM (
         SELECT key, more_hosts, due_ms, facts FROM agenda INDEXED BY agenda_due
         WHERE space = value AND revisit = ?4 AND due_ms <= ?2
           AND NOT EXISTS (SELECT 1 FROM parked WHERE parked.key = agenda.key AND died_ms IS NULL)
         ORDER BY due_ms LIMIT ?3)) AS keys FROM json_each(?1)`,
      JSON.stringify(spaces),
      nowMs,
      each,
      REVISIT[kind],
    );
    return found.map(({ space, keys }) => {
      const visits = JSON.parse(keys) as [string, string[] | null, number, Change['facts']][];
      return {
        space,
        visits: visits.map(([key, moreHosts, dueMs, facts]) => ({ key, moreHosts: moreHosts ?? [], dueMs, facts })),
      };
    });
  }

  /**
   * Counts due keys, and those due since `overdueMs` or longer. A parked key does not count, because its attempts have
   * their own times.
   */
  count({ nowMs, overdueMs }: { nowMs: number; overdueMs: number }): AgendaCount {
    const counted = this.#sql.exec<
      Record<'kind' | 'keys' | 'due' | 'overdue', number> & Record<'oldest' | 'next', number | null>
    >(
      `SELECT kind, keys,
         (SELECT count(*) FROM agenda WHERE space = id AND revisit = kind AND due_ms <= ?1) AS due,
         (SELECT count(*) FROM agenda WHERE space = id AND revisit = kind AND due_ms <= ?2) AS overdue,
         (SELECT due_ms FROM agenda INDEXED BY agenda_due WHERE space = id AND revisit = kind AND due_ms <= ?1
            AND NOT EXISTS (SELECT 1 FROM parked WHERE parked.key = agenda.key AND died_ms IS NULL)
          ORDER BY due_ms LIMIT 1) AS oldest,
         (SELECT min(due_ms) FROM agenda WHERE space = id AND revisit = kind AND due_ms > ?1) AS next
       FROM agenda_spaces CROSS JOIN ${KINDS} WHERE keys > 0`,
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
      keys: sum(one => (one.kind === 0 ? one.keys : 0)),
      due: sum(one => one.due) - parked!.due,
      firstDue: sum(one => (one.kind === 0 ? one.due : 0)),
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
         SELECT key FROM agenda_spaces CROSS JOIN ${KINDS}
           CROSS JOIN agenda INDEXED BY agenda_due ON space = id AND revisit = kind AND due_ms > ?2)`,
      nowMs,
      nowMs + AGENDA_AHEAD_MS_MAX,
    );
  }

  /** The hosts that a visit of a key asks, and the facts that it gets; no server where the key is not watched. */
  visitOf(key: string): Pick<Change, 'server' | 'moreHosts' | 'facts'> {
    const watched = this.find(key);
    if (!watched) return { server: null };
    const moreHosts = JSON.parse(watched.more_hosts ?? '[]') as string[];
    const facts = JSON.parse(watched.facts ?? 'null') as Change['facts'];
    return { server: this.serverOf(watched.space), moreHosts, facts };
  }

  /** The server of a space; null where none is known. */
  serverOf(space: string): string | null {
    return this.#rules.directory?.serverOf(space, this.servers.current()?.servers ?? {}) ?? null;
  }

  /**
   * Gives a watched key another name, in place, with all that its visits found. Where the new name is watched already,
   * the old one ends, unless no visit of the other has found anything yet: then that one ends.
   */
  rename(key: string, to: { key: string; space: string }): void {
    this.moved.note(key, to.key);
    const known = this.find(to.key);
    if (known && known.facts !== null) {
      this.remove(key);
      return;
    }
    if (known) this.remove(to.key);
    const space = this.#spaceId(to.space);
    const [{ space: before }] = this.#sql.exec<{ space: number }>('SELECT space FROM agenda WHERE key = ?', key) as [
      { space: number },
    ];
    this.#sql.exec('UPDATE agenda SET key = ?, space = ? WHERE key = ?', to.key, space, key);
    this.#sql.exec('UPDATE agenda_spaces SET keys = keys - 1 WHERE id = ?', before);
    this.#sql.exec('UPDATE agenda_spaces SET keys = keys + 1 WHERE id = ?', space);
  }

  /** Sets when keys that got no permit now are due. They count as due meanwhile. */
  postpone(keys: string[], dueMs: number): void {
    this.#sql.exec(
      "UPDATE agenda SET due_ms = ?, reason = 'no-permit' WHERE key IN (SELECT value FROM json_each(?))",
      Math.round(dueMs),
      JSON.stringify(keys),
    );
  }

  /** Whether a key waits for a permit. */
  hasWaiting(): boolean {
    const waiting = "SELECT key FROM agenda INDEXED BY agenda_waiting WHERE reason = 'no-permit' LIMIT 1";
    return this.#sql.exec(waiting).length > 0;
  }

  /** Adjusts by what factor intervals are stretched. `isIdle`: no visit is due. */
  adjustStretch({ isIdle, nowMs }: { isIdle: boolean; nowMs: number }): void {
    const [{ keys }] = this.#sql.exec<{ keys: number }>('SELECT coalesce(sum(keys), 0) AS keys FROM agenda_spaces') as [
      { keys: number },
    ];
    this.pace.adjust({ isIdle, keys, nowMs });
  }

  #spaceId(name: string): number {
    this.#sql.exec('INSERT INTO agenda_spaces (name) VALUES (?) ON CONFLICT DO NOTHING', name);
    return this.#sql.exec<{ id: number }>('SELECT id FROM agenda_spaces WHERE name = ?', name)[0]!.id;
  }
}

function earliest(times: (number | null)[]): number | null {
  return times.reduce((least, time) => (least === null || (time !== null && time < least) ? time : least), null);
}
