import { hashOf } from './world/faults.ts';

/**
 * How much the randomised tests play. The defaults move on with the day, so that other seeds and other mutants are
 * played tomorrow; `SIM_DAY=2026-11-29` plays those of that day again.
 */

const DAY_MS = 86_400_000;
/** More than the seeds of a day, so that no two days share one. */
const SEEDS_BETWEEN_DAYS = 10_000;

/** The day whose share is played, as `2026-11-29`. */
export const DAY = process.env.SIM_DAY ?? new Date().toISOString().slice(0, 10);

const dayNumber = Date.parse(DAY) / DAY_MS;
if (!Number.isInteger(dayNumber)) throw new Error(`SIM_DAY: expected a day such as 2026-11-29, got ${DAY}`);

/** Random schedules of the engine; each directed scene is played for a fiftieth of the seeds. */
export const SEEDS = numberOf('SIM_SEEDS', 400);
export const FIRST_SEED = numberOf('SIM_SEED', dayNumber * SEEDS_BETWEEN_DAYS);

/** Random schedules of the Iceberg committer. */
export const COMMIT_SEEDS = numberOf('COMMIT_SEEDS', 10);
export const FIRST_COMMIT_SEED = numberOf('COMMIT_SEED', dayNumber * SEEDS_BETWEEN_DAYS);

/** The part of the mutants that is played, over 0 and up to 1. */
export const SHARE = numberOf('SIM_SHARE', 0.25);

/** Whether a mutant is in the day's share. Each is once in any `1 / share` days that follow each other. */
export function isInShare(name: string, { share = SHARE, day = dayNumber } = {}): boolean {
  const phase = (hashOf(name) >>> 0) / 2 ** 32;
  return (phase + day * share) % 1 < share;
}

function numberOf(name: string, otherwise: number): number {
  const text = process.env[name];
  const value = text === undefined ? otherwise : Number(text);
  if (!(value >= 0)) throw new Error(`${name}: expected a number, got ${text}`);
  return value;
}
