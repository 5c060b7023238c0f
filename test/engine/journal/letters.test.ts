import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../../src/config.ts';
import { dismissFailed, failedChange, failedOf, replayFailed } from '../../../src/engine/controls/failed.ts';
import { FAILING_CHANGES_MIN } from '../../../src/engine/engine.ts';
import { expectNewest, expectProof, lakeRows } from '../../simulation/oracle/proof.ts';
import { followed, pass, runUntil, startedWorld, type World } from '../../simulation/world/world.ts';

const DAY = 24 * 3_600_000;
const ALL = { state: 'dead', reason: null, olderThanSeconds: null } as const;
const PAGE = { after: 0, limit: 100 };

/** A world in which the changes of some keys have died, each after another HTTP status. */
async function deadWorld(faults: Record<string, number> = { a: 404 }): Promise<World> {
  const world = await startedWorld({ pollMs: 60_000 });
  for (const [key, status] of Object.entries(faults)) world.upstream.faults.set(key, { status });
  world.upstream.publish([...Object.keys(faults), 'z']);
  await runUntil(world, { until: () => world.balance.dead === Object.keys(faults).length, withinMs: 2 * DAY });
  return world;
}

function letters(world: World) {
  return world.database.rows('SELECT * FROM failed_messages ORDER BY id').map(({ id: _, ...letter }) => letter);
}

const isPublished = (world: World, status: string) => () =>
  world.isFollowed && letters(world).length > 0 && letters(world).every(letter => letter.status === status);

describe('a change that keeps failing', () => {
  it('is dead after its last attempt, and was attempted with growing waits', async () => {
    const world = await deadWorld();
    const asked = world.upstream.requests.filter(({ subject }) => subject === 'a').map(({ atMs }) => atMs);
    expect(asked).toHaveLength(21);
    const waits = asked.slice(1).map((atMs, index) => atMs - asked[index]!);
    for (const [index, waitMs] of waits.entries()) {
      const doubledMs = Math.min(10_000 * 2 ** index, LIMITS.parkedMsMax);
      expect(waitMs).toBeGreaterThanOrEqual(doubledMs);
      expect(waitMs).toBeLessThanOrEqual(doubledMs * 1.25 + 2_000);
    }
    expect(world.balance).toMatchObject({ changes: 2, rows: 1, parked: 0, dead: 1, balanced: true });
    await pass(world, 2 * DAY);
    expect(world.upstream.requests.filter(({ subject }) => subject === 'a')).toHaveLength(asked.length);
  });

  it('is one letter in the operational database, with the history of its attempts', async () => {
    const world = await deadWorld();
    await runUntil(world, { until: isPublished(world, 'failed') });
    const [letter, ...rest] = letters(world);
    expect(rest).toEqual([]);
    expect(letter).toMatchObject({
      queue_name: 'tributary-retry',
      status: 'failed',
      retry_count: 20,
      resolved_at: null,
    });
    expect(letter!.error_message).toBe('a: expected an answer, got http-404');
    expect(letter!.error_stack).toBe(null);
    const body = JSON.parse(String(letter!.message_body));
    expect(body).toMatchObject({ source: 'coalescing', change_number: 1, key: 'a', reason: 'http-404' });
    expect(body.history).toHaveLength(10);
    expect(Date.parse(String(letter!.failed_at))).toBeGreaterThan(Date.parse(String(letter!.original_timestamp)));
  });

  it('is dead at once where another attempt is useless', async () => {
    const world = await startedWorld();
    world.upstream.faults.set('a', { status: 451 });
    world.upstream.publish('a');
    await runUntil(world, { until: () => world.balance.dead === 1 });
    expect(world.upstream.requests.filter(({ subject }) => subject === 'a')).toHaveLength(1);
    await runUntil(world, { until: isPublished(world, 'failed') });
    expect(letters(world)).toMatchObject([{ retry_count: 0 }]);
  });

  it('does not stop its source', async () => {
    const world = await deadWorld();
    world.upstream.publish('b');
    await followed(world);
    expect(world.engine.files.durableCursor()).toBe(String(world.upstream.seq));
    await expectProof(world);
  });
});

describe('a dead change', () => {
  it('gives its rows once, however often it is replayed', async () => {
    const world = await deadWorld();
    world.upstream.faults.clear();
    for (let time = 0; time < 3; time++) await replayFailed(world.engine, { numbers: null, query: ALL, dryRun: false });
    await runUntil(world, { until: isPublished(world, 'resolved') });
    expect(await replayFailed(world.engine, { numbers: [1], query: ALL, dryRun: false })).toEqual({
      changes: 0,
      by_reason: {},
    });
    await pass(world, DAY);
    expect(letters(world)).toMatchObject([{ status: 'resolved', resolved_at: expect.any(String) }]);
    expect((await lakeRows(world)).filter(row => row.name === 'a')).toHaveLength(1);
    expect(world.balance).toMatchObject({ changes: 2, rows: 2, dead: 0, balanced: true });
    await expectProof(world);
    await expectNewest(world);
  });

  it('dies again where its upstream still fails, and keeps its letter', async () => {
    const world = await deadWorld();
    await replayFailed(world.engine, { numbers: [1], query: ALL, dryRun: false });
    expect(failedChange(world.engine, 1)).toMatchObject({ id: 'coalescing-1', state: 'replaying' });
    await runUntil(world, { until: () => world.balance.dead === 1, withinMs: 2 * DAY });
    await runUntil(world, { until: () => letters(world)[0]?.retry_count === 40 });
    expect(letters(world)).toMatchObject([{ status: 'failed' }]);
    expect(failedChange(world.engine, 1)).toMatchObject({ state: 'dead', attempts: 40 });
  });

  it('is not replayed over a newer row of its key', async () => {
    const world = await deadWorld();
    world.upstream.faults.clear();
    world.upstream.publish('a');
    await runUntil(world, { until: isPublished(world, 'superseded') });
    expect(world.balance).toMatchObject({ changes: 3, rows: 2, dead: 0, skipped: { superseded: 1 } });
    expect(await replayFailed(world.engine, { numbers: [1], query: ALL, dryRun: false })).toMatchObject({ changes: 0 });
    await pass(world, DAY);
    expect((await lakeRows(world)).filter(row => row.name === 'a')).toHaveLength(1);
    await expectNewest(world);
  });

  it('that was a deletion comes back as a row when its item lives again', async () => {
    const world = await startedWorld();
    world.upstream.publish('a');
    await followed(world);
    world.upstream.remove('a');
    const { seq } = world.upstream;
    // The feed no longer shows the new item: only the dead deletion knows of the key.
    const { journal } = world.engine;
    const change = { key: 'a', cursor: String(seq), deleted: true, revision: 2, skip: null };
    const outcome = { kind: 'park', reason: 'http-410', detail: 'gone', retryAfterMs: null } as const;
    const accepted = [{ change, outcome }];
    const [cursorBefore, nowMs] = [world.lane.cursor!, world.clock.now()];
    journal.append({ lane: 'tail', cursorBefore, cursorAfter: String(seq), accepted, nowMs });
    expect(world.balance.dead).toBe(1);
    const item = world.upstream.items.get('a')!;
    Object.assign(item, { deleted: false, revision: 3 });
    await replayFailed(world.engine, { numbers: null, query: ALL, dryRun: false });
    await runUntil(world, { until: isPublished(world, 'resolved') });
    expect((await lakeRows(world)).map(row => row._op)).toEqual(['upsert', 'upsert']);
    await expectNewest(world);
  });

  it('that is dismissed is skipped', async () => {
    const world = await deadWorld();
    expect(dismissFailed(world.engine, 1, 'unpublished')).toBe(true);
    expect(dismissFailed(world.engine, 1, 'unpublished')).toBe(false);
    expect(dismissFailed(world.engine, 2, 'not dead')).toBe(null);
    await world.engine.poke();
    await runUntil(world, { until: isPublished(world, 'dismissed') });
    expect(JSON.parse(String(letters(world)[0]!.message_body)).note).toBe('unpublished');
    expect(world.balance).toMatchObject({ changes: 2, rows: 1, dead: 0, skipped: { dismissed: 1 }, balanced: true });
  });

  it('is listed by reason and age, and page by page', async () => {
    const world = await deadWorld({ a: 404, b: 403, c: 404 });
    const found = (query: object) => failedOf(world.engine, { ...ALL, ...PAGE, ...query }).map(({ key }) => key);
    expect(found({})).toEqual(['a', 'b', 'c']);
    expect(found({ reason: 'http-403' })).toEqual(['b']);
    expect(found({ after: 1, limit: 1 })).toEqual(['b']);
    expect(found({ olderThanSeconds: 86_400 })).toEqual([]);
    await pass(world, 2 * DAY);
    expect(found({ olderThanSeconds: 86_400 })).toEqual(['a', 'b', 'c']);
    const dry = await replayFailed(world.engine, { numbers: null, query: ALL, dryRun: true });
    expect(dry).toEqual({ changes: 3, by_reason: { 'http-403': 1, 'http-404': 2 } });
    expect(world.balance.dead).toBe(3);
  });

  it('is published once though the answer of the database was lost', async () => {
    const world = await startedWorld();
    world.upstream.faults.set('a', { status: 451 });
    world.upstream.publish('a');
    world.calls.fail(/^d1/, { times: 2, answer: 'lost' });
    await runUntil(world, { until: () => world.isFollowed && letters(world).length > 0 });
    expect(letters(world)).toHaveLength(1);
  });

  it('stays resolved when an older statement lands late', async () => {
    const world = await startedWorld();
    world.upstream.faults.set('a', { status: 451 });
    world.upstream.publish('a');
    const old = world.calls.hold(/^d1/);
    await runUntil(world, { until: () => world.fault('database') !== null });
    dismissFailed(world.engine, 1, 'legal');
    await runUntil(world, { until: () => letters(world)[0]?.status === 'dismissed' });
    old.release();
    await pass(world, 60_000);
    expect(letters(world)).toMatchObject([{ status: 'dismissed' }]);
  });
});

describe('a parked change', () => {
  it('is listed with its attempts and when the next one is due', async () => {
    const world = await startedWorld();
    world.upstream.faults.set('a', { status: 403 });
    world.upstream.publish('a');
    await runUntil(world, { until: () => world.parked[0]?.attempts === 2 });
    expect(failedOf(world.engine, { ...ALL, ...PAGE, state: 'parked' })).toMatchObject([
      {
        id: 'coalescing-1',
        key: 'a',
        state: 'parked',
        reason: 'http-403',
        attempts: 2,
        next_look_at: expect.any(String),
      },
    ]);
    expect(failedOf(world.engine, { ...ALL, ...PAGE })).toEqual([]);
  });
});

describe('a source most of whose changes fail', () => {
  it('asks its upstream nothing for a while, and continues by itself', async () => {
    const world = await startedWorld({ pageChanges: 50 });
    const names = Array.from({ length: 400 }, (_, index) => `package-${index}`);
    for (const name of names.slice(0, 250)) world.upstream.faults.set(name, { status: 403 });
    world.upstream.publish(names);
    await runUntil(world, { until: () => world.fault('follow')?.kind === 'upstream-failing' });
    const { changes } = world.balance;
    expect(changes).toBeGreaterThanOrEqual(FAILING_CHANGES_MIN);
    expect(changes).toBeLessThan(250);
    expect(world.state).toBe('backing-off');
    await pass(world, 4 * 60_000);
    expect(world.balance.changes).toBe(changes);
    world.upstream.faults.clear();
    await runUntil(world, { until: () => world.isFollowed && world.parked.length === 0 });
    await expectProof(world);
    await expectNewest(world);
  });
});
