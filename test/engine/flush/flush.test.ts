import { describe, expect, it } from 'vitest';
import { expectNewest, expectProof } from '../../simulation/oracle/proof.ts';
import { PARQUET } from '../../simulation/world/encode.ts';
import {
  followed,
  nextRun,
  pass,
  runUntil,
  startedWorld,
  type World,
  type WorldOptions,
} from '../../simulation/world/world.ts';

const MINUTE = 60_000;
const DATA_FILE = /^bucket\.put .*\/data-/;
const names = (count: number) => Array.from({ length: count }, (_, index) => `package-${index}`);

describe('rows are flushed', () => {
  it('when the oldest of them is old enough', async () => {
    const world = await startedWorld({ flushAgeMs: 45_000 });
    world.upstream.publish('a');
    await nextRun(world);
    world.upstream.publish('b');
    await runUntil(world, { until: () => world.files.length === 1 });
    expect(world.clock.elapsedMs).toBe(45_000);
    expect(world.files[0]!.rows).toBe(2);
  });

  it('when they reach the size of a file, one file a run', async () => {
    const world = await startedWorld({ flushBytesMax: 1_000, flushAgeMs: 60 * MINUTE, pageChanges: 20 });
    world.upstream.publish(names(200), 'x'.repeat(100));
    const files = [0];
    while (world.balance.changes < 200) {
      await nextRun(world);
      files.push(world.files.length);
    }
    for (const [run, count] of files.slice(1).entries()) expect(count - files[run]!).toBeLessThanOrEqual(1);
    expect(world.files.length).toBeGreaterThan(5);
    expect(world.clock.elapsedMs).toBe(0);
    await pass(world, 60 * MINUTE);
    await expectProof(world);
  });

  it('when a control asks for it', async () => {
    const world = await startedWorld({ flushAgeMs: 60 * MINUTE });
    world.upstream.publish(['a', 'b']);
    await nextRun(world);
    expect(world.files).toEqual([]);
    expect(await world.engine.control('flush')).toBe(true);
    await nextRun(world);
    expect(world.files).toMatchObject([{ rows: 2 }]);
    expect(await world.engine.control('flush')).toBe(false);
    world.upstream.publish('c');
    await pass(world, MINUTE);
    expect(world.files).toHaveLength(1);
  });

  it('into a new file each time, never into an existing one', async () => {
    const world = await startedWorld();
    for (const key of ['a', 'b', 'c']) {
      world.upstream.publish(key);
      await followed(world);
    }
    expect(world.files.map(({ first_lsn, last_lsn }) => [first_lsn, last_lsn])).toEqual([
      [1, 1],
      [2, 2],
      [3, 3],
    ]);
    expect(world.calls.count(DATA_FILE)).toBe(3);
    await expectProof(world);
  });
});

describe('a flush that fails', () => {
  it('is tried again, and stalls after three attempts until one ends', async () => {
    const world = await startedWorld();
    world.upstream.publish('a');
    const repair = world.calls.fail(DATA_FILE);
    await runUntil(world, { until: () => world.calls.count(DATA_FILE) === 2 });
    expect(world.fault('flush:npm_package')).toMatchObject({ kind: 'bucket-failed' });
    expect(world.state).toBe('backing-off');
    await runUntil(world, { until: () => world.calls.count(DATA_FILE) === 3 });
    expect(world.fault('flush:npm_package')).toMatchObject({ kind: 'flush-failed' });
    expect(world.fault('flush:npm_package')!.reason).toMatch(/3 attempts, the last took \d+ ms/);
    expect(world.state).toBe('stalled');
    await pass(world, 20 * MINUTE);
    expect(world.calls.count(DATA_FILE)).toBe(3 + 4);
    repair();
    await followed(world);
    expect(world.state).toBe('following');
    await expectProof(world);
  });

  it('does not delay pulls', async () => {
    const world = await startedWorld();
    world.upstream.publish('a');
    world.calls.fail(DATA_FILE);
    await runUntil(world, { until: () => world.state === 'stalled' });
    world.upstream.publish(names(250));
    await runUntil(world, { until: () => world.balance.changes === 251, withinMs: MINUTE });
    expect(world.engine.files.durableCursor()).toBe('0');
  });

  it('stops at its deadline when the bucket does not answer', async () => {
    const world = await startedWorld();
    world.upstream.publish('a');
    const put = world.calls.hold(DATA_FILE);
    await runUntil(world, { until: () => world.fault('flush:npm_package') !== null });
    expect(world.fault('flush:npm_package')).toMatchObject({ kind: 'deadline' });
    await followed(world);
    put.release();
    await pass(world, MINUTE);
    await expectProof(world);
    expect(world.files).toHaveLength(1);
  });
});

describe('another object with the key of a data file', () => {
  it('stalls the source and settles nothing until it is gone', async () => {
    const world = await startedWorld();
    world.upstream.publish('a');
    await nextRun(world);
    const key = 'npm/metadata/partitions.parquet/year=2026/month=11/data-0000000000000001-0000000000000001.parquet';
    world.bucket.store(key, Buffer.from('somebody else'));
    await runUntil(world, { until: () => world.fault('flush:npm_package') !== null });
    expect(world.fault('flush:npm_package')).toMatchObject({ kind: 'foreign-object', stalls: 1 });
    await pass(world, 60 * MINUTE);
    expect(world.state).toBe('stalled');
    expect(world.fault('flush:npm_package')).toMatchObject({ kind: 'foreign-object' });
    expect(world.files).toEqual([]);
    expect(Buffer.from(world.bucket.objects.get(key)!.bytes).toString()).toBe('somebody else');
    world.bucket.objects.delete(key);
    await runUntil(world, { until: () => world.isFollowed, withinMs: 6 * MINUTE });
    expect(world.state).toBe('following');
    await expectProof(world);
  });

  it('delays neither pulls nor publishing', async () => {
    const world = await startedWorld({ flushAgeMs: 20_000 });
    world.upstream.publish('a');
    await followed(world);
    const key = 'npm/metadata/partitions.parquet/year=2026/month=11/data-0000000000000002-0000000000000002.parquet';
    world.bucket.store(key, Buffer.from('somebody else'), { digest: 'f00' });
    world.upstream.publish('b');
    await runUntil(world, { until: () => world.state === 'stalled' });
    world.upstream.publish(['c', 'd']);
    await runUntil(world, { until: () => world.balance.changes === 4, withinMs: MINUTE });
    expect(world.database.runs()).toHaveLength(1);
    world.bucket.objects.delete(key);
    await followed(world);
    await expectProof(world);
    await expectNewest(world);
  });
});

describe('the same rows', () => {
  /** The same row groups made in many ways, all accepted at one time and put in one file half a minute later. */
  async function fileOf(options: WorldOptions, disturb: (world: World) => Promise<void>): Promise<Uint8Array> {
    const world = await startedWorld({ encoding: PARQUET, ...options });
    for (const key of names(40)) world.upstream.publish(key, `${key} `.repeat(30_000));
    while (world.balance.changes < 40) await nextRun(world);
    expect(world.clock.elapsedMs).toBe(0);
    await disturb(world);
    await runUntil(world, { until: () => world.files.length === 1 });
    const [file] = world.files;
    expect(file!.rows).toBe(40);
    return world.bucket.objects.get(file!.key)!.bytes;
  }

  it('give the same bytes however they were appended, sealed, evicted or retried', async () => {
    const plain = await fileOf({}, async () => undefined);
    const sliced = await fileOf({ pageChanges: 7 }, async () => undefined);
    const evicted = await fileOf({ pageChanges: 3 }, async world => world.kill());
    const read = await fileOf({ pageChanges: 5 }, async world => {
      await nextRun(world);
      world.kill({ lose: false });
      world.engine.nextWakeMs();
    });
    const lost = await fileOf({ pageChanges: 11 }, async world => {
      world.calls.fail(DATA_FILE, { times: 1, answer: 'lost' });
    });
    const failed = await fileOf({}, async world => {
      world.calls.fail(DATA_FILE, { times: 2 });
    });
    for (const bytes of [sliced, evicted, read, lost, failed]) expect(Buffer.compare(bytes, plain)).toBe(0);
  });
});
