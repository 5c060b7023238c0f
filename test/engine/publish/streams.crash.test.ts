import { describe, expect, it } from 'vitest';
import { DEATHS, playStream } from '../../simulation/schedules/stream-scenario.ts';

describe('a stream', () => {
  it.each(DEATHS)('gets every row in order whichever call of its step meets: %s', async death => {
    let calls = 0;
    while (await playStream(calls, death)) calls += 1;
    // Thirteen rows, at most two a request, in files of one to three row groups.
    expect(calls).toBeGreaterThanOrEqual(13);
  });
});
