import { describe, expect, it } from 'vitest';
import { playScene, SCENE_NAMES } from './directed.ts';

/** How often each scene is played, and from which seed on. */
const SEEDS = Math.ceil(Number(process.env.SIM_SEEDS ?? 2_000) / 50);
const FIRST_SEED = Number(process.env.SIM_SEED ?? 1);

describe('an engine keeps its promises in', () => {
  it.each(SCENE_NAMES)(`%s, over ${SEEDS} seeds from ${FIRST_SEED}`, { timeout: SEEDS * 200 + 60_000 }, async scene => {
    const failed: string[] = [];
    for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
      const { error } = await playScene(scene, seed);
      if (error) failed.push(`seed ${seed}: ${error.message}`);
    }
    expect(failed).toEqual([]);
  });
});
