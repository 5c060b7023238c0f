import { waitingUntil } from '../../alarm/backoff.ts';
import type { Run } from '../../alarm/run.ts';
import { messageOf, StepError } from '../../errors.ts';
import { LIMITS, SECOND } from '../../limits.ts';
import type { FeedingFile, FeedingFiles, InletAnswer, RowFindings } from '../../ports/inlet.ts';
import type { Answer } from '../../ports/loader.ts';
import type { Ports } from '../../ports/ports.ts';
import type { EngineInlet } from '../../ports/source.ts';
import { type InletRow, inletCursor, type JournalInlets } from '../journal/inlets.ts';
import type { JournalState } from '../journal/state.ts';
import { failureError, loaderCallMs } from '../load/ask.ts';
import { LOADER_DEATHS_MAX } from '../load/slices.ts';

/** After this time in one run, an inlet reads no further row group: visits wait for it. */
const READ_MS_MAX = 5 * SECOND;
/** Row groups of one run: the rest of its calls are for visits. */
const CALLS_PER_RUN = 5;
/** Files in one answer of a feeding source: more than one run reads. */
const FILES_LISTED_MAX = 20;
/** Longer than an object takes to start and to read a row of SQLite for each file. */
const SOURCE_CALL_MS_MAX = 20 * SECOND;
/** Rows, and findings, that one transaction takes, more only where one row has more: it takes about 50 ms. */
const PART_ROWS_MAX = 1_000;
const PART_FINDINGS_MAX = 2_000;

interface InletOptions {
  inlet: EngineInlet;
  /** The source whose agenda the inlet feeds. */
  source: string;
  ports: Ports;
  inlets: JournalInlets;
  state: JournalState;
  /** The object's database takes no new keys. */
  isFull: () => boolean;
  /** How often it asks for new files once it has read all. */
  pollMs: number;
}

/** What one run may read. */
interface Reading {
  run: Run;
  endMs: number;
  callsLeft: number;
}

/**
 * Reads the rows of another source's table from its settled files, in the order of their LSNs, and puts what they say
 * into the agenda. The rows, what they gave and the inlet's LSN go into the journal together, so that each row counts
 * once.
 */
export class InletReader {
  readonly inlet: EngineInlet;
  /** Its step of a run. */
  readonly step: string;
  readonly #options: InletOptions;

  constructor(options: InletOptions) {
    this.inlet = options.inlet;
    this.#options = options;
    this.step = inletStep(options.inlet);
  }

  /** When it has something to do: at once while rows are left, else when the table may have new ones. */
  nextMs(nowMs: number): number {
    return waitingUntil(this.#known.next_ms, nowMs, this.#options.pollMs);
  }

  /**
   * Reads rows, as far as one run gets. Throws `StepError`: `source-failed` when the feeding source does not answer,
   * `feed-damaged` when a file of it cannot be read, `loader-failed`, `bucket-failed` or `deadline`. Reads nothing
   * while the database is full, because a row that has no room for its keys must not be passed.
   */
  async work(run: Run): Promise<void> {
    const { inlets, ports } = this.#options;
    const nowMs = ports.clock.now();
    if (this.nextMs(nowMs) > nowMs) return;
    const reading: Reading = { run, endMs: nowMs + READ_MS_MAX, callsLeft: CALLS_PER_RUN };
    // Ask the feeding source which files have rows after the inlet's LSN.
    let found = await this.#ask(run);
    // Begin again where the table did, and ask for its first files.
    if (found.identity !== null && found.identity !== this.#known.identity) {
      await this.#begin(found.identity, run);
      found = await this.#ask(run);
    }
    // Read the files in order.
    const { identity, files, lastLsn } = found;
    if (identity !== null && identity === this.#known.identity)
      for (const file of files) if (!(await this.#readFile(file, identity, reading))) break;
    // Ask again at once where more is settled, else after a while.
    const isBehind = identity !== null && this.#known.lsn < lastLsn;
    inlets.setNext(this.#known.id, ports.clock.now() + (isBehind ? 0 : this.#options.pollMs));
  }

  get #known(): InletRow {
    return this.#options.inlets.find(this.inlet);
  }

  async #ask(run: Run): Promise<FeedingFiles> {
    const { ports, inlets } = this.#options;
    const { source, table } = this.inlet;
    const { id, lsn: afterLsn } = this.#known;
    const query = { table, afterLsn, limit: FILES_LISTED_MAX };
    const asked = { ms: SOURCE_CALL_MS_MAX, subject: `files of ${table}` };
    const found = await run.call(() => ports.feeding.settledFiles(source, query), asked);
    inlets.noteAnswer(id, { lastLsn: found.lastLsn, nowMs: ports.clock.now() });
    return found;
  }

  async #begin(identity: string, run: Run): Promise<void> {
    const { ports, inlets, source } = this.#options;
    const { identity: before, lsn } = this.#known;
    while (!inlets.begin(this.inlet, { identity, nowMs: ports.clock.now() })) await run.turn();
    if (before !== null) ports.log('inlet_restarted', { source, table: this.inlet.table, last_lsn: lsn });
  }

  /** Reads a file from the inlet's LSN on, a row group or a part of one at a time. False when this run reads no more. */
  async #readFile(file: FeedingFile, identity: string, reading: Reading): Promise<boolean> {
    const { clock } = this.#options.ports;
    // Check that no rows are between the inlet and the file.
    const { lsn } = this.#known;
    if (file.first_lsn > lsn + 1) throw this.#damaged(`expected a file with LSN ${lsn + 1}, got ${file.key}`);
    while (this.#known.lsn < file.last_lsn) {
      if (reading.run.over || clock.now() >= reading.endMs || reading.callsLeft-- <= 0) return false;
      // Read the next rows, then take them.
      const rows = await this.#read(file, reading.run);
      if (rows === null || !(await this.#take(rows, identity, reading.run))) return false;
    }
    return true;
  }

  /** The next rows of a file; null when it is no longer part of its table, because others have replaced it. */
  async #read(file: FeedingFile, run: Run): Promise<RowFindings[] | null> {
    const { lsn: afterLsn } = this.#known;
    const answer = await this.#call({ file, afterLsn }, run);
    if (!answer.ok) throw failureError(answer.failure);
    if (answer.value.kind === 'rows') return answer.value.rows;
    if (answer.value.kind === 'damaged') throw this.#damaged(`${file.key}: ${answer.value.message}`);
    const { files } = await this.#ask(run);
    if (!files.some(({ key, etag }) => key === file.key && etag === file.etag)) return null;
    throw this.#damaged(`${file.key}: expected an object with etag ${file.etag}, got none`);
  }

  /** Calls the Loader. When rows end its call again and again while other calls work, their file is damaged. */
  async #call({ file, afterLsn }: { file: FeedingFile; afterLsn: number }, run: Run): Promise<Answer<InletAnswer>> {
    const { ports, state } = this.#options;
    const { table } = this.inlet;
    const request = { table, file, afterLsn, permits: [] };
    const limits = { ms: loaderCallMs(LIMITS.bucketCallMsMax), subject: `rows of ${table} after LSN ${afterLsn}` };
    try {
      return await run.call(() => ports.load.run('inlet', request), limits);
    } catch (error) {
      if (error instanceof StepError) throw error;
      const failure = new StepError('loader-failed', `${limits.subject}: ${messageOf(error)}`);
      // Check whether Loaders can run at all.
      const dead = await ports.clock.within(ports.load.ping(), LIMITS.pullMsMax, 'Loader').then(() => null, messageOf);
      if (dead !== null) throw failure;
      const cursor = inletCursor(table, afterLsn);
      state.suspectChange(cursor, { deaths: 1, throttled: 0 });
      if (state.suspect(cursor)!.deaths < LOADER_DEATHS_MAX) throw failure;
      throw this.#damaged(`${file.key}: reading the row after LSN ${afterLsn} ended ${LOADER_DEATHS_MAX} Loaders`);
    }
  }

  /** Takes rows in parts, each one transaction. False when another run has taken them, or there is no room. */
  async #take(rows: RowFindings[], identity: string, run: Run): Promise<boolean> {
    const { ports, inlets, source } = this.#options;
    for (const part of partsOf(rows)) {
      if (this.#options.isFull()) return false;
      const { lsn: lsnBefore } = this.#known;
      const taken = inlets.append({ inlet: this.inlet, identity, lsnBefore, rows: part, nowMs: ports.clock.now() });
      if (!taken) return false;
      const { findings, added, refused } = taken;
      const counts = { rows: part.length, findings, added, refused, last_lsn: lsnBefore + part.length };
      ports.log('inlet_read', { source, table: this.inlet.table, ...counts });
      await run.turn();
    }
    return true;
  }

  #damaged(message: string): StepError {
    return new StepError('feed-damaged', `${this.inlet.table}: ${message}`);
  }
}

/** The name of the step that reads a table. */
export function inletStep({ table }: Pick<EngineInlet, 'table'>): string {
  return `inlet:${table}`;
}

/** Rows in parts that one transaction takes, each of at least one row. */
function* partsOf(rows: RowFindings[]): Generator<RowFindings[]> {
  let part: RowFindings[] = [];
  let findings = 0;
  for (const row of rows) {
    const isFull = part.length >= PART_ROWS_MAX || findings + row.findings.length > PART_FINDINGS_MAX;
    if (part.length > 0 && isFull) {
      yield part;
      part = [];
      findings = 0;
    }
    part.push(row);
    findings += row.findings.length;
  }
  if (part.length > 0) yield part;
}
