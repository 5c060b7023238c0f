import { LIMITS } from '../config.ts';
import { StepError } from '../errors.ts';
import type { ClockPort, WakePort } from '../ports/platform.ts';

/** What one run may still do: its time, its Loader calls, and the alarm that stands in for it when it dies. */
export class Run {
  readonly startedMs: number;
  readonly #clock: ClockPort;
  readonly #wake: WakePort;
  #calls = 0;
  #abandoned = false;
  #armedMs = 0;

  constructor(clock: ClockPort, wake: WakePort) {
    this.#clock = clock;
    this.#wake = wake;
    this.startedMs = clock.now();
  }

  /** Nothing new is begun any more. A clock that jumped back ends the run too. */
  get over(): boolean {
    const elapsedMs = this.#clock.now() - this.startedMs;
    return this.#abandoned || elapsedMs >= LIMITS.runWorkMs || elapsedMs < 0 || this.callsLeft <= 0;
  }

  /** The run is over; whatever of it is still going ends at its next step. */
  abandon(): void {
    this.#abandoned = true;
  }

  get callsLeft(): number {
    return LIMITS.loadCallsPerRun - this.#calls;
  }

  /**
   * Counts a Loader call and keeps the alarm ahead of it. `ms` is the Loader's own deadline; it is given a little
   * longer, so that its answer says what went wrong and not our timer.
   */
  async call<T>(begin: () => Promise<T>, { ms, subject }: { ms: number; subject: string }): Promise<T> {
    this.#calls += 1;
    await this.keepArmed();
    const answer = await this.#clock.within(begin(), ms + LIMITS.recoveryMs, subject);
    // An answer to a run that was given up meanwhile is nobody's: the next run has asked again.
    this.#checkAbandoned();
    return answer;
  }

  /** Sets the alarm for the time this run counts as dead, unless it is far enough ahead already. */
  async keepArmed(): Promise<void> {
    this.#checkAbandoned();
    const nowMs = this.#clock.now();
    if (this.#armedMs - nowMs > LIMITS.recoveryMs / 2 && this.#armedMs - nowMs <= LIMITS.recoveryMs) return;
    this.#armedMs = nowMs + LIMITS.recoveryMs;
    await this.#clock.within(this.#wake.set(this.#armedMs), LIMITS.alarmCallMsMax, 'alarm of the run');
    this.#checkAbandoned();
  }

  /** Lets others have a turn in the middle of long work. */
  async turn(): Promise<void> {
    await this.#clock.turn();
    await this.keepArmed();
  }

  #checkAbandoned(): void {
    if (this.#abandoned) throw new StepError('deadline', 'run: expected nothing to go on after its end');
  }
}
