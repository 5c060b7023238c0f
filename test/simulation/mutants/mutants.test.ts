import { execFile } from 'node:child_process';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { DAY } from '../../budget.ts';
import { FIRST_SEED, isInShare, SHARE } from '../budget.ts';
import { inProcess } from '../schedules/seeds.ts';
import { MUTANTS } from './mutants.ts';

const PROCESSES = Math.min(2, availableParallelism());
const SIMULATE = path.resolve(import.meta.dirname, '../simulate.ts');

describe('the simulation', { timeout: 600_000 }, () => {
  it('finds nothing wrong with code that is no mutant', async () => {
    const { failed } = await inProcess({ from: FIRST_SEED, seeds: 5 });
    expect(failed).toEqual([]);
  });

  const share = MUTANTS.filter(({ name }) => isInShare(name));
  it(`catches mutants: ${share.length} of ${MUTANTS.length}, TEST_DAY=${DAY} SIM_SHARE=${SHARE}`, async () => {
    const left = [...share];
    const missed: string[] = [];
    const lane = async () => {
      for (let mutant = left.shift(); mutant; mutant = left.shift()) {
        const answer = await simulated(mutant.name);
        if (answer !== null) missed.push(answer);
      }
    };
    await Promise.all(Array.from({ length: PROCESSES }, lane));
    expect(missed).toEqual([]);
  });
});

describe('the share of mutants', () => {
  it('has each mutant on one day of four', () => {
    const days = [20_000, 20_001, 20_002, 20_003];
    const odd = MUTANTS.filter(({ name }) => days.filter(day => isInShare(name, { share: 0.25, day })).length !== 1);
    expect(odd).toEqual([]);
  });

  it('has all mutants when it is whole', () => {
    expect(MUTANTS.filter(({ name }) => !isInShare(name, { share: 1, day: 20_000 }))).toEqual([]);
  });
});

/** Plays a mutant in another process; null when it is caught, else what the process printed. */
async function simulated(name: string): Promise<string | null> {
  try {
    await promisify(execFile)(process.execPath, [SIMULATE, '--mutant', name]);
    return null;
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    return `${name}: ${stdout}${stderr}`;
  }
}
