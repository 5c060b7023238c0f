import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../../src/config.ts';
import { SWEEP_DIFFERENCES_MAX } from '../../../src/engine/audit/sweeper.ts';
import { MISSED_WAITING_MAX } from '../../../src/engine/journal/sweeps.ts';
import { expectNewest, expectProof, lakeRows } from '../../simulation/oracle/proof.ts';
import { drained } from '../../simulation/world/clock.ts';
import {
  followed,
  nextRun,
  pass,
  runUntil,
  startedWorld,
  type World,
  type WorldOptions,
} from '../../simulation/world/world.ts';

const KEYS = Array.from({ length: 250 }, (_, index) => `package-${String(index).padStart(3, '0')}`);
const GONE = KEYS.filter((_, index) => index % 12 === 7).slice(0, 20);

/** A world that has followed 250 packages, and lists them in pages of 100. */
async function listedWorld(options: WorldOptions = {}, keys = KEYS): Promise<World> {
  const world = await startedWorld(options);
  world.upstream.publish(keys);
  await followed(world);
  return world;
}

/** Takes keys out of the key index, as if they had never come in. */
function forget(world: World, keys: string[]): void {
  for (const key of keys) world.storage.sql.exec('DELETE FROM keys WHERE key = ?', key);
  world.storage.flush();
}

async function sweep(world: World, sample = 1): Promise<void> {
  expect(world.engine.audit.startSweep(sample)).toBe(true);
  world.storage.flush();
  // Do not wait for it, because a killed instance never answers.
  void world.engine.poke();
  await drained();
}

const status = (world: World) => world.engine.audit.status();
const isSwept = (world: World) => () => status(world).running === null && status(world).last !== null;
const isLoaded = (world: World) => () => isSwept(world)() && world.parked.length === 0 && world.isFollowed;

describe('a sweep', () => {
  it('of a source that has everything finds nothing', async () => {
    const world = await listedWorld();
    await sweep(world);
    await runUntil(world, { until: isSwept(world) });
    expect(status(world)).toEqual({
      source: 'coalescing',
      running: null,
      last: {
        phase: 'done',
        sample: 1,
        listed: 250,
        sampled: 250,
        present: 250,
        failed: 0,
        deleted: 0,
        missing: 0,
        stale: 0,
        extra: 0,
        capture_rate: 1,
        capture_rate_low: expect.closeTo(0.98487, 4),
        capture_rate_high: 1,
        missing_keys: [],
        stale_keys: [],
        extra_keys: [],
        loaded_afresh: 0,
        reason: null,
        started_at: expect.stringMatching(/^2026-/),
        ended_at: expect.stringMatching(/^2026-/),
      },
      self_check: expect.objectContaining({ running: false, problems: [] }),
    });
    expect(world.balance.changes).toBe(250);
  });

  it('continues while a tail with a backlog uses up every run', async () => {
    const world = await listedWorld();
    world.upstream.publish(Array.from({ length: 300 }, (_, index) => `slow-${index}`));
    world.upstream.latencyMs = key => (key.startsWith('slow') ? 35_000 : 0);
    await sweep(world);
    await runUntil(world, { until: () => status(world).running?.phase === 'catching-up' });
    expect(world.balance.changes).toBeLessThan(550);
    expect(status(world).running).toMatchObject({ listed: 550 });
  });

  it('finds exactly the 20 keys that were removed from the index, and loads them', async () => {
    const world = await listedWorld();
    forget(world, GONE);
    await sweep(world);
    await runUntil(world, { until: isLoaded(world) });
    expect(status(world).last).toMatchObject({
      sampled: 250,
      present: 230,
      missing: 20,
      extra: 0,
      failed: 0,
      deleted: 0,
      loaded_afresh: 20,
      missing_keys: GONE,
      extra_keys: [],
      capture_rate: 0.92,
    });
    const again = (await lakeRows(world)).slice(250);
    expect(again.map(row => row.name).sort()).toEqual(GONE);
    for (const row of again) expect(row._cursor).toMatch(new RegExp(`^${world.upstream.seq}#\\d+$`));
    expect(world.balance).toMatchObject({ changes: 270, rows: 270, parked: 0, balanced: true });
    await expectProof(world);
    await expectNewest(world);
    await sweep(world);
    await runUntil(world, { until: isSwept(world) });
    expect(status(world).last).toMatchObject({ present: 250, missing: 0, extra: 0, loaded_afresh: 0 });
  });

  it('survives a kill at each of its calls', async () => {
    const gone = KEYS.slice(3, 8);
    const small = () => listedWorld({ pageChanges: 15 }, KEYS.slice(0, 40));
    // Calls of a Loader or a queue's consumer outlive the object.
    const isOwn = (call: string) => /^(load\.list|load\.pull|wake|bucket|d1|queue\.(send|admit|take))/.test(call);
    const begin = async (world: World) => {
      forget(world, gone);
      await sweep(world);
    };
    const calm = await small();
    const before = calm.calls.count(/./);
    await begin(calm);
    await runUntil(calm, { until: isLoaded(calm) });
    const calls = calm.calls.made.slice(before).filter(isOwn).length;
    expect(calls).toBeGreaterThan(20);
    for (const [index, lose] of Array.from({ length: calls }, (_, n) => [n, n % 3 !== 0] as const)) {
      const world = await small();
      let left = index;
      const kill = (call: string) => {
        if (isOwn(call) && left-- === 0) world.kill({ lose });
      };
      if (index % 2 === 0) world.calls.before(kill);
      else world.calls.after(kill);
      await begin(world);
      await runUntil(world, { until: isLoaded(world) });
      expect(status(world).last).toMatchObject({ listed: 40, present: 35, extra: 0, missing_keys: gone });
      expect(await lakeRows(world)).toHaveLength(45);
      await expectProof(world);
    }
  });

  it('reports no key that was added, changed or deleted while it ran', async () => {
    const world = await listedWorld({ settleMs: 10_000 });
    const held = world.calls.hold(/^load\.list package-199/, { answer: true });
    await sweep(world);
    await pass(world, 1_000);
    await held.made;
    world.upstream.publish(['package-010x', 'package-240x', 'package-020']);
    world.upstream.remove('package-005');
    world.upstream.remove('package-249');
    held.release();
    await runUntil(world, { until: isSwept(world) });
    expect(status(world).last).toMatchObject({ missing: 0, extra: 0, missing_keys: [], extra_keys: [] });
    await followed(world);
    await expectNewest(world);
    await expectProof(world);
  });

  it('reports no key that is listed before the feed shows it', async () => {
    const world = await listedWorld({ pollMs: 600_000 });
    world.upstream.publish(['package-100x', 'package-100y']);
    world.upstream.remove('package-200');
    await sweep(world);
    await nextRun(world);
    expect(status(world).running).toMatchObject({
      phase: 'catching-up',
      missing: null,
      extra: null,
      capture_rate: null,
    });
    expect(status(world).last).toBeNull();
    await runUntil(world, { until: isSwept(world) });
    expect(status(world).last).toMatchObject({ present: 251, deleted: 0, missing: 0, extra: 0, capture_rate: 1 });
    expect(world.balance).toMatchObject({ changes: 253, parked: 0 });
  });

  it('reports no key that the tail has pulled and that moved to a later cursor since', async () => {
    const world = await listedWorld({ settleMs: 10_000 });
    const move = () => {
      world.upstream.publish('package-100x');
      world.upstream.remove('package-200');
    };
    move();
    world.upstream.publish('package-300');
    await sweep(world);
    await runUntil(world, { until: () => world.lane.unsettled !== null });
    // By the time the tail has passed the cursors at which the feed showed them, they are at later ones.
    move();
    await runUntil(world, { until: isSwept(world) });
    expect(status(world).last).toMatchObject({ present: 251, deleted: 0, missing: 0, extra: 0, loaded_afresh: 0 });
    await followed(world);
    expect(world.balance).toMatchObject({ changes: 253, parked: 0, balanced: true });
    await expectNewest(world);
  });

  it('finds keys that are present here and not listed', async () => {
    const world = await listedWorld();
    world.upstream.remove('package-001');
    await followed(world);
    world.upstream.items.delete('package-002');
    world.upstream.items.delete('package-249');
    await sweep(world);
    await runUntil(world, { until: isSwept(world) });
    expect(status(world).last).toMatchObject({
      listed: 247,
      present: 247,
      missing: 0,
      extra: 2,
      extra_keys: ['package-002', 'package-249'],
    });
    expect(world.balance.changes).toBe(251);
  });

  it('drops an extra key that a fresh page lists', async () => {
    const world = await listedWorld();
    let pages = 0;
    world.upstream.alterList = page =>
      pages++ < 3 ? { ...page, keys: page.keys.filter(key => key !== 'package-120') } : page;
    await sweep(world);
    await runUntil(world, { until: isSwept(world) });
    expect(pages).toBe(4);
    expect(status(world).last).toMatchObject({ listed: 249, present: 249, extra: 0 });
  });

  it('reports no extra keys when keys are listed out of order', async () => {
    const world = await listedWorld();
    world.upstream.alterList = page => ({ ...page, keys: [...page.keys].reverse() });
    forget(world, ['package-003']);
    world.upstream.items.delete('package-249');
    await sweep(world);
    await runUntil(world, { until: isLoaded(world) });
    expect(status(world).last).toMatchObject({
      missing: 1,
      missing_keys: ['package-003'],
      extra: null,
      extra_keys: [],
    });
  });

  it('counts the keys of parked changes as failed, and does not load them', async () => {
    const world = await startedWorld();
    world.upstream.faults.set('package-009', { status: 403 });
    world.upstream.publish(KEYS);
    world.upstream.publish('internal:design');
    await runUntil(world, { until: () => world.balance.changes === 251 });
    await sweep(world);
    await runUntil(world, { until: isSwept(world) });
    expect(status(world).last).toMatchObject({
      listed: 250,
      present: 249,
      failed: 1,
      missing: 0,
      extra: 0,
      capture_rate: 0.996,
      loaded_afresh: 0,
    });
    expect(world.balance).toMatchObject({ changes: 251, parked: 1 });
  });

  it('of a sample compares the same keys on both sides each time', async () => {
    const world = await listedWorld();
    for (const key of KEYS.slice(0, 30)) world.upstream.items.delete(key);
    forget(world, KEYS.slice(30, 60));
    await sweep(world, 0.3);
    await runUntil(world, { until: isSwept(world) });
    const first = status(world).last!;
    expect(first.listed).toBe(220);
    expect(first.sampled).toBeGreaterThan(40);
    expect(first.sampled).toBeLessThan(95);
    expect(first.present + first.missing!).toBe(first.sampled);
    expect(first.missing).toBeGreaterThan(0);
    expect(first.extra).toBeGreaterThan(0);
    await runUntil(world, { until: isLoaded(world) });
    await sweep(world, 0.3);
    await runUntil(world, { until: isSwept(world) });
    expect(status(world).last).toMatchObject({
      sampled: first.sampled,
      missing: 0,
      extra: first.extra,
      extra_keys: first.extra_keys,
    });
  });

  it('does not delay the tail while listing fails, and continues where it was', async () => {
    const world = await listedWorld();
    await sweep(world);
    world.calls.fail(/^load\.list package-099/, { times: 3 });
    world.upstream.listFault = { status: 500 };
    await pass(world, 120_000);
    expect(status(world).running).toMatchObject({ phase: 'listing', listed: 0 });
    expect(world.fault('audit')).toMatchObject({ kind: 'upstream-status' });
    expect(world.state).toBe('following');
    world.upstream.publish('later');
    const startedMs = world.clock.elapsedMs;
    await runUntil(world, { until: () => world.balance.changes === 251 });
    expect(world.clock.elapsedMs - startedMs).toBeLessThanOrEqual(16_000);
    world.upstream.listFault = null;
    await runUntil(world, { until: isSwept(world) });
    expect(status(world).last).toMatchObject({ listed: 251, present: 251, missing: 0 });
    expect(world.fault('audit')).toBeNull();
  });

  it('whose listing hangs ends its step, and the tail continues', async () => {
    const world = await listedWorld();
    const held = world.calls.hold(/^load\.list/);
    await sweep(world);
    await pass(world, 1_000);
    await held.made;
    world.upstream.publish('later');
    const startedMs = world.clock.elapsedMs;
    await runUntil(world, { until: () => world.balance.changes === 251 });
    expect(world.clock.elapsedMs - startedMs).toBeLessThanOrEqual(LIMITS.listMsMax + LIMITS.recoveryMs + 16_000);
    await runUntil(world, { until: isSwept(world) });
    held.release();
    await pass(world, 60_000);
    expect(status(world).last).toMatchObject({ listed: 251, present: 251, missing: 0, extra: 0 });
  });

  it('compares more indexed keys than fit one transaction in parts', async () => {
    const world = await startedWorld();
    world.upstream.publish(['a', 'b']);
    await followed(world);
    const many = 2 * LIMITS.listOwnKeysMax + 50;
    world.storage.sql.exec(
      `WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < ?)
       INSERT INTO keys (table_name, key, last_lsn, deleted)
       SELECT 'npm_package', printf('a-%06d', value), 1, 0 FROM n`,
      many,
    );
    await sweep(world);
    await runUntil(world, { until: isSwept(world) });
    expect(status(world).last).toMatchObject({ listed: 2, present: 2, missing: 0, extra: many });
    expect(status(world).last!.extra_keys).toHaveLength(LIMITS.auditNamesMax);
  });

  it('runs one at a time, waits while its source is paused, and needs a source that lists its keys', async () => {
    const world = await listedWorld();
    await world.engine.control('pause');
    await sweep(world);
    expect(world.engine.audit.startSweep(0.5)).toBe(false);
    await pass(world, 60_000);
    expect(world.calls.count(/^load\.list/)).toBe(0);
    await world.engine.control('start');
    await runUntil(world, { until: isSwept(world) });
    const { pages } = await import('../../simulation/world/sources.ts');
    expect((await startedWorld({ kind: pages })).engine.audit.startSweep(1)).toBeNull();
  });

  it('is given up with a reason when too many keys differ', async () => {
    const world = await startedWorld({ pageChanges: 40_000 });
    const many = Array.from({ length: SWEEP_DIFFERENCES_MAX + 50 }, (_, index) => `other-${index}`);
    world.upstream.alterList = () => ({ keys: many.sort(), next: null });
    world.upstream.publish('a');
    await followed(world);
    await sweep(world);
    await runUntil(world, { until: isSwept(world) });
    expect(status(world).last).toMatchObject({
      phase: 'given-up',
      missing: null,
      extra: null,
      capture_rate: null,
      missing_keys: [],
      loaded_afresh: 0,
      reason: expect.stringMatching(/^expected at most 100000 keys to differ, got more: ask for a smaller sample$/),
    });
    expect(world.balance.changes).toBe(1);
  });
});

describe('a change made by a sweep', () => {
  it('whose document is gone at its first attempt is skipped without rows', async () => {
    const world = await listedWorld();
    forget(world, ['package-050']);
    await sweep(world);
    await runUntil(world, { until: () => world.parked.length === 1 });
    expect(world.parked).toMatchObject([{ reason: 'missed', from_sweep: 1, key: 'package-050' }]);
    world.upstream.items.delete('package-050');
    await runUntil(world, { until: isLoaded(world) });
    expect(world.balance).toMatchObject({ changes: 251, rows: 250, skipped: { 'no-rows': 1 }, balanced: true });
    await expectProof(world);
  });

  it('that fails at first is retried like any other', async () => {
    const world = await listedWorld();
    forget(world, ['package-050']);
    world.upstream.faults.set('package-050', { status: 403 });
    await sweep(world);
    await runUntil(world, { until: () => world.parked[0]?.reason === 'http-403' });
    await sweep(world).catch(() => undefined);
    world.upstream.faults.clear();
    await runUntil(world, { until: isLoaded(world) });
    expect(world.balance).toMatchObject({ changes: 251, rows: 251, balanced: true });
    await expectProof(world);
  });

  it('is superseded by a change of its key in the feed', async () => {
    const world = await listedWorld({ pollMs: 5_000 });
    forget(world, ['package-050']);
    world.queue.deliver = () => ({ delaysMs: [] });
    await sweep(world);
    await runUntil(world, { until: () => world.parked.length === 1 });
    world.upstream.publish('package-050');
    await runUntil(world, { until: isLoaded(world) });
    expect(world.balance).toMatchObject({ changes: 252, rows: 251, skipped: { superseded: 1 }, balanced: true });
    await expectProof(world);
  });

  it('loads a key that is listed and deleted here; another deletion gives no row', async () => {
    const world = await listedWorld();
    world.upstream.remove('package-050');
    world.upstream.remove('package-060');
    await followed(world);
    // Upstream still has one of the deleted items.
    world.upstream.items.get('package-050')!.deleted = false;
    await sweep(world);
    await runUntil(world, { until: isLoaded(world) });
    expect(status(world).last).toMatchObject({ present: 248, deleted: 1, missing: 0, loaded_afresh: 1 });
    expect(world.balance).toMatchObject({ changes: 253, rows: 251, tombstones: 2, balanced: true });
    await expectNewest(world);
    await expectProof(world);
  });

  it('waits with few others at once, so that the tail keeps most of the pace of the host', async () => {
    const world = await listedWorld();
    forget(world, KEYS.slice(0, 100));
    let most = 0;
    world.onRunEnd = () => {
      most = Math.max(most, world.parked.filter(({ reason }) => reason === 'missed').length);
    };
    await sweep(world);
    await runUntil(world, { until: isLoaded(world) });
    expect(most).toBe(MISSED_WAITING_MAX);
    expect(status(world).last).toMatchObject({ missing: 100, loaded_afresh: 100 });
    expect(world.balance).toMatchObject({ changes: 350, rows: 350, balanced: true });
    await expectProof(world);
  });
});
