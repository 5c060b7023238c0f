import { StepError } from '../../../src/errors.ts';
import type { ClockPort } from '../../../src/ports/platform.ts';

interface Timer {
  atMs: number;
  due: () => void;
}

/** Resolves when all promise callbacks have run: what is left waits for a held call or for time. */
export function drained(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve));
}

/** Time passes only in `advance`. Timers follow the elapsed time; `jump` changes only what `now` says. */
export class VirtualClock implements ClockPort {
  /** Milliseconds since the simulation began. */
  elapsedMs = 0;
  /** Called before a jump. */
  onJump: () => void = () => undefined;
  #offsetMs: number;
  #timers: Timer[] = [];

  constructor(startMs = Date.UTC(2026, 10, 10, 12)) {
    this.#offsetMs = startMs;
  }

  now(): number {
    return this.elapsedMs + this.#offsetMs;
  }

  jump(ms: number): void {
    this.onJump();
    this.#offsetMs += ms;
  }

  sleep(ms: number): Promise<void> {
    return new Promise(resolve => this.#arm(ms, resolve));
  }

  within<T>(work: Promise<T>, ms: number, subject: string): Promise<T> {
    return new Promise((resolve, reject) => {
      const expected = `${subject}: expected an end within ${ms} ms`;
      const end = this.timer(ms, () => reject(new StepError('deadline', expected)));
      work.then(resolve, reject).finally(end);
    });
  }

  /** Calls `due` after this time; the returned function cancels the call. */
  timer(ms: number, due: () => void): () => void {
    const timer = this.#arm(ms, due);
    return () => {
      this.#timers = this.#timers.filter(other => other !== timer);
    };
  }

  turn(): Promise<void> {
    return Promise.resolve();
  }

  /** How long until the next timer; null when there is none. */
  nextTimerMs(): number | null {
    return this.#timers[0] ? Math.max(0, this.#timers[0].atMs - this.elapsedMs) : null;
  }

  /** Lets time pass. All that one timer starts runs before the next timer does. */
  async advance(ms: number): Promise<void> {
    const endMs = this.elapsedMs + Math.round(ms);
    for (let next = this.#timers[0]; next && next.atMs <= endMs; next = this.#timers[0]) {
      this.#timers.shift();
      this.elapsedMs = Math.max(this.elapsedMs, next.atMs);
      next.due();
      await drained();
    }
    this.elapsedMs = Math.max(this.elapsedMs, endMs);
  }

  #arm(ms: number, due: () => void): Timer {
    const timer = { atMs: this.elapsedMs + Math.max(0, Math.round(ms)), due };
    const later = this.#timers.findIndex(other => other.atMs > timer.atMs);
    this.#timers.splice(later === -1 ? this.#timers.length : later, 0, timer);
    return timer;
  }
}
