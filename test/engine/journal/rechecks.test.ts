import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../../src/config.ts';
import { expectNewest, expectProof, lakeRows } from '../../simulation/oracle/proof.ts';
import { followed, pass, runUntil, startedWorld, type World, type WorldOptions } from '../../simulation/world/world.ts';

const isParked = (world: World) => () => world.parked.length > 0;
const isUnparked = (world: World) => () => world.isFollowed && world.parked.length === 0;

/** A world whose feed announced revision 2 of `a` and whose upstream still serves revision 1. */
async function laggingWorld(options: WorldOptions = {}): Promise<World> {
  const world = await startedWorld(options);
  world.upstream.publish('a');
  await followed(world);
  world.upstream.lagging.set('a', 1);
  world.upstream.publish('a');
  await runUntil(world, { until: isParked(world) });
  return world;
}

function askedMs({ upstream }: World): number[] {
  return upstream.requests.filter(({ subject }) => subject === 'a').map(({ atMs }) => atMs);
}

describe('a lagging revision', () => {
  it('gives a row, and is parked as a change of its own', async () => {
    const world = await laggingWorld();
    expect(world.parked).toMatchObject([{ change_number: 3, key: 'a', reason: 'lagging-revision', revision: 2 }]);
    expect(world.balance).toMatchObject({ changes: 3, rows: 2, parked: 1, balanced: true });
  });

  it('gives a second row once the later revision is served', async () => {
    const world = await laggingWorld();
    world.upstream.lagging.clear();
    await runUntil(world, { until: isUnparked(world) });
    const rows = await lakeRows(world);
    const cursor = String(world.upstream.seq);
    expect(rows.map(row => [row.version, row._cursor]).slice(1)).toEqual([
      ['1', cursor],
      ['2', `${cursor}#1`],
    ]);
    expect(world.balance).toMatchObject({ changes: 3, rows: 3, parked: 0, balanced: true });
    await expectProof(world);
    await expectNewest(world);
  });

  it('is attempted four times, and then counted as never served', async () => {
    const world = await laggingWorld();
    const [, loadedMs] = askedMs(world);
    await runUntil(world, { until: isUnparked(world) });
    const times = [loadedMs!, ...askedMs(world).slice(2)];
    const waits = times.slice(1).map((atMs, index) => atMs - times[index]!);
    // The queue waits a second for more tickets.
    expect(waits).toEqual(LIMITS.recheckMs.map(ms => ms + 1_000));
    expect(world.balance).toMatchObject({ changes: 3, rows: 2, skipped: { 'revision-never-served': 1 } });
    await expectProof(world);
  });

  it('never becomes a dead letter, however few attempts other changes have', async () => {
    const world = await laggingWorld({ retry: { waitMs: 10_000, attemptsMax: 1, leaseMs: 300_000 } });
    await runUntil(world, { until: isUnparked(world) });
    expect(world.balance).toMatchObject({ dead: 0, skipped: { 'revision-never-served': 1 } });
  });

  it('stays parked when a revision in between is served', async () => {
    const world = await startedWorld();
    world.upstream.publish('a');
    world.upstream.publish('a');
    world.upstream.publish('a');
    world.upstream.lagging.set('a', 1);
    await runUntil(world, { until: isParked(world) });
    world.upstream.lagging.set('a', 2);
    await runUntil(world, { until: () => world.balance.rows === 2 });
    expect(world.parked).toMatchObject([{ change_number: 3, reason: 'lagging-revision', attempts: 0 }]);
    world.upstream.lagging.clear();
    await runUntil(world, { until: isUnparked(world) });
    expect((await lakeRows(world)).map(row => row.version)).toEqual(['1', '2', '3']);
    await expectProof(world);
  });

  it('is unchanged when its revision has come otherwise', async () => {
    const world = await laggingWorld();
    world.storage.sql.exec("UPDATE keys SET revision = 2 WHERE key = 'a'");
    world.upstream.lagging.clear();
    await runUntil(world, { until: isUnparked(world) });
    expect(world.balance).toMatchObject({ changes: 3, rows: 2, skipped: { unchanged: 1 } });
  });

  it('is superseded by the next change of its key', async () => {
    const world = await startedWorld({ pollMs: 5_000 });
    world.upstream.publish('a');
    await followed(world);
    world.upstream.lagging.set('a', 1);
    world.upstream.publish('a');
    await runUntil(world, { until: isParked(world) });
    world.upstream.lagging.clear();
    world.upstream.publish('a');
    await followed(world);
    expect(world.balance).toMatchObject({ changes: 4, rows: 3, parked: 0, skipped: { superseded: 1 } });
    await expectProof(world);
    await expectNewest(world);
  });

  it('of a document that is gone is attempted four times as well', async () => {
    const world = await laggingWorld();
    const before = askedMs(world).length;
    world.upstream.lagging.clear();
    world.upstream.changeSilently('a', { deleted: true });
    await runUntil(world, { until: isUnparked(world), withinMs: 3 * 3_600_000 });
    expect(askedMs(world).length - before).toBe(LIMITS.recheckMs.length);
    expect(world.balance).toMatchObject({ changes: 3, rows: 2, skipped: { 'revision-never-served': 1 } });
    await expectProof(world);
  });

  it('stays parked after attempts that the upstream did not answer', async () => {
    const world = await laggingWorld();
    world.upstream.documentsFault = { reason: 'unreachable' };
    await pass(world, 3 * 3_600_000);
    world.upstream.documentsFault = null;
    world.upstream.lagging.clear();
    await pass(world, 3 * 3_600_000);
    expect(world.balance.skipped['revision-never-served']).toBe(0);
    await runUntil(world, { until: isUnparked(world) });
    await expectNewest(world);
  });
});
