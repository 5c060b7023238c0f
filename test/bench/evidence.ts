import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Runtime } from '../../src/local/runtime/runtime.ts';
import { cpuMsOf, sqliteOf, withRuntime } from './agenda.ts';
import type { EvidenceWork } from './evidence-object.ts';
import { digits, type Figure, mebibytes, median } from './report.ts';

const ITEMS = Number(process.env.BENCH_ITEMS ?? 1_000_000);
const ITEMS_PER_ROW = 4;
const ROWS_PER_REQUEST = 5_000;
const ROUNDS = 30;
const CONFIG = {
  name: 'bench',
  main: path.join(import.meta.dirname, 'evidence-object.ts'),
  compatibility_date: '2026-11-01',
  exports: { Bench: { type: 'durable-object', storage: 'sqlite' } },
  durable_objects: { bindings: [{ name: 'BENCH', class_name: 'Bench' }] },
  // The runtime applies migrations before it starts; there are none.
  d1_databases: [{ binding: 'DB', database_name: 'bench', migrations_dir: 'migrations' }],
};

/** A million items of evidence in the worker's runtime: rows are folded, keys looked up, and visits accepted. */
export async function benchEvidence(): Promise<Figure[]> {
  const folder = mkdtempSync(path.join(tmpdir(), 'bench-evidence-'));
  try {
    mkdirSync(path.join(folder, 'migrations'));
    writeFileSync(path.join(folder, 'wrangler.jsonc'), JSON.stringify(CONFIG));
    const options = { stateDir: folder, settings: {}, project: folder };
    const figures = await withRuntime(options, async runtime => [await fill(runtime), ...(await measure(runtime))]);
    const { size } = statSync(sqliteOf(folder, 'bench-Bench'));
    const basis = `${digits(size / ITEMS)} B an item, with the agenda's rows of their keys; the budget is 8 GiB`;
    return [...figures, { what: `SQLite of ${digits(ITEMS)} items`, figure: mebibytes(size), basis }];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function fill(runtime: Runtime): Promise<Figure> {
  const rows = ITEMS / ITEMS_PER_ROW;
  const startedAt = performance.now();
  for (let from = 0; from < rows; from += ROWS_PER_REQUEST)
    await work(runtime, { kind: 'fill', times: Math.min(ROWS_PER_REQUEST, rows - from), from });
  const seconds = (performance.now() - startedAt) / 1000;
  const { items } = await work(runtime, { kind: 'nothing', times: 0, from: 0 });
  if (items !== ITEMS) throw new Error(`evidence: expected ${ITEMS} items, got ${items}`);
  return {
    what: `folding the rows of ${digits(ITEMS)} new items`,
    figure: `${digits(seconds, 1)} s`,
    basis: `${digits(rows)} rows in transactions of 500, ${digits(rows / seconds)} rows a second`,
  };
}

async function measure(runtime: Runtime): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const { kind, what, times } of [
    { kind: 'fold', what: 'folding one row: four items replaced, their keys due', times: 100 },
    { kind: 'lookup', what: 'the evidence of a key', times: 200 },
    { kind: 'accept', what: 'a visit: evidence gathered, outcome accepted, key due anew', times: 100 },
    { kind: 'counts', what: 'the evidence of a key as counts', times: 200 },
    { kind: 'hot', what: 'the newest 10,000 items, or 2 MiB, of the key that most rows name', times: 2 },
    { kind: 'counts-hot', what: 'all items of that key as counts', times: 2 },
  ] as const) {
    const took: number[] = [];
    let done = 0;
    const cpuMs = { idle: 0, busy: 0 };
    for (let round = 0; round < ROUNDS; round++) {
      const before = cpuMsOf(runtime);
      const idle = await work(runtime, { kind: 'nothing', times: 1, from: 0 });
      const between = cpuMsOf(runtime);
      const busy = await work(runtime, { kind, times, from: 0 });
      cpuMs.idle += between - before;
      cpuMs.busy += cpuMsOf(runtime) - between;
      took.push(Math.max(0, busy.ms - idle.ms) / times);
      done += busy.done / times / ROUNDS;
    }
    figures.push({
      what,
      figure: `${digits(median(took), 2)} ms, at most ${digits(Math.max(...took), 2)} ms`,
      basis: `${ROUNDS} requests of ${times} each, an empty request taken off; ${digits(done, 1)} each time; ${digits((cpuMs.busy - cpuMs.idle) / ROUNDS / times, 2)} ms of processor time on average`,
    });
  }
  return figures;
}

async function work({ url }: Runtime, body: EvidenceWork): Promise<{ ms: number; done: number; items: number }> {
  const startedAt = performance.now();
  const response = await fetch(url, { method: 'POST', body: JSON.stringify(body) });
  const text = await response.text();
  if (!response.ok) throw new Error(`${body.kind}: expected status 200, got ${response.status}: ${text.slice(0, 500)}`);
  return { ms: performance.now() - startedAt, ...(JSON.parse(text) as { done: number; items: number }) };
}
