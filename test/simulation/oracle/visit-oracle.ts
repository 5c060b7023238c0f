import type { Answer, LoadOutcome, LoadRequest } from '../../../src/ports/loader.ts';
import type { World } from '../world/world.ts';
import { type AgendaState, agendaState, dueKeys, type ParkedRow, parkedOf, type WatchedRow } from './agenda-state.ts';
import { type Came, cameOf, type Judged, judged, UNTOLD, wrongRow } from './agenda-visit.ts';

const DAY = 24 * 3_600_000;
/** No rule of the simulated source says to look later than this. */
const AHEAD_MS_MAX = 200 * DAY;
/** A run's own time: what was due when a slice was picked is still asked for so much later. */
const SLICE_MS_MAX = 6 * 60_000;

/** What is written outside a transaction, and says something of visits. */
const ON_AGENDA = /\b(?:agenda|parked|hosts)\b/;

/** Rows that were appended together, by key; null where they were pushed. */
export interface Appended {
  firstLsn: number;
  lastLsn: number;
  rows: Map<string, { op: string; bio: string | null }> | null;
  /** Places of its rows: visits after one and up to another, or the looks at one. */
  places: { after: number; upTo: number } | { look: string };
}

/**
 * What must hold of an agenda at every moment. It sees each transaction of the object, and what Loaders have brought:
 * from these alone it says what must have come of each visit.
 */
export class VisitOracle {
  readonly appended: Appended[] = [];
  /** Visits that were accepted, by key, looks included. */
  readonly visits = new Map<string, number>();
  /** Keys that somebody adds or removes at this very moment. */
  adding: ReadonlySet<string> = new Set();
  removing: ReadonlySet<string> = new Set();
  /** Keys the present instance has asked for last. */
  asked: string[] = [];
  readonly #world: World;
  readonly #fail: (promise: string) => void;
  #state: AgendaState;
  /** What came of loads of a key since a visit of it was accepted; and what did before, while that is not safe. */
  readonly #came = new Map<string, Came[]>();
  readonly #spent = new Map<string, Came[]>();
  /** When a key was last seen to be due, in elapsed time. */
  readonly #seenDue = new Map<string, number>();

  constructor(world: World, fail: (promise: string) => void) {
    this.#world = world;
    this.#fail = fail;
    this.#state = agendaState(world);
    world.storage.onWritten = statement => this.#written(statement);
    world.storage.onSafe = () => this.#spent.clear();
    world.storage.onReplaced = () => this.#replaced();
    world.clock.onJump = () => this.#lookForDue();
    world.onLoading = request => this.#asks(request);
    world.onLoaded = (request, answer) => this.#loaded(request, answer);
  }

  get state(): AgendaState {
    return this.#state;
  }

  #expect(holds: boolean, promise: string): void {
    if (!holds) this.#fail(promise);
  }

  /** None early: whatever is visited is due, and waits for no other look. */
  #asks({ changes }: LoadRequest): void {
    const nowMs = this.#world.clock.elapsedMs;
    this.#lookForDue();
    this.asked = changes.map(({ key }) => key);
    for (const { key } of changes) {
      const seenMs = this.#seenDue.get(key) ?? Number.NEGATIVE_INFINITY;
      this.#expect(nowMs - seenMs <= SLICE_MS_MAX, `${key}: expected no visit before it is due, got one`);
      this.#came.set(key, [...new Set([...(this.#came.get(key) ?? []), ...UNTOLD])]);
    }
  }

  #loaded({ changes }: LoadRequest, answer: Answer<LoadOutcome[]>): void {
    if (!answer.ok) return;
    for (const [index, { key }] of changes.entries()) {
      const came = cameOf(answer.value[index]!);
      if (came) this.#came.set(key, [came, ...(this.#came.get(key) ?? [])]);
    }
  }

  #lookForDue(): void {
    const { clock } = this.#world;
    for (const key of dueKeys(this.#state, clock.now())) this.#seenDue.set(key, clock.elapsedMs);
  }

  /** The object died and lost what was not safe, or came back with other contents. */
  #replaced(): void {
    this.#state = agendaState(this.#world);
    for (const [key, came] of this.#spent) this.#came.set(key, [...(this.#came.get(key) ?? []), ...came]);
    this.#spent.clear();
    while ((this.appended.at(-1)?.lastLsn ?? 0) > this.#state.lsn) this.appended.pop();
  }

  #written(statement: string | null): void {
    if (statement !== null && !ON_AGENDA.test(statement)) return;
    const before = this.#state;
    const after = agendaState(this.#world);
    this.#state = after;
    this.#checkPeople(before, after);
    this.#checkHosts(before, after);
    const changed = [...after.keys.values()].flatMap(row => {
      const old = before.keys.get(row.key);
      return old && wrongRow(old, row) !== null ? [{ old, row }] : [];
    });
    const visited = changed.filter(({ old, row }) => !this.#isRecalled(old, row));
    this.#checkVisits(before, after, visited);
    this.#lookForDue();
  }

  /** Keys come and go on somebody's word alone, and are due at once when they come. */
  #checkPeople(before: AgendaState, after: AgendaState): void {
    const nowMs = this.#world.clock.now();
    for (const [key, row] of after.keys) {
      if (before.keys.has(key)) continue;
      const fresh = { due_ms: nowMs, added_ms: nowMs, checked_ms: null, outcome: null, times: 0, digest: null };
      const none = { main_digest: null, more_hosts: null, facts: null };
      const wrong = wrongRow({ ...row, ...fresh, ...none }, row);
      this.#expect(this.adding.has(key) && wrong === null, `${key}: expected it added by somebody, ${wrong}`);
    }
    for (const key of before.keys.keys()) {
      if (after.keys.has(key)) continue;
      this.#expect(this.removing.has(key), `${key}: expected it to stay watched`);
      this.#expect(parkedOf(after, key).length === 0, `${key}: expected nothing parked of what is not watched`);
    }
    this.#expect(after.counted === after.keys.size, `spaces: expected ${after.keys.size} keys, got ${after.counted}`);
  }

  /** A host that has said "wait" gives no slot before its time, whoever asks for one. */
  #checkHosts(before: AgendaState, after: AgendaState): void {
    const nowMs = this.#world.clock.now();
    for (const [host, { next_slot_ms }] of after.hosts) {
      const old = before.hosts.get(host);
      if (!old || next_slot_ms <= old.next_slot_ms) continue;
      // A wait further ahead than any host's was noted by a clock that jumped back since.
      const isBlocked = old.blocked_until_ms > nowMs && old.blocked_until_ms <= nowMs + 2 * DAY;
      this.#expect(!isBlocked, `${host}: expected no slot before its wait is over, got one`);
    }
  }

  #isRecalled(old: WatchedRow, row: WatchedRow): boolean {
    const nowMs = this.#world.clock.now();
    const isAhead = old.due_ms > nowMs + AHEAD_MS_MAX;
    return isAhead && wrongRow({ ...old, due_ms: nowMs }, row) === null;
  }

  /** None with two outcomes for one due time: each visit accepted is one that was loaded, and is counted once. */
  #checkVisits(before: AgendaState, after: AgendaState, visited: { old: WatchedRow; row: WatchedRow }[]): void {
    const accepted = after.cursor - before.cursor;
    const counted = (name: string) => (after.outcomes.get(name) ?? 0) - (before.outcomes.get(name) ?? 0);
    if (accepted === 0 && visited.length === 0) {
      // Only what is pushed gives rows beside visits.
      if (after.lsn > before.lsn)
        this.appended.push({ firstLsn: before.lsn + 1, lastLsn: after.lsn, rows: null, places: { look: 'push/' } });
      return;
    }
    const [look] = accepted === 0 ? parkedOf(before, visited[0]!.row.key).filter(one => one.died_ms === null) : [];
    const isLook = visited.length === 1 && look !== undefined && !after.parked.has(look.change_number);
    this.#expect(accepted > 0 || isLook, `${visited[0]?.row.key}: expected another due time by an accepted visit only`);
    if (accepted > 0) {
      const left = visited.length + counted('skipped:unwatched');
      this.#expect(left === accepted, `cursor: expected ${left} visits accepted, got ${accepted}`);
      const superseded = visited.flatMap(({ row }) => parkedOf(before, row.key)).length;
      const got = counted('skipped:superseded');
      this.#expect(got === superseded, `superseded: expected ${superseded}, got ${got}`);
    }
    const judgements = visited.map(({ old, row }) => this.#judge(old, row, before, after));
    this.#checkCounts(judgements, counted);
    this.#noteRows(before, after, { judgements, look: look ?? null });
  }

  #judge(old: WatchedRow, row: WatchedRow, before: AgendaState, after: AgendaState): Judged | null {
    const { key } = row;
    const came = this.#came.get(key) ?? [];
    const all = came.map(one => judged(one, old, before, this.#world.clock.now()));
    const reasons = new Set(parkedOf(after, key).map(({ reason }) => reason));
    const fits = (one: Judged) => wrongRow(one.after, row) === null && (one.reason === null || reasons.has(one.reason));
    const right = all.find(fits) ?? null;
    const wrong = all[0] ? (wrongRow(all[0].after, row) ?? `expected ${all[0].reason}`) : 'expected a load before it';
    this.#expect(right !== null, `${key}: visit accepted: ${wrong}`);
    this.#spent.set(key, [...came, ...(this.#spent.get(key) ?? [])]);
    this.#came.delete(key);
    this.#seenDue.delete(key);
    this.visits.set(key, (this.visits.get(key) ?? 0) + 1);
    return right;
  }

  /** The balance moves by what the visits have come to, to the unit. */
  #checkCounts(judgements: (Judged | null)[], counted: (name: string) => number): void {
    for (const name of ['rows', 'tombstones', 'skipped:unchanged', 'skipped:no-rows']) {
      const expected = judgements.filter(one => one?.counts === name).length;
      const got = counted(name);
      this.#expect(got === expected, `balance: expected ${expected} more ${name}, got ${got}`);
    }
  }

  #noteRows(
    before: AgendaState,
    after: AgendaState,
    { judgements, look }: { judgements: (Judged | null)[]; look: ParkedRow | null },
  ): void {
    const rows = new Map(judgements.flatMap(one => (one?.row ? [[one.after.key, one.row] as const] : [])));
    const given = after.lsn - before.lsn;
    this.#expect(given === rows.size, `rows: expected ${rows.size} of these visits, got ${given}`);
    if (given === 0) return;
    const places = look ? { look: `${look.cursor}#` } : { after: before.cursor, upTo: after.cursor };
    this.appended.push({ firstLsn: before.lsn + 1, lastLsn: after.lsn, rows, places });
  }
}
