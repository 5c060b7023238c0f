import { expect, it } from 'vitest';
import { githubProfile } from '../../../schemas/github_profile.ts';
import { inletsOf } from '../../../src/engine/controls/inlets.ts';
import { metricsOf } from '../../../src/engine/controls/metrics.ts';
import { takePush } from '../../../src/engine/controls/push.ts';
import { healthOf, statusOf } from '../../../src/engine/controls/status.ts';
import { policyOf } from '../../../src/failure-policy.ts';
import { expectNewest, expectProof } from '../../simulation/oracle/proof.ts';
import { probing } from '../../simulation/world/probing.ts';
import { rowOf } from '../../simulation/world/sources.ts';
import { agendaWorld, visitCount, watch } from '../../simulation/world/visits.ts';
import { followed, pass, runUntil, startedWorld, type World } from '../../simulation/world/world.ts';
import { evidenceOf, fedWorld, feed, inletOf, isRead, keysOf, read, row } from '../follow/fed-world.ts';

const HOUR = 3_600_000;
const { hint } = policyOf('database-full');

/** Lowers limits of the object's database to just under its size. */
function fill({ options, engine }: World, ...names: ('bytesMax' | 'bytesStop')[]): string {
  const { bytes } = engine.room;
  for (const name of names) options.room![name] = bytes - 1;
  return `database of the object: expected at most ${bytes - 1} bytes, got ${bytes}`;
}

/** An agenda with two visited keys. */
async function visitedWorld(): Promise<World> {
  const world = await agendaWorld();
  world.upstream.publish(['a.red', 'b.red', 'c.red']);
  await watch(world, ['a.red', 'b.red']);
  await runUntil(world, { until: () => visitCount(world) === 2 && world.isFollowed });
  return world;
}

it('a source whose database is full refuses new keys, and says what takes the room', async () => {
  const world = await visitedWorld();
  expect((await statusOf(world.engine)).database).toEqual({
    bytes: world.engine.room.bytes,
    bytes_max: 8 * 2 ** 30,
    by_table: [],
  });
  const message = fill(world, 'bytesMax');
  expect(await watch(world, ['c.red'])).toMatchObject({ refused: { message, hint }, added: 0 });
  expect(await watch(world, ['a.red', 'c.red'])).toMatchObject({ refused: { message, hint }, added: 0, known: 0 });
  expect(await watch(world, ['a.red', 'b.red'])).toMatchObject({ refused: null, added: 0, known: 2 });
  const { state, database } = await statusOf(world.engine);
  expect(state).toBe('full');
  expect(database.by_table.map(({ table, rows }) => [table, rows])).toEqual(
    expect.arrayContaining([
      ['keys', 2],
      ['agenda', 2],
      ['files', 1],
      ['others', null],
    ]),
  );
  expect(database.by_table.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(database.bytes);
  expect(await metricsOf(world.engine)).toMatchObject({ state: 'full', database_bytes: database.bytes });
  expect(healthOf(world.engine)).toMatchObject({ state: 'full', ok: true });
});

it('a source whose database is full refuses pushed rows, which may have new keys', async () => {
  const world = await visitedWorld();
  const message = fill(world, 'bytesMax');
  const pushed = rowOf(githubProfile, { username: 'd.red' });
  const part = { identity: 'one', table: githubProfile.name, rows: [{ line: 1, row: pushed }] };
  expect(await takePush(world.engine, part)).toEqual({ refused: { message, hint }, accepted: 0, repeated: 0 });
  world.options.room!.bytesMax = 2 ** 33;
  expect(await takePush(world.engine, part)).toEqual({ refused: null, accepted: 1, repeated: 0 });
});

it('a source whose database is full goes on with its visits and flushes, and takes keys once there is room', async () => {
  const world = await visitedWorld();
  fill(world, 'bytesMax');
  world.upstream.publish(['a.red', 'b.red']);
  await runUntil(world, { until: () => visitCount(world) === 4 && world.isFollowed });
  expect(world.state).toBe('full');
  expect(world.balance).toMatchObject({ rows: 4, balanced: true });
  await expectProof(world);
  world.options.room!.bytesMax = 2 ** 33;
  expect(world.state).toBe('following');
  expect(await watch(world, ['c.red'])).toMatchObject({ refused: null, added: 1 });
  await runUntil(world, { until: () => visitCount(world) >= 5 && world.isFollowed });
});

it('an inlet reads nothing while the database is full, and goes on by itself when there is room', async () => {
  const world = await fedWorld({ keys: ['a.red', 'b.red'] });
  await feed(world, row('a', { key: 'a.red', n: 1 }));
  await followed(world);
  fill(world, 'bytesMax');
  world.feeding.add(row('b', { key: 'b.red', n: 1 }));
  world.feeding.settle();
  await pass(world, 3 * HOUR);
  expect(inletsOf(world.engine)).toMatchObject([{ state: 'full', lsn: 1 }]);
  expect(visitCount(world)).toBeGreaterThan(1);
  expect(healthOf(world.engine)).toMatchObject({ state: 'full', ok: true });
  const { by_table } = (await statusOf(world.engine)).database;
  expect(by_table).toEqual(expect.arrayContaining([{ table: 'evidence', rows: 1, bytes: expect.any(Number) }]));
  world.options.room!.bytesMax = 2 ** 33;
  await runUntil(world, { until: isRead(world), withinMs: HOUR });
  expect(inletsOf(world.engine)).toMatchObject([{ state: 'waiting', lsn: 2 }]);
});

it('a source whose database has room for flushes only visits nothing, and goes on by itself when there is more', async () => {
  const world = await visitedWorld();
  const message = fill(world, 'bytesMax', 'bytesStop');
  await pass(world, 3 * HOUR);
  expect(visitCount(world)).toBe(2);
  const { state, last_error } = await statusOf(world.engine);
  expect(state).toBe('full');
  expect(last_error.kind).toBe('database-full');
  expect(last_error.reason!.replace(/got \d+/, '')).toBe(message.replace(/got \d+/, ''));
  world.options.room!.bytesStop = 2 ** 33;
  await runUntil(world, { until: () => visitCount(world) >= 4 && world.isFollowed });
  await expectProof(world);
});

it('a feed is followed while the database is full, and waits unread while it has room for flushes only', async () => {
  const world = await startedWorld({ pollMs: 5_000 });
  world.upstream.publish(['a', 'b']);
  await followed(world);
  fill(world, 'bytesMax');
  world.upstream.publish(['a', 'c']);
  await followed(world);
  expect(world.balance.rows).toBe(4);
  // What is accepted before still becomes a file.
  world.upstream.publish('d');
  await runUntil(world, { until: () => world.balance.rows === 5 });
  fill(world, 'bytesStop');
  world.upstream.publish(['e', 'f']);
  await pass(world, HOUR);
  expect(world.engine.files.backlog().rows).toBe(0);
  expect(world.balance.rows).toBe(5);
  world.options.room!.bytesStop = 2 ** 33;
  await followed(world);
  expect(world.balance.rows).toBe(7);
  await expectProof(world);
  await expectNewest(world);
});

it('an inlet reads nothing while the database is full, keeps its LSN, and reads on once there is room', async () => {
  const world = await fedWorld({ keys: ['a.red', 'b.red', 'c.red'] });
  await feed(world, row('one', { key: 'a.red', n: 1 }));
  await followed(world);
  fill(world, 'bytesMax');
  world.feeding.add(row('two', { key: 'b.red', n: 2 }), row('three', { key: 'a.red', n: 3 }));
  world.feeding.settle();
  await pass(world, HOUR);
  expect(inletOf(world)).toMatchObject({ lsn: 1, items: 1 });
  expect(keysOf(world)).toEqual(['a.red']);
  const status = await statusOf(world.engine);
  expect(status).toMatchObject({ state: 'full', inlets: [{ state: 'full', lsn: 1, last_error: { kind: null } }] });
  expect(healthOf(world.engine)).toMatchObject({ state: 'full', ok: true });
  world.options.room!.bytesMax = 2 ** 33;
  await read(world);
  expect(keysOf(world)).toEqual(['a.red', 'b.red']);
  expect(evidenceOf(world, 'a.red')).toHaveLength(2);
  await followed(world);
  await expectProof(world);
});

it('an inlet stops in the middle of its rows when the database becomes full', async () => {
  const world = await fedWorld();
  const rows = Array.from({ length: 2_500 }, (_, index) => row(`row-${index}`, { key: `n${index}.red`, n: 1 }));
  const { append } = world.engine.journal.inlets!;
  let appends = 0;
  world.engine.journal.inlets!.append = function (this: unknown, ...args) {
    const appended = append.apply(world.engine.journal.inlets!, args);
    appends += 1;
    fill(world, 'bytesMax');
    return appended;
  };
  world.feeding.add(...rows);
  world.feeding.settle();
  await runUntil(world, { until: () => appends > 0 });
  await pass(world, HOUR / 2);
  const { lsn } = inletOf(world);
  expect([appends, lsn > 0, lsn < rows.length]).toEqual([1, true, true]);
  world.options.room!.bytesMax = 2 ** 33;
  world.engine.journal.inlets!.append = append;
  await read(world);
  expect(keysOf(world)).toHaveLength(rows.length);
});

it('keys that visits find are not added while the database is full, and counted; known ones are not', async () => {
  const world = await agendaWorld({ kind: probing });
  world.upstream.publish(['a.red', 'b.red'], 'first');
  await watch(world, ['a.red', 'b.red']);
  await followed(world);
  fill(world, 'bytesMax');
  world.upstream.publish('a.red', 'finds b.red c.red NOKEY d.blue');
  const refused = async () => (await statusOf(world.engine)).agenda!.refused_keys;
  await runUntil(world, { until: () => world.balance.rows === 3 });
  expect(await refused()).toEqual({ full: 2, 'no-key': 1 });
  expect(keysOf(world)).toEqual(['a.red', 'b.red']);
  world.options.room!.bytesMax = 2 ** 33;
  world.upstream.publish(['c.red', 'd.blue'], 'first');
  world.upstream.publish('a.red', 'finds c.red d.blue');
  await runUntil(world, { until: () => keysOf(world).length === 4 });
  expect(await refused()).toEqual({ full: 2, 'no-key': 1 });
  await followed(world);
  await expectProof(world);
});
