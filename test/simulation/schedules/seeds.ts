import { fork } from 'node:child_process';
import path from 'node:path';
import { shrink } from '../world/faults.ts';
import { playScene, type SceneName } from './directed.ts';
import { type Simulated, type SimulateOptions, simulate } from './schedule.ts';

/** The results of many seeds, added up. */
export interface Tally {
  seeds: number;
  runs: number;
  faults: Record<string, number>;
  failed: { seed: number; message: string }[];
}

export interface SeedRange {
  from: number;
  seeds: number;
  /** From one seed to the next. */
  step?: number;
  /** After so many failures no more seeds are tried. */
  failuresMax?: number;
  /** Each schedule sweeps and self-checks; where it is left out, the seed decides. */
  audited?: boolean;
  /** The scene that is played instead of random schedules. */
  scene?: SceneName;
}

export async function trySeeds(range: SeedRange): Promise<Tally> {
  const { from, seeds, step = 1, failuresMax = 3, scene, audited } = range;
  const tally: Tally = { seeds: 0, runs: 0, faults: {}, failed: [] };
  for (let seed = from; seed < from + seeds * step && tally.failed.length < failuresMax; seed += step) {
    const { faults, error, runs } = await (scene ? playScene(scene, seed) : simulate(seed, { audited }));
    tally.seeds += 1;
    tally.runs += runs;
    for (const { kind } of faults) tally.faults[kind] = (tally.faults[kind] ?? 0) + 1;
    if (error) tally.failed.push({ seed, message: error.message });
  }
  return tally;
}

/** Splits a range evenly over processes and adds up their tallies. */
export async function trySeedsIn(processes: number, { from, seeds }: SeedRange): Promise<Tally> {
  const share = Math.ceil(seeds / processes);
  const shares = Array.from({ length: processes }, (_, index) => {
    const first = from + index * share;
    return inProcess({ from: first, seeds: Math.min(share, from + seeds - first) });
  });
  const tallies = await Promise.all(shares);
  const sum: Tally = { seeds: 0, runs: 0, faults: {}, failed: [] };
  for (const tally of tallies) {
    sum.seeds += tally.seeds;
    sum.runs += tally.runs;
    sum.failed.push(...tally.failed);
    for (const [kind, count] of Object.entries(tally.faults)) sum.faults[kind] = (sum.faults[kind] ?? 0) + count;
  }
  return sum;
}

/** Tries seeds in another process. */
export function inProcess(range: SeedRange): Promise<Tally> {
  return new Promise((resolve, reject) => {
    const child = fork(path.join(import.meta.dirname, 'seeds-process.ts'), [JSON.stringify(range)]);
    let tally: Tally | null = null;
    child.once('message', answer => {
      tally = answer as Tally;
    });
    child.once('exit', code => {
      if (tally) resolve(tally);
      else reject(new Error(`seeds from ${range.from}: expected a tally, got exit code ${code}`));
    });
  });
}

/** Plays a seed with the fewest faults with which it still fails. */
export async function shrinkSeed(seed: number, options: Pick<SimulateOptions, 'audited'> = {}): Promise<Simulated> {
  const { faults } = await simulate(seed, options);
  const fails = async (ids: string[]) => (await simulate(seed, { ...options, only: new Set(ids) })).error !== null;
  const fewest = await shrink(
    faults.map(({ id }) => id),
    fails,
  );
  return simulate(seed, { ...options, only: new Set(fewest), trace: true });
}
