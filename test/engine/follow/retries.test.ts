import { describe, expect, it } from 'vitest';
import type { Ticket } from '../../../src/ports/queues.ts';
import { expectNewest, expectProof, lakeRows } from '../../simulation/oracle/proof.ts';
import { followed, pass, runUntil, startedWorld, type World } from '../../simulation/world/world.ts';

const MINUTE = 60_000;

/** A world in which a change of `a` is parked and its upstream is mended. */
async function mendedWorld(options = {}): Promise<World> {
  const world = await startedWorld(options);
  world.upstream.faults.set('a', { status: 403 });
  world.upstream.publish('a');
  await runUntil(world, { until: () => world.parked.length === 1 });
  world.upstream.faults.clear();
  return world;
}

const isMended = (world: World) => () => world.isFollowed && world.parked.length === 0;

describe('a ticket', () => {
  it('that is lost is sent again after its lease', async () => {
    const world = await mendedWorld();
    const sent: Ticket[][] = [];
    world.queue.deliver = batch => ({ delaysMs: sent.push(batch) === 1 ? [] : [0] });
    await runUntil(world, { until: isMended(world) });
    expect(sent).toEqual([[{ changeNumber: 1, attempt: 0 }], [{ changeNumber: 1, attempt: 0 }]]);
    await expectProof(world);
  });

  it('that is doubled gives its rows once', async () => {
    const world = await mendedWorld();
    world.queue.deliver = () => ({ delaysMs: [0, 0, 500, MINUTE, 20 * MINUTE] });
    await runUntil(world, { until: isMended(world) });
    await pass(world, 30 * MINUTE);
    expect(world.queue.deliveries).toBe(5);
    expect(await lakeRows(world)).toHaveLength(1);
    await expectProof(world);
  });

  it('that comes back after a later attempt at its change is refused', async () => {
    const world = await startedWorld();
    world.upstream.faults.set('a', { status: 403 });
    world.upstream.publish('a');
    const late: Ticket[][] = [];
    world.queue.deliver = batch => ({ delaysMs: late.push(batch) === 1 ? [60 * MINUTE] : [0] });
    await runUntil(world, { until: () => world.parked[0]?.attempts === 3 });
    const asked = world.upstream.requests.length;
    expect(world.engine.retries.admit(late[0]!)).toEqual({ calls: [], prepare: [] });
    expect(world.upstream.requests).toHaveLength(asked);
  });

  it('whose result cannot be taken waits, and the results beside it are taken', async () => {
    const world = await startedWorld();
    for (const key of ['a', 'b', 'c']) world.upstream.faults.set(key, { status: 403 });
    world.queue.deliver = () => ({ delaysMs: [] });
    world.upstream.publish(['a', 'b', 'c']);
    await runUntil(world, { until: () => world.parked.length === 3 });
    const skipped = { kind: 'skip', reason: 'no-rows' } as const;
    const results = [1, 2, 3].map(changeNumber => {
      return { changeNumber, attempt: 0, lastLsn: 0, evidenceVersion: null, outcome: skipped };
    });
    world.storage.refuses = (statement, params) => /^DELETE FROM parked/.test(statement) && params[0] === 2;
    world.engine.retries.take({ results, hosts: [], loadMs: null });
    expect(world.parked).toMatchObject([{ key: 'b', attempts: 0 }]);
    expect(world.log.filter(({ event }) => event === 'tickets_failed')).toHaveLength(1);
    world.storage.refuses = () => false;
    world.queue.deliver = () => ({ delaysMs: [0] });
    world.upstream.faults.clear();
    await runUntil(world, { until: () => world.parked.length === 0 });
  });

  it('whose load cannot be admitted waits, and the loads of the others are admitted', async () => {
    const world = await startedWorld();
    for (const key of ['a', 'b', 'c']) world.upstream.faults.set(key, { status: 403 });
    world.queue.deliver = () => ({ delaysMs: [] });
    world.upstream.publish(['a', 'b', 'c']);
    await runUntil(world, { until: () => world.parked.length === 3 });
    world.storage.refuses = (statement, params) => /FROM keys WHERE key = /.test(statement) && params[0] === 'b';
    const { calls } = world.engine.retries.admit([1, 2, 3].map(changeNumber => ({ changeNumber, attempt: 0 })));
    expect(calls.flatMap(({ grants }) => grants.map(({ change }) => change.key))).toEqual(['a', 'c']);
    expect(world.log.filter(({ event }) => event === 'tickets_failed')).toHaveLength(1);
  });

  it('that its queue gives up is sent again at once', async () => {
    const world = await mendedWorld();
    world.calls.fail(/^queue\.admit/, { times: 3 });
    const startedMs = world.clock.elapsedMs;
    await runUntil(world, { until: isMended(world) });
    expect(world.calls.count(/^queue\.expire/)).toBe(1);
    expect(world.clock.elapsedMs - startedMs).toBeLessThan(world.options.retry.leaseMs);
    await expectProof(world);
  });

  it('is sent again when the queue does not take it', async () => {
    const world = await mendedWorld();
    const repair = world.calls.fail(/^queue\.send/);
    await pass(world, MINUTE);
    expect(world.fault('retry')).toMatchObject({ kind: 'queue-failed' });
    expect(world.state).toBe('backing-off');
    world.upstream.publish('b');
    await runUntil(world, { until: () => world.balance.rows === 1 });
    repair();
    await runUntil(world, { until: isMended(world) });
    await expectProof(world);
  });

  it('is worth nothing while its source is paused, and is sent again afterwards', async () => {
    const world = await mendedWorld();
    await world.engine.control('pause');
    await pass(world, 20 * MINUTE);
    expect(world.balance.parked).toBe(1);
    expect(world.engine.retries.admit([{ changeNumber: 1, attempt: 0 }]).calls).toEqual([]);
    await world.engine.control('start');
    await runUntil(world, { until: isMended(world) });
  });
});

describe('whoever brings a ticket', () => {
  it('may die at any call: the change is retried', async () => {
    for (const call of ['admit', 'load.load', 'take']) {
      for (const answer of ['none', 'lost'] as const) {
        const world = await mendedWorld();
        world.calls.fail(new RegExp(`^queue\\.${call}`), { times: 1, answer });
        await runUntil(world, { until: isMended(world) });
        await pass(world, 30 * MINUTE);
        expect(await lakeRows(world)).toHaveLength(1);
        await expectProof(world);
      }
    }
  });

  it('is refused when a newer change of the key came in meanwhile', async () => {
    const world = await mendedWorld();
    const take = world.calls.hold(/^queue\.take/);
    await runUntil(world, { until: () => world.calls.count(/^queue\.take/) === 1 });
    world.upstream.publish('a');
    await runUntil(world, { until: () => world.balance.changes === 2 });
    take.release();
    await pass(world, 30 * MINUTE);
    expect(await lakeRows(world)).toHaveLength(1);
    expect(world.balance).toMatchObject({ rows: 1, skipped: { superseded: 1 }, balanced: true });
    await expectNewest(world);
  });

  it('is refused while a newer change of the key is at hand, loaded before', async () => {
    const world = await mendedWorld({ pollMs: 5_000 });
    const take = world.calls.hold(/^queue\.take/);
    await runUntil(world, { until: () => world.calls.count(/^queue\.take/) === 1 });
    world.upstream.publish('a');
    const load = world.calls.hold(/^load\.load a/, { answer: true });
    await pass(world, 6_000);
    await load.made;
    take.release();
    await pass(world, 1_000);
    expect(world.balance).toMatchObject({ changes: 1, parked: 1 });
    expect(world.engine.files.backlog().rows).toBe(0);
    load.release();
    await followed(world);
    expect(world.balance).toMatchObject({ rows: 1, skipped: { superseded: 1 } });
    await expectNewest(world);
    await expectProof(world);
  });

  it('asks at no greater pace than its host allows', async () => {
    const world = await startedWorld({ requestsPerSecond: 1 });
    const names = Array.from({ length: 30 }, (_, index) => `package-${index}`);
    for (const name of names) world.upstream.faults.set(name, { status: 403 });
    world.upstream.publish(names);
    await runUntil(world, { until: () => world.balance.parked === 30 });
    world.upstream.faults.clear();
    const startedMs = world.clock.now();
    await runUntil(world, { until: isMended(world) });
    const asked = world.upstream.requests.filter(({ subject, atMs }) => /^package/.test(subject) && atMs >= startedMs);
    for (const [index, { atMs }] of asked.slice(0, -3).entries())
      expect(asked[index + 3]!.atMs - atMs).toBeGreaterThanOrEqual(1_900);
    await expectProof(world);
  });

  it('loads a document that killed its Loader alone, and the others go on', async () => {
    const world = await startedWorld();
    for (const key of ['a', 'b', 'c']) world.upstream.faults.set(key, { status: 403 });
    world.upstream.publish(['a', 'b', 'c']);
    await runUntil(world, { until: () => world.balance.parked === 3 });
    world.upstream.faults.clear();
    world.upstream.faults.set('b', { kills: true });
    await runUntil(world, { until: () => world.balance.parked === 1 });
    expect(world.parked).toMatchObject([{ key: 'b' }]);
    await runUntil(world, { until: () => world.parked[0]?.reason === 'document-kills-loader' });
    world.upstream.faults.clear();
    await runUntil(world, { until: isMended(world) });
    await expectProof(world);
  });
});
