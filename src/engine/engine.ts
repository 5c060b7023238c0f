import { AlarmLoop } from '../alarm/alarm-loop.ts';
import type { Run } from '../alarm/run.ts';
import { Steps } from '../alarm/steps.ts';
import { LIMITS, type RetryPace } from '../config.ts';
import { StepError } from '../errors.ts';
import type { Permit } from '../ports/hosts.ts';
import type { Ports } from '../ports/ports.ts';
import type { HandedBack, Ticket } from '../ports/queues.ts';
import type { EngineSource } from '../ports/source.ts';
import { Audit, isUnhealthy } from './audit/audit.ts';
import { Flusher } from './flush/flusher.ts';
import { checkNoFiles } from './flush/foreign-files.ts';
import { InletReader } from './follow/inlet.ts';
import { RANGE_LANES, RangePuller } from './follow/ranges.ts';
import { Retries } from './follow/retries.ts';
import { Tail } from './follow/tail.ts';
import { Visitor } from './follow/visitor.ts';
import { JournalCatalog } from './journal/catalog.ts';
import { JournalFiles } from './journal/files.ts';
import { Journal } from './journal/journal.ts';
import { openJournal } from './journal/open.ts';
import { JournalRoom, type RoomLimits } from './journal/room.ts';
import { JournalState } from './journal/state.ts';
import { JournalStreams } from './journal/streams.ts';
import { Admission } from './load/admission.ts';
import { SliceLoader } from './load/slices.ts';
import { Cataloger } from './publish/catalog.ts';
import { publishToDatabase } from './publish/database.ts';
import { Streamer, streamStep } from './publish/streams.ts';

/** The platform allows 32 invocations a request. The last slice may add 4 to this, and a listing 3. */
const LOAD_CALLS_PER_RUN = 25;
/**
 * A source slows down when more than this share of the changes of the last minutes was parked, because then the upstream
 * or our reading of it is at fault. Fewer changes say too little.
 */
const FAILING_SHARE_MAX = 0.5;
export const FAILING_CHANGES_MIN = 100;
const FAILING_WINDOW_MINUTES = 10;

/** Thresholds of a source, from its settings. `enabled`: the settings name the source. */
export interface EngineOptions {
  enabled: boolean;
  flushAgeMs: number;
  flushBytesMax: number;
  retry: RetryPace;
  /** The time from one self-check to the next. */
  inletPollMs: number;
  selfCheckMs: number;
  stalledAfterMs: number;
  /** Limits of the object's database; those of `LIMITS` where it is left out. */
  room?: RoomLimits;
  /** By table, the binding of the stream it is sent to. */
  streams: Record<string, string>;
}

/**
 * One source's engine: what its object does each time it wakes. All it knows is in the journal. Buffers and the pending
 * page only save reading it again; they may be lost at every await.
 */
export class Engine {
  readonly journal: Journal;
  readonly files: JournalFiles;
  readonly room: JournalRoom;
  readonly source: EngineSource;
  readonly ports: Ports;
  readonly options: EngineOptions;
  readonly admission: Admission;
  readonly #flushers: Flusher[];
  readonly #publishers: ReturnType<typeof publishersOf>;
  readonly #steps: Steps;
  readonly #tail: Tail | Visitor;
  readonly #ranges: RangePuller[];
  readonly retries: Retries;
  readonly audit: Audit;
  readonly #inlets: InletReader[];
  readonly #loop: AlarmLoop;

  constructor({ ports, source, options }: { ports: Ports; source: EngineSource; options: EngineOptions }) {
    openJournal(
      ports.sql,
      source.id,
      source.tables.map(table => table.name),
    );
    this.ports = ports;
    this.source = source;
    this.options = options;
    this.room = new JournalRoom(ports.sql, options.room);
    const isFull = () => this.room.isFull;
    this.journal = new Journal(ports.sql, ports.encode, { ...source, pace: options.retry, isFull });
    this.files = new JournalFiles(ports.sql, ports.encode);
    const { journal, files } = this;
    this.#flushers = source.tables.map(
      table => new Flusher({ table, source: source.id, ports, state: journal.state, files, thresholds: options }),
    );
    this.#publishers = publishersOf({ ports, source, streams: options.streams });
    this.#steps = new Steps({ source: source.id, faults: journal.state, clock: ports.clock, log: ports.log });
    this.admission = new Admission(journal.state, source);
    const { admission } = this;
    const slices = new SliceLoader({ ports, source, journal, admission });
    const parts = { ports, source, journal, admission, slices };
    this.#tail = source.agenda
      ? new Visitor({ ...parts, steps: this.#steps })
      : new Tail({ ...parts, onPulled: keys => this.audit.keysPulled(keys) });
    const { inlets, state } = journal;
    this.#inlets = inlets
      ? source.inlets.map(
          inlet =>
            new InletReader({ inlet, source: source.id, ports, inlets, state, isFull, pollMs: options.inletPollMs }),
        )
      : [];
    this.#clearOtherInlets();
    const isPending = (key: string) => this.#tail.isPending(key);
    this.retries = new Retries({ ports, source, journal, admission, isPending, pace: options.retry });
    this.#ranges = RANGE_LANES.map(
      lane => new RangePuller({ lane, ports, source, journal, admission, slices, isPending }),
    );
    this.#loop = new AlarmLoop({
      clock: ports.clock,
      wake: ports.wake,
      callsMax: LOAD_CALLS_PER_RUN,
      work: run => this.#work(run),
      onFailure: error => this.#failRun(error),
      nextWakeMs: () => this.nextWakeMs(),
    });
    const { selfCheckMs } = options;
    // What a range has loaded and not accepted had the facts of before.
    const onFactsChanged = () => this.#ranges.forEach(range => void range.drop());
    const audited = { sql: ports.sql, ports, source, journal, admission, isPending };
    this.audit = new Audit({ ...audited, selfCheckMs, onFactsChanged });
  }

  get paused(): boolean {
    return !this.options.enabled || this.journal.state.source().paused === 1;
  }

  /** What the alarm and the watchdog call; see `AlarmLoop`. */
  wake(): Promise<void> {
    return this.#loop.wake();
  }

  /** Asks for a run as soon as possible. */
  poke(): Promise<void> {
    return this.#loop.poke();
  }

  /** Sets the alarm earlier where something that came in from outside is due before it. */
  arm(): Promise<void> {
    return this.#loop.arm();
  }

  #failRun(error: unknown): void {
    for (const puller of [this.#tail, ...this.#ranges]) puller.drop();
    this.#steps.fail('run', error);
  }

  async #work(run: Run): Promise<void> {
    if (!this.paused) {
      // Check that the lake holds no files of an earlier journal before the first row.
      await this.#steps.run('lake', () => this.checkLake());
      if (!this.journal.state.fault('lake')) {
        // Send tickets of parked changes that are due.
        await this.#steps.run('retry', () => this.retries.send());
        // Read rows of other tables, so that the visits of this run have what they say.
        for (const inlet of this.#openInlets) await this.#steps.run(inlet.step, () => inlet.work(run));
        // Pull ranges, a slice each, then the tail.
        for (const range of this.#ranges) await this.#steps.run(range.lane, () => this.#pullRange(range, run));
        await this.#steps.run('follow', () => this.#follow(run));
      }
    }
    // Flush each table whose buffer is due.
    await run.keepArmed();
    for (const flusher of this.#flushers) await this.#steps.run(flusher.step, () => flusher.work(run));
    if (this.files.backlog().rows === 0) this.journal.state.updateSource({ flush_requested: 0 });
    // Publish settled files to D1, the catalog and the streams.
    await run.keepArmed();
    if (this.#isUnpublished()) await this.#steps.run('database', () => this.#publishToDatabase());
    for (const publisher of this.#publishers) await this.#steps.run(publisher.step, () => publisher.work(run));
    // Audit last, so that it sees what this run has published.
    await run.keepArmed();
    const { paused } = this;
    for (const { step, work } of this.audit.steps({ nowMs: this.ports.clock.now(), paused }))
      await this.#steps.run(step, () => work(run));
    // Note that the run ended well.
    this.journal.state.clearFault('run');
    if (!this.journal.state.faults().some(isUnhealthy))
      this.journal.state.updateSource({ last_success_ms: this.ports.clock.now() });
  }

  /** The inlets that may read now: none while the object's database takes no new keys. */
  get #openInlets(): InletReader[] {
    return this.room.isFull ? [] : this.#inlets;
  }

  /** Clears failures of inlets that the settings no longer turn on, because nothing else would. */
  #clearOtherInlets(): void {
    const { state } = this.journal;
    const known = new Set(this.#inlets.map(({ step }) => step));
    for (const { step } of state.faults()) if (step.startsWith('inlet:') && !known.has(step)) state.clearFault(step);
  }

  async #pullRange(range: RangePuller, run: Run): Promise<void> {
    this.checkRoom();
    this.#checkFailing();
    await range.work(run);
  }

  async #follow(run: Run): Promise<void> {
    this.checkRoom();
    // Stop once a flush is due, because a run flushes a table at most once. A flush that waits after a failure does not
    // count: it must not stop the tail.
    const nowMs = this.ports.clock.now();
    const ready = this.#flushers.filter(({ step }) => this.#steps.retryMs(step) <= nowMs);
    await this.#tail.follow(run, async () => {
      this.#checkFailing();
      for (const flusher of ready) await flusher.read(run);
      return ready.some(({ isDue }) => isDue);
    });
  }

  /**
   * Throws `journal-full` while the journal is over its limit, because flushes must come first, and `database-full` while
   * the object's database has room for little more than flushes.
   */
  checkRoom(): void {
    const bytes = this.journal.state.packedBytes();
    if (bytes > LIMITS.journalBytesMax)
      throw new StepError('journal-full', `journal: expected at most ${LIMITS.journalBytesMax} bytes, got ${bytes}`);
    this.#checkDatabase(this.room.limits.bytesStop);
  }

  /** Throws `database-full` while the object's database takes no new keys. */
  checkNewKeys(): void {
    this.#checkDatabase(this.room.limits.bytesMax);
  }

  #checkDatabase(bytesMax: number): void {
    const { bytes } = this.room;
    if (bytes <= bytesMax) return;
    throw new StepError('database-full', `database of the object: expected at most ${bytesMax} bytes, got ${bytes}`);
  }

  /** Throws `upstream-failing` while most recent changes were parked, because more requests would fail as well. */
  #checkFailing(): void {
    // An agenda's keys have hosts of their own: the failures of one say nothing of the others.
    if (this.source.agenda) return;
    const minute = Math.floor(this.ports.clock.now() / 60_000);
    const { changes, parked } = this.journal.state.changesSince(minute - FAILING_WINDOW_MINUTES);
    if (changes < FAILING_CHANGES_MIN || parked / changes <= FAILING_SHARE_MAX) return;
    const expected = `at most ${FAILING_SHARE_MAX * 100} % parked`;
    throw new StepError(
      'upstream-failing',
      `recent changes: expected ${expected}, got ${parked} of ${changes}`,
      LIMITS.probeMs,
    );
  }

  /** Throws `lake-not-empty` when files of an earlier journal exist: new rows would repeat their LSNs from 1. */
  async checkLake(): Promise<void> {
    if (this.journal.state.source().lake_checked === 1) return;
    await checkNoFiles(this.ports, this.source.tables);
    this.journal.state.updateSource({ lake_checked: 1 });
  }

  async #publishToDatabase(): Promise<void> {
    const { ports, files, journal, source } = this;
    const { letters } = journal.parked;
    await publishToDatabase({ ports, files, letters, source: source.id, cursor: files.durableCursor() });
  }

  #isUnpublished(): boolean {
    return (
      this.files.unpublished(1).length > 0 ||
      this.journal.parked.letters.unpublished(1).length > 0 ||
      this.files.durableCursor() !== this.journal.state.source().published_cursor
    );
  }

  /** The earliest time at which a step has something to do; null when a paused source has nothing left. */
  nextWakeMs(): number | null {
    const nowMs = this.ports.clock.now();
    const times: number[] = [];
    const want = (step: string, atMs: number | null) =>
      atMs !== null && times.push(Math.max(nowMs, atMs, this.#steps.retryMs(step)));
    if (!this.paused) {
      // The lake is checked before anything is asked of the upstream.
      const lakeMs = this.#steps.retryMs('lake');
      want('follow', lakeMs || this.#tail.nextMs(nowMs));
      want('retry', lakeMs || this.journal.parked.nextDueMs(nowMs));
      for (const inlet of this.#openInlets) want(inlet.step, lakeMs || inlet.nextMs(nowMs));
      for (const range of this.#ranges) {
        const atMs = range.nextMs(nowMs);
        if (atMs !== null) want(range.lane, lakeMs || atMs);
      }
    }
    for (const flusher of this.#flushers) want(flusher.step, flusher.nextMs(nowMs));
    if (this.#isUnpublished()) want('database', nowMs);
    for (const { step, isDue } of this.#publishers) if (isDue) want(step, nowMs);
    for (const { step, atMs } of this.audit.steps({ nowMs, paused: this.paused })) want(step, atMs);
    return times.length > 0 ? Math.min(...times) : null;
  }

  /** For the watchdog: starts a source that the settings name the first time, and wakes one that went silent. */
  async watch(): Promise<void> {
    const source = this.journal.state.source();
    if (this.options.enabled && source.started === 0) this.journal.state.updateSource({ started: 1, paused: 0 });
    await this.#loop.watch();
  }

  /** A permit for a host that an upstream's answer has named; null when the host has no room in time. */
  permit(host: string): Permit | null {
    return this.admission.takeOne({ host, nowMs: this.ports.clock.now(), windowMs: LIMITS.visitPermitMsMax });
  }

  /** Takes the results of admitted retries, and arms the alarm for the flush of their rows. */
  async takeBack(handedBack: HandedBack): Promise<void> {
    if (this.retries.take(handedBack)) await this.arm();
  }

  /** Takes tickets that a queue gave up. */
  async expire(tickets: Ticket[]): Promise<void> {
    this.retries.expire(tickets);
    await this.poke();
  }

  /** Starts, pauses or flushes; false when the source was in that state already. */
  async control(action: 'start' | 'pause' | 'flush'): Promise<boolean> {
    const { state } = this.journal;
    const source = state.source();
    const changed = action === 'flush' ? this.files.backlog().rows > 0 : source.paused !== (action === 'pause' ? 1 : 0);
    if (action === 'flush') state.updateSource({ flush_requested: changed ? 1 : 0 });
    else state.updateSource({ started: 1, paused: action === 'pause' ? 1 : 0 });
    await this.poke();
    return changed;
  }
}

/** A step that publishes one table's settled files: repeated until it lands, and nothing waits for it. */
interface Publisher {
  readonly step: string;
  readonly isDue: boolean;
  work(run: Run): Promise<void>;
}

/** The publishers of a source's tables, in the order of a run. `streams`: by table, the binding of its stream. */
export function publishersOf({
  ports,
  source: { id: source, tables },
  streams: bindings,
}: {
  ports: Ports;
  source: EngineSource;
  streams: Record<string, string>;
}): Publisher[] {
  const catalog = new JournalCatalog(ports.sql);
  const streams = new JournalStreams(ports.sql);
  const state = new JournalState(ports.sql);
  const streamed = tables.filter(({ name }) => Object.hasOwn(bindings, name));
  // Clear the failures of streams that the settings no longer name, because nothing else would.
  for (const step of tables.filter(table => !streamed.includes(table)).map(streamStep))
    if (state.fault(step)) state.clearFault(step);
  return [
    ...tables.map(table => new Cataloger({ table, source, ports, catalog })),
    ...streamed.map(table => new Streamer({ table, binding: bindings[table.name]!, source, ports, streams })),
  ];
}
