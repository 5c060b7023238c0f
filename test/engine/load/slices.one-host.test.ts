import { expect, it } from 'vitest';
import type { Change } from '../../../src/ports/change.ts';
import { agenda, type SourceKind } from '../../simulation/world/sources.ts';
import { agendaWorld, visitCount, watch } from '../../simulation/world/visits.ts';
import { pass, runUntil } from '../../simulation/world/world.ts';

const HOUR = 3_600_000;
const HOST = 'red.test';

/** An agenda without a directory: all keys are asked of one host. */
const oneHost: SourceKind = (upstream, call) => {
  const { feed: _, ...rest } = agenda(upstream, call);
  const { directory: __, ...rules } = rest.agenda!;
  const served = (change: Change): Change => ({ ...change, server: HOST });
  return {
    ...rest,
    agenda: rules,
    requests: (step, changes, settings) => rest.requests(step, changes.map(served), settings),
    load: (change, ctx) => rest.load(served(change), ctx),
  };
};

it.each([1, 3])(
  'a host that throttles all of %i keys for an hour parks none, and each is visited once',
  async count => {
    const world = await agendaWorld({ kind: oneHost });
    const keys = Array.from({ length: count }, (_, index) => `n${index}.red`);
    world.upstream.publish(keys);
    world.upstream.hostFaults.set(HOST, { status: 429 });
    await watch(world, keys);
    await pass(world, HOUR);
    expect(world.upstream.requests.length).toBeGreaterThan(3);
    expect([visitCount(world), world.parked]).toEqual([0, []]);
    world.upstream.hostFaults.clear();
    await runUntil(world, { until: () => visitCount(world) === count, withinMs: HOUR });
    expect(world.parked).toEqual([]);
  },
);

it('a key that is throttled while others are answered is parked after a few times', async () => {
  const world = await agendaWorld({ kind: oneHost });
  world.upstream.publish(['throttled.red']);
  world.upstream.faults.set('throttled.red', { status: 429 });
  const keys = Array.from({ length: 6 }, (_, index) => `n${index}.red`);
  world.upstream.publish(keys);
  await watch(world, ['throttled.red', ...keys]);
  for (const key of keys) {
    await pass(world, HOUR / 2);
    // Another is due together with it.
    await watch(world, [`more-${key}`]);
  }
  expect(world.parked.map(({ key, reason }) => [key, reason])).toEqual([['throttled.red', 'http-429']]);
});
