import { describe, expect, it } from 'vitest';
import { FIRST_SEED, SEEDS } from '../budget.ts';
import { playScene, SCENE_NAMES } from './directed.ts';

const SCENE_SEEDS = Math.ceil(SEEDS / 50);

describe(`an engine holds every guarantee, over ${SCENE_SEEDS} seeds from ${FIRST_SEED}, in`, () => {
  it.each(SCENE_NAMES)('%s', { timeout: SCENE_SEEDS * 200 + 60_000 }, async scene => {
    const failed: string[] = [];
    for (let seed = FIRST_SEED; seed < FIRST_SEED + SCENE_SEEDS; seed++) {
      const { error } = await playScene(scene, seed);
      if (error) failed.push(`seed ${seed}: ${error.message}`);
    }
    expect(failed).toEqual([]);
  });
});
