import { expect, it } from 'vitest';
import { takeSignal } from '../../../src/engine/controls/signals.ts';
import { statusOf } from '../../../src/engine/controls/status.ts';
import { LIMITS } from '../../../src/limits.ts';
import { expectProof } from '../../simulation/oracle/proof.ts';
import { agendaWorld, nextDueMs, unwatch, visitCount, watch } from '../../simulation/world/visits.ts';
import { followed, pass, runUntil, startedWorld, type World } from '../../simulation/world/world.ts';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

const signal = (world: World, id: string, keys: string[], unread = 0) =>
  world.ask('object.signal', engine => takeSignal(engine, { id, keys, unread }));

const countsOf = async ({ engine }: World) => (await statusOf(engine)).agenda!.signals;

const reasonOf = ({ engine }: World, key: string) => engine.journal.agenda!.find(key)!.reason;

async function visitedWorld(keys: string[]): Promise<World> {
  const world = await agendaWorld();
  world.upstream.publish(keys);
  await watch(world, keys);
  await followed(world);
  return world;
}

it('makes the watched keys that it names due now, and ignores and counts the others', async () => {
  const world = await visitedWorld(['a.red', 'b.red']);
  const [nowMs, dueMs] = [world.clock.now(), nextDueMs(world, 'b.red')];
  expect(await signal(world, 'one', ['a.red', 'c.red'], 3)).toEqual({ due: 1, ignored: 4, repeated: false });
  expect(nextDueMs(world, 'a.red')).toBe(nowMs);
  expect(reasonOf(world, 'a.red')).toBe('signal');
  expect(nextDueMs(world, 'b.red')).toBe(dueMs);
  expect(world.engine.journal.agenda!.find('c.red')).toBeNull();
  expect(await countsOf(world)).toEqual({
    taken: 1,
    repeated: 0,
    due: 1,
    ignored: 4,
    last_at: new Date(nowMs).toISOString(),
  });
});

it('sets the alarm, so that the change is a row long before the key would have been due', async () => {
  const world = await visitedWorld(['a.red']);
  world.upstream.publish(['a.red']);
  const [before, rows] = [world.clock.now(), world.balance.rows];
  await signal(world, 'one', ['a.red']);
  await runUntil(world, { until: () => world.balance.rows === rows + 1 });
  expect(world.clock.now() - before).toBeLessThan(MINUTE);
  await runUntil(world, { until: () => world.isFollowed });
  await expectProof(world);
});

it('never makes a key due later, nor lets a revisit be a first visit', async () => {
  const world = await visitedWorld(['a.red']);
  const { revisit } = world.engine.journal.agenda!.find('a.red')!;
  await pass(world, 10 * MINUTE);
  await world.engine.control('pause');
  await pass(world, 60 * MINUTE);
  const dueMs = nextDueMs(world, 'a.red')!;
  expect(dueMs).toBeLessThan(world.clock.now());
  await signal(world, 'one', ['a.red']);
  expect(world.engine.journal.agenda!.find('a.red')).toMatchObject({ due_ms: dueMs, revisit });
  expect(reasonOf(world, 'a.red')).not.toBe('signal');
});

it('of a delivery that was taken within a day does nothing', async () => {
  const world = await visitedWorld(['a.red']);
  await signal(world, 'one', ['a.red']);
  await runUntil(world, { until: () => visitCount(world) === 2 && world.isFollowed });
  const dueMs = nextDueMs(world, 'a.red');
  expect(await signal(world, 'one', ['a.red'])).toEqual({ due: 0, ignored: 0, repeated: true });
  expect(nextDueMs(world, 'a.red')).toBe(dueMs);
  expect(await countsOf(world)).toMatchObject({ taken: 1, repeated: 1, due: 1, ignored: 0 });
  expect(await signal(world, 'two', ['a.red'])).toMatchObject({ due: 1, repeated: false });
});

it('is recognized for a day, and its id is forgotten later', async () => {
  const world = await visitedWorld(['a.red']);
  const remembered = () => world.storage.sql.exec('SELECT id FROM signals ORDER BY id').map(({ id }) => id);
  await signal(world, 'one', []);
  await pass(world, DAY - MINUTE);
  expect((await signal(world, 'one', [])).repeated).toBe(true);
  await pass(world, 2 * MINUTE);
  await signal(world, 'two', []);
  expect(remembered()).toEqual(['two']);
  expect((await signal(world, 'one', [])).repeated).toBe(false);
  expect(remembered()).toEqual(['one', 'two']);
});

it('is one of a bounded number that are remembered, the newest', async () => {
  const limits = LIMITS as unknown as Record<string, number>;
  const before = limits.signalsRememberedMax!;
  limits.signalsRememberedMax = 5;
  try {
    const world = await visitedWorld(['a.red']);
    for (let id = 0; id < 20; id++) await signal(world, String(id), []);
    expect(world.storage.sql.exec('SELECT id FROM signals')).toHaveLength(5);
    expect((await signal(world, '19', [])).repeated).toBe(true);
    expect((await signal(world, '3', [])).repeated).toBe(false);
  } finally {
    limits.signalsRememberedMax = before;
  }
});

it('of a key that a person removed adds nothing', async () => {
  const world = await visitedWorld(['a.red', 'b.red']);
  await unwatch(world, ['a.red']);
  expect(await signal(world, 'one', ['a.red'])).toEqual({ due: 0, ignored: 1, repeated: false });
  expect(world.engine.journal.agenda!.find('a.red')).toBeNull();
});

it('is taken while the source is paused, and its key is visited when it goes on', async () => {
  const world = await visitedWorld(['a.red']);
  await world.engine.control('pause');
  await signal(world, 'one', ['a.red']);
  await pass(world, 5 * MINUTE);
  expect(visitCount(world)).toBe(1);
  await world.engine.control('start');
  await runUntil(world, { until: () => visitCount(world) === 2 });
});

it('is remembered across a restart, and one whose answer is lost can be sent again', async () => {
  const world = await visitedWorld(['a.red']);
  await signal(world, 'one', ['a.red']);
  world.kill();
  expect((await signal(world, 'one', ['a.red'])).repeated).toBe(true);
  // A crash before the writes are flushed loses the signal and its id together.
  world.storage.flush();
  void takeSignal(world.engine, { id: 'two', keys: ['c.red'], unread: 0 }).catch(() => undefined);
  world.kill();
  expect(await countsOf(world)).toMatchObject({ taken: 1 });
  expect((await signal(world, 'two', ['c.red'])).repeated).toBe(false);
});

it('is refused by a source with a feed', async () => {
  const world = await startedWorld();
  await expect(signal(world, 'one', ['a'])).rejects.toThrow('expected a source with an agenda');
});
