import { cpuMsOf } from './inspector.ts';
import { digits, type Figure, median } from './report.ts';
import type { BenchWorker } from './worker.ts';

/** One kind of work of a worker, which a request does so many `times`. */
interface TimedWork {
  what: string;
  times: number;
  rounds: number;
  /** What the work was done on. */
  of: string;
  /** An empty request, and one with the work; it gives how much was done, or throws. */
  idle(): Promise<unknown>;
  busy(): Promise<number>;
}

/**
 * How long one piece of work takes. Requests are timed from outside, an empty one taken off, because no clock of the
 * runtime moves within a request. A busy machine does not change the processor time.
 */
export async function timeOf(worker: BenchWorker, { what, times, rounds, of, idle, busy }: TimedWork): Promise<Figure> {
  const took: number[] = [];
  const { pid } = worker.workerd();
  let cpuMs = 0;
  let done = 0;
  for (let round = 0; round < rounds; round++) {
    const empty = await timed(pid, idle);
    const full = await timed(pid, busy);
    took.push(Math.max(0, full.ms - empty.ms) / times);
    cpuMs += full.cpuMs - empty.cpuMs;
    done += full.answer / times / rounds;
  }
  return {
    what,
    figure: `${digits(median(took), 2)} ms, at most ${digits(Math.max(...took), 2)} ms`,
    basis: `${of}; ${rounds} requests of ${times} each, an empty request taken off; ${digits(done, 1)} each time; ${digits(Math.max(0, cpuMs) / rounds / times, 2)} ms of processor time on average`,
  };
}

async function timed<T>(pid: number, work: () => Promise<T>): Promise<{ answer: T; ms: number; cpuMs: number }> {
  const [startedAt, cpuMs] = [performance.now(), cpuMsOf(pid)];
  const answer = await work();
  return { answer, ms: performance.now() - startedAt, cpuMs: cpuMsOf(pid) - cpuMs };
}
