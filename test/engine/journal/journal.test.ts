import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../../src/config.ts';
import { SLICE_CHANGES_MAX } from '../../../src/engine/follow/tail.ts';
import { TAIL } from '../../../src/engine/journal/changes.ts';
import { SLICE_ROW_BYTES_MAX } from '../../../src/ports/load-call.ts';
import type { Answer, LoadOutcome } from '../../../src/ports/loader.ts';
import { expectNewest, expectProof, lakeRows } from '../../simulation/oracle/proof.ts';
import { followed, nextRun, runUntil, startedWorld } from '../../simulation/world/world.ts';

const DAY = 24 * 3_600_000;

describe('an append', () => {
  it('is dropped when the cursor is no longer the one its page was pulled from', async () => {
    const world = await startedWorld();
    world.upstream.publish(['a', 'b']);
    const load = world.calls.hold(/^load\.load /, { answer: true });
    const run = nextRun(world);
    await load.made;
    const { b } = Object.fromEntries(world.upstream.items);
    world.engine.journal.state.updateLane(TAIL, { cursor: String(b!.seq) });
    load.release();
    await run;
    expect(world.balance.changes).toBe(0);
    expect(world.engine.files.backlog().rows).toBe(0);
    world.upstream.publish('c');
    await followed(world);
    expect((await lakeRows(world)).map(row => row.name)).toEqual(['c']);
  });

  it('takes no more changes than a slice has, and moves the cursor with each', async () => {
    const world = await startedWorld({ pageChanges: 1_000 });
    world.upstream.publish(Array.from({ length: 450 }, (_, index) => `package-${index}`));
    await followed(world);
    const appends = world.log.filter(({ event }) => event === 'slice_accepted').map(({ changes }) => changes);
    expect(appends).toEqual([SLICE_CHANGES_MAX, SLICE_CHANGES_MAX, 450 - 2 * SLICE_CHANGES_MAX]);
  });

  it('takes no more bytes of rows than a slice has', async () => {
    const world = await startedWorld();
    world.upstream.publish(
      Array.from({ length: 30 }, (_, index) => `package-${index}`),
      'x'.repeat(900_000),
    );
    await followed(world);
    await expectProof(world);
    await expectNewest(world);
    const appends = world.log.filter(({ event }) => event === 'slice_accepted').map(({ changes }) => Number(changes));
    // Each of the calls under way may exceed its share by one document.
    expect(Math.max(...appends) * 900_000).toBeLessThan(SLICE_ROW_BYTES_MAX + 7 * LIMITS.loadCallsAtOnce * 900_000);
    for (const file of world.files) expect(file.bytes).toBeLessThan(LIMITS.fileBytesMax + LIMITS.rowBytesMax);
    expect(world.files.length).toBeGreaterThan(1);
  });

  it('stamps no row earlier than the row before it, whatever the clock does', async () => {
    const world = await startedWorld();
    world.upstream.publish('a');
    await followed(world);
    world.clock.jump(-3 * DAY);
    await world.engine.watch();
    world.upstream.publish('b');
    await followed(world);
    await expectProof(world);
    const [a, b] = await lakeRows(world);
    expect(b!.updated_at).toBe(a!.updated_at);
    world.clock.jump(5 * DAY);
    world.upstream.publish('c');
    await followed(world);
    await expectProof(world);
    expect((await lakeRows(world))[2]!.updated_at).toMatch(/^2026-11-12T/);
  });
});

describe('the end of a month', () => {
  const startMs = Date.UTC(2026, 10, 30, 23, 59, 40);

  it('separates the rows before it from those after it', async () => {
    const world = await startedWorld({ startMs, flushAgeMs: 3_600_000 });
    world.upstream.publish(['a', 'b']);
    await runUntil(world, { until: () => world.balance.changes === 2 });
    world.upstream.publish(['c', 'd']);
    await runUntil(world, { until: () => world.balance.changes === 3 || world.balance.changes === 4 });
    world.upstream.publish(['e', 'f']);
    await followed(world);
    await expectProof(world);
    expect(world.files.map(({ key }) => key.replace(/^.*(year.*)\/data.*$/, '$1'))).toEqual([
      'year=2026/month=11',
      'year=2026/month=12',
    ]);
    for (const row of await lakeRows(world)) {
      const file = world.files.find(({ last_lsn }) => last_lsn >= Number(row._lsn))!;
      const [year, month] = String(row.updated_at).split('-');
      expect(file.key).toContain(`/year=${year}/month=${month}/`);
    }
  });

  it('ends the file of the month at once', async () => {
    const world = await startedWorld({ startMs, flushAgeMs: 3_600_000 });
    world.upstream.publish('a');
    await runUntil(world, { until: () => world.balance.changes === 1 });
    world.clock.jump(60_000);
    world.upstream.publish('b');
    await runUntil(world, { until: () => world.files.length === 1, withinMs: 60_000 });
    expect(world.files[0]!.key).toContain('/month=11/');
  });

  it('does not fall into an append', async () => {
    const world = await startedWorld({ startMs });
    world.upstream.publish(Array.from({ length: 40 }, (_, index) => `package-${index}`));
    world.upstream.latencyMs = () => 7_000;
    await followed(world);
    await expectProof(world);
    const appends = world.log.filter(({ event }) => event === 'slice_accepted');
    const stamps = new Set((await lakeRows(world)).map(row => row.updated_at));
    expect(stamps.size).toBeLessThanOrEqual(appends.length);
  });
});

describe('an append that SQLite refuses', () => {
  it('parks the change that SQLite refuses alone, and appends the others', async () => {
    const world = await startedWorld();
    world.upstream.publish(Array.from({ length: 21 }, (_, index) => `package-${index}`));
    world.upstream.publish('poison');
    world.upstream.publish(['y', 'z']);
    world.storage.refuses = (statement, params) =>
      /INSERT INTO entries/.test(statement) && Buffer.from(params.at(-1) as Uint8Array).includes('"poison"');
    await followed(world);
    await expectProof(world);
    expect(world.parked).toMatchObject([{ key: 'poison', reason: 'row-too-large' }]);
    expect(world.balance).toMatchObject({ changes: 24, rows: 23, parked: 1 });
    expect((await lakeRows(world)).map(row => row.name)).not.toContain('poison');
  });

  it('succeeds later, when SQLite takes it', async () => {
    const world = await startedWorld();
    world.upstream.publish(['a', 'poison', 'b']);
    world.storage.refuses = (statement, params) =>
      /INSERT INTO entries/.test(statement) && Buffer.from(params.at(-1) as Uint8Array).includes('"poison"');
    await followed(world);
    world.storage.refuses = () => false;
    await runUntil(world, { until: () => world.isFollowed && world.parked.length === 0 });
    await expectProof(world);
    await expectNewest(world);
  });

  it('does not stop the source when it is the key that SQLite refuses', async () => {
    const world = await startedWorld();
    world.upstream.publish(['a', 'half \ud800 of a character', 'b']);
    await runUntil(world, { until: () => world.lane.cursor === String(world.upstream.seq), withinMs: 3_600_000 });
    await followed(world);
    expect((await lakeRows(world)).map(row => row.name)).toEqual(expect.arrayContaining(['a', 'b']));
    expect(world.balance).toMatchObject({ changes: 3, balanced: true });
  });

  it('parks the change that failed with a text that SQLite refuses, without the text, for the same reason', async () => {
    const world = await startedWorld();
    world.upstream.publish(['a', 'long', 'b']);
    world.upstream.faults.set('long', { status: 403 });
    // A Loader of another version may not cut its texts.
    const { run } = world.engine.ports.load;
    const detail = 'redirected too often '.repeat(150_000);
    world.engine.ports.load.run = async (step, request) => {
      const answer = (await run(step, request)) as Answer<LoadOutcome[]>;
      if (step !== 'load' || !answer.ok) return answer as never;
      const value = answer.value.map(one => (one.kind === 'park' ? { ...one, detail } : one));
      return { ...answer, value } as never;
    };
    await runUntil(world, { until: () => world.isFollowed, withinMs: 600_000 });
    expect(world.parked).toMatchObject([{ key: 'long', reason: 'http-403' }]);
    expect(world.parked[0]!.detail.length).toBeLessThan(2_000);
    expect(world.balance).toMatchObject({ changes: 3, rows: 2, parked: 1, balanced: true });
  });

  it('leaves the other changes of a retry as they are', async () => {
    const world = await startedWorld();
    world.upstream.publish(['a', 'poison', 'b']);
    for (const key of ['a', 'poison', 'b']) world.upstream.faults.set(key, { status: 403 });
    await runUntil(world, { until: () => world.parked.length === 3 });
    world.upstream.faults.clear();
    world.storage.refuses = (statement, params) =>
      /INSERT INTO entries/.test(statement) && Buffer.from(params.at(-1) as Uint8Array).includes('"poison"');
    await runUntil(world, { until: () => world.isFollowed && world.parked.length === 1, withinMs: 3_600_000 });
    expect(world.parked).toMatchObject([{ key: 'poison' }]);
    expect((await lakeRows(world)).map(row => row.name).sort()).toEqual(['a', 'b']);
  });
});
