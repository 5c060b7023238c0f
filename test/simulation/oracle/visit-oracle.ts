import type { Answer, LoadOutcome, LoadRequest } from '../../../src/ports/loader.ts';
import type { World } from '../world/world.ts';
import { type AgendaState, agendaState, dueKeys, type ParkedRow, parkedOf, type WatchedRow } from './agenda-state.ts';
import {
  AHEAD_MS_MAX,
  differenceOf,
  type ExpectedVisit,
  expectedVisit,
  type LoadResult,
  resultOf,
  unreportedFailures,
} from './agenda-visit.ts';
import { InletOracle } from './inlet-oracle.ts';

const DAY = 24 * 3_600_000;
/** The longest time from picking a slice to its last load. */
const SLICE_MS_MAX = 6 * 60_000;

/** Statements outside a transaction after which the agenda is checked. */
const ON_AGENDA = /\b(?:agenda|parked|hosts)\b/;

/** Rows that were appended together. */
export interface Appended {
  firstLsn: number;
  lastLsn: number;
  /** By key; null when they were pushed. */
  rows: Map<string, { op: string; bio: string | null }> | null;
  /** The cursors of its rows: the visits after one up to another, or all that start with a prefix. */
  cursors: { after: number; upTo: number } | { prefix: string };
}

/**
 * Checks an agenda after each transaction of the object. From the answers of the Loaders it computes what each visit must
 * do, and compares that with the object's tables.
 */
export class VisitOracle {
  readonly appended: Appended[] = [];
  /** The number of accepted visits by key, attempts at parked changes included. */
  readonly visits = new Map<string, number>();
  /** Keys that a request adds or removes at this moment. */
  adding: ReadonlySet<string> = new Set();
  removing: ReadonlySet<string> = new Set();
  /** The keys of the living instance's last load. */
  loading: string[] = [];
  readonly #world: World;
  readonly #fail: (message: string) => void;
  readonly #inlet: InletOracle;
  #state: AgendaState;
  /** By key: the results of loads since its last accepted visit, newest first. */
  readonly #results = new Map<string, LoadResult[]>();
  /** By key: the results before that visit, until the visit is flushed. */
  readonly #earlierResults = new Map<string, LoadResult[]>();
  /** The elapsed time when a key was last due. */
  readonly #seenDue = new Map<string, number>();

  constructor(world: World, fail: (message: string) => void) {
    this.#world = world;
    this.#fail = fail;
    this.#state = agendaState(world);
    this.#inlet = new InletOracle(world, (holds, message) => this.#expect(holds, message));
    world.storage.onWritten = statement => this.#written(statement);
    world.storage.onFlushed = () => this.#earlierResults.clear();
    world.storage.onReplaced = () => this.#replaced();
    world.clock.onJump = () => this.#noteDue();
    world.onLoading = request => this.#checkLoad(request);
    world.onLoaded = (request, answer) => this.#loaded(request, answer);
  }

  get state(): AgendaState {
    return this.#state;
  }

  #expect(holds: boolean, message: string): void {
    if (!holds) this.#fail(message);
  }

  /** Every key that is loaded is due and has no parked change. */
  #checkLoad({ changes }: LoadRequest): void {
    const nowMs = this.#world.clock.elapsedMs;
    this.#noteDue();
    this.loading = changes.map(({ key }) => key);
    for (const { key, evidence } of changes) {
      const seenMs = this.#seenDue.get(key) ?? Number.NEGATIVE_INFINITY;
      this.#expect(nowMs - seenMs <= SLICE_MS_MAX, `${key}: expected no visit before it is due, got one`);
      const failures = unreportedFailures(evidence?.version ?? null);
      this.#results.set(key, [...(this.#results.get(key) ?? []), ...failures]);
    }
  }

  #loaded({ changes }: LoadRequest, answer: Answer<LoadOutcome[]>): void {
    if (!answer.ok) return;
    for (const [index, { key, evidence }] of changes.entries()) {
      const result = resultOf(answer.value[index]!, evidence?.version ?? null);
      if (result) this.#results.set(key, [result, ...(this.#results.get(key) ?? [])]);
    }
  }

  #noteDue(): void {
    const { clock } = this.#world;
    for (const key of dueKeys(this.#state, clock.now())) this.#seenDue.set(key, clock.elapsedMs);
  }

  /** The object died and lost unflushed writes, or got other contents. */
  #replaced(): void {
    this.#state = agendaState(this.#world);
    for (const [key, results] of this.#earlierResults)
      this.#results.set(key, [...(this.#results.get(key) ?? []), ...results]);
    this.#earlierResults.clear();
    while ((this.appended.at(-1)?.lastLsn ?? 0) > this.#state.lsn) this.appended.pop();
  }

  #written(statement: string | null): void {
    if (statement !== null && !ON_AGENDA.test(statement)) return;
    const before = this.#state;
    const after = agendaState(this.#world);
    this.#state = after;
    this.#checkKeys(before, after);
    this.#checkHosts(before, after);
    if (this.#inlet.check(before, after)) {
      this.#noteDue();
      return;
    }
    const changed = [...after.keys.values()].flatMap(row => {
      const old = before.keys.get(row.key);
      return old && differenceOf(old, row) !== null ? [{ old, row }] : [];
    });
    const isOvertaken = ({ old, row }: (typeof changed)[number]) => after.lsn > before.lsn && isForgotten(old, row);
    const visited = changed.filter(one => !this.#isRecalled(one.old, one.row) && !isOvertaken(one));
    this.#checkVisits(before, after, visited);
    this.#noteDue();
  }

  /** Only requests and rows of the inlet add keys, and only requests remove them. A new key is due at once. */
  #checkKeys(before: AgendaState, after: AgendaState): void {
    const nowMs = this.#world.clock.now();
    const fed = this.#inlet.added(before, after);
    for (const [key, row] of after.keys) {
      if (before.keys.has(key)) continue;
      const fresh = {
        due_ms: nowMs,
        revisit: 0,
        added_ms: nowMs,
        checked_ms: null,
        outcome: null,
        times: 0,
        digest: null,
      };
      const none = { main_digest: null, more_hosts: null, facts: null };
      const wrong = differenceOf({ ...row, ...fresh, ...none }, row);
      const isWanted = this.adding.has(key) || fed.has(key);
      this.#expect(isWanted && wrong === null, `${key}: expected a request or a row to add it, ${wrong}`);
    }
    for (const key of before.keys.keys()) {
      if (after.keys.has(key)) continue;
      this.#expect(this.removing.has(key), `${key}: expected it to stay watched`);
      this.#expect(parkedOf(after, key).length === 0, `${key}: expected no parked change of a key that is not watched`);
    }
    this.#expect(
      after.countedKeys === after.keys.size,
      `spaces: expected ${after.keys.size} keys, got ${after.countedKeys}`,
    );
  }

  /** A blocked host gives no slot before its block is over. */
  #checkHosts(before: AgendaState, after: AgendaState): void {
    const nowMs = this.#world.clock.now();
    for (const [host, { next_slot_ms }] of after.hosts) {
      const old = before.hosts.get(host);
      if (!old || next_slot_ms <= old.next_slot_ms) continue;
      // A block longer than any host asks for was set by a clock that has jumped back since.
      const isBlocked = old.blocked_until_ms > nowMs && old.blocked_until_ms <= nowMs + 2 * DAY;
      this.#expect(!isBlocked, `${host}: expected no slot before its block is over, got one`);
    }
  }

  #isRecalled(old: WatchedRow, row: WatchedRow): boolean {
    const nowMs = this.#world.clock.now();
    const isAhead = old.due_ms > nowMs + AHEAD_MS_MAX;
    return isAhead && differenceOf({ ...old, due_ms: nowMs }, row) === null;
  }

  /** A due time has one outcome: each accepted visit was loaded, and is counted once. */
  #checkVisits(before: AgendaState, after: AgendaState, visited: { old: WatchedRow; row: WatchedRow }[]): void {
    const accepted = after.cursor - before.cursor;
    const counted = (name: string) => (after.outcomes.get(name) ?? 0) - (before.outcomes.get(name) ?? 0);
    if (accepted === 0 && visited.length === 0) {
      // Only pushes give rows without a visit. The next visit of a pushed key must give a row, whatever it finds.
      if (after.lsn === before.lsn) return;
      this.appended.push({ firstLsn: before.lsn + 1, lastLsn: after.lsn, rows: null, cursors: { prefix: 'push/' } });
      for (const [key, lsn] of after.lastLsn)
        if (lsn > before.lsn)
          this.#expect((after.keys.get(key)?.digest ?? null) === null, `${key}: expected no digest after a push`);
      return;
    }
    const [retried] = accepted === 0 ? parkedOf(before, visited[0]!.row.key).filter(one => one.died_ms === null) : [];
    const isRetry = visited.length === 1 && retried !== undefined && !after.parked.has(retried.change_number);
    this.#expect(
      accepted > 0 || isRetry,
      `${visited[0]?.row.key}: expected another due time only by an accepted visit, ${visited[0] && differenceOf(visited[0].old, visited[0].row)}`,
    );
    if (accepted > 0) {
      const expected = visited.length + counted('skipped:unwatched');
      this.#expect(expected === accepted, `cursor: expected ${expected} visits accepted, got ${accepted}`);
      const superseded = visited.flatMap(({ row }) => parkedOf(before, row.key)).length;
      const got = counted('skipped:superseded');
      this.#expect(got === superseded, `superseded: expected ${superseded}, got ${got}`);
    }
    const expectations = visited.map(({ old, row }) => this.#expectedOf(old, row, before, after));
    this.#checkCounts(expectations, counted);
    this.#noteRows(before, after, { expectations, retried: retried ?? null });
  }

  #expectedOf(old: WatchedRow, row: WatchedRow, before: AgendaState, after: AgendaState): ExpectedVisit | null {
    const { key } = row;
    const results = this.#results.get(key) ?? [];
    const all = results.map(one =>
      expectedVisit(
        one,
        old,
        { deleted: before.deleted, stretch: after.stretch, inlet: before.inlet },
        this.#world.clock.now(),
      ),
    );
    const reasons = new Set(parkedOf(after, key).map(({ reason }) => reason));
    const fits = (one: ExpectedVisit) =>
      differenceOf(one.after, row) === null && (one.reason === null || reasons.has(one.reason));
    const right = all.find(fits) ?? null;
    const wrong = all[0]
      ? (differenceOf(all[0].after, row) ?? `expected ${all[0].reason}`)
      : 'expected a load before it';
    this.#expect(right !== null, `${key}: visit accepted: ${wrong}`);
    this.#earlierResults.set(key, [...results, ...(this.#earlierResults.get(key) ?? [])]);
    this.#results.delete(key);
    this.#seenDue.delete(key);
    this.visits.set(key, (this.visits.get(key) ?? 0) + 1);
    return right;
  }

  /** The outcomes count these visits, to the unit. */
  #checkCounts(expectations: (ExpectedVisit | null)[], counted: (name: string) => number): void {
    for (const name of ['rows', 'tombstones', 'skipped:unchanged', 'skipped:no-rows']) {
      const expected = expectations.filter(one => one?.counts === name).length;
      const got = counted(name);
      this.#expect(got === expected, `balance: expected ${expected} more ${name}, got ${got}`);
    }
  }

  #noteRows(
    before: AgendaState,
    after: AgendaState,
    { expectations, retried }: { expectations: (ExpectedVisit | null)[]; retried: ParkedRow | null },
  ): void {
    const rows = new Map(expectations.flatMap(one => (one?.row ? [[one.after.key, one.row] as const] : [])));
    const given = after.lsn - before.lsn;
    this.#expect(given === rows.size, `rows: expected ${rows.size} of these visits, got ${given}`);
    if (given === 0) return;
    const cursors = retried ? { prefix: `${retried.cursor}#` } : { after: before.cursor, upTo: after.cursor };
    this.appended.push({ firstLsn: before.lsn + 1, lastLsn: after.lsn, rows, cursors });
  }
}

/** Whether the only difference is that the key's digests are gone, and no probe answers its next visit. */
function isForgotten(old: WatchedRow, row: WatchedRow): boolean {
  return differenceOf({ ...old, digest: null, main_digest: null, revisit: 0 }, row) === null;
}
