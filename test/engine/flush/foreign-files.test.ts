import { describe, expect, it } from 'vitest';
import { expectProof } from '../../simulation/oracle/proof.ts';
import { DEFAULT_SETTINGS, pages } from '../../simulation/world/sources.ts';
import { followed, nextRun, pass, runUntil, startedWorld } from '../../simulation/world/world.ts';

const MINUTE = 60_000;
const FILE = 'year=2025/month=01/data-0000000000000001-0000000000000009.parquet';

describe('an object without a journal whose lake has data files', () => {
  it('is stalled, and pulls and numbers nothing', async () => {
    const world = await startedWorld();
    world.bucket.store(`npm/metadata/partitions.parquet/${FILE}`, Buffer.from('rows'));
    world.upstream.publish('a');
    await pass(world, 60 * MINUTE);
    expect(world.state).toBe('stalled');
    expect(world.fault('lake')).toMatchObject({ kind: 'lake-not-empty', stalls: 1 });
    expect(world.calls.count(/^load\./)).toBe(0);
    expect(world.balance.changes).toBe(0);
  });

  it('checks again every few minutes, and starts when they are gone', async () => {
    const world = await startedWorld();
    const key = `npm/metadata/partitions.parquet/${FILE}`;
    world.bucket.store(key, Buffer.from('rows'));
    world.upstream.publish('a');
    await pass(world, 30 * MINUTE);
    expect(world.calls.count(/^bucket\.list/)).toBeGreaterThanOrEqual(6);
    expect(world.calls.count(/^bucket\.list/)).toBeLessThanOrEqual(8);
    world.bucket.objects.delete(key);
    await runUntil(world, { until: () => world.isFollowed, withinMs: 10 * MINUTE });
    await expectProof(world);
  });

  it('checks all its tables', async () => {
    const world = await startedWorld({ kind: pages });
    world.bucket.store(`github/repos/partitions.parquet/${FILE}`, Buffer.from('rows'));
    await nextRun(world);
    expect(world.fault('lake')).toMatchObject({ kind: 'lake-not-empty' });
  });

  it('does not count documents or files of other tables', async () => {
    const world = await startedWorld();
    world.bucket.store('npm/raw/a/latest.json', Buffer.from('{}'));
    world.bucket.store(`pypi/metadata/partitions.parquet/${FILE}`, Buffer.from('rows'));
    world.upstream.publish('a');
    await nextRun(world);
    expect(world.balance.changes).toBe(1);
  });
});

describe('an object with a journal', () => {
  it('lists before its first pull and before each flush, and not in between', async () => {
    const world = await startedWorld();
    world.upstream.publish('a');
    await followed(world);
    world.kill();
    await pass(world, 10 * MINUTE);
    expect(world.calls.count(/^bucket\.list/)).toBe(2);
    world.upstream.publish('b');
    await followed(world);
    expect(world.calls.count(/^bucket\.list/)).toBe(3);
  });

  it('that was restored to an earlier time is stalled, and gives no LSN twice', async () => {
    const world = await startedWorld();
    world.upstream.publish('a');
    await followed(world);
    const earlier = world.storage.copy();
    world.upstream.publish(['b', 'c']);
    await followed(world);
    const files = world.bucket.keys('npm/metadata/partitions.parquet/');
    world.kill();
    world.storage.restore(earlier);
    world.kill();
    // One more row than before makes another range, and so another key.
    world.upstream.publish('d');
    await pass(world, 10 * MINUTE);
    expect(world.state).toBe('stalled');
    expect(world.fault('flush:npm_package')).toMatchObject({ kind: 'foreign-object', stalls: 1 });
    expect(world.fault('flush:npm_package')!.reason).toMatch(
      /data file after .*data-0+1-0+1\.parquet, got .*data-0+2-0+3/,
    );
    expect(world.bucket.keys('npm/metadata/partitions.parquet/')).toEqual(files);
  });

  it('flushes where the lake has objects that are no data files', async () => {
    const world = await startedWorld();
    await nextRun(world);
    world.bucket.store('npm/metadata/partitions.parquet/year=2999/month=01/_SUCCESS', Buffer.from(''));
    world.upstream.publish('a');
    await followed(world);
    expect(world.files).toMatchObject([{ rows: 1 }]);
  });

  it('pulls nothing while the bucket does not answer', async () => {
    const world = await startedWorld();
    const repair = world.calls.fail(/^bucket\.list/);
    world.upstream.publish('a');
    await pass(world, 10 * MINUTE);
    expect(world.balance.changes).toBe(0);
    expect(world.state).toBe('backing-off');
    repair();
    await runUntil(world, { until: () => world.isFollowed, withinMs: 6 * MINUTE + DEFAULT_SETTINGS.pollMs });
  });
});
