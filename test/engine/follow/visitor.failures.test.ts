import { describe, expect, it } from 'vitest';
import { expectProof } from '../../simulation/oracle/proof.ts';
import { agendaWorld, nextDueMs, requestTimes, visitCount, watch } from '../../simulation/world/visits.ts';
import { followed, nextRun, pass, runUntil, type World } from '../../simulation/world/world.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const found = (world: World) => world.engine.journal.agenda!.find('a.red')!;

/** A world whose one key was visited in vain. */
async function failedWorld(options = {}): Promise<World> {
  const world = await agendaWorld(options);
  world.upstream.publish('a.red', 'first');
  world.upstream.faults.set('a.red', { status: 500 });
  await watch(world, ['a.red']);
  await runUntil(world, { until: () => visitCount(world) === 1 });
  return world;
}

describe('a visit that failed', () => {
  it('is parked, and its key is due by its rule', async () => {
    const world = await failedWorld();
    expect(world.parked).toMatchObject([{ key: 'a.red', cursor: '1', reason: 'http-500' }]);
    expect(found(world)).toMatchObject({ outcome: 'failed', times: 1, reason: 'failed', checked_ms: null });
    expect(nextDueMs(world, 'a.red')! - world.clock.now()).toBeGreaterThan(2.9 * HOUR);
  });

  it('is retried, and its key is not visited meanwhile, although it is due', async () => {
    const world = await failedWorld();
    await pass(world, 5 * HOUR);
    expect(visitCount(world)).toBe(1);
    expect(world.state).toBe('following');
    expect(requestTimes(world, 'a.red').length).toBeGreaterThan(5);
    world.upstream.faults.clear();
    await runUntil(world, { until: () => world.parked.length === 0 });
    expect(world.balance).toMatchObject({ rows: 1, parked: 0, balanced: true });
    expect(found(world)).toMatchObject({ outcome: 'found', times: 1 });
    expect(nextDueMs(world, 'a.red')! - world.clock.now()).toBeGreaterThan(0.9 * HOUR);
    await followed(world);
    await expectProof(world);
  });

  it('does not wake the object while it is all that is due', async () => {
    const world = await failedWorld({ retry: { waitMs: HOUR, attemptsMax: 20, leaseMs: 300_000 } });
    await pass(world, 4 * HOUR);
    const { runs } = world;
    await pass(world, HOUR);
    expect(world.runs - runs).toBeLessThanOrEqual(60 + 10);
  });

  it('is due no earlier than its host has said', async () => {
    const world = await agendaWorld();
    world.upstream.faults.set('a.red', { status: 500, retryAfterMs: 10 * HOUR });
    await watch(world, ['a.red']);
    await runUntil(world, { until: () => visitCount(world) === 1 });
    const [firstMs] = requestTimes(world, 'a.red');
    expect(nextDueMs(world, 'a.red')! - firstMs!).toBeGreaterThanOrEqual(10 * HOUR);
    await pass(world, 9 * HOUR);
    expect(requestTimes(world, 'a.red')).toHaveLength(1);
  });

  it('is superseded by the next visit once it is a dead letter', async () => {
    const world = await failedWorld({ retry: { waitMs: 10_000, attemptsMax: 2, leaseMs: 300_000 } });
    await runUntil(world, { until: () => world.balance.dead === 1, withinMs: HOUR });
    world.upstream.faults.clear();
    const dueMs = nextDueMs(world, 'a.red')!;
    await pass(world, dueMs - world.clock.now() - 1);
    expect(visitCount(world)).toBe(1);
    await runUntil(world, { until: () => visitCount(world) === 2 });
    expect(world.balance).toMatchObject({ rows: 1, dead: 0, skipped: { superseded: 1 }, balanced: true });
    await followed(world);
    await expectProof(world);
  });

  it('that is gone at the next attempt, and never had a row, gives nothing', async () => {
    const world = await failedWorld();
    world.upstream.remove('a.red');
    world.upstream.faults.clear();
    await runUntil(world, { until: () => world.parked.length === 0 });
    expect(world.balance).toMatchObject({ rows: 0, tombstones: 0, skipped: { 'no-rows': 1 }, balanced: true });
  });

  it('whose row SQLite refuses is parked, and the others come in', async () => {
    const world = await agendaWorld();
    world.upstream.publish(['a.red', 'b.red'], 'small');
    world.storage.refuses = (statement, params) =>
      /INSERT INTO keys/.test(statement) && params.includes('a.red') && params.some(value => value !== null);
    await watch(world, ['a.red', 'b.red']);
    await runUntil(world, { until: () => visitCount(world) === 2 });
    expect(world.balance).toMatchObject({ rows: 1, parked: 1, balanced: true });
    expect(found(world)).toMatchObject({ outcome: 'failed' });
  });

  it('with its Loader takes none of its key’s visits away', async () => {
    const world = await agendaWorld();
    world.upstream.publish(['a.red', 'b.blue']);
    world.upstream.faults.set('a.red', { kills: true });
    await watch(world, ['a.red', 'b.blue']);
    await runUntil(world, { until: () => visitCount(world) === 2 });
    expect(world.balance).toMatchObject({ rows: 1, parked: 1, balanced: true });
    expect(world.parked).toMatchObject([{ key: 'a.red', reason: 'document-kills-loader' }]);
  });
});

describe('the list of servers', () => {
  it('that is out of reach at first has the source back off, and go on', async () => {
    const world = await agendaWorld();
    world.upstream.publish('a.red');
    world.upstream.feedFault = { reason: 'unreachable' };
    await watch(world, ['a.red']);
    await pass(world, 20 * MINUTE);
    expect(world.state).toBe('backing-off');
    expect(world.fault('follow')).toMatchObject({ kind: 'upstream-unreachable' });
    expect(visitCount(world)).toBe(0);
    world.upstream.feedFault = null;
    await runUntil(world, { until: () => world.isFollowed, withinMs: 6 * MINUTE });
    expect(world.balance).toMatchObject({ rows: 1, balanced: true });
    expect(world.state).toBe('following');
  });

  it('is asked for again when it is no longer fresh, and does meanwhile', async () => {
    const world = await agendaWorld();
    world.upstream.publish('a.red');
    await watch(world, ['a.red']);
    await followed(world);
    expect(requestTimes(world, 'servers')).toHaveLength(1);
    world.upstream.feedFault = { status: 500 };
    await pass(world, 26.5 * HOUR);
    const times = requestTimes(world, 'servers');
    expect(times[1]! - times[0]!).toBeGreaterThanOrEqual(DAY);
    expect(times).toHaveLength(4);
    expect(world.fault('follow')).toBeNull();
    expect(visitCount(world)).toBeGreaterThan(4);
    world.upstream.feedFault = null;
    world.upstream.servers.red = 'other.test';
    await pass(world, 40 * HOUR);
    expect(requestTimes(world, 'servers')).toHaveLength(6);
    expect(requestTimes(world, 'other.test').length).toBeGreaterThan(0);
  });

  it('from a clock that has jumped back is asked for again', async () => {
    const world = await agendaWorld();
    world.upstream.publish('a.red');
    world.clock.jump(365 * DAY);
    await watch(world, ['a.red']);
    await followed(world);
    world.clock.jump(-365 * DAY);
    await world.engine.poke();
    await nextRun(world);
    expect(requestTimes(world, 'servers')).toHaveLength(2);
  });
});

describe('a clock that jumps', () => {
  it('a year ahead and back again forgets no key', async () => {
    const world = await agendaWorld();
    const keys = ['a.red', 'b.red', 'c.blue'];
    world.upstream.publish(keys);
    await watch(world, keys);
    await followed(world);
    world.clock.jump(365 * DAY);
    await world.engine.poke();
    await runUntil(world, { until: () => visitCount(world) === 6 });
    world.clock.jump(-365 * DAY);
    const before = visitCount(world);
    await world.engine.watch();
    await runUntil(world, { until: () => visitCount(world) === before + 3, withinMs: HOUR });
    for (const key of keys) expect(nextDueMs(world, key)! - world.clock.now()).toBeLessThanOrEqual(DAY);
    await followed(world);
    await expectProof(world);
  });

  it('visits what came due at once, each once', async () => {
    const world = await agendaWorld();
    world.upstream.publish('a.red');
    await watch(world, ['a.red']);
    await followed(world);
    world.clock.jump(30 * DAY);
    await world.engine.watch();
    await runUntil(world, { until: () => visitCount(world) === 2 });
    await pass(world, 30 * MINUTE);
    expect(visitCount(world)).toBe(2);
  });
});
