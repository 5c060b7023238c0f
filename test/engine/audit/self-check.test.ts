import { describe, expect, it } from 'vitest';
import { BACKOFF_MS_MAX } from '../../../src/alarm/backoff.ts';
import { healthOf } from '../../../src/engine/controls/status.ts';
import { expectProof } from '../../simulation/oracle/proof.ts';
import { PARQUET } from '../../simulation/world/encode.ts';
import { followed, pass, runUntil, startedWorld, type World, type WorldOptions } from '../../simulation/world/world.ts';

const MINUTE = 60_000;

/** A world with so many data files of one row each. */
async function filledWorld(files: number, options: WorldOptions = {}): Promise<World> {
  const world = await startedWorld({ flushBytesMax: 1, pollMs: 1_000, ...options });
  for (let index = 0; index < files; index++) {
    world.upstream.publish(`package-${index}`);
    await followed(world);
  }
  return world;
}

const checkOf = (world: World) => world.engine.audit.status().self_check!;

async function checked(world: World): Promise<void> {
  expect(world.engine.audit.startSelfCheck()).toBe(true);
  world.storage.flush();
  await world.engine.poke();
  await runUntil(world, { until: () => !checkOf(world).running });
}

describe('a self-check', () => {
  it('of an undamaged lake checks each file and finds nothing', async () => {
    const world = await filledWorld(3);
    const before = world.calls.made.length;
    await checked(world);
    expect(checkOf(world)).toEqual({
      running: false,
      files: 3,
      found: 0,
      problems: [],
      started_at: expect.any(String),
      ended_at: expect.any(String),
      next_at: expect.any(String),
    });
    expect(world.fault('damage')).toBeNull();
    const calls = world.calls.made.slice(before).map(call => call.split(' ')[0]);
    expect(calls.filter(call => call === 'bucket.head')).toHaveLength(3);
    expect(calls.filter(call => call === 'bucket.tail')).toHaveLength(3);
  });

  it('reports a deleted data file until it is back', async () => {
    const world = await filledWorld(3);
    const { key, bytes } = world.files[1]!;
    const object = world.bucket.objects.get(key)!;
    world.bucket.objects.delete(key);
    await checked(world);
    const problem = { key, subject: 'object', expected: `${bytes} bytes`, actual: 'nothing' };
    expect(checkOf(world)).toMatchObject({ files: 3, found: 1, problems: [problem] });
    expect(world.fault('damage')).toMatchObject({
      kind: 'lake-damaged',
      reason: `${key}: object: expected ${bytes} bytes, got nothing`,
      stalls: 0,
    });
    // The source continues.
    world.upstream.publish('later');
    await followed(world);
    expect(world.state).toBe('following');
    await pass(world, 10 * MINUTE);
    expect(healthOf(world.engine)).toMatchObject({ ok: false, reason: expect.stringContaining(key) });
    world.bucket.store(key, object.bytes, object.head.metadata);
    await pass(world, BACKOFF_MS_MAX + MINUTE);
    expect(world.fault('damage')).toBeNull();
    expect(checkOf(world)).toMatchObject({ found: 1, problems: [] });
    expect(healthOf(world.engine)).toMatchObject({ ok: true });
    await expectProof(world);
  });

  it.each<[string, string, (world: World, key: string) => void]>([
    ['is of another size', 'size', (world, key) => put(world, key, Buffer.from('other bytes'))],
    [
      'says another digest',
      'digest',
      (world, key) => {
        const { bytes, head } = world.bucket.objects.get(key)!;
        world.bucket.store(key, bytes, { ...head.metadata, digest: '00' });
      },
    ],
    ['has no footer', 'footer', (world, key) => putInParts(world, key, Buffer.alloc(size(world, key), 'x'))],
    [
      'has the footer of another file',
      'footer',
      (world, key) => putInParts(world, key, Buffer.from(world.bucket.objects.get(world.files[0]!.key)!.bytes)),
    ],
  ])('reports a data file that %s, and no other', async (_, subject, damage) => {
    for (const encoding of [undefined, PARQUET]) {
      const world = await filledWorld(3, { ...(encoding && { encoding }) });
      const { key } = world.files[2]!;
      damage(world, key);
      await checked(world);
      expect(checkOf(world).problems).toMatchObject([{ key, subject }]);
    }
  });

  it('finds other bytes of the same form by their MD5', async () => {
    const world = await filledWorld(2);
    const { key } = world.files[1]!;
    const { bytes } = world.bucket.objects.get(key)!;
    put(world, key, Buffer.concat([bytes.slice(0, 1).map(byte => byte + 1), bytes.slice(1)]));
    await checked(world);
    expect(checkOf(world).problems).toMatchObject([{ key, subject: 'bytes' }]);
  });

  it.each([
    ['an overlap', 'UPDATE files SET last_lsn = 2, rows = 2 WHERE first_lsn = 1'],
    ['a lost file', 'DELETE FROM files WHERE first_lsn = 2'],
    ['a lost last file', 'DELETE FROM files WHERE first_lsn = 4'],
    ['a count of rows', 'UPDATE files SET rows = 7 WHERE first_lsn = 2'],
  ])('reports %s among the LSN ranges', async (_, statement) => {
    const world = await filledWorld(4);
    world.storage.sql.exec(statement);
    await checked(world);
    const ranges = checkOf(world).problems.filter(({ subject }) => subject === 'range');
    expect(ranges).toHaveLength(1);
    expect(world.fault('damage')).toMatchObject({ kind: 'lake-damaged' });
  });

  it('counts the rows of the journal as present', async () => {
    const world = await filledWorld(2, { flushBytesMax: 16 * 1024 * 1024, flushAgeMs: 60 * MINUTE, pollMs: MINUTE });
    world.upstream.publish(['a', 'b']);
    await runUntil(world, { until: () => world.engine.files.backlog().rows === 2 });
    await checked(world);
    expect(checkOf(world)).toMatchObject({ files: 2, problems: [] });
    world.storage.sql.exec('DELETE FROM entries WHERE last_lsn = 4');
    await checked(world);
    expect(checkOf(world).problems).toMatchObject([
      { subject: 'range', key: 'end', expected: 'the first LSN to be 3' },
    ]);
  });

  it('starts by itself every six hours, and not while the source is paused', async () => {
    const world = await filledWorld(2, { pollMs: 10 * MINUTE });
    world.bucket.objects.delete(world.files[0]!.key);
    await pass(world, world.options.selfCheckMs + MINUTE);
    expect(checkOf(world)).toMatchObject({ files: 2, found: 1 });
    await world.engine.control('pause');
    await pass(world, MINUTE);
    const heads = world.calls.count(/^bucket\.head/);
    await pass(world, 2 * world.options.selfCheckMs);
    const { started_at } = checkOf(world);
    expect(Date.parse(started_at!)).toBeLessThan(world.clock.now() - world.options.selfCheckMs);
    expect(world.calls.count(/^bucket\.head/)).toBeGreaterThan(heads);
    await checked(world);
    expect(Date.parse(checkOf(world).started_at!)).toBe(world.clock.now());
  });

  it('checks many files over several runs, and survives kills', async () => {
    const world = await filledWorld(120, { flushAgeMs: 100 });
    const { key } = world.files[77]!;
    world.bucket.objects.delete(key);
    let calls = 0;
    world.calls.before(call => {
      if (/^bucket\.(head|tail)/.test(call) && ++calls % 37 === 0) world.kill({ lose: calls % 2 === 0 });
    });
    await checked(world);
    expect(checkOf(world)).toMatchObject({ files: 120, found: 1, problems: [{ key, subject: 'object' }] });
  });

  it('waits until the bucket answers', async () => {
    const world = await filledWorld(2);
    const repair = world.calls.fail(/^bucket\.head/);
    world.engine.audit.startSelfCheck();
    await world.engine.poke();
    await pass(world, 10 * MINUTE);
    expect(world.fault('self-check')).toMatchObject({ kind: 'bucket-failed' });
    expect(world.state).toBe('following');
    expect(healthOf(world.engine)).toMatchObject({ ok: true });
    repair();
    await runUntil(world, { until: () => !checkOf(world).running });
    expect(checkOf(world)).toMatchObject({ files: 2, problems: [] });
  });

  it('names a hundred problems at most, and finds the others when those are repaired', async () => {
    const world = await filledWorld(105, { flushAgeMs: 100 });
    const kept = new Map(world.bucket.objects);
    const keys = world.files.map(({ key }) => key);
    for (const key of keys) world.bucket.objects.delete(key);
    await checked(world);
    expect(checkOf(world)).toMatchObject({ files: 105, found: 105 });
    expect(checkOf(world).problems).toHaveLength(100);
    for (const key of keys.slice(0, 102)) world.bucket.objects.set(key, kept.get(key)!);
    await pass(world, 10 * MINUTE);
    expect(checkOf(world).problems.map(problem => problem.key)).toEqual(keys.slice(102));
    expect(world.fault('damage')!.reason).toMatch(/\(and 2 more\)$/);
  });
});

/** Replaces the bytes of a file, and keeps its metadata. */
function put(world: World, key: string, bytes: Uint8Array): void {
  world.bucket.store(key, bytes, world.bucket.objects.get(key)!.head.metadata);
}

/** The etag of an object that is put in parts is no MD5 of its bytes, so it does not give other bytes away. */
function putInParts(world: World, key: string, bytes: Uint8Array): void {
  put(world, key, bytes);
  world.bucket.objects.get(key)!.head.etag = `${'0'.repeat(32)}-2`;
}

function size(world: World, key: string): number {
  return world.bucket.objects.get(key)!.bytes.length;
}
