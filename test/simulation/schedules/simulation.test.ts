import { availableParallelism } from 'node:os';
import { describe, expect, it } from 'vitest';
import { shrinkSeed, trySeedsIn } from './seeds.ts';

/** How many schedules are tried, and from which seed on. */
const SEEDS = Number(process.env.SIM_SEEDS ?? 2_000);
const FIRST_SEED = Number(process.env.SIM_SEED ?? 1);

describe('an engine that is killed, failed and held up at any call', () => {
  it(`keeps its promises, over ${SEEDS} seeds from ${FIRST_SEED}`, { timeout: SEEDS * 200 + 60_000 }, async () => {
    const { failed } = await trySeedsIn(availableParallelism(), { first: FIRST_SEED, seeds: SEEDS });
    const [first] = failed;
    if (first) {
      const { faults, trace } = await shrinkSeed(first.seed);
      console.log([`seed ${first.seed}: ${faults.map(({ id, kind }) => `${id} ${kind}`)}`, ...trace].join('\n'));
    }
    expect(failed).toEqual([]);
  });
});
