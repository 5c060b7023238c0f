import { describe, expect, it } from 'vitest';
import { expectNewest, expectProof } from '../../simulation/oracle/proof.ts';
import { followed, nextRun, pass, runUntil, startedWorld } from '../../simulation/world/world.ts';

const SETTLE = 10_000;
const settling = () => startedWorld({ settleMs: SETTLE });

/** When a document was asked for the first time, in milliseconds since the simulation began. */
function askedMs({ upstream, clock }: Awaited<ReturnType<typeof settling>>, key: string): number {
  return upstream.requests.find(({ subject }) => subject === key)!.atMs - (clock.now() - clock.elapsedMs);
}

describe('a change at the head', () => {
  it('is asked for when it has settled, not before', async () => {
    const world = await settling();
    world.upstream.publish('a');
    const shownMs = world.clock.elapsedMs;
    await followed(world);
    expect(askedMs(world, 'a') - shownMs).toBe(SETTLE);
    await expectProof(world);
  });

  it('is loaded, also where the changes that wait are more than SQLite takes as one value', async () => {
    const world = await startedWorld({ settleMs: SETTLE, pageChanges: 1_000 });
    const keys = Array.from({ length: 400 }, (_, index) => `${index}-${'x'.repeat(8_000)}`);
    world.upstream.publish(keys);
    await runUntil(world, { until: () => world.balance.changes === keys.length, withinMs: 3_600_000 });
    // Each is parked, because its name is too long for a key of the lake; what counts is that the tail goes on.
    expect(world.balance).toMatchObject({ changes: keys.length, balanced: true });
  });

  it('does not wait when its page is full', async () => {
    const world = await startedWorld({ settleMs: SETTLE, pageChanges: 10 });
    world.upstream.publish(Array.from({ length: 25 }, (_, index) => `package-${index}`));
    await nextRun(world);
    expect(askedMs(world, 'package-0')).toBe(0);
    expect(world.balance.changes).toBe(20);
    await followed(world);
    expect(askedMs(world, 'package-24')).toBe(SETTLE);
    await expectProof(world);
  });

  it('is not lost when it changes again between the two pulls', async () => {
    const world = await settling();
    world.upstream.publish(['a', 'b', 'c']);
    await nextRun(world);
    world.upstream.publish('a');
    await runUntil(world, { until: () => world.balance.changes === 2 });
    expect(world.lane.cursor).not.toBe(String(world.upstream.seq));
    await followed(world);
    await expectProof(world);
    await expectNewest(world);
    expect(world.balance).toMatchObject({ changes: 3, rows: 3 });
  });

  it('is not lost when all that was seen changed again', async () => {
    const world = await settling();
    world.upstream.publish('a');
    await nextRun(world);
    world.upstream.publish('a');
    await followed(world);
    await expectProof(world);
    await expectNewest(world);
    expect(world.balance).toMatchObject({ changes: 1, rows: 1 });
  });

  it('lets those before it through while it settles', async () => {
    const world = await settling();
    world.upstream.publish('a');
    await nextRun(world);
    await pass(world, 4_000);
    world.upstream.publish('b');
    await runUntil(world, { until: () => world.balance.changes === 1 });
    expect(askedMs(world, 'a')).toBe(SETTLE);
    expect(world.lane.lag_changes).toBe(1);
    await followed(world);
    expect(askedMs(world, 'b')).toBe(2 * SETTLE);
    expect(world.lane.lag_changes).toBe(0);
  });

  it('settles anew after an eviction at most once', async () => {
    const world = await settling();
    world.upstream.publish('a');
    await nextRun(world);
    world.kill();
    await followed(world);
    expect(askedMs(world, 'a')).toBe(SETTLE);
  });

  it('is loaded in the end although its item changes again each time before the settle time ends', async () => {
    const world = await settling();
    for (let change = 0; change < 40; change++) {
      world.upstream.publish('a');
      await pass(world, SETTLE - 3_000);
    }
    expect(world.balance.rows).toBeGreaterThan(0);
    await followed(world);
    await expectProof(world);
    await expectNewest(world);
  });
});
