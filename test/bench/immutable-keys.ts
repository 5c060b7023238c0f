import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Runtime, startRuntime } from '../../src/local/runtime/runtime.ts';
import { cpuMsOf } from './agenda.ts';
import type { DigestWork } from './digest-work.ts';
import { digits, type Figure, mebibytes, median } from './report.ts';

const COMMITS = Number(process.env.BENCH_COMMITS ?? 10_000_000);
const FILL_COMMITS = 50_000;
const ROUNDS = 30;
const CONFIG = {
  name: 'bench',
  main: path.join(import.meta.dirname, 'immutable-keys-object.ts'),
  compatibility_date: '2026-11-01',
  compatibility_flags: ['nodejs_compat'],
  exports: { Bench: { type: 'durable-object', storage: 'sqlite' } },
  durable_objects: { bindings: [{ name: 'BENCH', class_name: 'Bench' }] },
  // The runtime applies migrations before it starts; there are none.
  d1_databases: [{ binding: 'DB', database_name: 'bench', migrations_dir: 'migrations' }],
};

type Ask = (
  work: Partial<DigestWork> & Pick<DigestWork, 'kind' | 'times'>,
) => Promise<{ added: number; bytes: number }>;

/** Ten million commits in the worker's runtime: their room, and how long a lookup and a visit take. */
export async function benchImmutableKeys(): Promise<Figure[]> {
  const folder = mkdtempSync(path.join(tmpdir(), 'bench-immutable-'));
  try {
    mkdirSync(path.join(folder, 'migrations'));
    writeFileSync(path.join(folder, 'wrangler.jsonc'), JSON.stringify(CONFIG));
    const runtime = await startRuntime({ stateDir: folder, settings: {}, project: folder, port: 0 });
    const ask: Ask = async work => {
      const body = JSON.stringify({ first: 0, commits: COMMITS, ...work });
      const response = await fetch(runtime.url, { method: 'POST', body });
      if (!response.ok) throw new Error(`${work.kind}: expected status 200, got ${response.status}`);
      return (await response.json()) as { added: number; bytes: number };
    };
    try {
      return [...(await fill(ask)), ...(await measure(ask, runtime))];
    } finally {
      await runtime.stop();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function fill(ask: Ask): Promise<Figure[]> {
  const { bytes: emptyBytes } = await ask({ kind: 'nothing', times: 1 });
  const startedAt = performance.now();
  let bytes = 0;
  for (let first = 0; first < COMMITS; first += FILL_COMMITS) {
    const times = Math.min(FILL_COMMITS, COMMITS - first);
    const answer = await ask({ kind: 'fill', times, first });
    if (answer.added !== times) throw new Error(`fill: expected ${times} new commits, got ${answer.added}`);
    bytes = answer.bytes - emptyBytes;
  }
  const seconds = (performance.now() - startedAt) / 1000;
  return [
    {
      what: `SQLite of ${digits(COMMITS)} keys of an immutable table`,
      figure: mebibytes(bytes),
      basis: `${digits(bytes / COMMITS, 1)} B a key`,
    },
    {
      what: `adding ${digits(COMMITS)} keys`,
      figure: `${digits(seconds, 1)} s`,
      basis: `appends of ${digits(FILL_COMMITS)}, ${digits(COMMITS / seconds)} a second`,
    },
  ];
}

async function measure(ask: Ask, runtime: Runtime): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const { kind, what, times, added } of [
    { kind: 'lookup', what: 'asking for one known key, in an append of its own', times: 200, added: 0 },
    { kind: 'visit', what: 'a visit of 100 commits, 10 of them new, of the largest repository', times: 20, added: 10 },
  ] as const) {
    const took: number[] = [];
    const cpuMs = { idle: 0, busy: 0 };
    for (let round = 0; round < ROUNDS; round++) {
      // No clock of the runtime moves within a request, so requests are timed from outside.
      const idle = await timed(runtime, () => ask({ kind: 'nothing', times: 1 }));
      const busy = await timed(runtime, () => ask({ kind, times }));
      if (busy.answer.added !== added * times)
        throw new Error(`${kind}: expected ${added * times} new keys, got ${busy.answer.added}`);
      took.push(Math.max(0, busy.ms - idle.ms) / times);
      cpuMs.idle += idle.cpuMs;
      cpuMs.busy += busy.cpuMs;
    }
    const cpu = (cpuMs.busy - cpuMs.idle) / ROUNDS / times;
    figures.push({
      what,
      figure: `${digits(median(took), 2)} ms, at most ${digits(Math.max(...took), 2)} ms`,
      basis: `${ROUNDS} requests of ${times} each, an empty request taken off; ${digits(cpu, 2)} ms of processor time on average`,
    });
  }
  return figures;
}

async function timed<T>(runtime: Runtime, work: () => Promise<T>): Promise<{ answer: T; ms: number; cpuMs: number }> {
  const [startedAt, cpuMs] = [performance.now(), cpuMsOf(runtime)];
  const answer = await work();
  return { answer, ms: performance.now() - startedAt, cpuMs: cpuMsOf(runtime) - cpuMs };
}
