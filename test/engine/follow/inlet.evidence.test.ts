import { describe, expect, it } from 'vitest';
import { githubProfile } from '../../../schemas/github_profile.ts';
import { takePush } from '../../../src/engine/controls/push.ts';
import { lakeRows } from '../../simulation/oracle/proof.ts';
import { rowOf } from '../../simulation/world/sources.ts';
import { nextDueMs, requestTimes, unwatch, visitCount, watch } from '../../simulation/world/visits.ts';
import { followed, pass, reached, runUntil, type World } from '../../simulation/world/world.ts';
import { deletion, evidenceOf, fedWorld, feed, inletOf, isRead, keysOf, read, row } from './fed-world.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const KEY = 'a.red';

/** What the newest row of each visit that gave one says of its key's evidence: the facts, in order. */
const said = async (world: World) =>
  (await lakeRows(world)).map(({ company }) => [...String(company).matchAll(/"n":(\d+)/g)].map(([, n]) => Number(n)));

const visitsOf = (world: World, key = KEY) => requestTimes(world, key).length;

describe('evidence', () => {
  it('of two rows that say the same stays when one of them stops saying it', async () => {
    const world = await fedWorld({ keys: [KEY] });
    await feed(world, row('x', { key: KEY, n: 1 }), row('y', { key: KEY, n: 1 }));
    await feed(world, deletion('x'));
    expect(evidenceOf(world, KEY)).toEqual(['y/role={"n":1}']);
    await feed(world, row('y', { key: KEY, item: 'other', n: 1 }));
    expect(evidenceOf(world, KEY)).toEqual(['y/other={"n":1}']);
    await feed(world, row('y'));
    expect(evidenceOf(world, KEY)).toEqual([]);
  });

  it('is what a visit gets, and its change makes the key due', async () => {
    const world = await fedWorld({ keys: [KEY] });
    await feed(world, row('x', { key: KEY, n: 1 }));
    await followed(world);
    await feed(world, row('y', { key: KEY, n: 2 }));
    await followed(world);
    await feed(world, row('x'));
    await followed(world);
    expect(await said(world)).toEqual([[1], [1, 2], [2]]);
    expect(visitsOf(world)).toBe(3);
  });

  it('that a row repeats changes nothing and makes nothing due', async () => {
    const world = await fedWorld({ keys: [KEY] });
    await feed(world, row('x', { key: KEY, n: 1 }));
    await followed(world);
    const before = [nextDueMs(world, KEY), world.engine.journal.evidence!.of(KEY)];
    await feed(world, row('x', { key: KEY, n: 1 }), row('z', { key: 'b.red', n: 1 }));
    expect([nextDueMs(world, KEY), world.engine.journal.evidence!.of(KEY)]).toEqual(before);
  });

  it('that came while its key was visited leaves the key due', async () => {
    const world = await fedWorld({ keys: [KEY] });
    await watch(world, [KEY]);
    const held = world.calls.hold(/^load\.load a\.red/, { answer: true });
    await reached(world, held);
    // Another run reads the inlet: the first instance's visit lands after that.
    const { inlets } = world.engine.journal;
    const inlet = world.engine.source.inlets[0]!;
    inlets!.begin(inlet, { identity: 'table 1', nowMs: world.clock.now() });
    const rows = [{ lsn: 1, key: 'x', refused: {}, findings: [finding(1)] }];
    inlets!.append({ inlet, identity: 'table 1', lsnBefore: 0, rows, nowMs: world.clock.now() });
    world.feeding.add(row('x', { key: KEY, n: 1 }));
    world.feeding.settle();
    const dueMs = nextDueMs(world, KEY);
    held.release();
    await runUntil(world, { until: () => visitCount(world) >= 1 });
    await followed(world);
    expect(dueMs).toBeLessThanOrEqual(world.clock.now());
    expect(visitCount(world)).toBe(2);
    expect(await said(world)).toEqual([[], [1]]);
  });

  it('that came while an attempt at its parked key was under way leaves the key due', async () => {
    const world = await fedWorld({ keys: [KEY] });
    world.upstream.faults.set(KEY, { status: 500 });
    await watch(world, [KEY]);
    await runUntil(world, { until: () => world.parked.length === 1 });
    world.upstream.faults.clear();
    const held = world.calls.hold(/^queue\.take/);
    await reached(world, held);
    await feed(world, row('x', { key: KEY, n: 1 }));
    held.release();
    await runUntil(world, { until: () => world.parked.length === 0 && world.isFollowed });
    expect(await said(world)).toEqual([[], [1]]);
  });

  it('is fresh in an attempt at a parked key', async () => {
    const world = await fedWorld({ keys: [KEY] });
    world.upstream.faults.set(KEY, { status: 500 });
    await watch(world, [KEY]);
    await runUntil(world, { until: () => world.parked.length === 1 });
    await feed(world, row('x', { key: KEY, n: 1 }));
    world.upstream.faults.clear();
    await runUntil(world, { until: () => world.parked.length === 0 && world.isFollowed });
    expect((await said(world)).at(-1)).toEqual([1]);
  });

  it('of a key that was removed during its visit and added again is in the next one', async () => {
    const world = await fedWorld({ keys: [KEY] });
    world.feeding.add(row('x', { key: KEY, n: 1 }));
    world.feeding.settle();
    const held = world.calls.hold(/^load\.load a\.red/, { answer: true });
    await reached(world, held);
    await unwatch(world, [KEY]);
    held.release();
    await runUntil(world, { until: () => visitCount(world) === 1 });
    expect(world.balance.skipped.unwatched).toBe(1);
    await feed(world, row('y', { key: KEY, n: 2 }));
    expect(keysOf(world)).toEqual([]);
    await watch(world, [KEY]);
    await followed(world);
    expect(await said(world)).toEqual([[1, 2]]);
  });

  it('of a visit, a push and the same visit is what the newest row of the visits says', async () => {
    const world = await fedWorld({ keys: [KEY] });
    await feed(world, row('x', { key: KEY, n: 1 }));
    await followed(world);
    const pushed = rowOf(githubProfile, { username: KEY, company: 'pushed' });
    await takePush(world.engine, { identity: 'one', table: githubProfile.name, rows: [{ line: 1, row: pushed }] });
    await feed(world, row('x', { key: KEY, n: 2 }));
    await followed(world);
    expect(await said(world)).toEqual([[1], [], [2]]);
  });
});

describe('a Loader call', () => {
  it('has no more evidence than its message holds, and the rest follows in others', async () => {
    const keys = Array.from({ length: 9 }, (_, index) => `k${index}.red`);
    const world = await fedWorld({ keys });
    const sizes: number[] = [];
    const loaded = new Set<string>();
    world.onLoading = ({ changes }) => {
      for (const { key } of changes) loaded.add(key);
      sizes.push(JSON.stringify(changes.map(({ evidence }) => evidence)).length);
    };
    const facts = { text: 'x'.repeat(450) };
    for (const key of keys)
      for (let part = 0; part < 4; part++)
        world.feeding.say(
          `${key} ${part}`,
          ...Array.from({ length: 999 }, (_, n) => ({ key, item: `${n} ${'y'.repeat(100)}`, facts })),
        );
    world.feeding.settle();
    await runUntil(world, { until: () => world.isFed && visitCount(world) >= keys.length });
    expect([...loaded].sort()).toEqual(keys);
    expect(Math.max(...sizes)).toBeLessThan(16 * 1024 * 1024);
    expect(Math.max(...sizes)).toBeGreaterThan(4 * 1024 * 1024);
    expect(sizes.length).toBeGreaterThan(2);
  });
});

describe('the due time', () => {
  it('after a burst of changes is that of the first one, and one visit has them all', async () => {
    const world = await fedWorld({ keys: [KEY], settleMs: 5 * MINUTE });
    await watch(world, [KEY]);
    await followed(world);
    await feed(world, row('x', { key: KEY, n: 1 }));
    const firstMs = nextDueMs(world, KEY)!;
    expect(firstMs - world.clock.now()).toBeGreaterThan(4 * MINUTE);
    for (const n of [2, 3, 4]) {
      await feed(world, row('y', { key: KEY, item: `${n}`, n }));
      expect(nextDueMs(world, KEY)).toBe(firstMs);
    }
    await pass(world, firstMs - world.clock.now() + 10 * SECOND);
    expect(visitCount(world)).toBe(2);
    await followed(world);
    expect((await said(world)).at(-1)).toEqual([1, 4]);
  });

  it('is not put off by a steady stream of changes', async () => {
    const world = await fedWorld({ keys: [KEY], settleMs: 5 * MINUTE });
    await watch(world, [KEY]);
    await followed(world);
    const startMs = world.clock.elapsedMs;
    for (let n = 0; world.clock.elapsedMs - startMs < HOUR; n++) {
      await feed(world, row('x', { key: KEY, n }));
      await pass(world, 20 * SECOND);
    }
    const perVisitMs = (world.clock.elapsedMs - startMs) / (visitCount(world) - 1);
    expect(perVisitMs).toBeGreaterThan(4 * MINUTE);
    expect(perVisitMs).toBeLessThan(8 * MINUTE);
  });

  it('of a key that is due sooner stays', async () => {
    const world = await fedWorld({ keys: [KEY], settleMs: 50 * MINUTE });
    await watch(world, [KEY]);
    await followed(world);
    await pass(world, 20 * MINUTE);
    const dueMs = nextDueMs(world, KEY)!;
    await feed(world, row('x', { key: KEY, n: 1 }));
    expect(nextDueMs(world, KEY)).toBe(dueMs);
  });
});

describe('two sources that feed each other', () => {
  it('come to rest, and each has the keys of both', async () => {
    const worlds = [
      await fedWorld({ keys: ['a.red', 'b.red', 'c.red'] }),
      await fedWorld({ keys: ['b.red', 'c.red'] }),
    ];
    await watch(worlds[0]!, ['a.red', 'b.red']);
    await watch(worlds[1]!, ['c.red']);
    let rounds = 0;
    for (let moved = true; moved; rounds++) {
      expect(rounds).toBeLessThan(10);
      moved = false;
      for (const [index, world] of worlds.entries()) {
        await followed(world);
        const other = worlds[1 - index]!;
        // Each row of one names its key to the other.
        for (const { username, _lsn } of await lakeRows(world)) {
          if (Number(_lsn) <= other.feeding.rows.length) continue;
          other.feeding.say(String(username), { key: String(username) });
          moved = true;
        }
        other.feeding.settle();
        await read(other);
      }
    }
    for (const world of worlds) expect(keysOf(world)).toEqual(['a.red', 'b.red', 'c.red']);
    expect(isRead(worlds[0]!)()).toBe(true);
    expect(inletOf(worlds[0]!).added + inletOf(worlds[1]!).added).toBe(3);
  });
});

function finding(n: number) {
  return { key: KEY, space: 'red', item: 'role', facts: JSON.stringify({ n }), sample: null };
}
