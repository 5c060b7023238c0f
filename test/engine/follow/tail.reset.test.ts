import { describe, expect, it } from 'vitest';
import { CursorError } from '../../../src/errors.ts';
import { expectProof } from '../../simulation/oracle/proof.ts';
import { followed, pass, runUntil, startedWorld, type World } from '../../simulation/world/world.ts';

const MINUTE = 60_000;

async function followedWorld(): Promise<World> {
  const world = await startedWorld();
  world.upstream.publish(['a', 'b', 'c']);
  await followed(world);
  return world;
}

const low = (world: World) => {
  world.upstream.alter = page => ({ ...page, results: [], lastSeq: 1, head: 1 });
};
const honest = (world: World) => {
  world.upstream.alter = page => page;
};

describe('a feed that counts anew', () => {
  it('is believed after three readings over a quarter of an hour', async () => {
    const world = await followedWorld();
    low(world);
    const pulls = world.calls.count(/^load\.pull/);
    const startedMs = world.clock.elapsedMs;
    await runUntil(world, { until: () => world.fault('follow')?.kind === 'sequence-reset' });
    expect(world.calls.count(/^load\.pull/) - pulls).toBeGreaterThanOrEqual(3);
    expect(world.clock.elapsedMs - startedMs).toBeGreaterThanOrEqual(15 * MINUTE);
    expect(world.clock.elapsedMs - startedMs).toBeLessThanOrEqual(25 * MINUTE);
    expect(world.state).toBe('stalled');
  });

  it('is not believed for one low reading, nor for two', async () => {
    const world = await followedWorld();
    for (const readings of [1, 2]) {
      low(world);
      await runUntil(world, { until: () => world.lane.reset_readings === readings });
      expect(world.fault('follow')?.kind).toBe('upstream-shape');
      expect(world.state).not.toBe('stalled');
    }
    honest(world);
    world.upstream.publish('d');
    await followed(world);
    expect(world.lane).toMatchObject({ reset_readings: 0, reset_first_ms: null });
    low(world);
    await pass(world, 10 * MINUTE);
    expect(world.state).not.toBe('stalled');
    honest(world);
    await runUntil(world, { until: () => world.state === 'following' });
  });

  it('keeps its cursor, and goes on when it counts as before', async () => {
    const world = await followedWorld();
    const { cursor } = world.lane;
    low(world);
    await pass(world, 60 * MINUTE);
    expect(world.lane.cursor).toBe(cursor);
    expect(world.state).toBe('stalled');
    honest(world);
    world.upstream.publish('d');
    await runUntil(world, { until: () => world.isFollowed, withinMs: 10 * MINUTE });
    expect(world.state).toBe('following');
    await expectProof(world);
  });
});

describe('an empty page while the head is ahead', () => {
  it('is no progress, and stalls the source in the end', async () => {
    const world = await followedWorld();
    const { cursor } = world.lane;
    world.upstream.publish('d');
    world.upstream.alter = page => ({ ...page, results: [], lastSeq: Number(cursor) });
    await pass(world, 10 * MINUTE);
    expect(world.state).not.toBe('stalled');
    await pass(world, 6 * MINUTE);
    expect(world.state).toBe('stalled');
    expect(world.lane.cursor).toBe(cursor);
    expect(world.lane.lag_changes).toBeNull();
    honest(world);
    await followed(world);
    expect(world.state).toBe('following');
    expect(world.lane.lag_changes).toBe(0);
  });

  it('is no stall when the head is where the cursor is', async () => {
    const world = await followedWorld();
    await pass(world, 60 * MINUTE);
    expect(world.state).toBe('following');
  });

  it('is no stall of a source that has just been started', async () => {
    const world = await startedWorld();
    world.upstream.publish('a');
    world.upstream.alter = page => ({ ...page, results: [], lastSeq: 0 });
    await pass(world, 10 * MINUTE);
    expect(world.state).not.toBe('stalled');
    await pass(world, 6 * MINUTE);
    expect(world.state).toBe('stalled');
  });
});

describe('a cursor the feed refuses', () => {
  it('stalls the source until it is taken', async () => {
    const world = await followedWorld();
    world.upstream.alter = () => {
      throw new CursorError('page: expected the feed to take the cursor, got status 400');
    };
    await pass(world, MINUTE);
    expect(world.fault('follow')).toMatchObject({ kind: 'cursor-refused', stalls: 1 });
    expect(world.state).toBe('stalled');
    honest(world);
    world.upstream.publish('d');
    await followed(world);
    await expectProof(world);
  });
});
