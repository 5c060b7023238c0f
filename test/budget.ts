/**
 * How much the randomised tests play, and from which seed: each reads its budget with `numberOf` and its seed with
 * `seedOf`. The defaults are small and the seed moves on with the day, so that tomorrow plays other cases;
 * `TEST_DAY=2026-11-29` plays those of that day again. `.ci/run` holds the large budgets.
 */

const DAY_MS = 86_400_000;
/** More than the consecutive seeds that any test plays in a day, so that no two days share one. */
const SEEDS_BETWEEN_DAYS = 10_000;

/** The day whose cases are played, as `2026-11-29`. */
export const DAY = process.env.TEST_DAY ?? new Date().toISOString().slice(0, 10);

/** The day, counted from the first of 1970. */
export const DAY_NUMBER = Date.parse(DAY) / DAY_MS;
if (!Number.isInteger(DAY_NUMBER)) throw new Error(`TEST_DAY: expected a day such as 2026-11-29, got ${DAY}`);

export const SEED_OF_DAY = DAY_NUMBER * SEEDS_BETWEEN_DAYS;

/** A number from the environment, or `otherwise`. Throws where the variable is set to anything but a number from 0. */
export function numberOf(name: string, otherwise: number): number {
  const text = process.env[name];
  const value = text === undefined ? otherwise : Number(text);
  if (!(value >= 0)) throw new Error(`${name}: expected a number, got ${text}`);
  return value;
}

/** A seed from the environment, or that of the day. */
export function seedOf(name: string): number {
  return numberOf(name, SEED_OF_DAY);
}
