import { describe, expect, it } from 'vitest';
import { agendaStatus } from '../../../src/engine/controls/watched-keys.ts';
import { expectProof } from '../../simulation/oracle/proof.ts';
import { agendaWorld, nextDueMs, requestTimes, unwatch, visitCount, watch } from '../../simulation/world/visits.ts';
import { followed, nextRun, pass, runUntil, type World } from '../../simulation/world/world.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

const names = (space: string, count: number) => Array.from({ length: count }, (_, index) => `n${index}.${space}`);
const pace = (world: World, host: string) => world.engine.journal.state.host(host)!;
/** Requests a second between the first and the last one. */
const rateOf = (times: number[]) => ((times.length - 1) * SECOND) / (times.at(-1)! - times[0]!);
/** Each host is asked once a second and never faster. */
const STEADY = { hostRequestsPerSecond: 1, hostRequestsPerSecondMax: 1 };

/** Makes a host answer after so long, and the others soon. */
const isLate =
  (late: string, ms: number) =>
  ({ upstream }: World): void => {
    upstream.latencyMs = (_, host) => (host === late ? ms : 200);
  };

const SERVERS = { red: 'red.test', blue: 'blue.test', green: 'green.test', slow: 'slow.test' };

async function worldOf(counts: Record<string, number>, options = {}): Promise<World> {
  const world = await agendaWorld({ ...STEADY, servers: SERVERS, ...options });
  const keys = Object.entries(counts).flatMap(([space, count]) => names(space, count));
  world.upstream.publish(keys);
  await watch(world, keys);
  return world;
}

describe('hosts beside each other', () => {
  it.each([
    ['answers in 30 s', isLate('slow.test', 30_000)],
    ['forbids all', (world: World) => void world.upstream.hostFaults.set('slow.test', { status: 403 })],
    [
      'says "wait"',
      (world: World) => void world.upstream.hostFaults.set('slow.test', { status: 429, retryAfterMs: 90_000 }),
    ],
    ['is out of reach', (world: World) => void world.upstream.hostFaults.set('slow.test', { reason: 'unreachable' })],
  ])('keep their pace while one %s', async (_, disturb) => {
    const world = await worldOf({ red: 600, blue: 600, slow: 600 });
    disturb(world);
    await runUntil(world, { until: () => requestTimes(world, 'red.test').length >= 600 });
    for (const host of ['red.test', 'blue.test']) {
      const times = requestTimes(world, host).slice(0, 600);
      expect(rateOf(times), host).toBeGreaterThan(0.9);
      const waits = times.slice(1).map((ms, index) => ms - times[index]!);
      expect(Math.min(...waits), host).toBeGreaterThanOrEqual(999);
      expect(Math.max(...waits), host).toBeLessThanOrEqual(12 * SECOND);
    }
    expect(world.balance.balanced).toBe(true);
  });

  it('keep their pace while one is asked for a hundred that fail', async () => {
    const world = await worldOf({ red: 150, slow: 150 });
    world.upstream.hostFaults.set('slow.test', { status: 500 });
    await runUntil(world, { until: () => requestTimes(world, 'red.test').length >= 150 });
    expect(world.parked.length).toBeGreaterThan(100);
    expect(rateOf(requestTimes(world, 'red.test').slice(0, 150))).toBeGreaterThan(0.9);
  });

  it('keep going while one that is slow is asked for each key alone, as a Loader died of one', async () => {
    const world = await worldOf({ slow: 60 });
    isLate('slow.test', 15_000)(world);
    world.calls.fail(/^load\.load/, { times: 1 });
    await runUntil(world, { until: () => world.fault('follow') !== null });
    const quick = names('red', 60);
    world.upstream.publish(quick);
    await watch(world, quick);
    await runUntil(world, {
      until: () => quick.every(key => nextDueMs(world, key)! > world.clock.now()),
      withinMs: 5 * MINUTE,
    });
    expect(requestTimes(world, 'red.test')).toHaveLength(60);
    await runUntil(world, { until: () => visitCount(world) === 120, withinMs: 30 * MINUTE });
    expect(world.balance).toMatchObject({ rows: 120, parked: 0, balanced: true });
  });

  it('that serve many spaces give each its turn', async () => {
    const spaces = Array.from(
      { length: 40 },
      (_, index) => `s${String.fromCharCode(97 + (index % 26), 97 + (index >> 1))}`,
    );
    const servers = Object.fromEntries(spaces.map(space => [space, 'one.test']));
    const world = await agendaWorld({ ...STEADY, servers });
    for (const space of spaces) await watch(world, names(space, 20));
    await runUntil(world, { until: () => requestTimes(world, 'one.test').length >= 160 });
    for (const space of spaces) {
      const visits = world.upstream.requests.filter(({ subject }) => subject.endsWith(`.${space}`)).length;
      expect(visits, space).toBeGreaterThanOrEqual(2);
    }
  });

  it('are not held up by one key that its host always turns away', async () => {
    const world = await worldOf({ red: 30 });
    world.upstream.faults.set('n0.red', { status: 429 });
    await runUntil(world, { until: () => visitCount(world) === 30, withinMs: HOUR });
    expect(world.balance).toMatchObject({ rows: 29, parked: 1, balanced: true });
    expect(world.parked).toMatchObject([{ key: 'n0.red', reason: 'http-429' }]);
  });
});

describe('the pace of a host', () => {
  it.each([
    ['429', (world: World) => void world.upstream.hostFaults.set('red.test', { status: 429 })],
    ['403', (world: World) => void world.upstream.hostFaults.set('red.test', { status: 403 })],
    ['a late answer', isLate('red.test', 19_000)],
  ])('halves with %s and rises again with clean answers, over restarts', async (_, disturb) => {
    const world = await worldOf({ red: 400 }, { hostRequestsPerSecond: 4, hostRequestsPerSecondMax: 4 });
    await runUntil(world, { until: () => requestTimes(world, 'red.test').length > 0 });
    await pass(world, SECOND);
    disturb(world);
    await runUntil(world, { until: () => (pace(world, 'red.test')?.rate ?? 4) <= 2 });
    const { rate } = pace(world, 'red.test');
    world.kill();
    expect(pace(world, 'red.test').rate).toBe(rate);
    world.upstream.hostFaults.clear();
    world.upstream.latencyMs = () => 0;
    const rates: number[] = [];
    while ((pace(world, 'red.test')?.rate ?? 0) < 4) {
      await nextRun(world);
      rates.push(pace(world, 'red.test').rate);
    }
    expect(rates).toEqual([...rates].sort((a, b) => a - b));
    expect(pace(world, 'red.test').strikes).toBe(0);
  });

  it('is kept over kills at any time', async () => {
    const world = await worldOf({ red: 200, blue: 200 });
    world.upstream.latencyMs = () => 300;
    for (let kills = 0; kills < 6; kills++) {
      await pass(world, 7_300);
      world.kill();
      await world.engine.poke();
    }
    const times = requestTimes(world, 'red.test');
    for (const [index, ms] of times.entries()) {
      const later = times[index + 10];
      // Of an instance that was killed requests are still under way.
      if (later !== undefined) expect(later - ms).toBeGreaterThanOrEqual(4 * SECOND);
    }
  });

  it('is nothing while it is blocked, and the object sleeps', async () => {
    const world = await worldOf({ red: 50 });
    world.upstream.hostFaults.set('red.test', { status: 429, retryAfterMs: 30 * MINUTE });
    await runUntil(world, { until: () => pace(world, 'red.test')?.strikes === 1 });
    const { runs } = world;
    const before = requestTimes(world, 'red.test').length;
    world.kill();
    await world.engine.poke();
    await pass(world, 29 * MINUTE);
    expect(requestTimes(world, 'red.test')).toHaveLength(before);
    // One for each poll, and the few that wrote what had come before.
    expect(world.runs - runs).toBeLessThanOrEqual(29 + 5);
    world.upstream.hostFaults.clear();
    await followed(world);
    expect(requestTimes(world, 'red.test').length).toBeGreaterThanOrEqual(before + 50 - 1);
  });
});

describe('a second host', () => {
  async function halvedWorld(options = {}): Promise<World> {
    const world = await agendaWorld({ ...STEADY, servers: SERVERS, ...options });
    const keys = [...names('red', 10), ...names('blue', 10)];
    world.upstream.publish(keys, 'main');
    for (const key of keys) world.upstream.halves.set(key, { host: 'both.test', text: 'half' });
    await watch(world, keys);
    await followed(world);
    return world;
  }
  const known = (world: World) => world.engine.journal.agenda!.list({ after: null, limit: 100 });

  it('is asked by the Loader itself the first time, with a slot where there is one', async () => {
    const world = await halvedWorld();
    expect(known(world).every(({ more_hosts }) => more_hosts === '["both.test"]')).toBe(true);
    const times = requestTimes(world, 'both.test');
    const waits = times.slice(1).map((ms, index) => ms - times[index]!);
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(999);
    expect(world.balance).toMatchObject({ rows: 20, balanced: true });
  });

  it('is waited for while it is busy', async () => {
    const world = await halvedWorld();
    await runUntil(world, {
      until: () => known(world).every(({ outcome }) => outcome === 'found'),
      withinMs: 48 * HOUR,
    });
    const before = requestTimes(world, 'both.test').length;
    const { changes } = world.balance;
    await runUntil(world, { until: () => world.balance.changes >= changes + 20 });
    expect(requestTimes(world, 'both.test').length - before).toBe(world.balance.changes - changes);
    expect(known(world).every(({ outcome }) => outcome === 'found')).toBe(true);
  });

  it('is left out while it is blocked, and not asked', async () => {
    const world = await halvedWorld();
    await runUntil(world, {
      until: () => known(world).every(({ outcome }) => outcome === 'found'),
      withinMs: 48 * HOUR,
    });
    world.upstream.hostFaults.set('both.test', { status: 429, retryAfterMs: 20 * HOUR });
    await runUntil(world, { until: () => pace(world, 'both.test').strikes > 0 });
    const before = requestTimes(world, 'both.test').length;
    const mains = requestTimes(world, 'red.test').length;
    await pass(world, 10 * HOUR);
    expect(requestTimes(world, 'both.test')).toHaveLength(before);
    expect(requestTimes(world, 'red.test').length).toBeGreaterThan(mains + 20);
    expect(known(world).every(({ outcome }) => outcome === 'partial')).toBe(true);
    // A part that is as it was gives no row.
    expect(world.balance).toMatchObject({ rows: 20, parked: 0, balanced: true });
    await followed(world);
    await expectProof(world);
  });

  it('is left out of a retry of a parked visit while it is blocked', async () => {
    const world = await halvedWorld();
    world.upstream.faults.set('n0.red', { status: 500 });
    await runUntil(world, { until: () => world.parked.length > 0 });
    world.upstream.faults.clear();
    world.engine.journal.state.saveHost({
      ...pace(world, 'both.test'),
      blocked_until_ms: world.clock.now() + 20 * HOUR,
    });
    await runUntil(world, { until: () => world.parked.length === 0, withinMs: HOUR });
  });

  it('that is slow holds the other keys of a space up for minutes only', async () => {
    const world = await agendaWorld({ ...STEADY, servers: SERVERS });
    const [slow, quick] = [names('red', 400), Array.from({ length: 100 }, (_, index) => `q${index}.red`)];
    world.upstream.publish([...slow, ...quick], 'main');
    for (const key of slow) world.upstream.halves.set(key, { host: 'both.test', text: 'half' });
    await watch(world, slow);
    await runUntil(world, { until: () => visitCount(world) >= 400 });
    // All of them are due before the others, and their second host answers one in twenty seconds.
    await world.engine.control('pause');
    await pass(world, 30 * HOUR);
    await watch(world, quick);
    world.engine.journal.state.saveHost({ ...pace(world, 'both.test'), rate: 0.05 });
    world.upstream.latencyMs = (_, host) => (host === 'both.test' ? 20_000 : 100);
    await world.engine.control('start');
    await runUntil(world, { until: () => quick.every(key => requestTimes(world, key).length > 0), withinMs: HOUR });
  });
});

describe('intervals between visits', () => {
  it('stretch while hosts have no room for all, the same for all keys, and shrink again', async () => {
    const slow = { hostRequestsPerSecond: 0.02, hostRequestsPerSecondMax: 0.02, pollMs: 10 * MINUTE };
    const world = await worldOf({ red: 60 }, slow);
    const stretch = () => world.engine.journal.agenda!.pace.stretch();
    await runUntil(world, { until: () => visitCount(world) >= 60, withinMs: 2 * HOUR });
    expect(stretch()).toBe(1);
    // Each key is due after an hour, then two, then three, and the host takes 50 minutes for all: they fit.
    await pass(world, 6 * HOUR);
    expect(stretch()).toBe(1);
    const more = names('red', 400).slice(60);
    world.upstream.publish(more);
    await watch(world, more);
    await pass(world, 12 * HOUR);
    expect(stretch()).toBeGreaterThan(1.5);
    expect(agendaStatus(world.engine)).toMatchObject({ stretch: stretch() });
    await unwatch(world, more);
    await pass(world, 24 * HOUR);
    expect(stretch()).toBe(1);
  });
});
