import { LIMITS } from '../../config.ts';
import type { KeyPage } from '../../ports/change.ts';
import type { SqlPort } from '../../ports/sql.ts';
import { type Difference, type DifferenceKind, Differences } from './differences.ts';
import { byBytes, indexedKeys, isAscending, type KeyState, keyStatesOf, waitingSweepChanges } from './key-index.ts';
import type { ParkedChanges } from './parked.ts';
import { isSampled } from './sampling.ts';
import type { JournalState } from './state.ts';

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
  /** The stored listing that it reads; null where it reads none, or none yet. */
  listing: string | null;
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
  /** Keys, counted in `present` too, that the upstream lists with a higher revision than any known here. */
  stale: number;
  extra: number;
  /** Changes made to load keys afresh. */
  loaded_afresh: number;
  /** Why the sweep was given up. */
  reason: string | null;
  started_ms: number;
  ended_ms: number | null;
}

/** What a sweep says of the keys that it has loaded afresh, by the kind of their difference. */
const DETAILS: Record<DifferenceKind, string> = {
  missing: 'a sweep found it upstream and not here',
  deleted: 'a sweep found it upstream and deleted here',
  stale: 'a sweep found a newer revision of it upstream',
  extra: 'a sweep found it here and not upstream',
};

/** The sweeps in the object's SQLite, and what they do with their differences. */
export class JournalSweep {
  readonly differences: Differences;
  readonly #sql: SqlPort;
  readonly #state: JournalState;
  readonly #parked: ParkedChanges;

  constructor(sql: SqlPort, { state, parked }: { state: JournalState; parked: ParkedChanges }) {
    this.#sql = sql;
    this.#state = state;
    this.#parked = parked;
    this.differences = new Differences(sql);
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
      if (sweep.listing !== before.listing) return false;
      // Find no extra keys once the listing is out of order, because a key that its page lacks may be on another.
      if (sweep.ordered === 1 && !isAscending([...(before.after === null ? [] : [before.after]), ...page.keys])) {
        sweep.ordered = 0;
        this.differences.dropAll(sweep.id, 'extra');
      }
      // Cut the page at an indexed key where the index has many more keys than the page.
      const own = sweep.ordered === 1 ? indexedKeys(this.#sql, { after: before.after, upTo: page.next }) : [];
      const next = own.length === LIMITS.listOwnKeysMax ? own.at(-1)!.key : page.next;
      const isCut = next !== page.next;
      const keys = [...new Set(isCut ? page.keys.filter(key => byBytes(key, next!) <= 0) : page.keys)];
      // Compare the listed keys, then find indexed keys that are not listed.
      const sampled = keys.filter(key => isSampled(key, sweep.sample));
      const revisions = new Map(page.revisions && page.keys.map((key, index) => [key, page.revisions![index]!]));
      for (const state of keyStatesOf(this.#sql, sampled))
        this.#compareKey(sweep, state, { revision: revisions.get(state.key) ?? null, after: before.after });
      const listed = new Set(keys);
      for (const { key, lsn, present } of own)
        if (present === 1 && !listed.has(key) && isSampled(key, sweep.sample))
          this.differences.insert({ sweep: sweep.id, kind: 'extra', key, lsn, revision: null, after: before.after });
      // Continue after the page; after the last one, wait for the tail.
      sweep.listed += keys.length;
      sweep.sampled += sampled.length;
      sweep.after = next;
      sweep.listing = page.listing ?? null;
      if (next === null) {
        sweep.phase = 'catching-up';
        sweep.first_poll = nextPoll;
      }
      this.#save(sweep);
      return true;
    });
  }

  /** Begins the listing of a sweep again, because the stored listing that it read is gone. */
  restartListing(before: Sweep): void {
    this.#sql.transaction(() => {
      const sweep = this.running();
      if (sweep?.id !== before.id || sweep.phase !== 'listing' || sweep.listing !== before.listing) return;
      this.differences.dropAll(sweep.id);
      const counts = { listed: 0, sampled: 0, present: 0, failed: 0 };
      this.#save({ ...sweep, ...counts, after: null, listing: null, ordered: 1 });
    });
  }

  /**
   * Removes differences of keys that the tail has pulled, because their changes will be accepted. To wait until they
   * are would miss a key that changes again, because it moves to a later cursor of the feed, ahead of the tail.
   */
  dropPulled(keys: string[]): void {
    const sweep = this.running();
    if (!sweep || keys.length === 0) return;
    const removed = this.differences.dropFound(sweep.id, keys);
    sweep.present += removed.filter(kind => kind !== 'extra').length;
    if (removed.length > 0) this.#save(sweep);
  }

  setPhase(sweep: Sweep, phase: Sweep['phase']): void {
    this.#sql.exec('UPDATE sweeps SET phase = ? WHERE id = ?', phase, sweep.id);
  }

  /** Checks some listed keys that differ again. False when there were none left. */
  recheckListed(id: number): boolean {
    return this.#sql.transaction(() => {
      const sweep = this.running();
      if (sweep?.id !== id || sweep.phase !== 'checking') return false;
      const some = LISTED_KINDS.flatMap(kind => this.differences.some(id, kind, 'found'));
      const states = this.#statesOf(some);
      for (const difference of some) {
        const state = states.get(difference.key)!;
        sweep[state.state] += 1;
        const isSame = stillDiffers(difference, state);
        if (isSame && difference.kind === 'stale') sweep.stale += 1;
        if (isSame) this.differences.confirm(difference);
        else this.differences.drop(difference);
      }
      this.#save(sweep);
      return some.length > 0;
    });
  }

  /** The first extra key that has not been checked again; null when there is none. */
  nextExtra(sweep: Sweep): Difference | null {
    return this.differences.some(sweep.id, 'extra', 'found')[0] ?? null;
  }

  /** Checks all extra keys again that a fresh page covers. Those after the page are then listed from its end. */
  recheckExtra(before: Sweep, extra: Difference, page: KeyPage): void {
    this.#sql.transaction(() => {
      const sweep = this.running();
      if (sweep?.id !== before.id || sweep.phase !== 'checking') return;
      const covered = this.differences.extraIn(sweep.id, extra.after, page.next);
      this.#recheckExtra(sweep, covered, new Set(page.keys));
      if (page.next !== null) this.differences.moveExtra(sweep.id, page.next);
      this.#save(sweep);
    });
  }

  /**
   * Checks some extra keys again by their rows alone, because a stored listing would say the same again: they are then
   * loaded. False when there were none left.
   */
  recheckExtraRows(id: number): boolean {
    return this.#sql.transaction(() => {
      const sweep = this.running();
      if (sweep?.id !== id || sweep.phase !== 'checking') return false;
      const some = this.differences.some(id, 'extra', 'found');
      this.#recheckExtra(sweep, some, new Set());
      this.#save(sweep);
      return some.length > 0;
    });
  }

  #recheckExtra(sweep: Sweep, extra: Difference[], listed: Set<string>): void {
    const states = this.#statesOf(extra);
    for (const difference of extra) {
      const isSame = stillDiffers(difference, states.get(difference.key)!);
      if (!isSame || listed.has(difference.key)) this.differences.drop(difference);
      else {
        this.differences.confirm(difference);
        sweep.extra += 1;
      }
    }
  }

  /**
   * Makes a change of its own, at the tail's cursor, for confirmed keys of these kinds that still differ: parked, and due
   * at once. At most `MISSED_WAITING_MAX` wait for their first attempt. `none`: no confirmed key is left.
   */
  parkDiffering(
    id: number,
    { kinds, cursor, nowMs }: { kinds: readonly DifferenceKind[]; cursor: string; nowMs: number },
  ): 'parked' | 'waiting' | 'none' {
    return this.#sql.transaction(() => {
      const sweep = this.running();
      if (sweep?.id !== id || sweep.phase !== 'mending') return 'waiting';
      const some = kinds.flatMap(kind => this.differences.some(id, kind, 'confirmed'));
      if (some.length === 0) return 'none';
      const free = MISSED_WAITING_MAX - waitingSweepChanges(this.#sql);
      if (free <= 0) return 'waiting';
      const next = some.slice(0, free);
      const states = this.#statesOf(next);
      for (const difference of next) {
        const state = states.get(difference.key)!;
        // A key with a parked change is loaded by that.
        if (stillDiffers(difference, state) && !state.isParked) {
          this.#parkMissed(difference, { cursor, nowMs });
          sweep.loaded_afresh += 1;
        }
        this.differences.load(difference);
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
      this.differences.trim(id);
      this.#sql.exec('DELETE FROM sweeps WHERE id < ?', id);
    });
  }

  #statesOf(differences: Difference[]): Map<string, KeyState> {
    const keys = differences.map(({ key }) => key);
    return new Map(keyStatesOf(this.#sql, keys).map(state => [state.key, state]));
  }

  #compareKey(sweep: Sweep, found: KeyState, { revision, after }: Pick<Difference, 'revision' | 'after'>): void {
    const { key, lsn, state } = found;
    const kind = isStale(found, revision) ? 'stale' : state;
    if (kind === 'present' || kind === 'failed') sweep[kind] += 1;
    else this.differences.insert({ sweep: sweep.id, kind, key, lsn, revision, after });
  }

  #parkMissed({ kind, key, revision }: Difference, { cursor, nowMs }: { cursor: string; nowMs: number }): void {
    const change_number = this.#state.source().change_number + 1;
    this.#state.updateSource({ change_number });
    // Of a stale key, wait for the listed revision as for one that the feed announced. An extra one was perhaps deleted: the
    // load asks for it all the same.
    const awaited = kind === 'stale' ? revision : null;
    const change = { key, cursor, deleted: kind === 'extra', revision: awaited, skip: null };
    this.#parked.park(change_number, change, { reason: 'missed', detail: DETAILS[kind], nowMs, dueMs: nowMs });
    this.#sql.exec('UPDATE parked SET from_sweep = 1 WHERE change_number = ?', change_number);
  }

  #save({ id, phase, after, listing, ordered, first_poll, ...counts }: Sweep): void {
    const { listed, sampled, present, failed, deleted, missing, stale, extra, loaded_afresh } = counts;
    this.#sql.exec(
      `UPDATE sweeps SET phase = ?, after = ?, listing = ?, ordered = ?, first_poll = ?, listed = ?, sampled = ?,
         present = ?, failed = ?, deleted = ?, missing = ?, stale = ?, extra = ?, loaded_afresh = ? WHERE id = ?`,
      phase,
      after,
      listing,
      ordered,
      first_poll,
      listed,
      sampled,
      present,
      failed,
      deleted,
      missing,
      stale,
      extra,
      loaded_afresh,
      id,
    );
  }
}

/** Kinds of differences of keys that the upstream lists, in the order of their second check. */
export const LISTED_KINDS = ['missing', 'deleted', 'stale'] as const;

/** Whether a difference is still there. A key that has a new row since does not differ: the tail has appended it. */
function stillDiffers({ kind, lsn, revision }: Difference, now: KeyState): boolean {
  // Of a stale key only its revisions count, because a row may be new and older than what the upstream lists.
  if (kind === 'stale') return isStale(now, revision);
  return now.state === (kind === 'extra' ? 'present' : kind) && now.lsn === lsn;
}

/** Whether a present key is listed with a revision that no change of it had. A parked change of it loads the newest one. */
function isStale({ state, revision: known, isParked }: KeyState, listed: number | null): boolean {
  return state === 'present' && !isParked && listed !== null && (known === null || listed > known);
}
