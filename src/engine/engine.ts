import { LIMITS } from '../config.ts';
import { messageOf, OwnError } from '../errors.ts';
import type { Ticket } from '../failures/parked.ts';
import { Admission, waitingUntil } from './admission.ts';
import { Audit, isUnwell } from './audit.ts';
import { project } from './checkpoint.ts';
import { flush } from './flush.ts';
import { Journal } from './journal.ts';
import { JournalFiles } from './journal-files.ts';
import { openJournal } from './journal-schema.ts';
import { checkNoFiles } from './lake-check.ts';
import type { EngineSource, HandedBack, Ports } from './ports.ts';
import { Retries } from './retry.ts';
import { RowBuffer } from './row-buffer.ts';
import { Run } from './run.ts';
import { SliceLoader } from './slice.ts';
import { Steps } from './steps.ts';
import { Tail } from './tail.ts';

/** Thresholds of a source, from its settings. `enabled`: the settings name the source. */
export interface EngineOptions {
  enabled: boolean;
  flushAgeMs: number;
  flushBytesMax: number;
  stalledAfterMs: number;
}

/**
 * One source's engine: what happens each time its object wakes. Everything it knows is in the journal; the buffers
 * and the page at hand are only quicker ways to it, and may be lost at every await.
 */
export class Engine {
  readonly journal: Journal;
  readonly files: JournalFiles;
  readonly source: EngineSource;
  readonly ports: Ports;
  readonly options: EngineOptions;
  readonly #buffers: RowBuffer[];
  readonly #steps: Steps;
  readonly #tail: Tail;
  readonly retries: Retries;
  readonly audit: Audit;
  #running: Promise<void> | null = null;
  /** Somebody asked for a run while one was going on. */
  #noted = false;

  constructor({ ports, source, options }: { ports: Ports; source: EngineSource; options: EngineOptions }) {
    openJournal(
      ports.sql,
      source.id,
      source.tables.map(table => table.name),
    );
    this.ports = ports;
    this.source = source;
    this.options = options;
    this.journal = new Journal(ports.sql, ports.encode);
    this.files = new JournalFiles(ports.sql, ports.encode);
    const { journal, files } = this;
    this.#buffers = source.tables.map(
      table => new RowBuffer({ table, source: source.id, files, encode: ports.encode }),
    );
    this.#steps = new Steps({ source: source.id, state: journal.state, clock: ports.clock, log: ports.log });
    const admission = new Admission(journal.state, source.hosts);
    const slices = new SliceLoader({ ports, source, journal, admission });
    this.#tail = new Tail({ ports, source, journal, admission, slices });
    this.retries = new Retries({ ports, source, journal, admission, isExpected: key => this.#tail.expects(key) });
    this.audit = new Audit({ sql: ports.sql, ports, source, journal, admission });
  }

  get paused(): boolean {
    return !this.options.enabled || this.journal.state.source().paused === 1;
  }

  /** The one way in. A second entry during a run leaves a note and an alarm; never throws but when the alarm cannot be set. */
  async wake(): Promise<void> {
    if (this.#running) {
      this.#noted = true;
      // The alarm that brought us here is spent, and the run may still be killed.
      await this.ports.wake.set(this.ports.clock.now() + LIMITS.recoveryMs);
      return;
    }
    this.#running = this.#run();
    try {
      await this.#running;
    } finally {
      this.#running = null;
    }
  }

  /** Asks for a run as soon as possible. */
  async poke(): Promise<void> {
    if (this.#running) this.#noted = true;
    await this.ports.wake.set(this.ports.clock.now());
  }

  async #run(): Promise<void> {
    const { clock, wake } = this.ports;
    const run = new Run(clock, wake);
    // Armed, and awaited, before any work: should the run be killed, this is when the next one starts.
    await run.keepArmed();
    this.#noted = false;
    try {
      await clock.within(this.#work(run), LIMITS.runMsMax, 'run');
    } catch (error) {
      run.abandon();
      this.#tail.drop();
      this.#steps.fail('run', error);
    } finally {
      const nextMs = this.#noted ? clock.now() : this.nextWakeMs();
      await clock.within(wake.set(nextMs), LIMITS.alarmCallMsMax, 'alarm after the run');
    }
  }

  async #work(run: Run): Promise<void> {
    if (!this.paused) {
      await this.#steps.run('lake', () => this.#checkLake());
      if (!this.journal.state.fault('lake')) {
        await this.#steps.run('retry', () => this.retries.send());
        await this.#steps.run('follow', () => this.#follow(run));
      }
    }
    await run.keepArmed();
    for (const buffer of this.#buffers) await this.#steps.run(flushStep(buffer), () => this.#flush(buffer, run));
    if (this.files.backlog().rows === 0) this.journal.state.updateSource({ flush_requested: 0 });
    await run.keepArmed();
    if (this.#isUnprojected()) await this.#steps.run('project', () => this.#project());
    await this.#look(run);
    this.journal.state.clearFault('run');
    if (!this.journal.state.faults().some(isUnwell))
      this.journal.state.updateSource({ ended_well_ms: this.ports.clock.now() });
  }

  /** Last of all: what is there to be looked at is brought there first. */
  async #look(run: Run): Promise<void> {
    await run.keepArmed();
    const paused = this.paused;
    for (const { step, work } of this.audit.steps({ nowMs: this.ports.clock.now(), paused }))
      await this.#steps.run(step, () => work(run));
  }

  async #follow(run: Run): Promise<void> {
    const bytes = this.journal.packedBytes();
    if (bytes > LIMITS.journalBytesMax)
      throw new OwnError('journal-full', `journal: expected at most ${LIMITS.journalBytesMax} bytes, got ${bytes}`);
    // At most one flush a table and run: once one is due, the rest of the page waits for the next run.
    // A flush that waits out a failure holds nothing up.
    const nowMs = this.ports.clock.now();
    const ready = this.#buffers.filter(buffer => this.#steps.retryMs(flushStep(buffer)) <= nowMs);
    await this.#tail.follow(run, async () => {
      this.#checkFailing();
      for (const buffer of ready) await this.#read(buffer, run);
      return ready.some(buffer => this.#isDue(buffer));
    });
  }

  /** Reads the journal on into the buffer. A backlog fills it for seconds: others have their turn in between. */
  async #read(buffer: RowBuffer, run: Run): Promise<void> {
    while (buffer.readNext()) await run.turn();
  }

  /** A source most of whose recent changes failed asks its upstream no more for a while: it would be for nothing. */
  #checkFailing(): void {
    const nowMs = this.ports.clock.now();
    const { changes, parked } = this.journal.state.changesSince(
      Math.floor(nowMs / 60_000) - LIMITS.failingWindowMinutes,
    );
    if (changes < LIMITS.failingChangesMin || parked / changes <= LIMITS.failingShareMax) return;
    const message = `recent changes: expected at most ${LIMITS.failingShareMax * 100} % parked, got ${parked} of ${changes}`;
    throw new OwnError('upstream-failing', message, LIMITS.probeMs);
  }

  async #checkLake(): Promise<void> {
    if (this.journal.state.source().lake_checked === 1) return;
    await checkNoFiles(this.ports, this.source.tables);
    this.journal.state.updateSource({ lake_checked: 1 });
  }

  async #flush(buffer: RowBuffer, run: Run): Promise<void> {
    await this.#read(buffer, run);
    if (!this.#isDue(buffer)) return;
    const { name } = buffer.table;
    const attempts = this.files.intent(name)?.attempts ?? 0;
    // Attempts that killed the object left no failure behind; their count did. A stalled table goes on probing.
    if (attempts >= LIMITS.flushAttemptsMax && !this.journal.state.fault(flushStep(buffer))) {
      throw new OwnError('flush-failed', `${name}: ${attempts} attempts at ${buffer.bytes} bytes did not end`);
    }
    const startedMs = this.ports.clock.now();
    try {
      const file = await flush({ ports: this.ports, files: this.files, buffer, run });
      if (!file) return;
      const duration_ms = Math.max(0, this.ports.clock.now() - startedMs);
      const { key, rows, bytes, settled_ms } = file;
      this.journal.state.updateSource({
        last_flush: JSON.stringify({ at: new Date(settled_ms).toISOString(), rows, bytes, key, duration_ms }),
      });
      this.ports.log('flush_settled', { source: this.source.id, table: name, key, rows, bytes, duration_ms });
    } catch (error) {
      const spent = this.files.intent(name)?.attempts ?? 0;
      const isForeign = error instanceof OwnError && error.kind === 'foreign-object';
      if (spent < LIMITS.flushAttemptsMax || isForeign) throw error;
      throw new OwnError(
        'flush-failed',
        `${name}: ${spent} attempts, the last took ${this.ports.clock.now() - startedMs} ms: ${messageOf(error)}`,
      );
    } finally {
      buffer.drop();
    }
  }

  async #project(): Promise<void> {
    const { ports, files, journal, source } = this;
    const { letters } = journal.parked;
    await project({ ports, files, letters, source: source.id, cursor: files.durableCursor() });
  }

  #isUnprojected(): boolean {
    return (
      this.files.unprojected(1).length > 0 ||
      this.journal.parked.letters.unprojected(1).length > 0 ||
      this.files.durableCursor() !== this.journal.state.source().projected_cursor
    );
  }

  /** An intent that waits to be settled, size, a control, or age. */
  #isDue(buffer: RowBuffer): boolean {
    const { name } = buffer.table;
    if (this.files.intent(name) || buffer.full || buffer.bytes >= this.options.flushBytesMax) return true;
    const oldest = this.files.firstEntry(name);
    if (!oldest) return false;
    return (
      this.journal.state.source().flush_requested === 1 || this.ports.clock.now() >= this.#flushMs(oldest.stamp_ms)
    );
  }

  /** When rows of this stamp are old enough; a stamp far ahead comes from a clock that jumped back, and is old enough. */
  #flushMs(stampMs: number): number {
    return waitingUntil(stampMs + this.options.flushAgeMs, this.ports.clock.now(), this.options.flushAgeMs);
  }

  /** The earliest time at which some step has something to do; null when a paused source has nothing left. */
  nextWakeMs(): number | null {
    const nowMs = this.ports.clock.now();
    const times: number[] = [];
    const want = (step: string, atMs: number | null) =>
      atMs !== null && times.push(Math.max(nowMs, atMs, this.#steps.retryMs(step)));
    if (!this.paused) {
      want('follow', this.#steps.retryMs('lake') || this.#tail.nextMs(nowMs));
      want('retry', this.#steps.retryMs('lake') || this.journal.parked.nextDueMs(nowMs));
    }
    for (const buffer of this.#buffers) {
      const oldest = this.files.firstEntry(buffer.table.name);
      if (oldest) want(flushStep(buffer), this.#isDue(buffer) ? nowMs : this.#flushMs(oldest.stamp_ms));
    }
    if (this.#isUnprojected()) want('project', nowMs);
    for (const { step, atMs } of this.audit.steps({ nowMs, paused: this.paused })) want(step, atMs);
    return times.length > 0 ? Math.min(...times) : null;
  }

  /** The watchdog's look: a source the settings name is started the first time, and a source that went silent is armed. */
  async watch(): Promise<void> {
    const source = this.journal.state.source();
    if (this.options.enabled && source.started === 0) this.journal.state.updateSource({ started: 1, paused: 0 });
    const wantedMs = this.nextWakeMs();
    const armedMs = await this.ports.wake.get();
    const nowMs = this.ports.clock.now();
    if (wantedMs === null) return;
    const isSilent = armedMs === null || armedMs < nowMs - LIMITS.recoveryMs || armedMs > wantedMs + LIMITS.recoveryMs;
    if (isSilent) await this.poke();
  }

  /** Takes what came of granted looks; rows of theirs are flushed in time. */
  async takeBack(handedBack: HandedBack): Promise<void> {
    if (this.retries.take(handedBack)) await this.poke();
  }

  /** Tickets that a queue gave up. */
  async expire(tickets: Ticket[]): Promise<void> {
    this.retries.expire(tickets);
    await this.poke();
  }

  /** Starts, pauses or flushes; `changed` is false when it was so already. */
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

function flushStep(buffer: RowBuffer): string {
  return `flush:${buffer.table.name}`;
}
