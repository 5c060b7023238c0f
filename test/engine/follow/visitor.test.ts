import { describe, expect, it } from 'vitest';
import { expectProof, lakeRows } from '../../simulation/oracle/proof.ts';
import { agendaWorld, nextDueMs, requestTimes, unwatch, visitCount, watch } from '../../simulation/world/visits.ts';
import { followed, pass, runUntil } from '../../simulation/world/world.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

const bios = async (world: Parameters<typeof lakeRows>[0]) =>
  (await lakeRows(world)).map(({ username, bio, _op, _cursor }) => [username, _op === 'delete' ? null : bio, _cursor]);

describe('a key', () => {
  it('is visited as soon as it is watched, and gives a row', async () => {
    const world = await agendaWorld();
    world.upstream.publish('a.red', 'first');
    await watch(world, ['a.red']);
    await followed(world);
    expect(await bios(world)).toEqual([['a.red', 'first', '1']]);
    expect(world.balance).toMatchObject({ changes: 1, rows: 1, balanced: true });
    await expectProof(world);
  });

  it('is visited when it is due and not before, each time once', async () => {
    const world = await agendaWorld();
    world.upstream.publish('a.red', 'first');
    await watch(world, ['a.red']);
    await followed(world);
    const [firstMs] = requestTimes(world, 'a.red');
    for (const hours of [1, 2, 3]) {
      const dueMs = nextDueMs(world, 'a.red')!;
      await pass(world, dueMs - world.clock.now() - 1);
      expect(requestTimes(world, 'a.red')).toHaveLength(hours);
      await runUntil(world, { until: () => visitCount(world) === hours + 1 });
      // Noticed at the latest when due visits are picked the next time.
      expect(requestTimes(world, 'a.red').at(-1)! - dueMs).toBeLessThanOrEqual(1_000);
    }
    expect(requestTimes(world, 'a.red').map(ms => Math.floor((ms - firstMs!) / HOUR))).toEqual([0, 1, 3, 6]);
  });

  it('gives no row while it is unchanged, one where it changed', async () => {
    const world = await agendaWorld();
    world.upstream.publish('a.red', 'first');
    await watch(world, ['a.red']);
    await runUntil(world, { until: () => visitCount(world) === 3 });
    world.upstream.publish('a.red', 'second');
    await runUntil(world, { until: () => visitCount(world) === 5 });
    await followed(world);
    expect(await bios(world)).toEqual([
      ['a.red', 'first', '1'],
      ['a.red', 'second', '4'],
    ]);
    expect(world.balance).toMatchObject({ changes: 5, rows: 2, skipped: { unchanged: 3 }, balanced: true });
    await expectProof(world);
  });

  it('that is gone gives one deletion, and a row again when it is back', async () => {
    const world = await agendaWorld();
    world.upstream.publish('a.red', 'first');
    await watch(world, ['a.red']);
    await followed(world);
    world.upstream.remove('a.red');
    await runUntil(world, { until: () => visitCount(world) === 4 });
    world.upstream.publish('a.red', 'again');
    await runUntil(world, { until: () => visitCount(world) === 5 });
    await followed(world);
    expect(await bios(world)).toEqual([
      ['a.red', 'first', '1'],
      ['a.red', null, '2'],
      ['a.red', 'again', '5'],
    ]);
    expect(world.balance).toMatchObject({ rows: 2, tombstones: 1, skipped: { unchanged: 2 }, balanced: true });
    await expectProof(world);
  });

  it('that was never there gives nothing', async () => {
    const world = await agendaWorld();
    await watch(world, ['a.red']);
    await runUntil(world, { until: () => visitCount(world) === 2 });
    expect(world.balance).toMatchObject({ changes: 2, rows: 0, tombstones: 0, balanced: true });
    expect(world.balance.skipped).toMatchObject({ 'no-rows': 2 });
    expect(world.engine.journal.agenda!.find('a.red')).toMatchObject({ outcome: 'gone', times: 2 });
  });

  it('of a space without a server is a dead letter, and visited when one is known', async () => {
    const world = await agendaWorld({ servers: {} });
    world.upstream.publish('a.red', 'first');
    await watch(world, ['a.red']);
    await runUntil(world, { until: () => world.balance.dead === 1 });
    world.upstream.servers.red = 'red.test';
    world.upstream.servers.blue = 'blue.test';
    await runUntil(world, { until: () => world.balance.rows === 1, withinMs: 48 * HOUR });
    expect(world.balance).toMatchObject({ dead: 0, rows: 1, balanced: true });
  });
});

describe('a key that is removed', () => {
  it('is not visited any more, nor is it listed or counted', async () => {
    const world = await agendaWorld();
    world.upstream.publish(['a.red', 'b.red']);
    await watch(world, ['a.red', 'b.red']);
    await followed(world);
    expect(await unwatch(world, ['a.red', 'c.red'])).toBe(1);
    await pass(world, 5 * HOUR);
    expect(requestTimes(world, 'a.red')).toHaveLength(1);
    expect(requestTimes(world, 'b.red').length).toBeGreaterThan(2);
    expect(world.engine.journal.agenda!.spaces()).toMatchObject([{ name: 'red', keys: 1 }]);
  });

  it('while it is being visited, gives nothing', async () => {
    const world = await agendaWorld();
    world.upstream.publish('a.red');
    const load = world.calls.hold(/^load\.load/, { answer: true });
    await watch(world, ['a.red']);
    void load.made.then(async () => {
      await unwatch(world, ['a.red']);
      load.release();
    });
    await runUntil(world, { until: () => visitCount(world) === 1 });
    expect(world.balance).toMatchObject({ changes: 1, rows: 0, skipped: { unwatched: 1 }, balanced: true });
  });

  it('while it is parked, is not visited', async () => {
    const world = await agendaWorld();
    world.upstream.faults.set('a.red', { status: 500 });
    await watch(world, ['a.red']);
    await runUntil(world, { until: () => world.parked.length === 1 });
    const before = requestTimes(world, 'a.red').length;
    await unwatch(world, ['a.red']);
    await pass(world, 5 * HOUR);
    expect(requestTimes(world, 'a.red')).toHaveLength(before);
    expect(world.balance).toMatchObject({ changes: 1, parked: 0, skipped: { unwatched: 1 }, balanced: true });
  });

  it('while a parked visit is retried, gives nothing', async () => {
    const world = await agendaWorld();
    world.upstream.publish('a.red');
    world.upstream.faults.set('a.red', { status: 500 });
    await watch(world, ['a.red']);
    await runUntil(world, { until: () => world.parked.length === 1 });
    world.upstream.faults.clear();
    const retry = world.calls.hold(/^queue\.load\.load/, { answer: true });
    void retry.made.then(async () => {
      await unwatch(world, ['a.red']);
      retry.release();
    });
    await runUntil(world, { until: () => world.balance.skipped.unwatched === 1 });
    await pass(world, HOUR);
    expect(world.balance).toMatchObject({ changes: 1, rows: 0, parked: 0, balanced: true });
  });

  it('while it is dead, is no letter any more', async () => {
    const world = await agendaWorld({ servers: {} });
    await watch(world, ['a.red']);
    await runUntil(world, { until: () => world.balance.dead === 1 });
    await unwatch(world, ['a.red']);
    expect(world.balance).toMatchObject({ changes: 1, dead: 0, skipped: { unwatched: 1 }, balanced: true });
    const isTold = () => world.engine.journal.parked.letters.unpublished(1).length === 0;
    await runUntil(world, { until: isTold });
  });

  it('and added again starts anew', async () => {
    const world = await agendaWorld();
    world.upstream.publish('a.red', 'first');
    await watch(world, ['a.red']);
    await runUntil(world, { until: () => visitCount(world) === 3 });
    await unwatch(world, ['a.red']);
    await watch(world, ['a.red']);
    expect(world.engine.journal.agenda!.find('a.red')).toMatchObject({ outcome: null, times: 0, digest: null });
    await followed(world);
    expect(await bios(world)).toEqual([
      ['a.red', 'first', '1'],
      ['a.red', 'first', '4'],
    ]);
  });

  it('and added again when its deletion is known gives no second one', async () => {
    const world = await agendaWorld();
    world.upstream.publish('a.red', 'first');
    await watch(world, ['a.red']);
    await followed(world);
    world.upstream.remove('a.red');
    await runUntil(world, { until: () => world.balance.tombstones === 1 });
    await unwatch(world, ['a.red']);
    await watch(world, ['a.red']);
    await runUntil(world, { until: () => visitCount(world) === 3 });
    expect(world.balance).toMatchObject({ rows: 1, tombstones: 1, skipped: { unchanged: 1 }, balanced: true });
  });
});
