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

/** The steps of a run, each with its own failures and its own wait: none keeps another from running. */
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

  /** Runs one step unless it waits out a failure; notes how it ended. */
  async run(step: string, work: () => Promise<void>): Promise<void> {
    const nowMs = this.#clock.now();
    if (this.retryMs(step) > nowMs) return;
    // A probe that kills the object must not be the first thing the next run does.
    const fault = this.#faults.fault(step);
    if (fault?.stalls) this.#faults.setFault({ ...fault, retry_ms: nowMs + LIMITS.probeMs });
    const appends = this.#faults.appends();
    try {
      await work();
      this.#faults.clearFault(step);
    } catch (error) {
      // What failed after it had let something in begins to wait anew.
      if (this.#faults.appends() > appends) this.#faults.clearFault(step);
      this.fail(step, error);
    }
  }

  /** When a step may run again; 0 when it has not failed. */
  retryMs(step: string): number {
    const fault = this.#faults.fault(step);
    // A failure from the future is one of a clock that jumped back since.
    return fault && fault.at_ms <= this.#clock.now() ? fault.retry_ms : 0;
  }

  /** Notes a failure: back-off that doubles, or a probe's interval, but never less than was asked of us. */
  fail(step: string, error: unknown): void {
    const nowMs = this.#clock.now();
    const { kind, retryAfterMs } =
      error instanceof StepError ? error : { kind: 'internal' as const, retryAfterMs: null };
    const failures = (this.#faults.fault(step)?.failures ?? 0) + 1;
    const { action, hint } = policyOf(kind);
    const stalls = action === 'stop';
    // A host that says "wait" has a back-off of its own, and it is in what was asked of us.
    const isHostWait = kind === 'upstream-throttled' && retryAfterMs !== null;
    const ownMs = stalls ? LIMITS.probeMs : isHostWait ? 0 : backoffMs(failures);
    const waitMs = Math.max(ownMs, Math.min(retryAfterMs ?? 0, LIMITS.retryAfterMsMax));
    const reason = messageOf(error);
    const times = { failures, retry_ms: nowMs + waitMs, at_ms: nowMs };
    this.#faults.setFault({ step, kind, reason, stalls: stalls ? 1 : 0, ...times });
    const told = { source: this.#source, step, kind, reason, hint, retry_after_ms: waitMs };
    this.#log('step_failed', told);
  }
}
