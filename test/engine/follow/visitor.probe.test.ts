import { describe, expect, it } from 'vitest';
import { githubProfile } from '../../../schemas/github_profile.ts';
import { githubRepo } from '../../../schemas/github_repo.ts';
import { lakeRows } from '../../simulation/oracle/proof.ts';
import { PROBE_HOST, PROBE_KEYS, probing } from '../../simulation/world/probing.ts';
import { agendaWorld, nextDueMs, requestTimes, visitCount, watch } from '../../simulation/world/visits.ts';
import { followed, pass, runUntil, type World } from '../../simulation/world/world.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

const names = (space: string, count: number) => Array.from({ length: count }, (_, index) => `n${index}.${space}`);

/** A world whose keys had their first visit. */
async function visitedWorld(keys: string[], options = {}): Promise<World> {
  const world = await agendaWorld({ kind: probing, ...options });
  world.upstream.publish(keys, 'first');
  await watch(world, keys);
  await runUntil(world, { until: () => visitCount(world) === keys.length });
  world.upstream.requests.length = 0;
  return world;
}

const bios = async (world: World) =>
  (await lakeRows(world, githubProfile)).map(row => [row.username, row._op === 'delete' ? null : row.bio]);

describe('a probe', () => {
  it('asks for many keys at once, and a key that is unchanged costs no request of its own', async () => {
    const keys = [...names('red', 20), ...names('blue', 20)];
    const world = await visitedWorld(keys);
    await runUntil(world, { until: () => visitCount(world) === 80 });
    expect(requestTimes(world, PROBE_HOST)).toHaveLength(40 / PROBE_KEYS);
    expect([...requestTimes(world, 'red.test'), ...requestTimes(world, 'blue.test')]).toEqual([]);
    expect(world.balance).toMatchObject({ changes: 80, rows: 40, skipped: { unchanged: 40 }, balanced: true });
  });

  it('hands what it found on to the visit of a key that changed, and to no other', async () => {
    const world = await visitedWorld(names('red', 10));
    world.upstream.publish('n3.red', 'second');
    await runUntil(world, { until: () => visitCount(world) >= 20 });
    expect(requestTimes(world, 'red.test')).toHaveLength(1);
    await followed(world);
    expect((await bios(world)).slice(10)).toEqual([['n3.red', 'second']]);
  });

  it('that fails for one key is halved down to it, and only that key is put off', async () => {
    const keys = names('red', 16);
    const world = await visitedWorld(keys);
    world.upstream.probeFaults.set('n5.red', { status: 502 });
    await runUntil(world, { until: () => visitCount(world) === 31 });
    // Each of four requests asks for four keys; the one that fails costs two halves, and two quarters.
    expect(requestTimes(world, PROBE_HOST)).toHaveLength(4 + 2 + 2);
    expect(requestTimes(world, 'red.test')).toEqual([]);
    expect(nextDueMs(world, 'n5.red')).toBeGreaterThan(world.clock.now() + 2 * HOUR);
    expect(world.engine.journal.agenda!.find('n5.red')).toMatchObject({ outcome: 'failed', times: 1 });
    // It stays put off, longer each time, while others are visited, and comes back with its upstream.
    world.upstream.probeFaults.clear();
    world.upstream.publish('n5.red', 'second');
    await runUntil(world, { until: () => requestTimes(world, 'n5.red').length === 1 });
    expect(world.balance).toMatchObject({ parked: 0, balanced: true });
  });

  it('that nobody answers visits nothing, and asks no other host', async () => {
    const world = await visitedWorld(names('red', 40));
    world.upstream.hostFaults.set(PROBE_HOST, { status: 503 });
    await pass(world, 3 * HOUR);
    expect(visitCount(world)).toBe(40);
    expect(requestTimes(world, 'red.test')).toEqual([]);
    // Ten failures end a probe; the back-off between probes reaches five minutes.
    expect(requestTimes(world, PROBE_HOST).length).toBeLessThan(10 * 50);
    world.upstream.hostFaults.clear();
    await runUntil(world, { until: () => visitCount(world) === 80, withinMs: HOUR });
  });

  it('that is throttled keeps what was answered', async () => {
    const world = await visitedWorld(names('red', 40));
    world.upstream.hostFaults.set(PROBE_HOST, { status: 429, retryAfterMs: 10 * MINUTE });
    await pass(world, HOUR + 5 * MINUTE);
    expect(requestTimes(world, PROBE_HOST)).toHaveLength(1);
    expect(requestTimes(world, 'red.test')).toEqual([]);
    world.upstream.hostFaults.clear();
    await runUntil(world, { until: () => visitCount(world) === 80, withinMs: HOUR });
  });

  it('goes on for other keys while changed ones wait for the permits of a slow or blocked host', async () => {
    const red = names('red', 40);
    const blue = names('blue', 40);
    const world = await visitedWorld([...red, ...blue], { hostRequestsPerSecond: 1, hostRequestsPerSecondMax: 1 });
    world.upstream.publish(red, 'second');
    world.upstream.publish('n7.blue', 'second');
    world.upstream.hostFaults.set('red.test', { status: 429, retryAfterMs: 2 * HOUR });
    const unchanged = () => blue.every(key => nextDueMs(world, key)! > world.clock.now());
    await runUntil(world, { until: () => visitCount(world) >= 120 && unchanged(), withinMs: 2 * HOUR });
    world.upstream.hostFaults.clear();
    await runUntil(world, { until: () => world.balance.rows === 80 + 41, withinMs: 4 * HOUR });
    expect(world.balance.balanced).toBe(true);
  });
});

describe('a visit', () => {
  it('moves its key to a new name, with what it knows, and deletes the row of the old one', async () => {
    const world = await visitedWorld(['a.red']);
    world.upstream.publish('a.red', 'moved b.blue');
    world.upstream.publish('b.blue', 'moved');
    await runUntil(world, { until: () => visitCount(world) === 2 });
    const { agenda } = world.engine.journal;
    expect(agenda!.find('a.red')).toBeNull();
    expect(agenda!.find('b.blue')).toMatchObject({ space: 'blue', outcome: 'found', revisit: 1 });
    expect(agenda!.spaces().map(({ name, keys }) => [name, keys])).toEqual([['blue', 1]]);
    await followed(world);
    expect((await bios(world)).slice(0, 3)).toEqual([
      ['a.red', 'first'],
      ['a.red', null],
      ['b.blue', 'moved b.blue'],
    ]);
  });

  it('ends its key where the new name is watched already', async () => {
    const world = await visitedWorld(['a.red', 'b.blue']);
    world.upstream.publish('a.red', 'moved b.blue');
    await runUntil(world, { until: () => visitCount(world) === 4 });
    const { agenda } = world.engine.journal;
    expect(agenda!.list({ after: null, limit: 9 }).map(({ key }) => key)).toEqual(['b.blue']);
    expect(agenda!.spaces().map(({ name, keys }) => [name, keys])).toEqual([['blue', 1]]);
  });

  it('watches the keys that it finds, and counts those that are none by the reason', async () => {
    const world = await visitedWorld(['a.red']);
    world.upstream.publish(['b.red', 'c.blue'], 'found');
    world.upstream.publish('a.red', `finds b.red c.blue ${'x'.repeat(200_000)} a.red`);
    await runUntil(world, { until: () => world.balance.rows === 4 });
    expect(world.engine.journal.visits!.refusals()).toEqual({ 'no-key': 1 });
    expect(world.engine.journal.agenda!.list({ after: null, limit: 9 })).toHaveLength(3);
  });

  it('goes on at once where its key has more than one visit’s work', async () => {
    const world = await visitedWorld(['a.red']);
    world.upstream.publish('a.red', 'parts 5');
    const startedMs = nextDueMs(world, 'a.red')!;
    await runUntil(world, { until: () => visitCount(world) >= 6 });
    expect(world.clock.now() - startedMs).toBeLessThan(MINUTE);
    expect(nextDueMs(world, 'a.red')).toBeGreaterThan(world.clock.now() + 20 * MINUTE);
    await followed(world);
    const repos = (await lakeRows(world, githubRepo)).map(row => row.full_name);
    expect(repos).toEqual(['a.red/1', 'a.red/2', 'a.red/3', 'a.red/4', 'a.red/5']);
    // The profile did not change from part to part.
    expect(await bios(world)).toEqual([
      ['a.red', 'first'],
      ['a.red', 'parts 5'],
    ]);
  });

  it('puts documents in folders of their own, and never replaces an immutable one', async () => {
    const world = await visitedWorld(['a.red']);
    world.bucket.store('github/raw/parts/a.red/2.json', Buffer.from('first'));
    world.upstream.publish('a.red', 'parts 3');
    await runUntil(world, { until: () => visitCount(world) >= 4 });
    world.upstream.publish('a.red', 'filed');
    await runUntil(world, { until: () => world.bucket.keys('github/space=').length > 0 });
    expect(world.bucket.keys('github/space=')).toEqual(['github/space=red/a.red.txt']);
    expect(world.bucket.keys('github/raw/parts/')).toEqual(
      [1, 2, 3].map(part => `github/raw/parts/a.red/${part}.json`),
    );
    expect(Buffer.from(world.bucket.objects.get('github/raw/parts/a.red/2.json')!.bytes).toString()).toBe('first');
  });

  it('gives no row where only a column differs that counts as no change', async () => {
    const world = await visitedWorld(['a.red']);
    world.upstream.publish('a.red', 'first#77');
    await runUntil(world, { until: () => visitCount(world) === 2 });
    expect(world.balance).toMatchObject({ rows: 1, skipped: { unchanged: 1 } });
    world.upstream.publish('a.red', 'second#78');
    await runUntil(world, { until: () => visitCount(world) === 3 });
    await followed(world);
    expect(await lakeRows(world, githubProfile)).toMatchObject([{ followers: 0 }, { followers: 78 }]);
  });
});
