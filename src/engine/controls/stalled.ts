import { LIMITS } from '../../config.ts';
import type { SourceHealth, SourceMetrics, SourceStatus } from '../../contract/source.ts';
import { type JournalLayoutError, SKIP_REASONS, type SkipReason } from '../../errors.ts';
import { policyOf } from '../../failure-policy.ts';
import type { Ports } from '../../ports/ports.ts';
import { FLUSH_SECONDS, histogramOf, LOAD_SECONDS } from '../journal/counts.ts';

/**
 * Answers in the place of an engine whose journal this version cannot read: the state is `stalled`, `last_error` has
 * the hint, and everything else is unknown. It neither reads nor writes the journal.
 */
export class StalledSource {
  /** What every call is refused with that needs the journal. */
  readonly error: JournalLayoutError;
  readonly #source: string;
  readonly #ports: Pick<Ports, 'clock' | 'wake' | 'log'>;
  readonly #foundMs: number;

  constructor({
    source,
    ports,
    error,
  }: { source: string; ports: Pick<Ports, 'clock' | 'wake' | 'log'>; error: JournalLayoutError }) {
    this.#source = source;
    this.#ports = ports;
    this.error = error;
    this.#foundMs = ports.clock.now();
  }

  async status(): Promise<SourceStatus> {
    const wakeMs = await this.#ports.wake.get();
    const { kind, message } = this.error;
    return {
      source: this.#source,
      state: 'stalled',
      cursor: { accepted: null, durable: null, head: null },
      lag: { changes: null, seconds: null },
      rate: { rows_per_second_1m: null, rows_per_second_1h: null },
      buffer: { rows: 0, bytes: 0, oldest_age_seconds: null },
      balance: {
        changes: 0,
        rows: 0,
        tombstones: 0,
        parked: 0,
        dead: 0,
        skipped: Object.fromEntries(SKIP_REASONS.map(reason => [reason, 0])) as Record<SkipReason, number>,
        balanced: true,
      },
      tables: {},
      streams: {},
      last_flush: { at: null, rows: null, bytes: null, key: null, duration_ms: null },
      upstream: { requests: 0, not_modified: 0, throttled: 0, errors: 0 },
      readings: {},
      agenda: null,
      round: null,
      database: { bytes: null, bytes_max: LIMITS.databaseBytesMax, by_table: [] },
      inlets: [],
      next_wake_at: iso(wakeMs),
      last_error: {
        kind,
        reason: message,
        hint: policyOf(kind).hint,
        retry: iso(wakeMs),
        at: iso(this.#foundMs),
      },
    };
  }

  async metrics(): Promise<SourceMetrics> {
    const wakeMs = await this.#ports.wake.get();
    return {
      source: this.#source,
      state: 'stalled',
      changes_accepted: 0,
      changes: {},
      tables: [],
      streams: [],
      requests: [],
      readings: [],
      retries: 0,
      lag: { changes: null, seconds: null },
      database_bytes: null,
      agenda: null,
      round: null,
      inlets: [],
      buffer: { rows: 0, bytes: 0, oldest_age_seconds: 0 },
      flush_seconds: histogramOf('{}', FLUSH_SECONDS),
      load_seconds: histogramOf('{}', LOAD_SECONDS),
      last_success_at: null,
      next_wake_at: wakeMs === null ? null : wakeMs / 1_000,
    };
  }

  health(): SourceHealth {
    return { id: this.#source, state: 'stalled', ok: false, reason: this.error.message };
  }

  /** Sets the next alarm. A deployment starts the object anew, so the engine takes over once the layouts agree. */
  async wake(): Promise<void> {
    const { kind, message: reason } = this.error;
    const { hint } = policyOf(kind);
    const fields = { source: this.#source, step: 'journal', kind, reason, hint, retry_after_ms: LIMITS.probeMs };
    this.#ports.log('step_failed', fields);
    await this.#ports.wake.set(this.#ports.clock.now() + LIMITS.probeMs);
  }

  /** Sets the alarm where none is set. */
  async watch(): Promise<void> {
    if ((await this.#ports.wake.get()) === null) await this.wake();
  }
}

function iso(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}
