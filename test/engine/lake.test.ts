import { describe, expect, it } from 'vitest';
import { expectProof } from '../simulation/proof.ts';
import { DEFAULT_SETTINGS, pages } from '../simulation/sources.ts';
import { followed, nextRun, pass, settle, startedWorld } from '../simulation/world.ts';

const MINUTE = 60_000;
const FILE = 'year=2025/month=01/data-0000000000000001-0000000000000009.parquet';

describe('an object without a journal beside data files', () => {
  it('is stalled, and pulls and numbers nothing', async () => {
    const world = await startedWorld();
    world.bucket.place(`npm/metadata/partitions.parquet/${FILE}`, Buffer.from('rows'));
    world.upstream.publish('a');
    await pass(world, 60 * MINUTE);
    expect(world.state).toBe('stalled');
    expect(world.fault('lake')).toMatchObject({ kind: 'lake-not-empty', stalls: 1 });
    expect(world.calls.count(/^load\./)).toBe(0);
    expect(world.balance.changes).toBe(0);
  });

  it('looks again every few minutes, and starts when they are gone', async () => {
    const world = await startedWorld();
    const key = `npm/metadata/partitions.parquet/${FILE}`;
    world.bucket.place(key, Buffer.from('rows'));
    world.upstream.publish('a');
    await pass(world, 30 * MINUTE);
    expect(world.calls.count(/^bucket\.list/)).toBeGreaterThanOrEqual(6);
    expect(world.calls.count(/^bucket\.list/)).toBeLessThanOrEqual(8);
    world.bucket.objects.delete(key);
    await settle(world, { until: () => world.isFollowed, withinMs: 10 * MINUTE });
    await expectProof(world);
  });

  it('looks at all its tables', async () => {
    const world = await startedWorld({ kind: pages });
    world.bucket.place(`github/repos/partitions.parquet/${FILE}`, Buffer.from('rows'));
    await nextRun(world);
    expect(world.fault('lake')).toMatchObject({ kind: 'lake-not-empty' });
  });

  it('does not take documents, or files of other tables, for them', async () => {
    const world = await startedWorld();
    world.bucket.place('npm/raw/a/latest.json', Buffer.from('{}'));
    world.bucket.place(`pypi/metadata/partitions.parquet/${FILE}`, Buffer.from('rows'));
    world.upstream.publish('a');
    await nextRun(world);
    expect(world.balance.changes).toBe(1);
  });
});

describe('an object with a journal', () => {
  it('does not list again after it has looked once', async () => {
    const world = await startedWorld();
    world.upstream.publish('a');
    await followed(world);
    world.kill();
    world.upstream.publish('b');
    await followed(world);
    expect(world.calls.count(/^bucket\.list/)).toBe(1);
  });

  it('is not begun while the bucket does not answer', async () => {
    const world = await startedWorld();
    const repair = world.calls.fail(/^bucket\.list/);
    world.upstream.publish('a');
    await pass(world, 10 * MINUTE);
    expect(world.balance.changes).toBe(0);
    expect(world.state).toBe('backing-off');
    repair();
    await settle(world, { until: () => world.isFollowed, withinMs: 6 * MINUTE + DEFAULT_SETTINGS.pollMs });
  });
});
