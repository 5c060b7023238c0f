import { tableNamed } from '../../../schemas/index.ts';
import { LIMITS } from '../../../src/config.ts';
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
import { FEEDER, FeedingTable } from './feeding.ts';
import { instancePorts } from './ports.ts';
import { SimulatedQueue } from './queue.ts';
import { coalescing, DEFAULT_SETTINGS, type SourceKind, type SourceSettings } from './sources.ts';
import { SimulatedStorage } from './storage.ts';
import { StreamStandIn } from './stream.ts';
import { Upstream } from './upstream.ts';

/** The platform runs a failed alarm again after this time, doubled at each failure, up to so many times. */
const ALARM_RETRY_MS = 2_000;
const ALARM_RETRIES_MAX = 6;
/** An engine that runs more often than this at one moment would never let time pass. */
const RUNS_AT_ONCE_MAX = 1_000;

export interface WorldOptions extends Partial<SourceSettings>, Partial<EngineOptions> {
  kind?: SourceKind;
  encoding?: Encoding;
  startMs?: number;
  /** Whether rows of another source's table feed the agenda. */
  fed?: boolean;
  /** Whether the source is a real one, which fetches over HTTP, instead of one that asks the simulated upstream. */
  fetches?: boolean;
}

/** One source's object with its clock, ports and upstream. Instances of its engine start and die; the rest stays. */
export class World {
  readonly clock: VirtualClock;
  readonly calls = new Calls();
  readonly storage: SimulatedStorage;
  readonly bucket = new MemoryBucket();
  readonly database = new SimulatedDatabase();
  readonly upstream: Upstream;
  readonly queue: SimulatedQueue = new SimulatedQueue(this);
  /** The table of another source that feeds the agenda. */
  readonly feeding: FeedingTable = new FeedingTable(this.bucket, () => this.encoding);
  readonly log: (LogFields & { event: string })[] = [];
  readonly kind: SourceKind;
  /** Stand-ins of the streams, by table. */
  readonly streams: ReadonlyMap<string, StreamStandIn>;
  readonly settings: SourceSettings;
  readonly options: EngineOptions;
  readonly fed: boolean;
  readonly fetches: boolean;
  encoding: Encoding;
  engine!: Engine;
  /** The number of runs that ended. */
  runs = 0;
  /** Called when a run starts. */
  onRunStart: () => void = () => undefined;
  /** Called when a run of the living instance has ended, with its duration. */
  onRunEnd: (run: { ms: number; failed: boolean }) => void = () => undefined;
  /** Called before each load of the living instance, and after each load of anyone with its answer. */
  onLoading: (request: LoadRequest) => void = () => undefined;
  onLoaded: (request: LoadRequest, answer: Answer<LoadOutcome[]>) => void = () => undefined;
  #running = false;
  /** The number of runs in a row that failed or were killed. */
  #failures = 0;
  /** The number of runs that started at this moment. */
  #moment = { ms: 0, runs: 0 };
  #instance = 0;
  #death = Promise.withResolvers<never>();

  constructor({
    kind = coalescing,
    encoding = JSON_LINES,
    startMs,
    fed = false,
    fetches = false,
    ...given
  }: WorldOptions = {}) {
    this.fed = fed;
    this.fetches = fetches;
    this.clock = new VirtualClock(startMs);
    this.upstream = new Upstream(this.clock);
    this.kind = kind;
    // Worlds with real files do not cache statements: the cache must make no difference.
    this.storage = new SimulatedStorage(kind.name, { caches: encoding === JSON_LINES });
    this.encoding = encoding;
    const own = {
      enabled: true,
      flushAgeMs: 30_000,
      flushBytesMax: 16 * 1024 * 1024,
      inletPollMs: 60_000,
      selfCheckMs: 6 * 60 * 60_000,
      stalledAfterMs: 15 * 60_000,
      streams: {} as Record<string, string>,
      // A copy, which tests of a full database change.
      room: { bytesMax: LIMITS.databaseBytesMax, bytesStop: LIMITS.databaseBytesStop },
      retry: { waitMs: 10_000, attemptsMax: 20, leaseMs: 300_000 },
    };
    this.settings = { ...DEFAULT_SETTINGS, ...pick(given, DEFAULT_SETTINGS) };
    this.options = { ...own, ...pick(given, own) };
    const streamed = Object.keys(this.options.streams);
    this.streams = new Map(streamed.map(table => [table, new StreamStandIn(tableNamed(table))]));
    this.#startInstance();
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

  fault(step: string) {
    return this.engine.journal.state.fault(step);
  }

  /** Sets the tail's first cursor. Only before the first run. */
  startAt(cursor: string): void {
    this.engine.journal.state.updateLane(TAIL, { cursor, first_cursor: cursor });
  }

  get firstCursor(): string {
    return this.lane.first_cursor!;
  }

  /** Whether all that the feed shows, or is due, is in files, database and catalog. Parked changes may be left. */
  get isFollowed(): boolean {
    const { files, journal } = this.engine;
    const head = this.engine.source.agenda ? this.#agendaEnd : String(this.#feedEnd);
    const isAtHead = head !== null && this.lane.cursor === head && files.backlog().rows === 0;
    return (
      isAtHead &&
      files.unpublished(1).length === 0 &&
      journal.state.source().published_cursor === head &&
      this.isCatalogued
    );
  }

  /** Whether the agenda has seen every settled row of the table that feeds it. */
  get isFed(): boolean {
    const { inlets } = this.engine.journal;
    if (!inlets) return true;
    const { identity, lsn } = inlets.find(this.engine.source.inlets[0]!);
    const { feeding } = this;
    return feeding.identity === null || (identity === feeding.identity && lsn === feeding.settledLsn);
  }

  /** Whether the catalog names every file. */
  get isCatalogued(): boolean {
    const catalog = new JournalCatalog(this.storage.sql);
    return this.engine.source.tables.every(({ name }) => !catalog.isBehind(name));
  }

  /** Whether each row in a file is in its stream. */
  get isStreamed(): boolean {
    return [...this.streams].every(([table, { records }]) => {
      const last = this.engine.files.lastFile(table);
      return last === null || records.has(last.last_lsn);
    });
  }

  get #feedEnd(): number {
    return this.engine.source.resumable ? this.upstream.seq : this.upstream.pages.length;
  }

  /** The cursor, when no key is due but those with a parked change; else null. */
  get #agendaEnd(): string | null {
    const { agenda } = this.engine.journal;
    const spaces = agenda!.spaces().map(({ id }) => id);
    const due = (['first', 'again'] as const).flatMap(kind =>
      agenda!.due(spaces, { kind, nowMs: this.clock.now(), each: 1 }),
    );
    return due.every(({ visits }) => visits.length === 0) ? this.lane.cursor : null;
  }

  /** Sets the time between two pulls, for this and later instances. */
  pollEvery(ms: number): void {
    this.settings.pollMs = ms;
    this.engine.source.pollMs = ms;
  }

  /** Starts a run as the platform does: the alarm is gone with it. */
  fire(): void {
    this.storage.alarmMs = null;
    this.#countAtMoment();
    // Set before the run starts, because its first call may kill it.
    this.#running = true;
    const instance = this.#instance;
    const startedMs = this.clock.elapsedMs;
    this.onRunStart();
    const onEnd = (failed: boolean) => {
      if (instance !== this.#instance) return;
      this.#running = false;
      this.runs += 1;
      if (failed) this.#retryAlarm();
      else this.#failures = 0;
      this.onRunEnd({ ms: this.clock.elapsedMs - startedMs, failed });
    };
    this.engine.wake().then(
      () => onEnd(false),
      () => onEnd(true),
    );
  }

  /** Kills the instance and starts another. With `lose`, the writes since the last flush are lost. */
  kill({ lose = true } = {}): void {
    if (lose) this.storage.lose();
    else this.storage.flush();
    if (this.#running) this.#retryAlarm();
    this.#running = false;
    this.#startInstance();
  }

  /**
   * Sends a request to the living instance. The answer is a copy; it waits until the writes before it are flushed, and is
   * an error when the instance dies first.
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

  /** The platform runs an alarm again whose handler failed, or died, before it set another; not for ever. */
  #retryAlarm(): void {
    this.#failures += 1;
    if (this.#failures > ALARM_RETRIES_MAX) this.#failures = 0;
    else this.storage.alarmMs ??= this.clock.now() + ALARM_RETRY_MS * 2 ** (this.#failures - 1);
  }

  /** Gives the databases to later worlds. No call may be under way, and this world must not be used afterwards. */
  async recycle(): Promise<void> {
    this.#instance += 1;
    await drained();
    this.storage.recycle();
    this.database.recycle();
  }

  #startInstance(): void {
    this.#instance += 1;
    // Most instances have no request to reject.
    this.#death.promise.catch(() => undefined);
    this.#death.reject(new Error('the object died'));
    this.#death = Promise.withResolvers();
    const instance = this.#instance;
    const ports = instancePorts(this, () => instance === this.#instance);
    this.engine = new Engine({ ports, source: this.#source(), options: this.options });
    this.storage.saveFresh();
  }

  #source(): EngineSource {
    const visit = { permits: [], deadlineAtMs: 0, tallies: new Map(), slotsUsed: new Map() };
    const source = this.kind(this.upstream, visit);
    return engineSourceOf(source, this.settings, this.fed ? [FEEDER] : []);
  }
}

/** A world whose source has been started, but has not run yet. */
export async function startedWorld(options: WorldOptions = {}): Promise<World> {
  const world = new World(options);
  await world.engine.watch();
  return world;
}

/** Fires alarms and lets time pass until `until` holds between two runs. Throws when the time is over before. */
export async function runUntil(
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

/** Lets time pass until `isFollowed` holds. */
export function followed(world: World): Promise<void> {
  return runUntil(world, { until: () => world.isFollowed });
}

/** Lets this much time pass and fires alarms; stops early when `until` holds between two runs. */
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

/** Lets time pass until a held call is made, which may be in the middle of a run. */
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

/** Lets time pass until the next run has ended. */
export async function nextRun(world: World): Promise<void> {
  const { runs } = world;
  await runUntil(world, { until: () => world.runs > runs });
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

function pick<T extends object>(given: Partial<T>, known: T): Partial<T> {
  return Object.fromEntries(Object.entries(given).filter(([name]) => name in known)) as Partial<T>;
}
