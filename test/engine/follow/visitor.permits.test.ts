import { expect, it } from 'vitest';
import { agendaStatus } from '../../../src/engine/controls/watched-keys.ts';
import { probing } from '../../simulation/world/probing.ts';
import { agendaWorld, requestTimes, visitCount, watch } from '../../simulation/world/visits.ts';
import { pass, runUntil } from '../../simulation/world/world.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const KEYS = 600;
const names = (first: number) => Array.from({ length: KEYS }, (_, index) => `n${first + index}.red`);

it('shares a host between keys that a probe found changed and first visits, and stretches intervals while they wait', async () => {
  const steady = { hostRequestsPerSecond: 1, hostRequestsPerSecondMax: 1 };
  const world = await agendaWorld({ kind: probing, ...steady });
  const [known, more] = [names(0), names(KEYS)];
  world.upstream.publish(known, 'first');
  await watch(world, known);
  await runUntil(world, { until: () => visitCount(world) === KEYS });
  // All known keys have changed and are due, and as many others are due for the first time.
  world.upstream.publish(known, 'second');
  world.upstream.publish(more, 'first');
  await watch(world, more);
  world.clock.jump(2 * HOUR);
  await world.engine.watch();
  world.upstream.requests.length = 0;
  await pass(world, 15 * MINUTE);
  const asked = requestTimes(world, 'red.test').length;
  const askedOf = (keys: string[]) => keys.filter(key => requestTimes(world, key).length > 0).length;
  // The probe's own pace takes the other half of the time.
  expect(asked).toBeGreaterThan(7 * 60);
  for (const keys of [known, more]) expect(askedOf(keys)).toBeGreaterThan(0.3 * asked);
  expect(agendaStatus(world.engine)!.stretch).toBeGreaterThan(1);
  // When none waits for a permit any more, the intervals shrink again.
  await pass(world, 3 * HOUR);
  expect(askedOf(known) + askedOf(more)).toBe(2 * KEYS);
  expect(agendaStatus(world.engine)!.stretch).toBe(1);
});
