import { availableParallelism } from 'node:os';
import { describe, expect, it } from 'vitest';
import { inProcess } from '../schedules/seeds.ts';
import { BROKEN } from './broken.ts';

describe.concurrent('the oracle', { timeout: 600_000 }, () => {
  it('sees nothing wrong with an engine that has no mistake', async () => {
    const { failed } = await inProcess({ first: 1, seeds: 20 });
    expect(failed).toEqual([]);
  });

  it('sees each mistake an engine could have', async () => {
    const left = [...BROKEN];
    const unseen: string[] = [];
    const lane = async () => {
      for (let broken = left.shift(); broken; broken = left.shift()) {
        const { name, breaks, firstSeed, seeds, apart, scene, audited } = broken;
        const { failed } = await inProcess({ first: firstSeed, seeds, apart, failuresMax: 1, scene, audited }, name);
        if (failed.length === 0) unseen.push(`${name} (${breaks}), in ${seeds} seeds from ${firstSeed}`);
      }
    };
    await Promise.all(Array.from({ length: Math.min(2, availableParallelism()) }, lane));
    expect(unseen).toEqual([]);
  });
});
