import { DAY_NUMBER, numberOf, seedOf } from '../budget.ts';
import { hashOf } from './world/faults.ts';

/** How much the simulator plays by default; the seeds and the share of the mutants are those of the day. */

/** Random schedules of the engine; each directed scene is played for a fiftieth of the seeds. */
export const SEEDS = numberOf('SIM_SEEDS', 150);
export const FIRST_SEED = seedOf('SIM_SEED');

/** Random schedules of the Iceberg committer. */
export const COMMIT_SEEDS = numberOf('COMMIT_SEEDS', 6);
export const FIRST_COMMIT_SEED = seedOf('COMMIT_SEED');

/** Where each call of a step meets a fault in turn: one call of so many, and the first of them. */
export const CALL_STEP = Math.max(1, numberOf('CALL_STEP', 3));
export const FIRST_CALL = DAY_NUMBER % CALL_STEP;

/** The part of the mutants that is played, over 0 and up to 1. */
export const SHARE = numberOf('SIM_SHARE', 0.1);

/** Whether a mutant is in the day's share. Each is once in any `1 / share` days that follow each other. */
export function isInShare(name: string, { share = SHARE, day = DAY_NUMBER } = {}): boolean {
  const phase = (hashOf(name) >>> 0) / 2 ** 32;
  return (phase + day * share) % 1 < share;
}
