import { fork } from 'node:child_process';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { shrink } from '../world/faults.ts';
import { playScene, type SceneName } from './directed.ts';
import { type Simulated, simulate } from './schedule.ts';

/** What came of many seeds. */
export interface Tally {
  seeds: number;
  runs: number;
  faults: Record<string, number>;
  failed: { seed: number; message: string }[];
}

export interface SeedRange {
  first: number;
  seeds: number;
  /** From one seed to the next. */
  apart?: number | undefined;
  /** How many may fail before the rest is left. */
  failuresMax?: number;
  /** Somebody sweeps and checks in each. */
  audited?: boolean | undefined;
  /** What is played; random schedules where it is left out. */
  scene?: SceneName | undefined;
}

/** Tries one seed after the other, until enough have failed. */
export async function trySeeds({
  first,
  seeds,
  apart = 1,
  failuresMax = 3,
  scene,
  audited,
}: SeedRange): Promise<Tally> {
  const tally: Tally = { seeds: 0, runs: 0, faults: {}, failed: [] };
  for (let seed = first; seed < first + seeds * apart && tally.failed.length < failuresMax; seed += apart) {
    const { faults, error, runs } = await (scene ? playScene(scene, seed) : simulate(seed, { audited }));
    tally.seeds += 1;
    tally.runs += runs;
    for (const { kind } of faults) tally.faults[kind] = (tally.faults[kind] ?? 0) + 1;
    if (error) tally.failed.push({ seed, message: error.message });
  }
  return tally;
}

/** Tries seeds in as many processes as given, each with its share. */
export async function trySeedsIn(processes: number, { first, seeds }: SeedRange): Promise<Tally> {
  const share = Math.ceil(seeds / processes);
  const shares = Array.from({ length: processes }, (_, index) => {
    const from = first + index * share;
    return inProcess({ first: from, seeds: Math.min(share, first + seeds - from) });
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

/** Tries seeds in a process of their own; with `broken`, on an engine that has that mistake. */
export function inProcess(range: SeedRange, broken: string | null = null): Promise<Tally> {
  return new Promise((resolve, reject) => {
    const hook = pathToFileURL(path.join(import.meta.dirname, '../mutants/broken-hook.ts')).href;
    const child = fork(path.join(import.meta.dirname, 'seeds-process.ts'), [JSON.stringify(range)], {
      execArgv: broken === null ? [] : ['--import', hook],
      env: { ...process.env, ...(broken !== null && { SIM_BROKEN: broken }) },
    });
    let tally: Tally | null = null;
    child.once('message', answer => {
      tally = answer as Tally;
    });
    child.once('exit', code => {
      if (tally) resolve(tally);
      else reject(new Error(`seeds from ${range.first}: expected a tally, got exit code ${code}`));
    });
  });
}

/** The fewest faults with which a seed still fails, and the trace of that run. */
export async function shrinkSeed(seed: number): Promise<Simulated> {
  const { faults } = await simulate(seed);
  const fails = async (ids: string[]) => (await simulate(seed, { only: new Set(ids) })).error !== null;
  const fewest = await shrink(
    faults.map(({ id }) => id),
    fails,
  );
  return simulate(seed, { only: new Set(fewest), trace: true });
}
