import { describe, expect, it } from 'vitest';
import { LOG_FIELDS } from '../../src/log.ts';
import { followed, pass, runUntil, startedWorld, type World } from '../simulation/world/world.ts';

const MINUTE = 60_000;
const DATA_FILE = /^bucket\.put .*\/data-/;

/** Lines of one event, without what they all have. */
const lines = (world: World, wanted: string) =>
  world.log
    .filter(({ event }) => event === wanted)
    .map(({ event: _, source, ...fields }) => {
      expect(source).toBe('coalescing');
      return fields;
    });

const events = (world: World) => world.log.map(({ event }) => event);

describe('a finished unit has one line', () => {
  it('for a slice, a file and its projection', async () => {
    const world = await startedWorld();
    world.upstream.faults.set('bad', { status: 410 });
    world.upstream.publish(['a', 'b', 'bad', 'internal:x']);
    const head = String(world.upstream.seq);
    await followed(world);
    expect(lines(world, 'slice_accepted')).toEqual([{ changes: 4, rows: 2, parked: 1, cursor: head }]);
    const [{ key, rows, bytes }] = world.files as [(typeof world.files)[number]];
    expect(lines(world, 'flush_settled')).toEqual([
      { table: 'npm_package', key, rows, bytes, duration_ms: expect.any(Number) },
    ]);
    const projected = lines(world, 'projection_landed');
    expect(projected.reduce((sum, { files }) => sum + Number(files), 0)).toBe(1);
    expect(projected.at(-1)).toMatchObject({ cursor: head });
    expect(lines(world, 'letter_written')).toEqual([{ key: 'bad', state: 'failed', reason: 'http-410', attempt: 0 }]);
    expect(lines(world, 'step_failed')).toEqual([]);
  });

  it('for tickets that were sent, each attempt, and each change of a letter', async () => {
    const world = await startedWorld();
    world.upstream.faults.set('a', { status: 403 });
    world.upstream.publish('a');
    await runUntil(world, { until: () => world.parked[0]?.attempts === 1 });
    world.upstream.faults.set('a', { status: 410 });
    await runUntil(world, { until: () => lines(world, 'letter_written').length === 1 });
    world.upstream.faults.clear();
    world.upstream.publish('a');
    await followed(world);
    expect(lines(world, 'tickets_sent')).toEqual([{ changes: 1 }, { changes: 1 }]);
    expect(lines(world, 'retry_accepted')).toEqual([
      { key: 'a', attempt: 1, state: 'parked', rows: 0, reason: 'http-403' },
      { key: 'a', attempt: 2, state: 'dead', rows: 0, reason: 'http-410' },
    ]);
    expect(lines(world, 'letter_written')).toEqual([
      { key: 'a', state: 'failed', reason: 'http-410', attempt: 2 },
      { key: 'a', state: 'superseded', reason: 'http-410', attempt: 2 },
    ]);
  });

  it('for an attempt that succeeded', async () => {
    const world = await startedWorld();
    world.upstream.faults.set('a', { status: 403 });
    world.upstream.publish('a');
    await runUntil(world, { until: () => world.parked.length === 1 });
    world.upstream.faults.clear();
    await runUntil(world, { until: () => world.isFollowed && world.parked.length === 0 });
    expect(lines(world, 'retry_accepted')).toEqual([{ key: 'a', attempt: 1, state: 'rows', rows: 1, reason: null }]);
  });

  it('for attempts at a lagging revision, and their result', async () => {
    const world = await startedWorld();
    world.upstream.publish('a');
    await followed(world);
    world.upstream.lagging.set('a', 1);
    world.upstream.publish('a');
    await runUntil(world, { until: () => world.parked[0]?.attempts === 1 });
    world.upstream.lagging.clear();
    await runUntil(world, { until: () => world.isFollowed && world.parked.length === 0 });
    expect(lines(world, 'retry_accepted')).toEqual([
      { key: 'a', attempt: 1, state: 'parked', rows: 0, reason: 'lagging-revision' },
      { key: 'a', attempt: 2, state: 'rows', rows: 1, reason: null },
    ]);
  });

  it('for each failure, with what a person can do', async () => {
    const world = await startedWorld();
    world.calls.fail(/^load\.pull/, { times: 1 });
    world.upstream.publish('a');
    await followed(world);
    expect(lines(world, 'step_failed')).toEqual([
      expect.objectContaining({ step: 'follow', kind: 'internal', hint: expect.any(String), reason: 'it failed' }),
    ]);
  });

  it('though an answer was lost', async () => {
    const world = await startedWorld();
    world.upstream.publish('a');
    world.calls.fail(DATA_FILE, { times: 1, answer: 'lost' });
    world.calls.fail(/^d1/, { times: 1, answer: 'lost' });
    await followed(world);
    expect(lines(world, 'flush_settled')).toHaveLength(1);
    expect(lines(world, 'projection_landed').filter(({ files }) => files === 1)).toHaveLength(1);
  });
});

describe('a line', () => {
  it('has only listed fields, and is silent while there is no work', async () => {
    const world = await startedWorld();
    world.upstream.faults.set('bad', { status: 403 });
    world.upstream.publish(['a', 'bad']);
    world.calls.fail(/^queue\.send/, { times: 2 });
    await runUntil(world, { until: () => world.isFollowed && world.parked[0]?.attempts === 2 });
    const allowed: string[] = ['event', ...LOG_FIELDS];
    expect(world.log.flatMap(Object.keys).filter(name => !allowed.includes(name))).toEqual([]);
    world.upstream.faults.clear();
    await runUntil(world, { until: () => world.isFollowed && world.parked.length === 0 });
    const before = events(world);
    await pass(world, 10 * MINUTE);
    expect(events(world)).toEqual(before);
  });
});
