import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { heapOf, heapWithoutGarbageOf } from './inspector.ts';
import { type Bench, digits, type Figure, mebibytes, type Size } from './report.ts';
import { timeOf } from './timed.ts';
import { type BenchWorker, bundle, startScript } from './worker.ts';

const SIZES: Record<Size, { rows: number; rounds: number }> = {
  full: { rows: 50_000, rounds: 20 },
  tiny: { rows: 200, rounds: 1 },
};
const MAIN = path.join(import.meta.dirname, 'feed-page-worker.ts');
const BUDGET = 40 * 2 ** 20;

/** A full page of PyPI's feed is read in the worker's runtime: how long it takes, and what it adds to the heap. */
export const feedPage: Bench = { name: 'feed-page', run };

interface Answer {
  bytes: number;
  changes: number;
}

async function* run(size: Size): AsyncGenerator<Figure> {
  const { rows, rounds } = SIZES[size];
  const stateDir = mkdtempSync(path.join(tmpdir(), 'bench-feed-page-'));
  try {
    const worker = await startScript({ name: 'feed-page', script: await bundle(MAIN), objects: {} }, { stateDir });
    const ask = async (kind: 'make' | 'read' | 'nothing') => {
      const response = await fetch(worker.url, { method: 'POST', body: JSON.stringify({ kind, rows }) });
      if (!response.ok) throw new Error(`${kind}: expected status 200, got ${response.status}`);
      return (await response.json()) as Answer;
    };
    const read = async () => {
      const { changes } = await ask('read');
      if (changes !== rows) throw new Error(`feed-page: expected ${rows} changes, got ${changes}`);
      return changes;
    };
    try {
      const { bytes } = await ask('make');
      const of = `${digits(rows)} rows in ${mebibytes(bytes)}`;
      yield await timeOf(worker, {
        what: "reading a page of PyPI's feed",
        times: 1,
        rounds,
        of,
        idle: () => ask('nothing'),
        busy: read,
      });
      yield* heapFigures(worker, { of, rounds, read, drop: () => ask('nothing') });
    } finally {
      await worker.stop();
    }
  } finally {
    rmSync(stateDir, { recursive: true, force: true });
  }
}

async function* heapFigures(
  worker: BenchWorker,
  { of, rounds, read, drop }: { of: string; rounds: number; read(): Promise<number>; drop(): Promise<unknown> },
): AsyncGenerator<Figure> {
  const inspector = await worker.inspect();
  const withGarbage: number[] = [];
  const held: number[] = [];
  try {
    for (let round = 0; round < rounds; round++) {
      await drop();
      const before = await heapWithoutGarbageOf(inspector, worker);
      await read();
      withGarbage.push((await heapOf(inspector)) - before);
      held.push((await heapWithoutGarbageOf(inspector, worker)) - before);
    }
  } finally {
    inspector.close();
  }
  const most = Math.max(...withGarbage);
  yield {
    what: "isolate's heap after such a page was read, over what it held with the page's bytes",
    figure: `${mebibytes(most)} of a budget of ${mebibytes(BUDGET)}: ${most <= BUDGET ? 'met' : 'NOT met'}`,
    basis: `${of}; the most of ${rounds} readings, garbage included; ${mebibytes(Math.max(...held))} of it are the changes`,
  };
}
