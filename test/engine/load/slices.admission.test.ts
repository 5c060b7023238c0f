import { expect, it } from 'vitest';
import { agenda, type SourceKind } from '../../simulation/world/sources.ts';
import { agendaWorld, requestTimes, visitCount, watch } from '../../simulation/world/visits.ts';
import { runUntil } from '../../simulation/world/world.ts';

/** Visits that foresee two requests of their server. */
const twice: SourceKind = (upstream, call) => {
  const { feed: _, ...rest } = agenda(upstream, call);
  return {
    ...rest,
    agenda: rest.agenda!,
    requests(step, changes, settings) {
      const requests = Object.entries(rest.requests(step, changes, settings));
      return Object.fromEntries(requests.map(([host, count]) => [host, step === 'load' ? 2 * count : count]));
    },
  };
};

it.each([1, 2, 7])('admits %i changes that need two requests each of one host', async count => {
  const world = await agendaWorld({ kind: twice });
  const keys = Array.from({ length: count }, (_, index) => `n${index}.red`);
  world.upstream.publish(keys);
  await watch(world, keys);
  await runUntil(world, { until: () => visitCount(world) === count, withinMs: 60_000 });
  expect(requestTimes(world, 'red.test')).toHaveLength(count);
});
