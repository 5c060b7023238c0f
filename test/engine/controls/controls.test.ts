import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../../src/config.ts';
import { Engine } from '../../../src/engine/engine.ts';
import { expectProof } from '../../simulation/oracle/proof.ts';
import { followed, nextRun, pass, runUntil, startedWorld, World } from '../../simulation/world/world.ts';

const MINUTE = 60_000;
const pulls = (world: World) => world.calls.count(/^load\./);

describe('a paused source', () => {
  it('pulls nothing, but flushes and tells the database', async () => {
    const world = await startedWorld();
    world.upstream.publish('a');
    await nextRun(world);
    expect(await world.engine.control('pause')).toBe(true);
    const before = pulls(world);
    world.upstream.publish('b');
    await pass(world, 60 * MINUTE);
    expect(pulls(world)).toBe(before);
    expect(world.state).toBe('paused');
    expect(world.files).toHaveLength(1);
    expect(world.database.runs()).toHaveLength(1);
    expect(world.storage.alarmMs).toBeNull();
  });

  it('retries no parked change', async () => {
    const world = await startedWorld();
    world.upstream.faults.set('a', { status: 403 });
    world.upstream.publish('a');
    await followed(world);
    await world.engine.control('pause');
    const before = pulls(world);
    await pass(world, 60 * MINUTE);
    expect(pulls(world)).toBe(before);
  });

  it('goes on when it is started again', async () => {
    const world = await startedWorld();
    world.upstream.publish('a');
    await followed(world);
    await world.engine.control('pause');
    await pass(world, MINUTE);
    world.upstream.publish('b');
    expect(await world.engine.control('start')).toBe(true);
    expect(await world.engine.control('start')).toBe(false);
    await followed(world);
    await expectProof(world);
  });

  it('stays paused for a new instance, and for the watchdog', async () => {
    const world = await startedWorld();
    await world.engine.control('pause');
    await pass(world, MINUTE);
    world.kill();
    await world.engine.watch();
    expect(world.state).toBe('paused');
    expect(world.storage.alarmMs).toBeNull();
  });

  it('flushes on request', async () => {
    const world = await startedWorld({ flushAgeMs: 60 * MINUTE });
    world.upstream.publish('a');
    await nextRun(world);
    await world.engine.control('pause');
    expect(await world.engine.control('flush')).toBe(true);
    await runUntil(world, { until: () => world.files.length === 1, withinMs: MINUTE });
    await runUntil(world, { until: () => world.isFollowed });
    await expectProof(world);
  });
});

describe('a source the settings do not name', () => {
  it('is paused, whatever it was before', async () => {
    const world = await startedWorld();
    world.upstream.publish('a');
    await nextRun(world);
    const { ports, source, options } = world.engine;
    world.engine = new Engine({ ports, source, options: { ...options, enabled: false } });
    const before = pulls(world);
    world.upstream.publish('b');
    await pass(world, 10 * MINUTE);
    expect(world.state).toBe('paused');
    expect(pulls(world)).toBe(before);
    expect(world.files).toHaveLength(1);
    expect(world.database.runs()).toHaveLength(1);
  });

  it('is not started by the watchdog', async () => {
    const world = new World({ enabled: false });
    await world.engine.watch();
    expect(world.storage.alarmMs).toBeNull();
    expect(world.state).toBe('paused');
  });
});

describe('the watchdog', () => {
  it('starts a source the settings name once', async () => {
    const world = new World();
    expect(world.state).toBe('paused');
    await world.engine.watch();
    expect(world.storage.alarmMs).toBe(world.clock.now());
    world.upstream.publish('a');
    await followed(world);
    await world.engine.control('pause');
    await world.engine.watch();
    expect(world.state).toBe('paused');
  });

  it('arms a source that lost its alarm', async () => {
    const world = await startedWorld();
    world.upstream.publish('a');
    await followed(world);
    world.storage.alarmMs = null;
    await world.engine.watch();
    expect(world.storage.alarmMs).toBe(world.clock.now());
  });

  it('arms a source whose alarm did not fire', async () => {
    const world = await startedWorld();
    await nextRun(world);
    await world.clock.advance(MINUTE);
    expect(world.storage.alarmMs).toBeLessThan(world.clock.now() - LIMITS.recoveryMs);
    await world.engine.watch();
    expect(world.storage.alarmMs).toBe(world.clock.now());
  });

  it('leaves alone a source that waits as it should', async () => {
    const world = await startedWorld();
    world.upstream.feedFault = { status: 429, retryAfterMs: 5 * 60 * MINUTE };
    await nextRun(world);
    const { alarmMs } = world.storage;
    expect(alarmMs).toBe(world.clock.now() + 5 * 60 * MINUTE);
    await world.engine.watch();
    expect(world.storage.alarmMs).toBe(alarmMs);
  });

  it('arms a source whose alarm lies far ahead because the clock jumped back', async () => {
    const world = await startedWorld();
    await nextRun(world);
    world.clock.jump(-24 * 60 * MINUTE);
    world.upstream.publish('a');
    await world.engine.watch();
    await runUntil(world, { until: () => world.balance.changes === 1, withinMs: MINUTE });
  });
});
