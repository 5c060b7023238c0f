import { describe, expect, it } from 'vitest';
import type { EncodePort } from '../../../src/ports/data-file.ts';
import { expectNewest, expectProof, lakeRows } from '../../simulation/oracle/proof.ts';
import { drained } from '../../simulation/world/clock.ts';
import { JSON_LINES } from '../../simulation/world/encode.ts';
import { followed, pass, runUntil, startedWorld, type World } from '../../simulation/world/world.ts';

const DATA_FILE = /^bucket\.put .*\/data-/;

/** Kills the instance at the first matching call: before its effect, or before its answer. */
function killAt(world: World, pattern: RegExp, when: 'before' | 'after', times = 1): { kills: number } {
  const done = { kills: 0 };
  world.calls[when](call => {
    if (!pattern.test(call) || done.kills >= times) return;
    done.kills += 1;
    world.kill();
    if (when === 'before') throw new Error('the instance is dead');
  });
  return done;
}

async function publishedWorld(): Promise<World> {
  const world = await startedWorld();
  world.upstream.publish(['a', 'b', 'c']);
  return world;
}

describe('a flush that is killed', () => {
  it('before its put, writes the same range after the restart', async () => {
    const world = await publishedWorld();
    const killed = killAt(world, DATA_FILE, 'before');
    await runUntil(world, { until: () => killed.kills === 1 });
    const intent = world.engine.files.intent('npm_package')!;
    expect(intent).toMatchObject({ first_lsn: 1, last_lsn: 3, attempts: 1 });
    world.upstream.publish('d');
    await followed(world);
    expect(world.files[0]).toMatchObject({ first_lsn: 1, last_lsn: 3, key: intent.key, digest: intent.digest });
    await expectProof(world);
    await expectNewest(world);
  });

  it('between its put and settling, finds its own object and settles it', async () => {
    const world = await publishedWorld();
    killAt(world, DATA_FILE, 'after');
    await followed(world);
    expect(world.calls.count(DATA_FILE)).toBe(2);
    expect(world.files).toHaveLength(1);
    const head = world.bucket.objects.get(world.files[0]!.key)!.head;
    expect(world.files[0]).toMatchObject({ etag: head.etag, bytes: head.bytes });
    await expectProof(world);
  });

  it('while it waits for the answer to its put, settles once', async () => {
    const world = await publishedWorld();
    world.calls.fail(DATA_FILE, { times: 1, answer: 'lost' });
    await followed(world);
    expect(world.files).toHaveLength(1);
    await expectProof(world);
  });

  it('has its put refused when it lands after the next instance settled', async () => {
    const world = await publishedWorld();
    const late = world.calls.hold(DATA_FILE);
    void late.made.then(() => world.kill());
    await followed(world);
    const before = await lakeRows(world);
    late.release();
    await pass(world, 60_000);
    expect(await lakeRows(world)).toEqual(before);
    expect(world.bucket.keys('npm/metadata/partitions.parquet/')).toHaveLength(1);
    await expectProof(world);
  });

  it('has its put accepted as the file of the next instance when it lands before that one’s put', async () => {
    const world = await publishedWorld();
    const late = world.calls.hold(DATA_FILE);
    void late.made.then(async () => {
      world.kill();
      const next = world.calls.hold(DATA_FILE);
      await next.made;
      late.release();
      await drained();
      next.release();
    });
    await followed(world);
    await expectProof(world);
  });

  it('three times, stalls with the cost of its attempts, and succeeds later', async () => {
    const world = await publishedWorld();
    const killed = killAt(world, DATA_FILE, 'before', 3);
    await runUntil(world, { until: () => killed.kills === 3 });
    await runUntil(world, { until: () => world.state === 'stalled', withinMs: 60_000 });
    expect(world.fault('flush:npm_package')).toMatchObject({ kind: 'flush-failed' });
    await followed(world);
    expect(world.state).toBe('following');
    await expectProof(world);
  });

  it('between settling and the database, publishes later', async () => {
    const world = await publishedWorld();
    killAt(world, /^d1\.batch/, 'before', 2);
    await followed(world);
    expect(world.database.runs()).toHaveLength(1);
    await expectProof(world);
  });
});

describe('an intent', () => {
  it('keeps its range in a version that would end the file elsewhere', async () => {
    const world = await startedWorld({ pageChanges: 1 });
    world.upstream.publish(['a', 'b', 'c']);
    const killed = killAt(world, DATA_FILE, 'before');
    await runUntil(world, { until: () => killed.kills === 1 });
    world.encoding = { ...JSON_LINES, port: countingMore(JSON_LINES.port) };
    world.kill();
    await followed(world);
    expect(world.files[0]).toMatchObject({ first_lsn: 1, last_lsn: 3 });
    await expectProof(world);
    await expectNewest(world);
  });
});

/** An encoder whose row groups are larger than those of an earlier version. */
function countingMore(encode: EncodePort): EncodePort {
  return {
    ...encode,
    open(options) {
      const file = encode.open(options);
      return {
        append: values => file.append(values),
        finish: facts => file.finish(facts),
        get rows() {
          return file.rows;
        },
        get openBytes() {
          return file.openBytes;
        },
        encodedBytes: 24 * 1024 * 1024,
      };
    },
  };
}
