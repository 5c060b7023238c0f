import { describe, expect, it } from 'vitest';
import { CALL_STEP, FIRST_CALL } from '../../simulation/budget.ts';
import { CALL_FAULTS, playCatalog } from '../../simulation/schedules/catalog-scenario.ts';

describe('a reader in a loop', () => {
  it.each(CALL_FAULTS)('finds the table complete, whichever call of the catalog meets: %s', async fault => {
    let calls = FIRST_CALL;
    while (await playCatalog(calls, fault)) calls += CALL_STEP;
    // A head and a put for the schema, three puts for each of five flushes, and a removal.
    expect(calls).toBeGreaterThanOrEqual(18);
  });
});
