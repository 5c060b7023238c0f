import { LIMITS } from '../../config.ts';
import type { KeyPage } from '../../ports/change.ts';
import type { SqlPort } from '../../ports/sql.ts';
import { byBytes, isAscending, type KeyState, missedWaiting, ownKeys, standingsOf } from './key-index.ts';
import type { ParkedChanges } from './parked.ts';
import { isSampled } from './sampling.ts';
import type { JournalState } from './state.ts';

/**
 * A comparison of all keys the upstream lists with the key index. It lists, waits until the feed has shown the tail all
 * that came before that, checks what differed once more, and has what is missing loaded.
 */
export interface Sweep {
  id: number;
  /** The share of keys that is compared. */
  sample: number;
  phase: 'listing' | 'catching-up' | 'checking' | 'mending' | 'done' | 'given-up';
  /** The key that listing goes on after; null at the first one. */
  after: string | null;
  /** 0 once the upstream listed keys out of byte order: what is extra cannot be told then. */
  ordered: number;
  /** The tail's first pull after listing. */
  polls: number | null;
  listed: number;
  sampled: number;
  /** Sampled keys whose newest row is no deletion or is on its way, that failed, and whose newest row is one. */
  present: number;
  failed: number;
  deleted: number;
  missing: number;
  extra: number;
  /** Changes that were made to load keys afresh. */
  mended: number;
  /** Why it was given up. */
  reason: string | null;
  started_ms: number;
  ended_ms: number | null;
}

/** `deleted` ones are listed though their newest row is a deletion: they are loaded afresh as missing ones are. */
export type Difference = 'missing' | 'deleted' | 'extra';

/** A key that differs. `lsn`: its newest row when it was compared, 0 without one. `after`: where to list it again. */
export interface Differing {
  sweep: number;
  kind: Difference;
  key: string;
  lsn: number;
  after: string | null;
}

/** The sweeps in the object's SQLite, and what of the key index they compare. */
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

  /** False when one is going on. */
  start(sample: number, nowMs: number): boolean {
    return this.#sql.transaction(() => {
      if (this.running()) return false;
      this.#sql.exec('INSERT INTO sweeps (sample, started_ms) VALUES (?, ?)', sample, nowMs);
      return true;
    });
  }

  /** Takes a page of the listing. False when the sweep has gone on since it was asked for: nothing happened. */
  compare(asked: Sweep, page: KeyPage, polls: number): boolean {
    return this.#sql.transaction(() => {
      const sweep = this.running();
      if (sweep?.id !== asked.id || sweep.phase !== 'listing' || sweep.after !== asked.after) return false;
      if (sweep.ordered === 1 && !isAscending([...(asked.after === null ? [] : [asked.after]), ...page.keys])) {
        sweep.ordered = 0;
        this.#sql.exec("DELETE FROM differing WHERE sweep = ? AND kind = 'extra'", sweep.id);
      }
      const own = sweep.ordered === 1 ? ownKeys(this.#sql, { after: asked.after, upTo: page.next }) : [];
      // Where we hold far more than the page shows, only its first part is compared, up to a key of ours.
      const next = own.length === LIMITS.listOwnKeysMax ? own.at(-1)!.key : page.next;
      const isCut = next !== page.next;
      const keys = [...new Set(isCut ? page.keys.filter(key => byBytes(key, next!) <= 0) : page.keys)];
      const sampled = keys.filter(key => isSampled(key, sweep.sample));
      for (const state of standingsOf(this.#sql, sampled)) this.#countFirst(sweep, state, asked.after);
      const listed = new Set(keys);
      for (const { key, lsn, held } of own)
        if (held === 1 && !listed.has(key) && isSampled(key, sweep.sample))
          this.#differs({ sweep: sweep.id, kind: 'extra', key, lsn, after: asked.after });
      sweep.listed += keys.length;
      sweep.sampled += sampled.length;
      sweep.after = next;
      if (next === null) Object.assign(sweep, { phase: 'catching-up', polls });
      this.#save(sweep);
      return true;
    });
  }

  /**
   * Takes what the feed shows out of what differs: it is on its way. By what is accepted it could not be told, since a
   * key that changes once more moves on ahead of the tail.
   */
  shown(keys: string[]): void {
    const sweep = this.running();
    if (!sweep || keys.length === 0) return;
    const moving = this.#sql.exec<{ kind: Difference }>(
      `DELETE FROM differing WHERE sweep = ? AND looks = 1 AND key IN (SELECT value FROM json_each(?)) RETURNING kind`,
      sweep.id,
      JSON.stringify(keys),
    );
    sweep.present += moving.filter(({ kind }) => kind !== 'extra').length;
    if (moving.length > 0) this.#save(sweep);
  }

  enter(sweep: Sweep, phase: Sweep['phase']): void {
    this.#sql.exec('UPDATE sweeps SET phase = ? WHERE id = ?', phase, sweep.id);
  }

  /** Looks again at some keys that were not here, that the feed has not shown since. False when there are no more. */
  checkHere(id: number): boolean {
    return this.#sql.transaction(() => {
      const sweep = this.running();
      if (sweep?.id !== id || sweep.phase !== 'checking') return false;
      const some = ['missing', 'deleted'].flatMap(kind => this.#some(sweep, kind as Difference, 1));
      const states = this.#statesOf(some);
      for (const differing of some) {
        const { standing, lsn } = states.get(differing.key)!;
        sweep[standing] += 1;
        // What has a row since it was listed has moved: the tail brought it.
        const isSame = lsn === differing.lsn && (standing === 'missing' || standing === 'deleted');
        if (isSame) this.#confirm(differing);
        else this.#drop(differing);
      }
      this.#save(sweep);
      return some.length > 0;
    });
  }

  /** The first key of ours that the listing did not show, not looked at again yet. */
  nextExtra(sweep: Sweep): Differing | null {
    return this.#some(sweep, 'extra', 1)[0] ?? null;
  }

  /** Judges by a fresh page all extra keys that it covers; those behind it are listed from its end. */
  checkThere(asked: Sweep, extra: Differing, page: KeyPage): void {
    this.#sql.transaction(() => {
      const sweep = this.running();
      if (sweep?.id !== asked.id || sweep.phase !== 'checking') return;
      const listed = new Set(page.keys);
      const covered = this.#sql.exec<Differing & Record<string, never>>(
        `SELECT * FROM differing WHERE sweep = ?1 AND kind = 'extra' AND looks = 1 AND (?2 IS NULL OR key > ?2)
           AND (?3 IS NULL OR key <= ?3)`,
        sweep.id,
        extra.after,
        page.next,
      );
      const states = this.#statesOf(covered);
      for (const differing of covered) {
        const { standing, lsn } = states.get(differing.key)!;
        const isHeld = standing === 'present' && lsn === differing.lsn;
        if (!isHeld || listed.has(differing.key)) this.#drop(differing);
        else {
          this.#confirm(differing);
          sweep.extra += 1;
        }
      }
      if (page.next !== null)
        this.#sql.exec(
          `UPDATE differing SET after = ?1 WHERE sweep = ?2 AND kind = 'extra' AND looks = 1 AND key > ?1
             AND (after IS NULL OR after < ?1)`,
          page.next,
          sweep.id,
        );
      this.#save(sweep);
    });
  }

  /**
   * Has keys that are still missing loaded: each becomes a change of its own at the tail's place, parked and due at
   * once. No more wait for their first look than `LIMITS.missedWaitingMax`.
   */
  mend(id: number, { cursor, nowMs }: { cursor: string; nowMs: number }): 'some' | 'waits' | 'none' {
    return this.#sql.transaction(() => {
      const sweep = this.running();
      if (sweep?.id !== id || sweep.phase !== 'mending') return 'waits';
      const some = ['missing', 'deleted'].flatMap(kind => this.#some(sweep, kind as Difference, 2));
      if (some.length === 0) return 'none';
      const states = standingsOf(
        this.#sql,
        some.map(({ key }) => key),
      );
      const free = LIMITS.missedWaitingMax - missedWaiting(this.#sql);
      if (free <= 0) return 'waits';
      for (const [index, { standing, lsn }] of states.slice(0, free).entries()) {
        const { kind, key, lsn: lsnBefore } = some[index]!;
        if (standing === kind && lsn === lsnBefore) {
          this.#parkMissed(key, { cursor, nowMs });
          sweep.mended += 1;
        }
        const statement = 'UPDATE differing SET looks = 3 WHERE sweep = ? AND kind = ? AND looks = 2 AND key = ?';
        this.#sql.exec(statement, id, kind, key);
      }
      this.#save(sweep);
      return 'some';
    });
  }

  /** Ends the sweep; of the keys that differ only those stay that its answer names. */
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
          `DELETE FROM differing WHERE sweep = ?1 AND kind = ?2 AND key NOT IN (SELECT key FROM differing
             WHERE sweep = ?1 AND kind = ?2 AND looks > 1 ORDER BY key LIMIT ?3)`,
          id,
          kind,
          LIMITS.auditNamesMax,
        );
      this.#sql.exec("DELETE FROM differing WHERE sweep < ? OR kind = 'deleted'", id);
      this.#sql.exec('DELETE FROM sweeps WHERE id < ?', id);
    });
  }

  /** Keys that differ after a second look, the first of them in order. */
  namesOf(sweep: number, kind: Difference): string[] {
    return this.#sql
      .exec<{ key: string }>(
        'SELECT key FROM differing WHERE sweep = ? AND kind = ? AND looks > 1 ORDER BY key LIMIT ?',
        sweep,
        kind,
        LIMITS.auditNamesMax,
      )
      .map(({ key }) => key);
  }

  differences(sweep: number): number {
    return this.#sql.exec<{ keys: number }>('SELECT count(*) AS keys FROM differing WHERE sweep = ?', sweep)[0]!.keys;
  }

  #statesOf(differing: Differing[]): Map<string, KeyState> {
    const keys = differing.map(({ key }) => key);
    return new Map(standingsOf(this.#sql, keys).map(state => [state.key, state]));
  }

  #countFirst(sweep: Sweep, { key, lsn, standing }: KeyState, after: string | null): void {
    if (standing === 'present' || standing === 'failed') sweep[standing] += 1;
    else this.#differs({ sweep: sweep.id, kind: standing, key, lsn, after });
  }

  #differs({ sweep, kind, key, lsn, after }: Differing): void {
    this.#sql.exec(
      'INSERT INTO differing (sweep, kind, key, lsn, after) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
      sweep,
      kind,
      key,
      lsn,
      after,
    );
  }

  /** Another look found the same: it is reported. */
  #confirm({ sweep, kind, key }: Differing): void {
    const statement = 'UPDATE differing SET looks = 2 WHERE sweep = ? AND kind = ? AND looks = 1 AND key = ?';
    this.#sql.exec(statement, sweep, kind, key);
  }

  #drop({ sweep, kind, key }: Differing): void {
    this.#sql.exec('DELETE FROM differing WHERE sweep = ? AND kind = ? AND key = ?', sweep, kind, key);
  }

  #parkMissed(key: string, { cursor, nowMs }: { cursor: string; nowMs: number }): void {
    const change_number = this.#state.source().change_number + 1;
    this.#state.updateSource({ change_number });
    const change = { key, cursor, deleted: false, revision: null, skip: null };
    const detail = 'a sweep found it upstream and not here';
    this.#parked.park(change_number, change, { reason: 'missed', detail, nowMs, dueMs: nowMs });
    this.#sql.exec('UPDATE parked SET missed = 1 WHERE change_number = ?', change_number);
  }

  #save({ id, phase, after, ordered, polls, ...counts }: Sweep): void {
    const { listed, sampled, present, failed, deleted, missing, extra, mended } = counts;
    this.#sql.exec(
      `UPDATE sweeps SET phase = ?, after = ?, ordered = ?, polls = ?, listed = ?, sampled = ?, present = ?, failed = ?,
         deleted = ?, missing = ?, extra = ?, mended = ? WHERE id = ?`,
      phase,
      after,
      ordered,
      polls,
      listed,
      sampled,
      present,
      failed,
      deleted,
      missing,
      extra,
      mended,
      id,
    );
  }

  #some(sweep: Sweep, kind: Difference, looks: number): Differing[] {
    return this.#sql.exec<Differing & Record<string, never>>(
      'SELECT * FROM differing WHERE sweep = ? AND kind = ? AND looks = ? ORDER BY key LIMIT ?',
      sweep.id,
      kind,
      looks,
      LIMITS.sweepChecksMax,
    );
  }
}
