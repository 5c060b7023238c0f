import { describe, expect, it } from 'vitest';
import { roundOf, statusOf } from '../../../src/engine/controls/status.ts';
import { RECHECKS_WAITING_MAX } from '../../../src/engine/journal/round.ts';
import { LIMITS } from '../../../src/limits.ts';
import { CALL_STEP, FIRST_CALL } from '../../simulation/budget.ts';
import { expectProof, lakeRows } from '../../simulation/oracle/proof.ts';
import { ROUND_MS, rounding } from '../../simulation/world/serials.ts';
import {
  followed,
  pass,
  reached,
  runUntil,
  startedWorld,
  type World,
  type WorldOptions,
} from '../../simulation/world/world.ts';

const KEYS = Array.from({ length: 12 }, (_, index) => `package-${String(index).padStart(2, '0')}`);

/** A world that has followed 12 packages, and checks each once an hour: one in 5 minutes. */
async function roundWorld(options: WorldOptions = {}, keys = KEYS): Promise<World> {
  const world = await startedWorld({ kind: rounding, pageChanges: 15, ...options });
  world.upstream.publish(keys);
  await followed(world);
  return world;
}

const round = (world: World) => roundOf(world.engine)!;
const checks = (world: World) => world.upstream.requests.filter(({ subject }) => subject.startsWith('status '));
const isSettled = (world: World) => () => world.isFollowed && world.parked.length === 0;

/** Lets one round pass, and its changes be loaded. */
async function onePass(world: World): Promise<void> {
  const { pass: before } = world.engine.journal.round!.current()!;
  await runUntil(world, {
    until: () => world.engine.journal.round!.current()!.pass > before && isSettled(world)(),
    withinMs: 3 * ROUND_MS,
  });
}

async function licenses(world: World): Promise<Record<string, unknown>> {
  return Object.fromEntries(
    (await lakeRows(world)).map(({ name, license, _op: op }) => [name, op === 'delete' ? op : license]),
  );
}

describe('a round', () => {
  it('checks each present key once, evenly, and costs the balance nothing while facts stay', async () => {
    const world = await roundWorld();
    world.upstream.remove('package-03');
    await followed(world);
    const { changes } = world.balance;
    await onePass(world);
    const checked = checks(world);
    expect(checked.map(({ subject }) => subject)).toEqual(
      KEYS.filter(key => key !== 'package-03').map(key => `status ${key}`),
    );
    const gaps = checked.slice(1).map(({ atMs }, index) => atMs - checked[index]!.atMs);
    expect(Math.min(...gaps)).toBeGreaterThan(ROUND_MS / 12 - 60_000);
    expect(Math.max(...gaps)).toBeLessThan(ROUND_MS / 12 + 60_000);
    expect(world.balance).toMatchObject({ changes, balanced: true });
    expect(round(world)).toMatchObject({ unchanged: 11, changed: 0, failed: 0, done: 0, total: 12, after: null });
  });

  it('loads a key whose facts are others once, and every later load of the key has them', async () => {
    const world = await roundWorld();
    world.upstream.statuses.set('package-05', 'archived');
    await onePass(world);
    expect(round(world)).toMatchObject({ unchanged: 11, changed: 1 });
    expect(world.balance).toMatchObject({ changes: 13, rows: 13, parked: 0, balanced: true });
    expect((await lakeRows(world)).at(-1)).toMatchObject({ name: 'package-05', license: 'archived' });
    await onePass(world);
    expect(world.balance.changes).toBe(13);
    // By the tail, by a retry, and by a range.
    world.upstream.publish('package-05');
    await followed(world);
    expect((await lakeRows(world)).at(-1)).toMatchObject({ name: 'package-05', version: '2', license: 'archived' });
    world.upstream.faults.set('package-05', { status: 500 });
    world.upstream.publish('package-05');
    await runUntil(world, { until: () => world.parked.length === 1 });
    world.upstream.faults.clear();
    await runUntil(world, { until: isSettled(world) });
    expect((await lakeRows(world)).at(-1)).toMatchObject({ name: 'package-05', version: '3', license: 'archived' });
    // And until they are others again.
    world.upstream.statuses.delete('package-05');
    await onePass(world);
    expect(await licenses(world)).toMatchObject({ 'package-05': null });
    expect(world.storage.sql.exec('SELECT * FROM key_facts')).toEqual([]);
    await expectProof(world);
  });

  it('drops the facts of a key with its deletion row', async () => {
    const world = await roundWorld();
    world.upstream.statuses.set('package-05', 'archived');
    await onePass(world);
    world.upstream.remove('package-05');
    await followed(world);
    expect(world.storage.sql.exec('SELECT * FROM key_facts')).toEqual([]);
    world.upstream.publish('package-05');
    await followed(world);
    expect(await licenses(world)).toMatchObject({ 'package-05': null });
    await onePass(world);
    expect(await licenses(world)).toMatchObject({ 'package-05': 'archived' });
  });

  it('passes over a key that was deleted while it was asked for', async () => {
    const world = await roundWorld();
    world.upstream.statuses.set('package-00', 'archived');
    const held = world.calls.hold(/^load\.round package-00/, { answer: true });
    await reached(world, held);
    world.storage.sql.exec("UPDATE keys SET deleted = 1 WHERE key = 'package-00'");
    held.release();
    await runUntil(world, { until: () => round(world).done >= 1 });
    expect(round(world)).toMatchObject({ changed: 0, unchanged: 1 });
    expect(world.balance.changes).toBe(12);
  });

  it('does not store facts while a load with the old ones is under way', async () => {
    const world = await roundWorld();
    world.upstream.statuses.set('package-00', 'archived');
    // The tail has loaded a change of the key, which waits for an earlier one, and a flush that is due ends its part.
    world.options.flushBytesMax = 1;
    world.upstream.faults.set('slow', { status: 429 });
    world.upstream.publish(['z-first', 'slow', 'package-00']);
    await runUntil(world, { until: () => world.engine.journal.state.lastLsnOf('z-first') === 13 });
    expect(world.engine.journal.state.lastLsnOf('package-00')).toBe(1);
    // The round is due now.
    world.storage.sql.exec('UPDATE round SET paced_ms = paced_ms - ?', ROUND_MS / KEYS.length);
    await runUntil(world, { until: () => checks(world).length > 0 });
    expect(round(world)).toMatchObject({ changed: 0, done: 0, after: null });
    world.upstream.faults.clear();
    await onePass(world);
    expect(await licenses(world)).toMatchObject({ 'package-00': 'archived' });
  });

  it('supersedes a parked change of its key, and loads what that waited for', async () => {
    const world = await roundWorld();
    world.upstream.faults.set('package-05', { status: 500 });
    world.upstream.publish('package-05');
    world.upstream.statuses.set('package-05', 'archived');
    await runUntil(world, { until: () => round(world).changed === 1, withinMs: 2 * ROUND_MS });
    expect(world.parked).toMatchObject([{ key: 'package-05', reason: 'recheck' }]);
    expect(world.balance).toMatchObject({ skipped: { superseded: 1 }, parked: 1, balanced: true });
    world.upstream.faults.clear();
    await runUntil(world, { until: isSettled(world) });
    expect((await lakeRows(world)).at(-1)).toMatchObject({ name: 'package-05', version: '2', license: 'archived' });
  });

  it('counts a key without an answer and goes on, and waits where the host is at fault', async () => {
    const world = await roundWorld();
    world.upstream.statuses.set('package-05', 'archived');
    world.upstream.faults.set('status package-05', { reason: 'wrong-shape' });
    const { pass: before } = world.engine.journal.round!.current()!;
    await runUntil(world, {
      until: () => world.engine.journal.round!.current()!.pass > before,
      withinMs: 2 * ROUND_MS,
    });
    expect(round(world)).toMatchObject({ unchanged: 11, changed: 0, failed: 1 });
    expect(world.log.find(({ event }) => event === 'round_checked')).toMatchObject({ errors: 1, changes: 0 });
    world.upstream.faults.set('status package-05', { status: 429, retryAfterMs: 600_000 });
    await runUntil(world, { until: () => world.fault('round') !== null, withinMs: 2 * ROUND_MS });
    expect(world.fault('round')).toMatchObject({ kind: 'upstream-throttled' });
    expect(round(world)).toMatchObject({ after: 'package-04' });
    expect(world.state).toBe('following');
    world.upstream.faults.clear();
    await onePass(world);
    expect(round(world)).toMatchObject({ changed: 1, failed: 1 });
  });

  it('goes on after keys that fail for good, even when they are all that is due', async () => {
    const world = await roundWorld({ pollMs: 600_000 });
    for (const key of KEYS.slice(0, 6)) world.upstream.faults.set(`status ${key}`, { status: 500 });
    await runUntil(world, { until: () => (world.fault('round')?.failures ?? 0) > 2, withinMs: ROUND_MS });
    expect(round(world)).toMatchObject({ done: 0, failed: 0 });
    await runUntil(world, { until: () => round(world).unchanged >= 6, withinMs: 3 * ROUND_MS });
    expect(round(world)).toMatchObject({ failed: 6 });
  });

  it('checks a poll of keys at once where they are many, and has few changes wait for their load', async () => {
    const keys = Array.from({ length: 1_000 }, (_, index) => `key-${String(index).padStart(4, '0')}`);
    const world = await roundWorld({ pageChanges: 1_000, pollMs: 120_000 }, keys);
    for (const key of keys) world.upstream.statuses.set(key, 'archived');
    world.queue.deliver = () => ({ delaysMs: [] });
    await pass(world, 30 * 60_000);
    const counts = world.calls.made
      .filter(call => call.startsWith('load.round'))
      .map(call => call.split(' ').length - 1);
    expect(Math.max(...counts)).toBeLessThanOrEqual(LIMITS.roundKeysMax);
    expect(counts[0]).toBeGreaterThan(25);
    // It has stopped: as many wait as one step has found, and no step began after that.
    expect(counts).toHaveLength(1);
    expect(world.parked.length).toBeGreaterThanOrEqual(RECHECKS_WAITING_MAX);
    world.queue.deliver = () => ({ delaysMs: [0] });
    await pass(world, 30 * 60_000);
    expect(round(world).changed).toBeGreaterThan(300);
  });

  it('does not make up for time in which its source was paused', async () => {
    const world = await roundWorld();
    await world.engine.control('pause');
    await pass(world, 24 * ROUND_MS);
    expect(checks(world)).toHaveLength(0);
    await world.engine.control('start');
    await pass(world, ROUND_MS / 4);
    expect(checks(world).length).toBeLessThan(15 + 12 / 4);
    expect(checks(world).length).toBeGreaterThan(0);
  });

  it('goes on after a clock that was ahead', async () => {
    const world = await roundWorld();
    world.clock.jump(365 * 24 * ROUND_MS);
    await runUntil(world, { until: () => round(world).done > 1 });
    world.clock.jump(-365 * 24 * ROUND_MS);
    const { done } = round(world);
    // The alarm is a year ahead as well: the watchdog starts the source.
    await world.engine.watch();
    await pass(world, ROUND_MS / 4);
    expect(round(world).done).toBeGreaterThan(done);
  });

  it('survives a kill at each of its calls', async () => {
    const isOwn = (call: string) => /^(load\.(round|pull)|wake|bucket|queue\.(send|admit|load|take))/.test(call);
    const small = async () => {
      const world = await roundWorld({ pollMs: 15 * 60_000 }, KEYS.slice(0, 4));
      world.upstream.statuses.set('package-01', 'archived');
      return world;
    };
    const end = async (world: World) => {
      await runUntil(world, {
        until: () => (world.engine.journal.round!.current()?.pass ?? 0) > 1 && isSettled(world)(),
        withinMs: 5 * ROUND_MS,
      });
    };
    const calm = await small();
    const before = calm.calls.count(/./);
    await end(calm);
    const calls = calm.calls.made.slice(before).filter(isOwn).length;
    expect(calls).toBeGreaterThan(15);
    for (let index = FIRST_CALL; index < calls; index += CALL_STEP) {
      const world = await small();
      let left = index;
      const kill = (call: string) => {
        if (isOwn(call) && left-- === 0) world.kill({ lose: index % 4 < 2 });
      };
      if (index % 2 === 0) world.calls.before(kill);
      else world.calls.after(kill);
      await end(world);
      expect(world.balance).toMatchObject({ changes: 5, rows: 5, parked: 0, balanced: true });
      expect(await licenses(world)).toEqual({
        'package-00': null,
        'package-01': 'archived',
        'package-02': null,
        'package-03': null,
      });
      expect(round(world)).toMatchObject({ changed: 1 });
      await expectProof(world);
      await world.recycle();
    }
  });

  it('is shown in the status, and a source without one says nothing', async () => {
    const world = await roundWorld();
    await runUntil(world, { until: () => round(world).done === 3 });
    expect((await statusOf(world.engine)).round).toMatchObject({
      started_at: expect.stringMatching(/^2026-/),
      done: 3,
      total: 12,
      after: 'package-02',
      unchanged: 3,
    });
    expect((await statusOf((await startedWorld()).engine)).round).toBeNull();
  });
});
