import type { Table } from '../../../schemas/table.ts';
import { waitingUntil } from '../../alarm/backoff.ts';
import type { Run } from '../../alarm/run.ts';
import { LIMITS } from '../../config.ts';
import { messageOf, StepError } from '../../errors.ts';
import type { Ports } from '../../ports/ports.ts';
import type { JournalFiles } from '../journal/files.ts';
import type { JournalState } from '../journal/state.ts';
import { flush } from './flush.ts';
import { RowBuffer } from './row-buffer.ts';

interface Parts {
  table: Table;
  source: string;
  ports: Ports;
  state: JournalState;
  files: JournalFiles;
  options: { flushAgeMs: number; flushBytesMax: number };
}

/** Turns one table's journal into data files: when one is due, and what a failed attempt means. */
export class Flusher {
  /** Its step of a run. */
  readonly step: string;
  readonly #parts: Parts;
  readonly #buffer: RowBuffer;

  constructor(parts: Parts) {
    const { table, source, files, ports } = parts;
    this.step = `flush:${table.name}`;
    this.#parts = parts;
    this.#buffer = new RowBuffer({ table, source, files, encode: ports.encode });
  }

  /** Reads the journal on into the buffer. A backlog fills it for seconds: others have their turn in between. */
  async read(run: Run): Promise<void> {
    while (this.#buffer.readNext()) await run.turn();
  }

  /** An intent that waits to be settled, size, a control, or age. */
  get isDue(): boolean {
    const { table, files, state, ports, options } = this.#parts;
    if (files.intent(table.name) || this.#buffer.full || this.#buffer.bytes >= options.flushBytesMax) return true;
    const oldest = files.firstEntry(table.name);
    if (!oldest) return false;
    return state.source().flush_requested === 1 || ports.clock.now() >= this.#dueMs(oldest.stamp_ms);
  }

  /** When something is due; null while the journal has no row of the table. */
  nextMs(nowMs: number): number | null {
    const oldest = this.#parts.files.firstEntry(this.#parts.table.name);
    if (!oldest) return null;
    return this.isDue ? nowMs : this.#dueMs(oldest.stamp_ms);
  }

  /** Makes one data file if one is due. Throws `StepError`; after too many attempts `flush-failed` with their cost. */
  async work(run: Run): Promise<void> {
    await this.read(run);
    if (!this.isDue) return;
    const { table, source, ports, files, state } = this.#parts;
    const attempts = files.intent(table.name)?.attempts ?? 0;
    // Attempts that killed the object left no failure behind; their count did. A stalled table goes on probing.
    if (attempts >= LIMITS.flushAttemptsMax && !state.fault(this.step)) {
      const bytes = this.#buffer.bytes;
      throw new StepError('flush-failed', `${table.name}: ${attempts} attempts at ${bytes} bytes did not end`);
    }
    const startedMs = ports.clock.now();
    try {
      const file = await flush({ ports, files, buffer: this.#buffer, run });
      if (!file) return;
      const { key, rows, bytes, duration_ms } = file;
      ports.log('flush_settled', { source, table: table.name, key, rows, bytes, duration_ms });
    } catch (error) {
      const spent = files.intent(table.name)?.attempts ?? 0;
      const isForeign = error instanceof StepError && error.kind === 'foreign-object';
      if (spent < LIMITS.flushAttemptsMax || isForeign) throw error;
      const lastMs = ports.clock.now() - startedMs;
      throw new StepError(
        'flush-failed',
        `${table.name}: ${spent} attempts, the last took ${lastMs} ms: ${messageOf(error)}`,
      );
    } finally {
      this.#buffer.drop();
    }
  }

  /** When rows of this stamp are old enough; a stamp far ahead comes from a clock that jumped back, and is old enough. */
  #dueMs(stampMs: number): number {
    const { ports, options } = this.#parts;
    return waitingUntil(stampMs + options.flushAgeMs, ports.clock.now(), options.flushAgeMs);
  }
}
