import { describe, expect, it } from 'vitest';
import type { Outcome } from '../../../src/engine/journal/changes.ts';
import { expectNewest, expectProof, lakeRows } from '../../simulation/oracle/proof.ts';
import { followed, runUntil, startedWorld, type World } from '../../simulation/world/world.ts';

/** A world in which a change of `a` is parked. */
async function parkedWorld(): Promise<World> {
  const world = await startedWorld({ pollMs: 5_000 });
  world.upstream.faults.set('a', { status: 403 });
  world.upstream.publish(['a', 'b']);
  await runUntil(world, { until: () => world.parked.length === 1 });
  return world;
}

/** The outcome of an attempt at `a`. */
function found(revision: number): Outcome {
  const values = { name: 'a', version: String(revision) };
  return { kind: 'rows', rows: [{ table: 'npm_package', op: 'upsert', row: values }], revision, documentBytes: 10 };
}

describe('a parked change', () => {
  it('is superseded by a newer change of its key', async () => {
    const world = await parkedWorld();
    world.upstream.faults.clear();
    world.upstream.publish('a');
    await followed(world);
    expect(world.parked).toEqual([]);
    expect(world.balance).toMatchObject({ changes: 3, rows: 2, skipped: { superseded: 1 } });
    await expectProof(world);
    await expectNewest(world);
  });

  it('is superseded by a newer change that is parked', async () => {
    const world = await parkedWorld();
    world.upstream.publish('a');
    await runUntil(world, { until: () => world.balance.changes === 3 });
    expect(world.parked).toMatchObject([{ key: 'a', cursor: String(world.upstream.seq), change_number: 3 }]);
    expect(world.balance).toMatchObject({ rows: 1, parked: 1, skipped: { superseded: 1 }, balanced: true });
  });

  it('is superseded by a deletion', async () => {
    const world = await parkedWorld();
    world.upstream.remove('a');
    await followed(world);
    expect(world.balance).toMatchObject({ rows: 1, tombstones: 1, parked: 0, skipped: { superseded: 1 } });
    await expectNewest(world);
  });

  it('gives a row with its cursor and the run', async () => {
    const world = await parkedWorld();
    const { cursor } = world.parked[0]!;
    world.upstream.faults.clear();
    await runUntil(world, { until: () => world.parked.length === 0 });
    await followed(world);
    const rows = await lakeRows(world);
    expect(rows.find(row => row.name === 'a')).toMatchObject({ _cursor: `${cursor}#1`, _op: 'upsert' });
    expect(world.balance).toMatchObject({ changes: 2, rows: 2 });
    await expectProof(world);
    await expectNewest(world);
  });

  it('gives rows with different cursors however often it comes back', async () => {
    const world = await parkedWorld();
    for (const key of ['c', 'd', 'e']) world.upstream.faults.set(key, { status: 403 });
    world.upstream.publish(['c', 'd', 'e']);
    await runUntil(world, { until: () => world.parked.length === 4 });
    for (const key of ['c', 'a', 'e', 'd']) {
      world.upstream.faults.delete(key);
      await runUntil(world, { until: () => !world.parked.some(parked => parked.key === key) });
    }
    await followed(world);
    await expectProof(world);
    const runs = (await lakeRows(world)).flatMap(row => String(row._cursor).split('#').slice(1));
    expect(runs).toEqual(['1', '2', '3', '4']);
  });

  it('is attempted in time though the clock was far ahead when it was parked', async () => {
    const world = await startedWorld();
    world.upstream.faults.set('a', { status: 403 });
    world.upstream.publish('a');
    const month = 30 * 24 * 3_600_000;
    world.clock.jump(month);
    await runUntil(world, { until: () => world.parked.length === 1 });
    world.clock.jump(-month);
    world.upstream.faults.clear();
    await world.engine.watch();
    await runUntil(world, { until: () => world.isFollowed && world.parked.length === 0, withinMs: 2 * 3_600_000 });
    await expectProof(world);
  });

  it('gives a tombstone when its item was deleted meanwhile and the feed says so', async () => {
    const world = await startedWorld();
    world.upstream.publish('a');
    await followed(world);
    world.upstream.remove('a');
    world.upstream.faults.set('a', { status: 403 });
    await followed(world);
    expect(world.balance).toMatchObject({ rows: 1, tombstones: 1, parked: 0 });
    await expectNewest(world);
  });
});

describe('the result of an attempt', () => {
  it('is refused when the key got a row since the ticket was sent', async () => {
    const world = await parkedWorld();
    const { journal } = world.engine;
    const [parked] = world.parked;
    const lastLsn = journal.state.lastLsnOf('a');
    world.storage.sql.exec(
      "INSERT INTO keys (table_name, key, last_lsn, deleted, revision, document_bytes) VALUES ('npm_package', 'a', 1, 0, 7, 10)",
    );
    const nowMs = world.clock.now();
    expect(journal.acceptRetry({ parked: parked!, outcome: found(1), lastLsn, nowMs })).toBe(false);
    expect(world.parked).toEqual([parked]);
    expect(world.engine.files.backlog().rows).toBe(1);
    expect(world.balance.balanced).toBe(true);
  });

  it('is refused when the change was superseded since the ticket was sent', async () => {
    const world = await parkedWorld();
    const [parked] = world.parked;
    world.upstream.publish('a');
    await runUntil(world, { until: () => world.balance.changes === 3 });
    const lastLsn = world.engine.journal.state.lastLsnOf('a');
    const nowMs = world.clock.now();
    expect(world.engine.journal.acceptRetry({ parked: parked!, outcome: found(1), lastLsn, nowMs })).toBe(false);
    expect(world.balance).toMatchObject({ changes: 3, rows: 1, parked: 1, balanced: true });
  });

  it('is accepted once, however often it is handed in', async () => {
    const world = await parkedWorld();
    const { journal } = world.engine;
    const retry = { parked: world.parked[0]!, outcome: found(1), nowMs: world.clock.now() };
    expect(journal.acceptRetry({ ...retry, lastLsn: 0 })).toBe(true);
    expect(journal.acceptRetry({ ...retry, lastLsn: journal.state.lastLsnOf('a') })).toBe(false);
    expect(world.balance).toMatchObject({ changes: 2, rows: 2, parked: 0, balanced: true });
  });
});
