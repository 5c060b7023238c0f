import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { DigestWork } from './digest-work.ts';
import { cpuMsOf } from './inspector.ts';
import { type Bench, digits, type Figure, mebibytes, median, type Size } from './report.ts';
import { type BenchWorker, bundle, startScript } from './worker.ts';

interface Sizes {
  commits: number;
  /** Commits of one append. */
  appendCommits: number;
  /** Requests a kind of work. */
  rounds: number;
}

const SIZES: Record<Size, Sizes> = {
  full: { commits: 10_000_000, appendCommits: 50_000, rounds: 30 },
  tiny: { commits: 20_000, appendCommits: 10_000, rounds: 1 },
};
const MAIN = path.join(import.meta.dirname, 'immutable-keys-object.ts');

/** Ten million commits in the worker's runtime: their room, and how long a lookup and a visit take. */
export const immutableKeys: Bench = { name: 'immutable-keys', run };

type Ask = (
  work: Partial<DigestWork> & Pick<DigestWork, 'kind' | 'times'>,
) => Promise<{ added: number; bytes: number }>;

async function* run(size: Size): AsyncGenerator<Figure> {
  const sizes = SIZES[size];
  const stateDir = mkdtempSync(path.join(tmpdir(), 'bench-immutable-'));
  try {
    const script = { name: 'immutable-keys', script: await bundle(MAIN), objects: { BENCH: 'Bench' } };
    const worker = await startScript(script, { stateDir });
    const ask: Ask = async work => {
      const body = JSON.stringify({ first: 0, commits: sizes.commits, ...work });
      const response = await fetch(worker.url, { method: 'POST', body });
      if (!response.ok) throw new Error(`${work.kind}: expected status 200, got ${response.status}`);
      return (await response.json()) as { added: number; bytes: number };
    };
    try {
      yield* fill(ask, sizes);
      yield* measure(ask, worker, sizes);
    } finally {
      await worker.stop();
    }
  } finally {
    rmSync(stateDir, { recursive: true, force: true });
  }
}

async function* fill(ask: Ask, { commits, appendCommits }: Sizes): AsyncGenerator<Figure> {
  const { bytes: emptyBytes } = await ask({ kind: 'nothing', times: 1 });
  const startedAt = performance.now();
  let bytes = 0;
  for (let first = 0; first < commits; first += appendCommits) {
    const times = Math.min(appendCommits, commits - first);
    const answer = await ask({ kind: 'fill', times, first });
    if (answer.added !== times) throw new Error(`fill: expected ${times} new commits, got ${answer.added}`);
    bytes = answer.bytes - emptyBytes;
  }
  const seconds = (performance.now() - startedAt) / 1000;
  yield {
    what: 'SQLite of the keys of an immutable table',
    figure: mebibytes(bytes),
    basis: `${digits(commits)} keys; ${digits(bytes / commits, 1)} B a key`,
  };
  yield {
    what: 'adding the keys of an immutable table',
    figure: `${digits(seconds, 1)} s`,
    basis: `${digits(commits)} keys in appends of ${digits(appendCommits)}, ${digits(commits / seconds)} a second`,
  };
}

async function* measure(ask: Ask, worker: BenchWorker, { commits, rounds }: Sizes): AsyncGenerator<Figure> {
  const { pid } = worker.workerd();
  for (const { kind, what, times, added } of [
    { kind: 'lookup', what: 'asking for one known key, in an append of its own', times: 200, added: 0 },
    { kind: 'visit', what: 'a visit of 100 commits, 10 of them new, of the largest repository', times: 20, added: 10 },
  ] as const) {
    const took: number[] = [];
    const cpuMs = { idle: 0, busy: 0 };
    for (let round = 0; round < rounds; round++) {
      // No clock of the runtime moves within a request, so requests are timed from outside.
      const idle = await timed(pid, () => ask({ kind: 'nothing', times: 1 }));
      const busy = await timed(pid, () => ask({ kind, times }));
      if (busy.answer.added !== added * times)
        throw new Error(`${kind}: expected ${added * times} new keys, got ${busy.answer.added}`);
      took.push(Math.max(0, busy.ms - idle.ms) / times);
      cpuMs.idle += idle.cpuMs;
      cpuMs.busy += busy.cpuMs;
    }
    const cpu = Math.max(0, cpuMs.busy - cpuMs.idle) / rounds / times;
    yield {
      what,
      figure: `${digits(median(took), 2)} ms, at most ${digits(Math.max(...took), 2)} ms`,
      basis: `${digits(commits)} keys; ${rounds} requests of ${times} each, an empty request taken off; ${digits(cpu, 2)} ms of processor time on average`,
    };
  }
}

async function timed<T>(pid: number, work: () => Promise<T>): Promise<{ answer: T; ms: number; cpuMs: number }> {
  const [startedAt, cpuMs] = [performance.now(), cpuMsOf(pid)];
  const answer = await work();
  return { answer, ms: performance.now() - startedAt, cpuMs: cpuMsOf(pid) - cpuMs };
}
