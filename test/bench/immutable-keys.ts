import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { DigestWork } from './digest-work.ts';
import { type Bench, digits, type Figure, mebibytes, type Size } from './report.ts';
import { timeOf } from './timed.ts';
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
  for (const { kind, what, times, added } of [
    { kind: 'lookup', what: 'asking for one known key, in an append of its own', times: 200, added: 0 },
    { kind: 'visit', what: 'a visit of 100 commits, 10 of them new, of the largest repository', times: 20, added: 10 },
  ] as const)
    yield await timeOf(worker, {
      what,
      times,
      rounds,
      of: `${digits(commits)} keys`,
      idle: () => ask({ kind: 'nothing', times: 1 }),
      async busy() {
        const answer = await ask({ kind, times });
        if (answer.added === added * times) return answer.added;
        throw new Error(`${kind}: expected ${added * times} new keys, got ${answer.added}`);
      },
    });
}
