import { describe, expect, it } from 'vitest';
import { listingKey } from '../../../src/lake/object-keys.ts';
import { CALL_STEP, FIRST_CALL } from '../../simulation/budget.ts';
import { expectNewest, expectProof, lakeRows } from '../../simulation/oracle/proof.ts';
import { drained } from '../../simulation/world/clock.ts';
import { LISTING_FRESH_MS, serials } from '../../simulation/world/serials.ts';
import { followed, pass, reached, runUntil, startedWorld, type World } from '../../simulation/world/world.ts';

const KEYS = Array.from({ length: 40 }, (_, index) => `package-${String(index).padStart(2, '0')}`);
const LISTING = listingKey('serials');

/** A world that has followed 40 packages, whose upstream lists all its keys in one answer. Pages have 15 keys. */
async function listedWorld(): Promise<World> {
  const world = await startedWorld({ kind: serials, pageChanges: 15 });
  world.upstream.publish(KEYS);
  await followed(world);
  return world;
}

async function sweep(world: World): Promise<void> {
  expect(world.engine.audit.startSweep(1)).toBe(true);
  world.storage.flush();
  // Do not wait for it, because a killed instance never answers.
  void world.engine.poke();
  await drained();
}

const status = (world: World) => world.engine.audit.status();
const isSwept = (world: World) => () => status(world).running === null && status(world).last !== null;
const isLoaded = (world: World) => () => isSwept(world)() && world.parked.length === 0 && world.isFollowed;
const readings = (world: World) => world.upstream.requests.filter(({ subject }) => subject === 'list whole').length;

async function swept(world: World) {
  await sweep(world);
  await runUntil(world, { until: isLoaded(world) });
  return status(world).last;
}

describe('a sweep over a listing in one answer', () => {
  it('reads it once, pages through the stored one, and removes it', async () => {
    const world = await listedWorld();
    const last = await swept(world);
    expect(last).toMatchObject({ listed: 40, sampled: 40, present: 40, missing: 0, stale: 0, extra: 0 });
    expect(last).toMatchObject({ loaded_afresh: 0, capture_rate: 1, phase: 'done' });
    expect(readings(world)).toBe(1);
    // Three pages, of which only the first asked the upstream.
    expect(world.calls.count(/^load\.list/)).toBe(3);
    expect(world.calls.count(/^bucket\.remove/)).toBeGreaterThan(0);
    expect(world.bucket.objects.has(LISTING)).toBe(false);
    expect(world.balance.changes).toBe(40);
  });

  it('loads what is missing, deleted, stale and extra', async () => {
    const world = await listedWorld();
    const { upstream } = world;
    upstream.remove('package-04');
    await followed(world);
    upstream.changeSilently('new');
    upstream.changeSilently('package-04');
    upstream.changeSilently('package-07');
    upstream.changeSilently('package-09', { deleted: true });
    const last = await swept(world);
    expect(last).toMatchObject({
      listed: 40,
      present: 38,
      missing: 1,
      deleted: 1,
      stale: 1,
      extra: 1,
      loaded_afresh: 4,
      missing_keys: ['new'],
      stale_keys: ['package-07'],
      extra_keys: ['package-09'],
    });
    await expectNewest(world);
    await expectProof(world);
    expect((await lakeRows(world)).slice(41).map(({ name, _op: op }) => `${op} ${name}`)).toEqual([
      'upsert new',
      'upsert package-04',
      'upsert package-07',
      'delete package-09',
    ]);
    expect(await swept(world)).toMatchObject({ present: 40, missing: 0, stale: 0, extra: 0, loaded_afresh: 0 });
  });

  it('drops an extra key that the upstream has, because the listing is older than its row', async () => {
    const world = await listedWorld();
    world.upstream.wholeListing = world.upstream.listedKeys();
    world.upstream.publish(['later', 'package-03']);
    await followed(world);
    const rows = world.balance.rows;
    expect(await swept(world)).toMatchObject({ present: 40, stale: 0, extra: 0, extra_keys: [], loaded_afresh: 1 });
    // Its document says what its row says, so there is no other row.
    expect(world.balance).toMatchObject({ rows, skipped: { unchanged: 1 }, parked: 0, dead: 0, balanced: true });
  });

  it('takes no key for stale whose document lags for good', async () => {
    const world = await listedWorld();
    world.upstream.lagging.set('package-05', 1);
    world.upstream.publish('package-05');
    world.upstream.changeSilently('package-06');
    world.upstream.lagging.set('package-06', 1);
    await runUntil(world, { until: () => world.isFollowed && world.parked.length === 0 });
    expect(world.balance.skipped['revision-never-served']).toBe(1);
    // The listed revision of one was announced; the sweep waits for that of the other as for an announced one.
    expect(await swept(world)).toMatchObject({ stale: 1, stale_keys: ['package-06'], loaded_afresh: 1 });
    expect(world.balance).toMatchObject({ rows: 41, skipped: { 'revision-never-served': 2 }, parked: 0, dead: 0 });
    expect(await swept(world)).toMatchObject({ present: 40, stale: 0, loaded_afresh: 0 });
    // A later revision is loaded.
    world.upstream.lagging.clear();
    world.upstream.changeSilently('package-05');
    expect(await swept(world)).toMatchObject({ stale: 1, stale_keys: ['package-05'] });
    expect((await lakeRows(world)).at(-1)).toMatchObject({ name: 'package-05', version: '3' });
  });

  it('has nothing of a listing that breaks off, and reads it again later', async () => {
    const world = await listedWorld();
    world.upstream.listedKeysMax = 39;
    await sweep(world);
    await pass(world, 5_000);
    expect(status(world).running).toMatchObject({ phase: 'listing', listed: 0 });
    expect(world.bucket.objects.has(LISTING)).toBe(false);
    expect(world.fault('audit')).toMatchObject({
      kind: 'upstream-unreachable',
      reason: 'list whole: expected its end, got a part',
    });
    expect(world.state).toBe('following');
    world.upstream.listedKeysMax = null;
    await runUntil(world, { until: isSwept(world) });
    expect(status(world).last).toMatchObject({ listed: 40, present: 40, missing: 0, extra: 0 });
  });

  it.each(['lost', 'replaced'])('begins again when the stored listing is %s in its middle', async how => {
    const world = await listedWorld();
    const { upstream } = world;
    upstream.changeSilently('package-00');
    const held = world.calls.hold(/^load\.list package-14/);
    await sweep(world);
    await reached(world, held);
    expect(status(world).running).toMatchObject({ listed: 15 });
    if (how === 'lost') world.bucket.objects.delete(LISTING);
    else {
      const { key: _, ...stored } = (await world.bucket.head(LISTING))!;
      await world.bucket.put(LISTING, [Buffer.from('[]')], {
        onlyIf: { etag: stored.etag },
        metadata: stored.metadata,
        contentType: 'text/plain',
      });
    }
    held.release();
    await runUntil(world, { until: isLoaded(world) });
    expect(status(world).last).toMatchObject({ listed: 40, present: 40, stale: 1, extra: 0, loaded_afresh: 1 });
    expect(readings(world)).toBe(2);
  });

  it('uses a stored listing that is fresh, and no older one', async () => {
    const world = await listedWorld();
    const held = world.calls.hold(/^load\.list package-14/);
    await sweep(world);
    await reached(world, held);
    const stored = world.bucket.objects.get(LISTING)!;
    held.release();
    await runUntil(world, { until: isSwept(world) });
    const after = async (ms: number) => {
      world.bucket.objects.set(LISTING, stored);
      await pass(world, ms);
      const before = readings(world);
      await swept(world);
      return readings(world) - before;
    };
    expect(await after(0)).toBe(0);
    expect(await after(LISTING_FRESH_MS)).toBe(1);
  });

  it('survives a kill at each of its calls', async () => {
    const isOwn = (call: string) => /^(load\.list|load\.pull|loader\.|wake|bucket|queue\.(send|admit|take))/.test(call);
    const begin = async (world: World) => {
      world.upstream.changeSilently('new');
      world.upstream.changeSilently('package-07');
      world.upstream.changeSilently('package-09', { deleted: true });
      await sweep(world);
    };
    const calm = await listedWorld();
    const before = calm.calls.count(/./);
    await begin(calm);
    await runUntil(calm, { until: isLoaded(calm) });
    const calls = calm.calls.made.slice(before).filter(isOwn).length;
    expect(calls).toBeGreaterThan(20);
    for (let index = FIRST_CALL; index < calls; index += CALL_STEP) {
      const world = await listedWorld();
      let left = index;
      const kill = (call: string) => {
        if (isOwn(call) && left-- === 0) world.kill({ lose: index % 4 < 2 });
      };
      if (index % 2 === 0) world.calls.before(kill);
      else world.calls.after(kill);
      await begin(world);
      await runUntil(world, { until: isLoaded(world) });
      expect(status(world).last).toMatchObject({ listed: 40, present: 39, missing: 1, stale: 1, extra: 1 });
      expect(world.balance).toMatchObject({ changes: 43, rows: 42, tombstones: 1, balanced: true });
      expect(world.bucket.objects.has(LISTING)).toBe(false);
      await expectNewest(world);
      await expectProof(world);
      await world.recycle();
    }
  });
});
