import { describe, expect, it, vi } from 'vitest';
import type { RangeStatus } from '../../../src/contract/ranges.ts';
import { controlRange, rangeOf, startRange } from '../../../src/engine/controls/ranges.ts';
import { Tail } from '../../../src/engine/follow/tail.ts';
import { expectNewest, expectPages, expectProof, lakeRows } from '../../simulation/oracle/proof.ts';
import { serials } from '../../simulation/world/serials.ts';
import { pages } from '../../simulation/world/sources.ts';
import { agendaWorld } from '../../simulation/world/visits.ts';
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
const names = (count: number) => Array.from({ length: count }, (_, index) => `package-${index}`);

/** A world whose tail begins in the middle of the feed: the changes before were never asked for. */
async function lateWorld(before: string[], options: WorldOptions = {}): Promise<World> {
  const world = await startedWorld(options);
  world.upstream.publish(before);
  world.startAt(String(world.upstream.seq));
  world.upstream.publish(['z']);
  await followed(world);
  return world;
}

async function started(world: World, lane: RangeStatus['lane'], request: { from?: string; to: string; rate?: number }) {
  const answer = await startRange(world.engine, lane, { rate: null, ...request });
  if ('message' in answer) throw new Error(answer.message);
  return answer;
}

const isDone = (world: World, lane: RangeStatus['lane']) => () =>
  rangeOf(world.engine, lane)?.state === 'done' && world.isFollowed;

function runTypes(world: World): unknown[] {
  return [...new Set(world.database.runs().map(run => run.run_type))];
}

describe('a backfill', () => {
  it('brings what lies before the tail, each change once, with its run', async () => {
    const world = await lateWorld(names(40), { pageChanges: 7 });
    const { changed, range } = await started(world, 'backfill', { from: '0', to: world.firstCursor });
    expect([changed, range.state]).toEqual([true, 'counting']);
    await runUntil(world, { until: isDone(world, 'backfill') });
    const rows = await lakeRows(world);
    expect(rows.filter(row => /#1$/.test(String(row._cursor)))).toHaveLength(40);
    expect(rangeOf(world.engine, 'backfill')).toMatchObject({ changes: 40, done: 40, seconds_left: 0 });
    expect(world.balance).toMatchObject({ changes: 41, rows: 41, balanced: true });
    expect(runTypes(world).sort()).toEqual(['backfill', 'follow']);
    await expectProof(world);
    await expectNewest(world);
  });

  it('loads a key whose later change, in the same page of the feed, is outside of it', async () => {
    const world = await startedWorld({ kind: serials });
    world.upstream.publish(['a', 'b']);
    const to = String(world.upstream.seq);
    world.upstream.publish(['a', 'b']);
    world.startAt(String(world.upstream.seq));
    world.upstream.publish('z');
    await followed(world);
    await started(world, 'backfill', { from: '0', to });
    await runUntil(world, { until: isDone(world, 'backfill') });
    const rows = (await lakeRows(world)).map(({ name, version }) => `${name} ${version}`);
    expect(rows).toEqual(['z 1', 'a 2', 'b 2']);
  });

  it('of a journal with several rows of a key loads the last of each page, and a rewind as well', async () => {
    const world = await startedWorld({ kind: serials, pageChanges: 4 });
    world.upstream.publish(['a', 'b', 'a', 'a', 'b', 'c']);
    world.startAt(String(world.upstream.seq));
    world.upstream.publish('z');
    await followed(world);
    await started(world, 'backfill', { from: '0', to: world.firstCursor });
    await runUntil(world, { until: isDone(world, 'backfill') });
    expect(world.balance).toMatchObject({ changes: 7, rows: 5, skipped: { coalesced: 2 }, balanced: true });
    await started(world, 'rewind', { to: '0' });
    await runUntil(world, { until: isDone(world, 'rewind') });
    expect(world.balance).toMatchObject({ changes: 14, rows: 10, skipped: { coalesced: 4 }, balanced: true });
    await expectProof(world);
    await expectNewest(world);
  });

  it('of older changes leaves nothing behind that the tail waits for', async () => {
    const world = await startedWorld({ kind: serials });
    world.upstream.publish(['a', 'b', 'a']);
    world.startAt(String(world.upstream.seq));
    world.upstream.lagging.set('a', 2);
    world.upstream.publish('a');
    await followed(world);
    const waiting = { reason: 'lagging-revision', revision: world.upstream.seq };
    expect(world.parked).toMatchObject([waiting]);
    // The range has two older rows of the key, the first of which is coalesced.
    await started(world, 'backfill', { from: '0', to: world.firstCursor });
    await runUntil(world, { until: isDone(world, 'backfill') });
    expect(world.parked).toMatchObject([waiting]);
    world.upstream.lagging.clear();
    await runUntil(world, { until: () => world.isFollowed && world.parked.length === 0 });
    expect(world.balance).toMatchObject({ skipped: { superseded: 1, coalesced: 1 }, balanced: true });
    await expectNewest(world);
    await expectProof(world);
  });

  it('that is served an older document than the newest row is of waits for the later one', async () => {
    const world = await startedWorld({ kind: serials });
    world.upstream.publish(['x', 'a', 'b']);
    await followed(world);
    await started(world, 'rewind', { to: '0', rate: 0.02 });
    await runUntil(world, { until: () => rangeOf(world.engine, 'rewind')?.done === 1 });
    // The tail accepts what the range will not reach, and a cache serves what was there before.
    world.upstream.publish('a');
    world.upstream.remove('b');
    await followed(world);
    world.upstream.lagging.set('a', 1);
    world.upstream.lagging.set('b', 1);
    await runUntil(world, { until: isDone(world, 'rewind') });
    world.upstream.lagging.clear();
    await runUntil(world, { until: () => world.isFollowed && world.parked.length === 0 });
    await expectNewest(world);
  });

  it('of an older change of a key that was deleted since gives its deletion, and no dead letter', async () => {
    const world = await startedWorld({ kind: serials });
    world.upstream.publish(['x', 'a']);
    await followed(world);
    await started(world, 'rewind', { to: '0', rate: 0.02 });
    await runUntil(world, { until: () => rangeOf(world.engine, 'rewind')?.done === 1 });
    // The range ends before the row of the removal.
    world.upstream.remove('a');
    await followed(world);
    await runUntil(world, { until: isDone(world, 'rewind') });
    expect(world.balance).toMatchObject({ tombstones: 2, parked: 0, dead: 0, balanced: true });
    await expectNewest(world);
  });

  it('counts first, and from then on says how long it takes', async () => {
    const world = await lateWorld(names(300), { pageChanges: 50, requestsPerSecond: 1_000 });
    await started(world, 'backfill', { from: '0', to: world.firstCursor, rate: 2 });
    await runUntil(world, { until: () => rangeOf(world.engine, 'backfill')!.state === 'loading' });
    expect(world.upstream.requests.filter(({ host }) => host === 'documents.test')).toHaveLength(1);
    const startedMs = world.clock.elapsedMs;
    const shown: { atMs: number; left: number }[] = [];
    while (rangeOf(world.engine, 'backfill')!.state !== 'done') {
      shown.push({ atMs: world.clock.elapsedMs, left: rangeOf(world.engine, 'backfill')!.seconds_left! * 1_000 });
      await nextRun(world);
    }
    const tookMs = world.clock.elapsedMs - startedMs;
    expect(tookMs).toBeGreaterThan(120_000);
    for (const { atMs, left } of shown.filter(({ atMs }) => atMs < startedMs + 0.8 * tookMs)) {
      const rightMs = startedMs + tookMs - atMs;
      expect(Math.abs(left - rightMs)).toBeLessThanOrEqual(0.1 * tookMs);
    }
  });

  it('does not hold the tail up', async () => {
    const world = await lateWorld(names(300), { pageChanges: 50, pollMs: 5_000 });
    await started(world, 'backfill', { from: '0', to: world.firstCursor, rate: 1 });
    await pass(world, MINUTE);
    world.upstream.publish('news');
    const startedMs = world.clock.elapsedMs;
    await runUntil(world, { until: () => world.lane.cursor === String(world.upstream.seq) });
    expect(world.clock.elapsedMs - startedMs).toBeLessThanOrEqual(10_000);
    expect(rangeOf(world.engine, 'backfill')!.state).toBe('loading');
  });

  it('never puts an older document over a newer one', async () => {
    const world = await lateWorld(['a'], { pollMs: 5_000 });
    await started(world, 'backfill', { from: '0', to: world.firstCursor });
    const load = world.calls.hold(/^load\.load a/, { answer: true });
    await pass(world, 10_000);
    await load.made;
    // Its document is loaded; a later revision comes in by another way before it is accepted.
    const parked = { key: 'a', cursor: String(world.upstream.seq + 1), deleted: false, revision: 2, skip: null };
    const rows = [{ table: 'npm_package', op: 'upsert' as const, row: { name: 'a', version: 'revision 2' } }];
    const outcome = { kind: 'rows' as const, rows, revision: 2, documentBytes: 10 };
    world.upstream.publish('a');
    const cursorBefore = world.lane.cursor!;
    const cursor = String(world.upstream.seq);
    world.engine.journal.append({
      lane: 'tail',
      cursorBefore,
      cursorAfter: cursor,
      nowMs: world.clock.now(),
      accepted: [{ change: { ...parked, cursor }, outcome }],
    });
    load.release();
    await runUntil(world, { until: isDone(world, 'backfill') });
    const versions = (await lakeRows(world)).filter(row => row.name === 'a').map(row => row.version);
    // The feed shows it elsewhere by now, and the tail has been there: it is loaded no more.
    expect(versions).toEqual(['revision 2']);
    await expectProof(world);
  });

  it('goes on after kills, pauses and a restart, and doubles nothing', async () => {
    const world = await lateWorld(names(60), { pageChanges: 9 });
    await started(world, 'backfill', { from: '0', to: world.firstCursor, rate: 2 });
    for (let kill = 0; kill < 12; kill++) {
      await pass(world, 3_000);
      world.kill();
      if (kill === 5) await controlRange(world.engine, 'backfill', 'pause');
      if (kill === 6) {
        const { done } = rangeOf(world.engine, 'backfill')!;
        await pass(world, 10 * MINUTE);
        expect(rangeOf(world.engine, 'backfill')).toMatchObject({ state: 'paused', done });
        await controlRange(world.engine, 'backfill', 'resume');
      }
      await world.engine.watch();
    }
    await runUntil(world, { until: isDone(world, 'backfill') });
    expect(world.balance).toMatchObject({ changes: 61, rows: 61, balanced: true });
    await expectProof(world);
    await expectNewest(world);
  });

  it('ends where it is cancelled, and what came stays', async () => {
    const world = await lateWorld(names(60), { pageChanges: 9 });
    await started(world, 'backfill', { from: '0', to: world.firstCursor, rate: 5 });
    await runUntil(world, { until: () => rangeOf(world.engine, 'backfill')!.done > 0 });
    const answer = await controlRange(world.engine, 'backfill', 'cancel');
    expect(answer).toMatchObject({ changed: true, range: { state: 'cancelled', ended_at: expect.any(String) } });
    expect(await controlRange(world.engine, 'backfill', 'cancel')).toMatchObject({ changed: false });
    const { changes } = world.balance;
    await pass(world, 10 * MINUTE);
    expect(world.balance.changes).toBe(changes);
    await started(world, 'backfill', { from: '0', to: world.firstCursor });
    await runUntil(world, { until: isDone(world, 'backfill') });
    await expectProof(world);
    await expectNewest(world);
  });

  it('parks what fails, which then comes in by tickets', async () => {
    const world = await lateWorld(names(20));
    world.upstream.faults.set('package-3', { status: 403 });
    await started(world, 'backfill', { from: '0', to: world.firstCursor });
    await runUntil(world, { until: isDone(world, 'backfill') });
    expect(world.balance).toMatchObject({ parked: 1, balanced: true });
    world.upstream.faults.clear();
    await runUntil(world, { until: () => world.isFollowed && world.parked.length === 0 });
    await expectProof(world);
    await expectNewest(world);
  });

  it('is the same one when it is asked for again, and another is refused meanwhile', async () => {
    const world = await lateWorld(names(20));
    const request = { from: '0', to: world.firstCursor };
    expect((await started(world, 'backfill', request)).changed).toBe(true);
    expect((await started(world, 'backfill', request)).changed).toBe(false);
    const other = await startRange(world.engine, 'backfill', { from: '3', to: world.firstCursor, rate: null });
    expect(other).toMatchObject({ code: 'conflict', hint: expect.stringContaining('cancel') });
    await runUntil(world, { until: isDone(world, 'backfill') });
    expect((await started(world, 'backfill', request)).changed).toBe(false);
    expect(world.balance.changes).toBe(21);
  });

  it.each([
    [{ from: 'x', to: '5' }, 'invalid_body'],
    [{ from: '0', to: 'x' }, 'invalid_body'],
    [{ from: '5', to: '5' }, 'invalid_body'],
    [{ from: '7', to: '5' }, 'invalid_body'],
    [{ from: '0', to: '999999' }, 'invalid_body'],
  ])('of %j is refused', async (request, code) => {
    const world = await lateWorld(names(20));
    const answer = await startRange(world.engine, 'backfill', { rate: null, ...request });
    expect(answer).toMatchObject({ code, message: expect.stringMatching(/expected/), hint: expect.any(String) });
    expect(rangeOf(world.engine, 'backfill')).toBe(null);
  });

  it('is refused while its source has not begun', async () => {
    const world = await startedWorld();
    const answer = await startRange(world.engine, 'backfill', { from: '0', to: '5', rate: null });
    expect(answer).toMatchObject({ code: 'conflict' });
  });

  it('of whole pages loads them at its pace too', async () => {
    const world = await startedWorld({ kind: pages });
    const keys = Array.from({ length: 120 }, (_, index) => `user-${index}`);
    world.upstream.publish(keys);
    world.upstream.pages.push(keys);
    world.startAt('1');
    await runUntil(world, { until: () => world.isFollowed });
    const startedMs = world.clock.elapsedMs;
    await started(world, 'backfill', { from: '0', to: '1', rate: 2 });
    await runUntil(world, { until: isDone(world, 'backfill') });
    const tookMs = world.clock.elapsedMs - startedMs;
    expect(tookMs).toBeGreaterThan(55_000);
    expect(tookMs).toBeLessThan(120_000);
    await expectPages(world);
  });

  it('waits for the tail, and not in a loop, where the tail has a newer change of a key at hand', async () => {
    const world = await lateWorld(['a', 'b']);
    const isPending = vi.spyOn(Tail.prototype, 'isPending').mockImplementation(key => key === 'a');
    await started(world, 'backfill', { from: '0', to: world.firstCursor });
    const { runs } = world;
    await pass(world, MINUTE);
    expect(world.runs - runs).toBeLessThanOrEqual(20);
    expect(rangeOf(world.engine, 'backfill')).toMatchObject({ state: 'loading', done: 0 });
    isPending.mockRestore();
    await runUntil(world, { until: isDone(world, 'backfill') });
    await expectProof(world);
    await expectNewest(world);
  });

  it('of whole pages brings each page as a whole', async () => {
    const world = await startedWorld({ kind: pages });
    for (let page = 0; page < 4; page++) {
      const keys = Array.from({ length: 120 }, (_, index) => `user-${page}-${index}${index % 5 === 0 ? '+' : ''}`);
      world.upstream.publish(keys);
      world.upstream.pages.push(keys);
    }
    world.startAt('3');
    await runUntil(world, { until: () => world.isFollowed });
    await started(world, 'backfill', { from: '0', to: '3' });
    for (let kill = 0; kill < 5; kill++) {
      await pass(world, 20_000);
      world.kill();
      await world.engine.watch();
    }
    await runUntil(world, { until: isDone(world, 'backfill') });
    expect(world.balance).toMatchObject({ changes: 480, balanced: true });
    await expectProof(world);
    await expectPages(world);
  });
});

describe('a source without a feed', () => {
  it.each(['backfill', 'rewind'] as const)('has no %s', async lane => {
    const world = await agendaWorld();
    const answer = await startRange(world.engine, lane, { from: '0', to: '5', rate: null });
    expect(answer).toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('expected a source with a feed'),
    });
    expect(rangeOf(world.engine, lane)).toBeNull();
  });
});

describe('a rewind', () => {
  it('pulls again what the tail has been through, as new changes', async () => {
    const world = await startedWorld();
    world.upstream.publish(names(10));
    await followed(world);
    const { changed } = await started(world, 'rewind', { to: '0' });
    expect(changed).toBe(true);
    await runUntil(world, { until: isDone(world, 'rewind') });
    expect(world.balance).toMatchObject({ changes: 20, rows: 20, balanced: true });
    expect(await lakeRows(world)).toHaveLength(20);
    expect(runTypes(world).sort()).toEqual(['follow', 'replay']);
    expect(world.engine.files.durableCursor()).toBe(world.lane.cursor);
    await expectProof(world);
    await expectNewest(world);
  });

  it('is the same one when it is asked for again, until the tail has moved', async () => {
    const world = await startedWorld();
    world.upstream.publish(names(10));
    await followed(world);
    await started(world, 'rewind', { to: '0' });
    expect((await started(world, 'rewind', { to: '0' })).changed).toBe(false);
    await runUntil(world, { until: isDone(world, 'rewind') });
    expect((await started(world, 'rewind', { to: '0' })).changed).toBe(false);
    world.upstream.publish('b');
    await followed(world);
    expect((await started(world, 'rewind', { to: '0' })).changed).toBe(true);
    await runUntil(world, { until: isDone(world, 'rewind') });
    expect(world.balance).toMatchObject({ changes: 32, balanced: true });
    await expectProof(world);
  });

  it('to where the tail is, or beyond, is refused', async () => {
    const world = await startedWorld();
    world.upstream.publish(names(10));
    await followed(world);
    for (const to of [world.lane.cursor!, '999999', 'x'])
      expect(await startRange(world.engine, 'rewind', { to, rate: null })).toMatchObject({ code: 'invalid_body' });
  });
});
