import { availableParallelism } from 'node:os';
import { describe, expect, it } from 'vitest';
import { FIRST_SEED, SEEDS } from '../budget.ts';
import { shrinkSeed, trySeedsIn } from './seeds.ts';

describe('an engine whose calls are killed, failed and delayed', () => {
  it(`holds every guarantee, SIM_SEEDS=${SEEDS} SIM_SEED=${FIRST_SEED}`, {
    timeout: SEEDS * 200 + 60_000,
  }, async () => {
    const { failed } = await trySeedsIn(availableParallelism(), { from: FIRST_SEED, seeds: SEEDS });
    const [first] = failed;
    if (first) {
      const { faults, trace } = await shrinkSeed(first.seed);
      console.log([`seed ${first.seed}: ${faults.map(({ id, kind }) => `${id} ${kind}`)}`, ...trace].join('\n'));
    }
    expect(failed).toEqual([]);
  });
});
