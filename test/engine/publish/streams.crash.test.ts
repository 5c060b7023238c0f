import { describe, expect, it } from 'vitest';
import { CALL_STEP, FIRST_CALL } from '../../simulation/budget.ts';
import { CALL_FAULTS, playStream } from '../../simulation/schedules/stream-scenario.ts';

describe('a stream', () => {
  it.each(CALL_FAULTS)('gets every row in order whichever call of its step meets: %s', async fault => {
    let calls = FIRST_CALL;
    while (await playStream(calls, fault)) calls += CALL_STEP;
    // Thirteen rows, at most two a request, in files of one to three row groups.
    expect(calls).toBeGreaterThanOrEqual(13);
  });
});
