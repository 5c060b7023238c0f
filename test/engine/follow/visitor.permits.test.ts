import { expect, it } from 'vitest';
import { agendaStatus } from '../../../src/engine/controls/watched-keys.ts';
import { probing } from '../../simulation/world/probing.ts';
import { agendaWorld, requestTimes, visitCount, watch } from '../../simulation/world/visits.ts';
import { pass, runUntil } from '../../simulation/world/world.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** Of each kind. All together want a visit an hour, and the host has room for half of that. */
const KEYS = 600;
const PER_SECOND = 0.5;
const names = (first: number) => Array.from({ length: KEYS }, (_, index) => `n${first + index}.red`);

it('shares a host between keys that a probe found changed and first visits, and stretches intervals while they wait', async () => {
  const steady = { hostRequestsPerSecond: PER_SECOND, hostRequestsPerSecondMax: PER_SECOND };
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
  await pass(world, 30 * MINUTE);
  const asked = requestTimes(world, 'red.test').length;
  const askedOf = (keys: string[]) => keys.filter(key => requestTimes(world, key).length > 0).length;
  // The probe's own pace takes the other half of the time.
  expect(asked).toBeGreaterThan(14 * 60 * PER_SECOND);
  for (const keys of [known, more]) expect(askedOf(keys)).toBeGreaterThan(0.25 * asked);
  expect(agendaStatus(world.engine)!.stretch).toBeGreaterThan(1);
  await pass(world, 4 * HOUR);
  expect(askedOf(known) + askedOf(more)).toBe(2 * KEYS);
});
