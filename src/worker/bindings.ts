import { OwnError } from '../errors.ts';
import type { ClockPort, WakePort } from '../ports/ports.ts';

/** The clock of an object, so far ahead of the machine's. */
export const clockPort = (aheadMs: number): ClockPort => ({
  now: () => Date.now() + aheadMs,
  within(work, ms, subject) {
    let timer: ReturnType<typeof setTimeout>;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new OwnError('deadline', `${subject}: expected an end within ${ms} ms`)), ms);
    });
    return Promise.race([work, late]).finally(() => clearTimeout(timer));
  },
  turn: () => scheduler.wait(0),
});

/** An object's alarm. Alarms go by the machine's clock. */
export function wakePort(storage: DurableObjectStorage, aheadMs: number): WakePort {
  return {
    async get() {
      const atMs = await storage.getAlarm();
      return atMs === null ? null : atMs + aheadMs;
    },
    set: atMs => (atMs === null ? storage.deleteAlarm() : storage.setAlarm(atMs - aheadMs)),
  };
}
