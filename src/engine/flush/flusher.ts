import type { Table } from '../../../schemas/table.ts';
import { waitingUntil } from '../../alarm/backoff.ts';
import type { Run } from '../../alarm/run.ts';
import { messageOf, StepError } from '../../errors.ts';
import type { Ports } from '../../ports/ports.ts';
import type { JournalFiles } from '../journal/files.ts';
import type { JournalState } from '../journal/state.ts';
import { flush } from './flush.ts';
import { RowBuffer } from './row-buffer.ts';

/** Attempts of a flush before its failure shows as `flush-failed`: the first ones are often passing. */
const FLUSH_ATTEMPTS_MAX = 3;

interface FlusherOptions {
  table: Table;
  source: string;
  ports: Ports;
  state: JournalState;
  files: JournalFiles;
  thresholds: { flushAgeMs: number; flushBytesMax: number };
}

/** Flushes one table: says when a data file is due, and what a failed attempt means. */
export class Flusher {
  /** Its step of a run. */
  readonly step: string;
  readonly #options: FlusherOptions;
  readonly #buffer: RowBuffer;

  constructor(options: FlusherOptions) {
    const { table, source, files, ports } = options;
    this.step = `flush:${table.name}`;
    this.#options = options;
    this.#buffer = new RowBuffer({ table, source, files, encode: ports.encode });
  }

  /**
   * Reads the journal into the buffer until one is at its end. A backlog takes seconds, so others get turns in between.
   */
  async read(run: Run): Promise<void> {
    while (this.#buffer.readNext()) await run.turn();
  }

  /** Whether a data file is due: for an unsettled intent, its size, a control, or the age of its first row. */
  get isDue(): boolean {
    const { table, files, state, ports, thresholds } = this.#options;
    if (files.intent(table.name) || this.#buffer.isFull || this.#buffer.bytes >= thresholds.flushBytesMax) return true;
    const oldest = files.firstEntry(table.name);
    if (!oldest) return false;
    return state.source().flush_requested === 1 || ports.clock.now() >= this.#dueMs(oldest.stamp_ms);
  }

  /** When a data file is due; null while the journal has no row of the table. */
  nextMs(nowMs: number): number | null {
    const { files, table } = this.#options;
    const oldest = files.firstEntry(table.name);
    if (!oldest) return null;
    return this.isDue ? nowMs : this.#dueMs(oldest.stamp_ms);
  }

  /**
   * Writes one data file if one is due. Throws `StepError`, and `flush-failed` after `FLUSH_ATTEMPTS_MAX`
   * attempts.
   */
  async work(run: Run): Promise<void> {
    await this.read(run);
    if (!this.isDue) return;
    const { table, source, ports, files, state } = this.#options;
    const attempts = files.intent(table.name)?.attempts ?? 0;
    // Attempts that killed the object were counted, and failed no step. Stall the table now; a stalled one goes on
    // probing.
    if (attempts >= FLUSH_ATTEMPTS_MAX && !state.fault(this.step)) {
      const bytes = this.#buffer.bytes;
      throw new StepError(
        'flush-failed',
        `${table.name}: expected an end of ${attempts} attempts at ${bytes} bytes, got none`,
      );
    }
    const startedMs = ports.clock.now();
    try {
      const file = await flush({ ports, files, buffer: this.#buffer, run });
      if (!file) return;
      const { key, rows, bytes, duration_ms } = file;
      ports.log('flush_settled', { source, table: table.name, key, rows, bytes, duration_ms });
    } catch (error) {
      const attempts = files.intent(table.name)?.attempts ?? 0;
      const isForeign = error instanceof StepError && error.kind === 'foreign-object';
      if (attempts < FLUSH_ATTEMPTS_MAX || isForeign) throw error;
      const lastMs = ports.clock.now() - startedMs;
      throw new StepError(
        'flush-failed',
        `${table.name}: ${attempts} attempts, the last took ${lastMs} ms: ${messageOf(error)}`,
      );
    } finally {
      this.#buffer.drop();
    }
  }

  /** When rows of this stamp are due. A stamp far ahead is of a clock that jumped back: its rows are due now. */
  #dueMs(stampMs: number): number {
    const { ports, thresholds } = this.#options;
    return waitingUntil(stampMs + thresholds.flushAgeMs, ports.clock.now(), thresholds.flushAgeMs);
  }
}
