import { LIMITS } from '../../config.ts';
import { StepError } from '../../errors.ts';
import type { ClockPort, WakePort } from '../../ports/platform.ts';

/** What one run of the committer may still do: its time, and the alarm that stands in for it when it dies. */
export class CommitRun {
  readonly #startedMs: number;
  readonly #clock: ClockPort;
  readonly #wake: WakePort;
  #abandoned = false;
  #armedMs = 0;

  constructor(clock: ClockPort, wake: WakePort) {
    this.#clock = clock;
    this.#wake = wake;
    this.#startedMs = clock.now();
  }

  /** Nothing new is begun any more. A clock that jumped back ends the run too. */
  get over(): boolean {
    const elapsedMs = this.#clock.now() - this.#startedMs;
    return this.#abandoned || elapsedMs >= LIMITS.runWorkMs || elapsedMs < 0;
  }

  get abandoned(): boolean {
    return this.#abandoned;
  }

  /** The run is over; whatever of it is still going ends at its next call. */
  abandon(): void {
    this.#abandoned = true;
  }

  /** Makes a call out of the object, the alarm ahead of it. An answer to a run that was given up is nobody's. */
  async call<T>(begin: () => Promise<T>, { ms, subject }: { ms: number; subject: string }): Promise<T> {
    await this.keepArmed();
    try {
      return await this.#clock.within(begin(), ms, subject);
    } finally {
      this.#checkAbandoned();
    }
  }

  /** Sets the alarm for the time this run counts as dead, unless it is far enough ahead already. */
  async keepArmed(): Promise<void> {
    this.#checkAbandoned();
    const nowMs = this.#clock.now();
    if (this.#armedMs - nowMs > LIMITS.recoveryMs / 2 && this.#armedMs - nowMs <= LIMITS.recoveryMs) return;
    this.#armedMs = nowMs + LIMITS.recoveryMs;
    await this.#clock.within(this.#wake.set(this.#armedMs), LIMITS.alarmCallMsMax, 'alarm of the committer');
    this.#checkAbandoned();
  }

  #checkAbandoned(): void {
    if (this.#abandoned) throw new StepError('deadline', 'committer: expected nothing to go on after its run');
  }
}
