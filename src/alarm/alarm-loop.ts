import { LIMITS } from '../limits.ts';
import type { ClockPort, WakePort } from '../ports/platform.ts';
import { Run } from './run.ts';

interface AlarmLoopOptions {
  clock: ClockPort;
  wake: WakePort;
  /** Calls that one run may make out of the object. */
  callsMax?: number;
  /** The work of one run. */
  work: (run: Run) => Promise<void>;
  /** Takes what ended the work early: an error of its own, or a run that took too long. */
  onFailure: (error: unknown) => void;
  /** When the object has something to do again; null when it has nothing left. */
  nextWakeMs: () => number | null;
}

/** Drives a Durable Object by its one alarm: one run at a time, and always an alarm ahead of the work. */
export class AlarmLoop {
  readonly #options: AlarmLoopOptions;
  #running: Promise<void> | null = null;
  /** A run was asked for while another was going on. */
  #isAskedFor = false;

  constructor(options: AlarmLoopOptions) {
    this.#options = options;
  }

  /** The one way in. A second entry during a run asks for another run; throws only when the alarm cannot be set. */
  async wake(): Promise<void> {
    const { clock, wake } = this.#options;
    if (this.#running) {
      this.#isAskedFor = true;
      // The alarm that called us is used up, and the run that is going on may still be killed: set another one.
      await wake.set(clock.now() + LIMITS.recoveryMs);
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
    const { clock, wake } = this.#options;
    if (this.#running) this.#isAskedFor = true;
    await wake.set(clock.now());
  }

  /** Sets the alarm earlier where something that came in from outside is due before it. */
  async arm(): Promise<void> {
    const { wake, nextWakeMs } = this.#options;
    const wantedMs = nextWakeMs();
    const armedMs = await wake.get();
    if (wantedMs !== null && (armedMs === null || armedMs > wantedMs)) await wake.set(wantedMs);
  }

  /** For a watchdog: asks for a run where the alarm is gone, late, or set too late. */
  async watch(): Promise<void> {
    const { clock, wake, nextWakeMs } = this.#options;
    const wantedMs = nextWakeMs();
    const armedMs = await wake.get();
    const nowMs = clock.now();
    if (wantedMs === null) return;
    const isSilent = armedMs === null || armedMs < nowMs - LIMITS.recoveryMs || armedMs > wantedMs + LIMITS.recoveryMs;
    if (isSilent) await this.poke();
  }

  async #run(): Promise<void> {
    const { clock, wake, callsMax = Number.POSITIVE_INFINITY, work, onFailure, nextWakeMs } = this.#options;
    const run = new Run({ clock, wake, callsMax });
    // Arm the alarm, and wait for that, before any work: if the run is killed, the alarm starts the next one.
    await run.keepArmed();
    this.#isAskedFor = false;
    try {
      await clock.within(work(run), LIMITS.runMsMax, 'run');
    } catch (error) {
      onFailure(error);
    } finally {
      // Stop what is still going on after a failed call or past the run's end: it begins nothing more.
      run.abandon();
      // Arm for what is due next.
      const nextMs = this.#isAskedFor ? clock.now() : nextWakeMs();
      await clock.within(wake.set(nextMs), LIMITS.alarmCallMsMax, 'alarm after the run');
    }
  }
}
