import { tableNamed } from '../../../schemas/index.ts';
import { balanceOf, stateOf } from '../../../src/engine/controls/status.ts';
import { Engine, type EngineOptions } from '../../../src/engine/engine.ts';
import { JournalCatalog } from '../../../src/engine/journal/catalog.ts';
import { TAIL } from '../../../src/engine/journal/changes.ts';
import type { LogFields } from '../../../src/log.ts';
import type { Answer, LoadOutcome, LoadRequest } from '../../../src/ports/loader.ts';
import type { EngineSource } from '../../../src/ports/source.ts';
import { engineSourceOf } from '../../../src/sources/engine-source.ts';
import { MemoryBucket } from './bucket.ts';
import { Calls, type HeldCall } from './calls.ts';
import { drained, VirtualClock } from './clock.ts';
import { SimulatedDatabase } from './database.ts';
import { type Encoding, JSON_LINES } from './encode.ts';
import { instancePorts } from './ports.ts';
import { SimulatedQueue } from './queue.ts';
import { agenda, coalescing, DEFAULT_SETTINGS, type SourceKind, type SourceSettings } from './sources.ts';
import { SimulatedStorage } from './storage.ts';
import { StreamStandIn } from './stream.ts';
import { Upstream } from './upstream.ts';

/** After this, and twice as long each time, the platform runs an alarm again whose handler failed; then it gives up. */
const ALARM_RETRY_MS = 2_000;
const ALARM_RETRIES_MAX = 6;
/** More runs than any schedule needs at one moment: no time would ever pass. */
const RUNS_AT_ONCE_MAX = 1_000;

export interface WorldOptions extends Partial<SourceSettings>, Partial<EngineOptions> {
  kind?: SourceKind;
  encoding?: Encoding;
  startMs?: number;
}

/** One source's object with everything around it. Instances of its engine come and go; the rest stays. */
export class World {
  readonly clock: VirtualClock;
  readonly calls = new Calls();
  readonly storage: SimulatedStorage;
  readonly bucket = new MemoryBucket();
  readonly database = new SimulatedDatabase();
  readonly upstream: Upstream;
  readonly queue: SimulatedQueue = new SimulatedQueue(this);
  /** Keys for other agendas, as they were sent. */
  readonly sentKeys: { target: string; keys: { id: number; key: string }[] }[] = [];
  readonly log: (LogFields & { event: string })[] = [];
  readonly kind: SourceKind;
  /** What streams have, by the table each was made for. */
  readonly streams: ReadonlyMap<string, StreamStandIn>;
  readonly settings: SourceSettings;
  readonly options: EngineOptions;
  encoding: Encoding;
  engine!: Engine;
  /** Runs that ended. */
  runs = 0;
  /** Told of each run that starts. */
  onRunStart: () => void = () => undefined;
  /** Told of each run of the present instance that ended, and how long it took. */
  onRunEnd: (run: { ms: number; failed: boolean }) => void = () => undefined;
  /** Told of each Loader call that is to load, and of what one has loaded, whoever made it. */
  onLoading: (request: LoadRequest) => void = () => undefined;
  onLoaded: (request: LoadRequest, answer: Answer<LoadOutcome[]>) => void = () => undefined;
  #running = false;
  /** Runs in a row that failed or were killed. */
  #failures = 0;
  /** Runs that started at one moment. */
  #moment = { ms: 0, runs: 0 };
  #instance = 0;
  #death = Promise.withResolvers<never>();

  constructor({ kind = coalescing, encoding = JSON_LINES, startMs, ...given }: WorldOptions = {}) {
    this.clock = new VirtualClock(startMs);
    this.upstream = new Upstream(this.clock);
    this.kind = kind;
    // With real files SQLite itself answers too: what is remembered must make no difference.
    this.storage = new SimulatedStorage(kind.name, { remembers: encoding === JSON_LINES });
    this.encoding = encoding;
    const own = {
      enabled: true,
      flushAgeMs: 30_000,
      flushBytesMax: 16 * 1024 * 1024,
      selfCheckMs: 6 * 60 * 60_000,
      stalledAfterMs: 15 * 60_000,
      streams: {} as Record<string, string>,
      retry: { waitMs: 10_000, attemptsMax: 20, leaseMs: 300_000 },
    };
    this.settings = { ...DEFAULT_SETTINGS, ...pick(given, DEFAULT_SETTINGS) };
    this.options = { ...own, ...pick(given, own) };
    const streamed = Object.keys(this.options.streams);
    this.streams = new Map(streamed.map(table => [table, new StreamStandIn(tableNamed(table))]));
    this.#begin();
  }

  get running(): boolean {
    return this.#running;
  }

  get lane() {
    return this.engine.journal.state.lane(TAIL);
  }

  get balance() {
    return balanceOf(this.engine);
  }

  get state() {
    return stateOf(this.engine);
  }

  /** The first table's live files. */
  get files() {
    const [table] = this.engine.source.tables;
    return this.engine.files.files({ table: table!.name, afterLsn: 0, limit: 1_000 });
  }

  get parked() {
    return this.engine.journal.parked.due(Number.MAX_SAFE_INTEGER, 1_000);
  }

  fed(target: string, keys: { id: number; key: string }[]): void {
    this.sentKeys.push({ target, keys });
  }

  fault(step: string) {
    return this.engine.journal.state.fault(step);
  }

  /** The tail begins here. To be said before its first run. */
  startAt(cursor: string): void {
    this.engine.journal.state.updateLane(TAIL, { cursor, first_cursor: cursor });
  }

  get firstCursor(): string {
    return this.lane.first_cursor!;
  }

  /** Everything the feed has shown is in files, and the operational database and the catalog know it. Parked changes may be left. */
  get isFollowed(): boolean {
    const { files, journal } = this.engine;
    const head = this.kind === agenda ? this.#visits : String(this.#shown);
    const isAtHead = head !== null && this.lane.cursor === head && files.backlog().rows === 0;
    return (
      isAtHead &&
      files.unpublished(1).length === 0 &&
      journal.state.source().published_cursor === head &&
      this.isCatalogued
    );
  }

  /** The catalog names every file. */
  get isCatalogued(): boolean {
    const catalog = new JournalCatalog(this.storage.sql);
    return this.engine.source.tables.every(({ name }) => !catalog.isBehind(name));
  }

  /** Every row that is in a file is in its stream. */
  get isStreamed(): boolean {
    return [...this.streams].every(([table, { records }]) => {
      const last = this.engine.files.lastFile(table);
      return last === null || records.has(last.last_lsn);
    });
  }

  get #shown(): number {
    return this.engine.source.resumable ? this.upstream.seq : this.upstream.pages.length;
  }

  /** The cursor where nothing that is due is left to visit; else null. What is parked is looked at by itself. */
  get #visits(): string | null {
    const { agenda } = this.engine.journal;
    const each = { nowMs: this.clock.now(), each: 1 };
    const due = agenda!.due(
      agenda!.spaces().map(({ id }) => id),
      each,
    );
    return due.every(({ visits }) => visits.length === 0) ? this.lane.cursor : null;
  }

  /** From now on the source looks for something new no oftener than this. */
  pollEvery(ms: number): void {
    this.settings.pollMs = ms;
    this.engine.source.pollMs = ms;
  }

  /** Starts a run as the platform does: by an alarm that is spent with it. */
  fire(): void {
    this.storage.alarmMs = null;
    this.#countAtMoment();
    // Noted first: the run may be killed by its first call.
    this.#running = true;
    const instance = this.#instance;
    const startedMs = this.clock.elapsedMs;
    this.onRunStart();
    const ended = (failed: boolean) => {
      if (instance !== this.#instance) return;
      this.#running = false;
      this.runs += 1;
      if (failed) this.#failed();
      else this.#failures = 0;
      this.onRunEnd({ ms: this.clock.elapsedMs - startedMs, failed });
    };
    this.engine.wake().then(
      () => ended(false),
      () => ended(true),
    );
  }

  /** Ends the instance at once. What it wrote since its last call out is lost, or not; another instance takes over. */
  kill({ lose = true } = {}): void {
    if (lose) this.storage.lose();
    else this.storage.flush();
    if (this.#running) this.#failed();
    this.#running = false;
    this.#begin();
  }

  /**
   * Somebody outside asks the present instance. The answer waits until what was written is safe; it is an error where
   * the instance dies before. What crosses is a copy.
   */
  ask<T>(call: string, effect: (engine: Engine) => T | Promise<T>): Promise<T> {
    return this.calls.make(call, async () => {
      const instance = this.#instance;
      const answer = await Promise.race([effect(this.engine), this.#death.promise]);
      if (instance !== this.#instance) throw new Error('the object died');
      this.storage.flush();
      return structuredClone(answer);
    });
  }

  #countAtMoment(): void {
    const { elapsedMs } = this.clock;
    this.#moment = { ms: elapsedMs, runs: this.#moment.ms === elapsedMs ? this.#moment.runs + 1 : 1 };
    if (this.#moment.runs > RUNS_AT_ONCE_MAX) throw new Error('run: expected time to pass between alarms, got none');
  }

  /** An alarm whose handler throws, or dies, before it has set the next is run again, but not for ever. */
  #failed(): void {
    this.#failures += 1;
    if (this.#failures > ALARM_RETRIES_MAX) this.#failures = 0;
    else this.storage.alarmMs ??= this.clock.now() + ALARM_RETRY_MS * 2 ** (this.#failures - 1);
  }

  /** Gives what is dear to make to the next world. Nothing of this one may be under way, or used afterwards. */
  async recycle(): Promise<void> {
    this.#instance += 1;
    await drained();
    this.storage.recycle();
    this.database.recycle();
  }

  #begin(): void {
    this.#instance += 1;
    // Often nobody waits for it.
    this.#death.promise.catch(() => undefined);
    this.#death.reject(new Error('the object died'));
    this.#death = Promise.withResolvers();
    const instance = this.#instance;
    const ports = instancePorts(this, () => instance === this.#instance);
    this.engine = new Engine({ ports, source: this.#source(), options: this.options });
    this.storage.opened();
  }

  #source(): EngineSource {
    const visit = { permits: [], deadlineAtMs: 0, tallies: new Map(), slotsUsed: new Map() };
    const source = this.kind(this.upstream, visit);
    return engineSourceOf(source, this.settings, Object.keys(source.feeds ?? {}));
  }
}

/** A world whose source has been started, but has not run yet. */
export async function startedWorld(options: WorldOptions = {}): Promise<World> {
  const world = new World(options);
  await world.engine.watch();
  return world;
}

/** Fires alarms, and lets time pass from one to the next, until something holds between two runs. */
export async function settle(
  world: World,
  { until, withinMs = 24 * 3_600_000 }: { until: () => boolean; withinMs?: number },
): Promise<void> {
  const endMs = world.clock.elapsedMs + withinMs;
  for (;;) {
    await drained();
    if (!world.running && until()) return;
    if (fireDue(world)) continue;
    const waitMs = nextEventMs(world);
    if (waitMs === null) throw new Error('simulation: expected something to wait for, got neither alarm nor timer');
    if (world.clock.elapsedMs + waitMs > endMs) throw new Error(`simulation: expected an end within ${withinMs} ms`);
    await world.clock.advance(waitMs);
  }
}

/** Waits until everything the feed shows is in files. */
export function followed(world: World): Promise<void> {
  return settle(world, { until: () => world.isFollowed });
}

/** Lets time pass and fires the alarms that come due in it; ends early between two runs when something holds. */
export async function pass(world: World, ms: number, until: () => boolean = () => false): Promise<void> {
  const endMs = world.clock.elapsedMs + ms;
  for (;;) {
    await drained();
    if (!world.running && until()) return;
    if (fireDue(world)) continue;
    const waitMs = nextEventMs(world);
    const leftMs = endMs - world.clock.elapsedMs;
    if (waitMs === null || waitMs > leftMs) return world.clock.advance(leftMs);
    await world.clock.advance(waitMs);
  }
}

/** Lets time pass until a held call is made, in the middle of a run or not. */
export async function reached(world: World, { made }: HeldCall, withinMs = 3_600_000): Promise<void> {
  let isMade = false;
  void made.then(() => {
    isMade = true;
  });
  const endMs = world.clock.elapsedMs + withinMs;
  while (!isMade) {
    if (world.clock.elapsedMs > endMs) throw new Error(`simulation: expected a call within ${withinMs} ms`);
    await pass(world, 1_000);
  }
}

/** Waits for the alarm and for the end of the run it starts. */
export async function nextRun(world: World): Promise<void> {
  const { runs } = world;
  await settle(world, { until: () => world.runs > runs });
}

function fireDue(world: World): boolean {
  const { alarmMs } = world.storage;
  if (world.running || alarmMs === null || alarmMs > world.clock.now()) return false;
  world.fire();
  return true;
}

function nextEventMs({ clock, storage, running }: World): number | null {
  const alarmMs = running || storage.alarmMs === null ? null : Math.max(0, storage.alarmMs - clock.now());
  const waits = [alarmMs, clock.nextTimerMs()].filter(ms => ms !== null);
  return waits.length === 0 ? null : Math.min(...waits);
}

function pick<T extends object>(given: Partial<T>, names: T): Partial<T> {
  return Object.fromEntries(Object.entries(given).filter(([name]) => name in names)) as Partial<T>;
}
