import { describe, expect, it } from 'vitest';
import { LOADER_DEATHS_MAX } from '../../../src/engine/load/slices.ts';
import { StepError } from '../../../src/errors.ts';
import { expectNewest, expectProof, lakeRows } from '../../simulation/oracle/proof.ts';
import { followed, nextRun, pass, runUntil, startedWorld, type World } from '../../simulation/world/world.ts';

const names = (count: number) => Array.from({ length: count }, (_, index) => `package-${index}`);
const lone = ({ calls }: World, key: string) => calls.made.filter(call => call === `load.load ${key}`).length;

describe('a document that kills its Loader', () => {
  it('is loaded alone once a call of many has died, and is parked after three deaths', async () => {
    const world = await startedWorld();
    world.upstream.faults.set('package-7', { kills: true });
    world.upstream.publish(names(20));
    await nextRun(world);
    expect(world.fault('follow')).toMatchObject({ kind: 'loader-failed' });
    expect(world.balance.changes).toBe(0);
    await runUntil(world, { until: () => world.parked.length > 0 });
    expect(world.parked).toMatchObject([{ key: 'package-7', reason: 'document-kills-loader' }]);
    expect(lone(world, 'package-7')).toBe(LOADER_DEATHS_MAX);
    expect(world.balance).toMatchObject({ rows: 19, parked: 1 });
    await followed(world);
    await expectProof(world);
  });

  it('comes in when it kills no more', async () => {
    const world = await startedWorld();
    world.upstream.faults.set('package-7', { kills: true });
    world.upstream.publish(names(20));
    await followed(world);
    world.upstream.faults.clear();
    await runUntil(world, { until: () => world.isFollowed && world.parked.length === 0 });
    await expectProof(world);
    await expectNewest(world);
  });

  it('does not keep other parked changes from coming back', async () => {
    const world = await startedWorld();
    world.upstream.publish(names(20));
    world.upstream.faults.set('package-3', { kills: true });
    world.upstream.faults.set('package-9', { status: 403 });
    await runUntil(world, { until: () => world.parked.length === 2 });
    world.upstream.faults.delete('package-9');
    await runUntil(world, { until: () => world.isFollowed && world.parked.length === 1, withinMs: 3_600_000 });
    expect(world.parked).toMatchObject([{ key: 'package-3', reason: 'document-kills-loader' }]);
    await expectProof(world);
  });

  it('is counted across restarts', async () => {
    const world = await startedWorld();
    world.upstream.faults.set('a', { kills: true });
    world.upstream.publish('a');
    for (let runs = 0; runs < 4; runs++) {
      await nextRun(world);
      world.kill();
    }
    await followed(world);
    expect(world.parked).toMatchObject([{ key: 'a', reason: 'document-kills-loader' }]);
    expect(lone(world, 'a')).toBe(1 + LOADER_DEATHS_MAX);
  });
});

describe('changes whose Loader died once', () => {
  it('come in one by one, however long each takes: no run waits for all of them', async () => {
    const world = await startedWorld();
    world.upstream.publish(names(60));
    world.upstream.latencyMs = key => (key.startsWith('package') ? 15_000 : 0);
    world.calls.fail(/^load\.load /, { times: 1 });
    await runUntil(world, { until: () => world.isFollowed, withinMs: 30 * 60_000 });
    expect(world.upstream.requests.filter(({ subject }) => subject.startsWith('package')).length).toBeLessThan(100);
    expect(world.balance).toMatchObject({ rows: 60, parked: 0, balanced: true });
    await expectProof(world);
  });
});

describe('a Loader that does not run at all', () => {
  it('parks nothing, and the source goes on when it runs again', async () => {
    const world = await startedWorld();
    world.upstream.publish(names(20));
    const repaired = [world.calls.fail(/^load\.load /), world.calls.fail(/^load\.ping/)];
    await pass(world, 3_600_000);
    expect(world.balance.changes).toBe(0);
    expect(world.state).toBe('stalled');
    for (const repair of repaired) repair();
    await followed(world);
    expect(world.balance).toMatchObject({ rows: 20, parked: 0 });
    expect(world.state).toBe('following');
    await expectProof(world);
  });

  it('is waited for no longer than a call may take', async () => {
    const world = await startedWorld();
    world.upstream.publish(names(20));
    const load = world.calls.hold(/^load\.load /);
    await followed(world);
    expect(world.balance).toMatchObject({ rows: 20, parked: 0 });
    load.release();
    await pass(world, 60_000);
    await expectProof(world);
    expect(await lakeRows(world)).toHaveLength(20);
  });
});

describe('a bucket that refuses documents', () => {
  it('parks nothing: the slice is loaded again', async () => {
    const world = await startedWorld();
    world.upstream.publish(names(20));
    const put = world.bucket.put;
    world.bucket.put = async (key, chunks, options) => {
      if (key.includes('/raw/package-7/')) throw new StepError('bucket-failed', 'the bucket is away');
      return put.call(world.bucket, key, chunks, options);
    };
    await pass(world, 120_000);
    expect(world.balance).toMatchObject({ changes: 0, parked: 0 });
    world.bucket.put = put;
    await followed(world);
    expect(world.balance).toMatchObject({ rows: 20, parked: 0 });
    await expectProof(world);
  });
});
