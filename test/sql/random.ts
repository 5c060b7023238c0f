import { numberOf, seedOf } from '../budget.ts';
/** One of a list. */
export function pick<T>(random: () => number, list: readonly T[]): T {
  return list[Math.floor(random() * list.length)]!;
}

export const SEED = seedOf('SQL_SEED');
export const ROUNDS = numberOf('SQL_ROUNDS', 400);
