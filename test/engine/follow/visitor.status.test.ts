import { describe, expect, it } from 'vitest';
import { metricsOf } from '../../../src/engine/controls/metrics.ts';
import { statusOf } from '../../../src/engine/controls/status.ts';
import { watchedKeys, watchKeys } from '../../../src/engine/controls/watched-keys.ts';
import { expectProof } from '../../simulation/oracle/proof.ts';
import { agendaWorld, requestTimes, unwatch, visitCount, watch } from '../../simulation/world/visits.ts';
import { followed, nextRun, pass, runUntil, startedWorld } from '../../simulation/world/world.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const STEADY = { hostRequestsPerSecond: 1, hostRequestsPerSecondMax: 1 };
const names = (space: string, count: number) => Array.from({ length: count }, (_, index) => `n${index}.${space}`);

describe('the status of an agenda', () => {
  it('is null of a source with a feed', async () => {
    const world = await startedWorld();
    expect((await statusOf(world.engine)).agenda).toBeNull();
    expect((await metricsOf(world.engine)).agenda).toBeNull();
  });

  it('counts nothing before there is a key', async () => {
    const world = await agendaWorld();
    await nextRun(world);
    const status = await statusOf(world.engine);
    expect(status).toMatchObject({
      state: 'following',
      lag: { changes: 0, seconds: 0 },
      agenda: {
        keys: 0,
        due: 0,
        first_due: 0,
        overdue: 0,
        oldest_due_at: null,
        seconds_at_rate: null,
        stretch: 1,
        refused_keys: {},
        signals: { taken: 0, repeated: 0, due: 0, ignored: 0, last_at: null },
      },
    });
  });

  it('counts keys, what is due and since when, and the time all of them take', async () => {
    const world = await agendaWorld({ ...STEADY });
    const keys = [...names('red', 120), ...names('blue', 30)];
    world.upstream.publish(keys);
    const startMs = world.clock.now();
    await watch(world, keys);
    const due = { keys: 150, due: 150, first_due: 150, overdue: 0, oldest_due_at: new Date(startMs).toISOString() };
    expect((await statusOf(world.engine)).agenda).toMatchObject({ ...due, seconds_at_rate: null });
    await runUntil(world, { until: () => visitCount(world) >= 60 });
    const status = await statusOf(world.engine);
    expect(status.agenda!.seconds_at_rate).toBe(120);
    expect(status.state).toBe('catching-up');
    expect(status.agenda!.due).toBe(150 - visitCount(world));
    expect(status.lag.changes).toBeGreaterThan(0);
    await followed(world);
    await nextRun(world);
    expect(await statusOf(world.engine)).toMatchObject({
      state: 'following',
      lag: { changes: 0 },
      agenda: { keys: 150, due: 0, overdue: 0, oldest_due_at: null },
    });
    await pass(world, 30 * MINUTE);
    expect((await statusOf(world.engine)).lag.seconds).toBeLessThanOrEqual(60);
  });

  it('tells what is overdue, and metrics tell the same', async () => {
    const world = await agendaWorld();
    world.upstream.publish(['a.red', 'b.red', 'c.blue']);
    await watch(world, ['a.red', 'b.red', 'c.blue']);
    await followed(world);
    await world.engine.control('pause');
    await pass(world, 90 * MINUTE);
    const due = { keys: 3, due: 3, overdue: 0 };
    expect((await statusOf(world.engine)).agenda).toMatchObject(due);
    expect((await metricsOf(world.engine)).agenda).toEqual({ ...due, stretch: 1 });
    await pass(world, HOUR);
    expect((await metricsOf(world.engine)).agenda).toEqual({ ...due, overdue: 3, stretch: 1 });
    const before = visitCount(world);
    expect(world.state).toBe('paused');
    await world.engine.control('start');
    await runUntil(world, { until: () => visitCount(world) === before + 3, withinMs: MINUTE });
    await followed(world);
    await expectProof(world);
  });

  it('keeps what is added and removed while it is paused', async () => {
    const world = await agendaWorld();
    await world.engine.control('pause');
    world.upstream.publish(['a.red', 'b.red']);
    await watch(world, ['a.red', 'b.red']);
    await unwatch(world, ['b.red']);
    await pass(world, 3 * HOUR);
    expect(requestTimes(world, 'a.red')).toEqual([]);
    await world.engine.control('start');
    await runUntil(world, { until: () => visitCount(world) === 1 });
    expect(world.balance).toMatchObject({ rows: 1, balanced: true });
  });
});

describe('watching keys', () => {
  it('tells what is new, what is known, and what one request has twice', async () => {
    const world = await agendaWorld();
    expect(await watch(world, ['a.red', 'b.red', 'a.red'])).toMatchObject({ added: 2, known: 0, repeated: [3] });
    await pass(world, 1_000);
    const { engine } = world;
    const part = (line: number, key: string) => ({ line, key, space: 'red' });
    const first = await watchKeys(engine, { atMs: null, keys: [part(1, 'b.red'), part(2, 'c.red')] });
    expect(first).toMatchObject({ added: 1, known: 1, repeated: [] });
    await pass(world, 1_000);
    const second = await watchKeys(engine, { atMs: first.atMs, keys: [part(3, 'c.red'), part(4, 'a.red')] });
    expect(second).toMatchObject({ atMs: first.atMs, added: 0, known: 1, repeated: [3] });
    expect(watchedKeys(engine, { after: 'a.red', limit: 1 })).toMatchObject([{ key: 'b.red' }]);
  });

  it('wakes an object that sleeps', async () => {
    const world = await agendaWorld({ pollMs: 10 * HOUR });
    await nextRun(world);
    await pass(world, HOUR);
    const startMs = world.clock.now();
    world.upstream.publish('a.red');
    await watch(world, ['a.red']);
    await runUntil(world, { until: () => visitCount(world) === 1 });
    expect(world.clock.now() - startMs).toBeLessThanOrEqual(1_000);
  });

  it('while a run goes on has them visited by it or the next', async () => {
    const world = await agendaWorld({ pollMs: 10 * HOUR });
    world.upstream.publish(['a.red', 'b.red']);
    const flush = world.calls.hold(/^bucket\.put .*data-/);
    await watch(world, ['a.red']);
    void flush.made.then(async () => {
      await watch(world, ['b.red']);
      flush.release();
    });
    await runUntil(world, { until: () => visitCount(world) === 2, withinMs: 5 * MINUTE });
  });

  it('thousands at once are visited over several slices and runs, each once', async () => {
    const servers = Object.fromEntries(['aa', 'bb', 'cc', 'dd', 'ee', 'ff'].map(space => [space, `${space}.test`]));
    const world = await agendaWorld({ servers, hostRequestsPerSecond: 5, hostRequestsPerSecondMax: 5 });
    const keys = Object.keys(servers).flatMap(space => names(space, 500));
    world.upstream.publish(keys);
    world.upstream.latencyMs = () => 50;
    await watch(world, keys);
    const { runs } = world;
    await runUntil(world, { until: () => visitCount(world) === 3_000, withinMs: HOUR });
    expect(world.runs - runs).toBeGreaterThan(1);
    expect(world.log.filter(({ event }) => event === 'slice_accepted').length).toBeGreaterThan(3);
    const documents = world.upstream.requests.filter(({ subject }) => subject.includes('.'));
    expect(new Set(documents.map(({ subject }) => subject)).size).toBe(3_000);
    expect(documents).toHaveLength(3_000);
    await followed(world);
    expect(world.balance).toMatchObject({ changes: 3_000, rows: 3_000, balanced: true });
    await expectProof(world);
  });
});
