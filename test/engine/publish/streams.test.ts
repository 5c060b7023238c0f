import { afterEach, describe, expect, it } from 'vitest';
import { LIMITS } from '../../../src/config.ts';
import { metricsOf } from '../../../src/engine/controls/metrics.ts';
import { statusOf, streamsOf } from '../../../src/engine/controls/status.ts';
import { JournalStreams } from '../../../src/engine/journal/streams.ts';
import { StepError } from '../../../src/errors.ts';
import { STREAMED } from '../../simulation/schedules/stream-scenario.ts';
import { PARQUET } from '../../simulation/world/encode.ts';
import { pages } from '../../simulation/world/sources.ts';
import { expectStreamed, type StreamStandIn } from '../../simulation/world/stream.ts';
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
const SEND = /^stream\.send/;
const STEP = 'stream:npm_package';
const OWN = { ...LIMITS };
const names = (count: number, start = 'package') => Array.from({ length: count }, (_, index) => `${start}-${index}`);

afterEach(() => void Object.assign(LIMITS, OWN));

async function streamedWorld(options: WorldOptions = {}): Promise<{ world: World; stream: StreamStandIn }> {
  const world = await startedWorld({ ...STREAMED, ...options });
  return { world, stream: world.streams.get('npm_package')! };
}

/** Waits until all that the feed shows is in files and in the stream. */
function streamed(world: World): Promise<void> {
  return runUntil(world, { until: () => world.isFollowed && world.isStreamed, withinMs: 30 * MINUTE });
}

/** The same world with other settings, as after a deploy. */
function redeploy(world: World, streams: Record<string, string>): void {
  world.options.streams = streams;
  world.kill({ lose: false });
}

describe('a table with a stream', () => {
  it('has its rows there as they are in the lake, and the status says so', async () => {
    const { world, stream } = await streamedWorld({ encoding: PARQUET });
    world.upstream.publish(['c', 'a', 'b']);
    await streamed(world);
    world.upstream.remove('a');
    await streamed(world);
    await expectStreamed(world);
    expect([...stream.records.values()].map(({ name, _op }) => [name, _op])).toEqual([
      ['c', 'upsert'],
      ['a', 'upsert'],
      ['b', 'upsert'],
      ['a', 'delete'],
    ]);
    expect(stream.repeated).toBe(0);
    const { streams, state } = await statusOf(world.engine);
    expect({ streams, state }).toEqual({
      streams: { npm_package: { binding: 'NPM_STREAM', last_lsn: 4, waiting: 0 } },
      state: 'following',
    });
    expect(await metricsOf(world.engine)).toMatchObject({
      streams: [{ table: 'npm_package', binding: 'NPM_STREAM', last_lsn: 4, waiting: 0 }],
    });
    expect(world.log.filter(({ event }) => event === 'stream_sent')).toMatchObject([
      { source: 'coalescing', table: 'npm_package', target: 'NPM_STREAM', rows: 3, first_lsn: 1, last_lsn: 3 },
      { rows: 1, first_lsn: 4, last_lsn: 4 },
    ]);
  });

  it('is sent in requests under the limit, of several row groups', async () => {
    Object.assign(LIMITS, { rowGroupBytes: 100_000, streamRequestBytesMax: 20_000 });
    const { world, stream } = await streamedWorld({ encoding: PARQUET });
    world.upstream.publish(names(600), 'é'.repeat(200));
    await streamed(world);
    await expectStreamed(world);
    // Some 600 bytes of JSON each.
    expect(Math.max(...stream.requests)).toBeLessThan(40);
    expect(stream.requests.length).toBeGreaterThan(600 / 40);
    // One read for each row group, and one for the footer of each file.
    expect(world.calls.count(/^bucket\.range/)).toBeLessThan(20);
  });

  it('is sent a record that alone is larger than a request', async () => {
    Object.assign(LIMITS, { streamRequestBytesMax: 10 });
    const { world, stream } = await streamedWorld();
    world.upstream.publish(['a', 'b']);
    await streamed(world);
    expect(stream.requests).toEqual([1, 1]);
  });

  it('that gets its stream late has all its rows there', async () => {
    const { world } = await streamedWorld({ flushBytesMax: 1 });
    redeploy(world, {});
    for (const key of ['a', 'b', 'c']) {
      world.upstream.publish(key);
      await followed(world);
    }
    expect((await statusOf(world.engine)).streams).toEqual({ npm_package: null });
    expect(world.calls.count(/^bucket\.range/)).toBe(0);
    redeploy(world, STREAMED.streams);
    await world.engine.watch();
    await streamed(world);
    await expectStreamed(world);
  });

  it('sends a new stream its rows from the first one on', async () => {
    const { world, stream } = await streamedWorld();
    world.upstream.publish(['a', 'b']);
    await streamed(world);
    redeploy(world, { npm_package: 'OTHER_STREAM' });
    expect(streamsOf(world.engine)).toEqual({
      npm_package: { binding: 'OTHER_STREAM', last_lsn: 0, waiting: 2 },
    });
    stream.records.clear();
    await world.engine.watch();
    await streamed(world);
    await expectStreamed(world);
    redeploy(world, STREAMED.streams);
    expect(streamsOf(world.engine)).toMatchObject({ npm_package: { last_lsn: 2, waiting: 0 } });
  });

  it('is sent while its source is paused', async () => {
    const { world } = await streamedWorld();
    const repair = world.calls.fail(SEND);
    world.upstream.publish('a');
    await followed(world);
    await world.engine.control('pause');
    repair();
    await runUntil(world, { until: () => world.isStreamed, withinMs: 6 * MINUTE });
    await expectStreamed(world);
  });

  it('may be one of several of its source, of which others have no stream', async () => {
    const world = await startedWorld({ kind: pages, streams: { github_repo: 'REPOS' } });
    world.upstream.publish(['a+', 'b+']);
    world.upstream.pages.push(['a+', 'b+']);
    await streamed(world);
    await expectStreamed(world);
    expect(streamsOf(world.engine)).toEqual({
      github_profile: null,
      github_commit: null,
      github_repo: { binding: 'REPOS', last_lsn: 2, waiting: 0 },
    });
  });
});

describe('a stream that fails', () => {
  it('delays nothing, and has everything afterwards', async () => {
    const { world, stream } = await streamedWorld({ flushBytesMax: 1 });
    const repair = world.calls.fail(SEND);
    for (let file = 1; file <= 120; file++) {
      world.upstream.publish(`package-${file}`);
      await runUntil(world, { until: () => world.files.length === file, withinMs: 2 * MINUTE });
    }
    await followed(world);
    expect(stream.records.size).toBe(0);
    expect(world.fault(STEP)).toMatchObject({ kind: 'stream-failed', stalls: 0 });
    expect(world.state).toBe('backing-off');
    expect(streamsOf(world.engine)).toMatchObject({ npm_package: { last_lsn: 0, waiting: 120 } });
    repair();
    await streamed(world);
    await expectStreamed(world);
    expect(stream.repeated).toBe(0);
    expect(world.fault(STEP)).toBeNull();
  });

  it('by never answering delays a flush no longer than its deadline', async () => {
    const { world } = await streamedWorld();
    world.upstream.publish('a');
    await streamed(world);
    const never = world.calls.before(call => (SEND.test(call) ? new Promise<never>(() => undefined) : undefined));
    world.upstream.publish('b');
    await runUntil(world, { until: () => world.fault(STEP) !== null, withinMs: 3 * MINUTE });
    expect(world.fault(STEP)).toMatchObject({ kind: 'deadline' });
    for (const key of ['c', 'd', 'e']) {
      world.upstream.publish(key);
      const { elapsedMs } = world.clock;
      await runUntil(world, { until: () => world.files.at(-1)!.cursor === String(world.upstream.seq) });
      expect(world.clock.elapsedMs - elapsedMs).toBeLessThan(2 * MINUTE);
    }
    never();
    await streamed(world);
    await expectStreamed(world);
  });

  it('is sent the same again when its answer was lost', async () => {
    const { world, stream } = await streamedWorld();
    world.calls.fail(SEND, { times: 3, answer: 'lost' });
    world.upstream.publish(['a', 'b']);
    await streamed(world);
    await pass(world, MINUTE);
    await expectStreamed(world);
    expect(stream.requests).toEqual([2, 2, 2, 2]);
  });

  it('is left alone for as long as it asks', async () => {
    const { world } = await streamedWorld();
    const error = Object.assign(new Error('too many'), { status: 429, retryAfter: 600 });
    world.calls.fail(SEND, { times: 1, error });
    world.upstream.publish('a');
    await runUntil(world, { until: () => world.fault(STEP) !== null });
    const { elapsedMs } = world.clock;
    expect(world.fault(STEP)).toMatchObject({ kind: 'stream-failed' });
    await streamed(world);
    expect(world.clock.elapsedMs - elapsedMs).toBeGreaterThanOrEqual(10 * MINUTE);
    await expectStreamed(world);
  });

  it('and that the settings no longer name leaves no failure behind', async () => {
    const { world } = await streamedWorld();
    world.calls.fail(SEND);
    world.upstream.publish('a');
    await runUntil(world, { until: () => world.fault(STEP) !== null });
    redeploy(world, {});
    expect(world.fault(STEP)).toBeNull();
    await nextRun(world);
    expect(world.state).toBe('following');
  });
});

describe('a stream that refuses a row', () => {
  it('has all rows before it, and none after it until it takes it', async () => {
    const { world, stream } = await streamedWorld();
    stream.refuses = ({ name }) => name === 'bad';
    world.upstream.publish([...names(37), 'bad', ...names(20, 'later')]);
    await runUntil(world, { until: () => world.fault(STEP) !== null });
    expect([...stream.records.keys()]).toEqual(Array.from({ length: 37 }, (_, index) => index + 1));
    expect(stream.repeated).toBe(0);
    const { state, last_error, streams } = await statusOf(world.engine);
    expect(state).toBe('stalled');
    expect(last_error).toMatchObject({
      kind: 'stream-refused',
      reason: 'npm_package LSN 38: NPM_STREAM: expected the records to be taken, got Error with status 400',
      hint: expect.stringContaining('npm run schemas'),
    });
    expect(streams).toMatchObject({ npm_package: { last_lsn: 37, waiting: 21 } });
    // Rows that are accepted meanwhile get into the lake.
    world.upstream.publish('another');
    await followed(world);
    expect(stream.records.size).toBe(37);
    stream.refuses = () => false;
    await streamed(world);
    await expectStreamed(world);
    expect(world.state).toBe('following');
  });
});

describe('a stream whose next file', () => {
  const file = (world: World) => world.files[0]!.key;

  it('is gone waits until it is back', async () => {
    const { world, stream } = await streamedWorld();
    const repair = world.calls.fail(SEND);
    world.upstream.publish(['a', 'b']);
    await followed(world);
    repair();
    const object = world.bucket.objects.get(file(world))!;
    await world.bucket.remove([file(world)]);
    await runUntil(world, { until: () => world.fault(STEP)?.kind === 'lake-damaged' });
    expect(world.fault(STEP)!.reason).toMatch(
      /data-0+1-0+2\.parquet: expected \d+ bytes of etag [\da-f]{32}, got none/,
    );
    expect(stream.records.size).toBe(0);
    world.bucket.objects.set(object.head.key, object);
    await streamed(world);
    await expectStreamed(world);
  });

  it('holds other rows gets none of them', async () => {
    const { world, stream } = await streamedWorld({ encoding: PARQUET });
    const repair = world.calls.fail(SEND);
    for (const keys of [
      ['a', 'b'],
      ['c', 'd', 'e'],
    ]) {
      world.upstream.publish(keys);
      await followed(world);
    }
    repair();
    const [first, second] = world.files.map(({ key }) => world.bucket.objects.get(key)!);
    world.bucket.store(first!.head.key, second!.bytes, first!.head.metadata);
    await runUntil(world, { until: () => world.fault(STEP)?.kind === 'lake-damaged' });
    expect(stream.records.size).toBe(0);
    world.bucket.objects.set(first!.head.key, first!);
    await streamed(world);
    await expectStreamed(world);
  });

  it('cannot be read asks again when the bucket answers', async () => {
    const { world } = await streamedWorld();
    const repair = world.calls.fail(/^bucket\.range/);
    world.upstream.publish('a');
    await runUntil(world, { until: () => world.fault(STEP) !== null });
    expect(world.fault(STEP)).toMatchObject({ kind: 'bucket-failed' });
    repair();
    await streamed(world);
    await expectStreamed(world);
  });
});

describe('an object whose storage was restored to an earlier time', () => {
  it('sends rows again that it does not know the stream to have, and skips none', async () => {
    const { world, stream } = await streamedWorld({ flushBytesMax: 1 });
    const held = world.calls.fail(SEND);
    for (const key of ['a', 'b', 'c']) {
      world.upstream.publish(key);
      await followed(world);
    }
    const earlier = world.storage.copy();
    held();
    await streamed(world);
    expect(stream.records.size).toBe(3);
    world.kill();
    world.storage.restore(earlier);
    world.kill();
    await world.engine.watch();
    world.upstream.publish('d');
    await streamed(world);
    await runUntil(world, { until: () => streamsOf(world.engine).npm_package?.waiting === 0 });
    await expectStreamed(world);
    expect(stream.repeated).toBe(3);
  });
});

describe('a journal', () => {
  it('refuses an acknowledgement of rows after missing ones, and ignores a late one', async () => {
    const { world } = await streamedWorld();
    world.upstream.publish(['a', 'b']);
    await streamed(world);
    const journal = new JournalStreams(world.storage.sql);
    expect(() => journal.acknowledge('npm_package', 'NPM_STREAM', { firstLsn: 4, lastLsn: 5 })).toThrow(StepError);
    journal.acknowledge('npm_package', 'NPM_STREAM', { firstLsn: 1, lastLsn: 1 });
    expect(journal.lastLsn('npm_package', 'NPM_STREAM')).toBe(2);
  });
});
