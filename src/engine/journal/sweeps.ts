import { LIMITS } from '../../config.ts';
import type { KeyPage } from '../../ports/change.ts';
import type { SqlPort } from '../../ports/sql.ts';
import { byBytes, indexedKeys, isAscending, type KeyState, keyStatesOf, waitingSweepChanges } from './key-index.ts';
import type { ParkedChanges } from './parked.ts';
import { isSampled } from './sampling.ts';
import type { JournalState } from './state.ts';

/** Keys of a sweep that one transaction checks again. */
const SWEEP_CHECKS_MAX = 500;
/** Missed changes that wait for their first attempt. Few, so that most of the host's pace remains for the tail. */
export const MISSED_WAITING_MAX = 25;

/**
 * A comparison of the keys that the upstream lists with the key index. The sweep lists all keys, waits until the tail
 * has pulled everything older than the listing, checks each difference again, and has missing keys loaded (`mending`).
 */
export interface Sweep {
  id: number;
  /** The share of the keys that is compared, up to 1. */
  sample: number;
  phase: 'listing' | 'catching-up' | 'checking' | 'mending' | 'done' | 'given-up';
  /** The key that listing continues after; null at its start. */
  after: string | null;
  /** 0 once the upstream listed keys out of byte order: extra keys cannot be found then. */
  ordered: number;
  /** The number of the tail's first pull after the listing; null until listing ends. */
  first_poll: number | null;
  listed: number;
  sampled: number;
  /** Sampled keys whose newest row is not a deletion, or whose change the tail has pulled. */
  present: number;
  /** Sampled keys of parked and dead changes. */
  failed: number;
  /** Sampled keys whose newest row is a deletion. */
  deleted: number;
  missing: number;
  extra: number;
  /** Changes made to load keys afresh. */
  loaded_afresh: number;
  /** Why the sweep was given up. */
  reason: string | null;
  started_ms: number;
  ended_ms: number | null;
}

/**
 * `missing`: listed, without a row. `deleted`: listed, and its newest row is a deletion. `extra`: present here, and not
 * listed.
 */
type DifferenceKind = 'missing' | 'deleted' | 'extra';

/**
 * A key that differs. `lsn`: its newest row when it was compared, 0 without one. `after`: the key that the page with it
 * begins after.
 */
interface Difference {
  sweep: number;
  kind: DifferenceKind;
  key: string;
  lsn: number;
  after: string | null;
}

/**
 * The sweeps in the object's SQLite and their differences, each `found` by the listing, `confirmed` by a second check,
 * and `loading` once it has a change or needs none.
 */
export class JournalSweep {
  readonly #sql: SqlPort;
  readonly #state: JournalState;
  readonly #parked: ParkedChanges;

  constructor(sql: SqlPort, { state, parked }: { state: JournalState; parked: ParkedChanges }) {
    this.#sql = sql;
    this.#state = state;
    this.#parked = parked;
  }

  running(): Sweep | null {
    return this.#sql.exec<Sweep & Record<string, never>>('SELECT * FROM sweeps WHERE ended_ms IS NULL')[0] ?? null;
  }

  last(): Sweep | null {
    const statement = 'SELECT * FROM sweeps WHERE ended_ms IS NOT NULL ORDER BY id DESC LIMIT 1';
    return this.#sql.exec<Sweep & Record<string, never>>(statement)[0] ?? null;
  }

  /** Starts a sweep; false when one is running. */
  start(sample: number, nowMs: number): boolean {
    return this.#sql.transaction(() => {
      if (this.running()) return false;
      this.#sql.exec('INSERT INTO sweeps (sample, started_ms) VALUES (?, ?)', sample, nowMs);
      return true;
    });
  }

  /**
   * Compares a page of the listing with the key index. `before`: the sweep when the page was requested. False, without
   * any effect, when the sweep has moved on since.
   */
  compareListing(before: Sweep, page: KeyPage, nextPoll: number): boolean {
    return this.#sql.transaction(() => {
      const sweep = this.running();
      if (sweep?.id !== before.id || sweep.phase !== 'listing' || sweep.after !== before.after) return false;
      // Find no extra keys once the listing is out of order, because a key that its page lacks may be on another.
      if (sweep.ordered === 1 && !isAscending([...(before.after === null ? [] : [before.after]), ...page.keys])) {
        sweep.ordered = 0;
        this.#sql.exec("DELETE FROM differences WHERE sweep = ? AND kind = 'extra'", sweep.id);
      }
      // Cut the page at an indexed key where the index has many more keys than the page.
      const own = sweep.ordered === 1 ? indexedKeys(this.#sql, { after: before.after, upTo: page.next }) : [];
      const next = own.length === LIMITS.listOwnKeysMax ? own.at(-1)!.key : page.next;
      const isCut = next !== page.next;
      const keys = [...new Set(isCut ? page.keys.filter(key => byBytes(key, next!) <= 0) : page.keys)];
      // Compare the listed keys, then find indexed keys that are not listed.
      const sampled = keys.filter(key => isSampled(key, sweep.sample));
      for (const state of keyStatesOf(this.#sql, sampled)) this.#compareKey(sweep, state, before.after);
      const listed = new Set(keys);
      for (const { key, lsn, present } of own)
        if (present === 1 && !listed.has(key) && isSampled(key, sweep.sample))
          this.#insert({ sweep: sweep.id, kind: 'extra', key, lsn, after: before.after });
      // Continue after the page; after the last one, wait for the tail.
      sweep.listed += keys.length;
      sweep.sampled += sampled.length;
      sweep.after = next;
      if (next === null) {
        sweep.phase = 'catching-up';
        sweep.first_poll = nextPoll;
      }
      this.#save(sweep);
      return true;
    });
  }

  /**
   * Removes differences of keys that the tail has pulled, because their changes will be accepted. To wait until they
   * are would miss a key that changes again, because it moves to a later cursor of the feed, ahead of the tail.
   */
  dropPulled(keys: string[]): void {
    const sweep = this.running();
    if (!sweep || keys.length === 0) return;
    const removed = this.#sql.exec<{ kind: DifferenceKind }>(
      `DELETE FROM differences WHERE sweep = ? AND state = 'found' AND key IN (SELECT value FROM json_each(?)) RETURNING kind`,
      sweep.id,
      JSON.stringify(keys),
    );
    sweep.present += removed.filter(({ kind }) => kind !== 'extra').length;
    if (removed.length > 0) this.#save(sweep);
  }

  setPhase(sweep: Sweep, phase: Sweep['phase']): void {
    this.#sql.exec('UPDATE sweeps SET phase = ? WHERE id = ?', phase, sweep.id);
  }

  /** Checks some missing and deleted keys again. False when there were none left. */
  recheckMissing(id: number): boolean {
    return this.#sql.transaction(() => {
      const sweep = this.running();
      if (sweep?.id !== id || sweep.phase !== 'checking') return false;
      const some = ['missing', 'deleted'].flatMap(kind => this.#next(sweep, kind as DifferenceKind, 'found'));
      const states = this.#statesOf(some);
      for (const difference of some) {
        const { state, lsn } = states.get(difference.key)!;
        sweep[state] += 1;
        // A key that has a new row since it was listed does not differ: the tail has appended it.
        const isSame = lsn === difference.lsn && (state === 'missing' || state === 'deleted');
        if (isSame) this.#confirm(difference);
        else this.#drop(difference);
      }
      this.#save(sweep);
      return some.length > 0;
    });
  }

  /** The first extra key that has not been checked again; null when there is none. */
  nextExtra(sweep: Sweep): Difference | null {
    return this.#next(sweep, 'extra', 'found')[0] ?? null;
  }

  /** Checks all extra keys again that a fresh page covers. Those after the page are then listed from its end. */
  recheckExtra(before: Sweep, extra: Difference, page: KeyPage): void {
    this.#sql.transaction(() => {
      const sweep = this.running();
      if (sweep?.id !== before.id || sweep.phase !== 'checking') return;
      const listed = new Set(page.keys);
      const covered = this.#sql.exec<Difference & Record<string, never>>(
        `SELECT * FROM differences WHERE sweep = ?1 AND kind = 'extra' AND state = 'found' AND (?2 IS NULL OR key > ?2)
           AND (?3 IS NULL OR key <= ?3)`,
        sweep.id,
        extra.after,
        page.next,
      );
      const states = this.#statesOf(covered);
      for (const difference of covered) {
        const { state, lsn } = states.get(difference.key)!;
        const isSame = state === 'present' && lsn === difference.lsn;
        if (!isSame || listed.has(difference.key)) this.#drop(difference);
        else {
          this.#confirm(difference);
          sweep.extra += 1;
        }
      }
      if (page.next !== null)
        this.#sql.exec(
          `UPDATE differences SET after = ?1 WHERE sweep = ?2 AND kind = 'extra' AND state = 'found' AND key > ?1
             AND (after IS NULL OR after < ?1)`,
          page.next,
          sweep.id,
        );
      this.#save(sweep);
    });
  }

  /**
   * Makes a change of its own, at the tail's cursor, for confirmed keys that are still missing or deleted: parked, and
   * due at once. At most `MISSED_WAITING_MAX` wait for their first attempt. `none`: no confirmed key is left.
   */
  parkMissing(id: number, { cursor, nowMs }: { cursor: string; nowMs: number }): 'parked' | 'waiting' | 'none' {
    return this.#sql.transaction(() => {
      const sweep = this.running();
      if (sweep?.id !== id || sweep.phase !== 'mending') return 'waiting';
      const some = ['missing', 'deleted'].flatMap(kind => this.#next(sweep, kind as DifferenceKind, 'confirmed'));
      if (some.length === 0) return 'none';
      const states = keyStatesOf(
        this.#sql,
        some.map(({ key }) => key),
      );
      const free = MISSED_WAITING_MAX - waitingSweepChanges(this.#sql);
      if (free <= 0) return 'waiting';
      for (const [index, { state, lsn }] of states.slice(0, free).entries()) {
        const { kind, key, lsn: lsnBefore } = some[index]!;
        if (state === kind && lsn === lsnBefore) {
          this.#parkMissed(key, { cursor, nowMs });
          sweep.loaded_afresh += 1;
        }
        const statement =
          "UPDATE differences SET state = 'loading' WHERE sweep = ? AND kind = ? AND state = 'confirmed' AND key = ?";
        this.#sql.exec(statement, id, kind, key);
      }
      this.#save(sweep);
      return 'parked';
    });
  }

  /** Ends a sweep and removes the one before it. Of its differences, only those stay that its answer names. */
  end(id: number, { reason, nowMs }: { reason: string | null; nowMs: number }): void {
    this.#sql.transaction(() => {
      if (this.running()?.id !== id) return;
      this.#sql.exec(
        'UPDATE sweeps SET phase = ?, reason = ?, ended_ms = ? WHERE id = ?',
        reason === null ? 'done' : 'given-up',
        reason,
        nowMs,
        id,
      );
      for (const kind of ['missing', 'extra'] as const)
        this.#sql.exec(
          `DELETE FROM differences WHERE sweep = ?1 AND kind = ?2 AND key NOT IN (SELECT key FROM differences
             WHERE sweep = ?1 AND kind = ?2 AND state <> 'found' ORDER BY key LIMIT ?3)`,
          id,
          kind,
          LIMITS.auditNamesMax,
        );
      this.#sql.exec("DELETE FROM differences WHERE sweep < ? OR kind = 'deleted'", id);
      this.#sql.exec('DELETE FROM sweeps WHERE id < ?', id);
    });
  }

  /** Keys that differ after the second check, at most `LIMITS.auditNamesMax`, in order. */
  confirmedKeys(sweep: number, kind: DifferenceKind): string[] {
    return this.#sql
      .exec<{ key: string }>(
        "SELECT key FROM differences WHERE sweep = ? AND kind = ? AND state <> 'found' ORDER BY key LIMIT ?",
        sweep,
        kind,
        LIMITS.auditNamesMax,
      )
      .map(({ key }) => key);
  }

  countDifferences(sweep: number): number {
    return this.#sql.exec<{ keys: number }>('SELECT count(*) AS keys FROM differences WHERE sweep = ?', sweep)[0]!.keys;
  }

  #statesOf(differences: Difference[]): Map<string, KeyState> {
    const keys = differences.map(({ key }) => key);
    return new Map(keyStatesOf(this.#sql, keys).map(state => [state.key, state]));
  }

  #compareKey(sweep: Sweep, { key, lsn, state }: KeyState, after: string | null): void {
    if (state === 'present' || state === 'failed') sweep[state] += 1;
    else this.#insert({ sweep: sweep.id, kind: state, key, lsn, after });
  }

  #insert({ sweep, kind, key, lsn, after }: Difference): void {
    this.#sql.exec(
      'INSERT INTO differences (sweep, kind, key, lsn, after) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
      sweep,
      kind,
      key,
      lsn,
      after,
    );
  }

  /** A second check found the same. */
  #confirm({ sweep, kind, key }: Difference): void {
    const statement =
      "UPDATE differences SET state = 'confirmed' WHERE sweep = ? AND kind = ? AND state = 'found' AND key = ?";
    this.#sql.exec(statement, sweep, kind, key);
  }

  #drop({ sweep, kind, key }: Difference): void {
    this.#sql.exec('DELETE FROM differences WHERE sweep = ? AND kind = ? AND key = ?', sweep, kind, key);
  }

  #parkMissed(key: string, { cursor, nowMs }: { cursor: string; nowMs: number }): void {
    const change_number = this.#state.source().change_number + 1;
    this.#state.updateSource({ change_number });
    const change = { key, cursor, deleted: false, revision: null, skip: null };
    const detail = 'a sweep found it upstream and not here';
    this.#parked.park(change_number, change, { reason: 'missed', detail, nowMs, dueMs: nowMs });
    this.#sql.exec('UPDATE parked SET from_sweep = 1 WHERE change_number = ?', change_number);
  }

  #save({ id, phase, after, ordered, first_poll, ...counts }: Sweep): void {
    const { listed, sampled, present, failed, deleted, missing, extra, loaded_afresh } = counts;
    this.#sql.exec(
      `UPDATE sweeps SET phase = ?, after = ?, ordered = ?, first_poll = ?, listed = ?, sampled = ?, present = ?, failed = ?,
         deleted = ?, missing = ?, extra = ?, loaded_afresh = ? WHERE id = ?`,
      phase,
      after,
      ordered,
      first_poll,
      listed,
      sampled,
      present,
      failed,
      deleted,
      missing,
      extra,
      loaded_afresh,
      id,
    );
  }

  #next(sweep: Sweep, kind: DifferenceKind, state: 'found' | 'confirmed'): Difference[] {
    return this.#sql.exec<Difference & Record<string, never>>(
      'SELECT * FROM differences WHERE sweep = ? AND kind = ? AND state = ? ORDER BY key LIMIT ?',
      sweep.id,
      kind,
      state,
      SWEEP_CHECKS_MAX,
    );
  }
}
