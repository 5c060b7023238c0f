import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { EvidenceWork } from './evidence-object.ts';
import { type Bench, digits, type Figure, mebibytes, type Size } from './report.ts';
import { timeOf } from './timed.ts';
import { type BenchWorker, bundle, startScript } from './worker.ts';

interface Sizes {
  items: number;
  rowsPerRequest: number;
  /** Requests a kind of work. */
  rounds: number;
}

const SIZES: Record<Size, Sizes> = {
  full: { items: 1_000_000, rowsPerRequest: 5_000, rounds: 30 },
  tiny: { items: 4_000, rowsPerRequest: 500, rounds: 1 },
};
const ITEMS_PER_ROW = 4;
const MAIN = path.join(import.meta.dirname, 'evidence-object.ts');

/** A million items of evidence in the worker's runtime: rows are folded, keys looked up, and visits accepted. */
export const evidence: Bench = { name: 'evidence', run };

async function* run(size: Size): AsyncGenerator<Figure> {
  const sizes = SIZES[size];
  const stateDir = mkdtempSync(path.join(tmpdir(), 'bench-evidence-'));
  try {
    const script = { name: 'evidence', script: await bundle(MAIN), objects: { BENCH: 'Bench' } };
    const worker = await startScript(script, { stateDir });
    let file: string;
    try {
      file = await worker.objectFile({ binding: 'BENCH', className: 'Bench', name: 'bench' });
      yield await fill(worker, sizes);
      yield* measure(worker, sizes);
    } finally {
      await worker.stop();
    }
    const bytes = statSync(file).size;
    yield {
      what: 'SQLite of the evidence of an agenda',
      figure: mebibytes(bytes),
      basis: `${digits(sizes.items)} items; ${digits(bytes / sizes.items)} B an item, with the agenda's rows of their keys`,
    };
  } finally {
    rmSync(stateDir, { recursive: true, force: true });
  }
}

async function fill(worker: BenchWorker, { items: wanted, rowsPerRequest }: Sizes): Promise<Figure> {
  const rows = wanted / ITEMS_PER_ROW;
  const startedAt = performance.now();
  for (let from = 0; from < rows; from += rowsPerRequest)
    await work(worker, { kind: 'fill', times: Math.min(rowsPerRequest, rows - from), from });
  const seconds = (performance.now() - startedAt) / 1000;
  const { items } = await work(worker, { kind: 'nothing', times: 0, from: 0 });
  if (items !== wanted) throw new Error(`evidence: expected ${wanted} items, got ${items}`);
  return {
    what: 'folding the rows of new items',
    figure: `${digits(seconds, 1)} s`,
    basis: `${digits(wanted)} items in ${digits(rows)} rows, in transactions of 500; ${digits(rows / seconds)} rows a second`,
  };
}

async function* measure(worker: BenchWorker, { items, rounds }: Sizes): AsyncGenerator<Figure> {
  for (const { kind, what, times } of [
    { kind: 'fold', what: 'folding one row: four items replaced, their keys due', times: 100 },
    { kind: 'lookup', what: 'the evidence of a key', times: 200 },
    { kind: 'accept', what: 'a visit: evidence gathered, outcome accepted, key due anew', times: 100 },
    { kind: 'counts', what: 'the evidence of a key as counts', times: 200 },
    { kind: 'hot', what: 'the newest 10,000 items, or 2 MiB, of the key that most rows name', times: 2 },
    { kind: 'counts-hot', what: 'all items of that key as counts', times: 2 },
  ] as const)
    yield await timeOf(worker, {
      what,
      times,
      rounds,
      of: `${digits(items)} items`,
      idle: () => work(worker, { kind: 'nothing', times: 1, from: 0 }),
      busy: async () => (await work(worker, { kind, times, from: 0 })).done,
    });
}

async function work({ url }: BenchWorker, body: EvidenceWork): Promise<{ done: number; items: number }> {
  const response = await fetch(url, { method: 'POST', body: JSON.stringify(body) });
  const text = await response.text();
  if (!response.ok) throw new Error(`${body.kind}: expected status 200, got ${response.status}: ${text.slice(0, 500)}`);
  return JSON.parse(text) as { done: number; items: number };
}
