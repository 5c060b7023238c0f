import { LIMITS } from '../config.ts';
import { type ErrorKind, messageOf, StepError } from '../errors.ts';
import { policyOf } from '../failure-policy.ts';
import type { ClockPort, LogPort } from '../ports/platform.ts';
import { backoffMs } from './backoff.ts';

/** How a step failed last. `retry_ms`: when it may run again; `stalls`: 1 where only a person can help. */
export interface Fault {
  step: string;
  kind: ErrorKind;
  reason: string;
  stalls: number;
  failures: number;
  retry_ms: number;
  at_ms: number;
}

/** Where failures of steps are kept across restarts. */
export interface FaultStore {
  fault(step: string): Fault | null;
  setFault(fault: Fault): void;
  clearFault(step: string): void;
  /** Rises with everything that is accepted. */
  appends(): number;
}

/** Runs the steps of a run. Each step has its own failures and its own back-off, so that none keeps another from running. */
export class Steps {
  readonly #source: string;
  readonly #faults: FaultStore;
  readonly #clock: ClockPort;
  readonly #log: LogPort;

  constructor({ source, faults, clock, log }: { source: string; faults: FaultStore; clock: ClockPort; log: LogPort }) {
    this.#source = source;
    this.#faults = faults;
    this.#clock = clock;
    this.#log = log;
  }

  /** Runs one step unless it is backing off; notes how it ended. */
  async run(step: string, work: () => Promise<void>): Promise<void> {
    const nowMs = this.#clock.now();
    if (this.retryMs(step) > nowMs) return;
    // Postpone the next probe of a stalled step first, so that a probe which kills the object is not repeated at once.
    const fault = this.#faults.fault(step);
    if (fault?.stalls) this.#faults.setFault({ ...fault, retry_ms: nowMs + LIMITS.probeMs });
    const appends = this.#faults.appends();
    try {
      await work();
      this.#faults.clearFault(step);
    } catch (error) {
      // A step that made progress before it failed starts its back-off from the beginning.
      if (this.#faults.appends() > appends) this.#faults.clearFault(step);
      this.fail(step, error);
    }
  }

  /** When a step may run again; 0 when it has not failed. */
  retryMs(step: string): number {
    const fault = this.#faults.fault(step);
    // A failure in the future was noted by a clock that has jumped back since.
    return fault && fault.at_ms <= this.#clock.now() ? fault.retry_ms : 0;
  }

  /** Notes a failure and when to try again: a doubling back-off, or the probe's interval, but never before `retryAfterMs`. */
  fail(step: string, error: unknown): void {
    const nowMs = this.#clock.now();
    const { kind, retryAfterMs } =
      error instanceof StepError ? error : { kind: 'internal' as const, retryAfterMs: null };
    const failures = (this.#faults.fault(step)?.failures ?? 0) + 1;
    const { action, hint } = policyOf(kind);
    const stalls = action === 'stop';
    // Admission keeps a throttling host's back-off, and `retryAfterMs` includes it.
    const isHostWait = kind === 'upstream-throttled' && retryAfterMs !== null;
    const ownMs = stalls ? LIMITS.probeMs : isHostWait ? 0 : backoffMs(failures);
    const waitMs = Math.max(ownMs, Math.min(retryAfterMs ?? 0, LIMITS.retryAfterMsMax));
    const reason = messageOf(error);
    const times = { failures, retry_ms: nowMs + waitMs, at_ms: nowMs };
    this.#faults.setFault({ step, kind, reason, stalls: stalls ? 1 : 0, ...times });
    this.#log('step_failed', { source: this.#source, step, kind, reason, hint, retry_after_ms: waitMs });
  }
}
