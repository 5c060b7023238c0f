import { StepError } from '../errors.ts';
import { LIMITS, SECOND } from '../limits.ts';
import type { ClockPort, WakePort } from '../ports/platform.ts';

/** After this time a run starts nothing new. */
const RUN_WORK_MS = 30 * SECOND;

/** What one run may still do: its time, its calls, and the alarm that starts the next run when this one is killed. */
export class Run {
  readonly startedMs: number;
  readonly #clock: ClockPort;
  readonly #wake: WakePort;
  readonly #callsMax: number;
  #calls = 0;
  #abandoned = false;
  #armedMs = 0;

  constructor({ clock, wake, callsMax }: { clock: ClockPort; wake: WakePort; callsMax: number }) {
    this.#clock = clock;
    this.#wake = wake;
    this.#callsMax = callsMax;
    this.startedMs = clock.now();
  }

  /** The run begins nothing new any more. A clock that jumped back ends the run too. */
  get over(): boolean {
    const elapsedMs = this.#clock.now() - this.startedMs;
    return this.#abandoned || elapsedMs >= RUN_WORK_MS || elapsedMs < 0 || this.callsLeft <= 0;
  }

  /** The run has ended; work of it that is still going ends at its next call. */
  get abandoned(): boolean {
    return this.#abandoned;
  }

  abandon(): void {
    this.#abandoned = true;
  }

  get callsLeft(): number {
    return this.#callsMax - this.#calls;
  }

  /**
   * Makes a call out of the object, with the alarm armed ahead of it. Throws `StepError` of kind `deadline` after `ms`,
   * and also for an answer that arrives after the run was abandoned, because the next run has asked again.
   */
  async call<T>(begin: () => Promise<T>, { ms, subject }: { ms: number; subject: string }): Promise<T> {
    this.#calls += 1;
    await this.keepArmed();
    try {
      return await this.#clock.within(begin(), ms, subject);
    } finally {
      this.#checkAbandoned();
    }
  }

  /** Sets the alarm for the time at which this run counts as dead, unless it is far enough ahead already. */
  async keepArmed(): Promise<void> {
    this.#checkAbandoned();
    const nowMs = this.#clock.now();
    if (this.#armedMs - nowMs > LIMITS.recoveryMs / 2 && this.#armedMs - nowMs <= LIMITS.recoveryMs) return;
    this.#armedMs = nowMs + LIMITS.recoveryMs;
    await this.#clock.within(this.#wake.set(this.#armedMs), LIMITS.alarmCallMsMax, 'alarm of the run');
    this.#checkAbandoned();
  }

  /** Gives other requests to the object a turn in the middle of long work. */
  async turn(): Promise<void> {
    await this.#clock.turn();
    await this.keepArmed();
  }

  #checkAbandoned(): void {
    if (this.#abandoned) throw new StepError('deadline', 'run: expected no work after its end, got some');
  }
}
