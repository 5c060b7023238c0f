import { describe, expect, it } from 'vitest';
import { expectNewest, expectProof } from '../../simulation/oracle/proof.ts';
import { DOCUMENT_HOST } from '../../simulation/world/upstream.ts';
import { followed, nextRun, pass, runUntil, startedWorld, type World } from '../../simulation/world/world.ts';

const MINUTE = 60_000;
const names = (count: number) => Array.from({ length: count }, (_, index) => `package-${index}`);
const asked = ({ upstream }: World) => upstream.requests.filter(({ host }) => host === DOCUMENT_HOST);
const pace = (world: World) => world.engine.journal.state.host(DOCUMENT_HOST)!;
const isUnparked = (world: World) => () => world.isFollowed && world.parked.length === 0;

describe('a host that says 429', () => {
  it('is not asked before its Retry-After is over', async () => {
    const world = await startedWorld();
    world.upstream.documentsFault = { status: 429, retryAfterMs: 2 * MINUTE };
    world.upstream.publish(names(50));
    await nextRun(world);
    const refused = asked(world);
    expect(refused.length).toBeGreaterThan(0);
    expect(world.state).toBe('backing-off');
    expect(world.fault('follow')).toMatchObject({ kind: 'upstream-throttled' });
    world.upstream.documentsFault = null;
    await followed(world);
    expect(asked(world)[refused.length]!.atMs - refused.at(-1)!.atMs).toBeGreaterThanOrEqual(2 * MINUTE);
    expect(world.balance).toMatchObject({ rows: 50, parked: 0 });
    await expectProof(world);
  });

  it('is asked at half the pace, and gets it back step by step', async () => {
    const world = await startedWorld({ requestsPerSecond: 10 });
    world.upstream.publish('a');
    await followed(world);
    const full = pace(world)?.rate ?? 10;
    world.upstream.documentsFault = { status: 429 };
    world.upstream.publish('b');
    await runUntil(world, { until: () => world.fault('follow') !== null });
    expect(pace(world)).toMatchObject({ rate: full / 2, strikes: 1 });
    world.upstream.documentsFault = null;
    const rates: number[] = [];
    while (pace(world).rate < full) {
      world.upstream.publish('c');
      await followed(world);
      rates.push(pace(world).rate);
    }
    expect(rates.length).toBeGreaterThan(1);
    expect(rates).toEqual([...rates].sort((a, b) => a - b));
    expect(pace(world)).toMatchObject({ rate: full, strikes: 0 });
  });

  it('counts as one refusal however many of a slice it refused', async () => {
    const world = await startedWorld({ requestsPerSecond: 64 });
    world.upstream.documentsFault = { status: 429 };
    world.upstream.publish(names(50));
    await nextRun(world);
    expect(pace(world)).toMatchObject({ rate: 32, strikes: 1 });
  });

  it('stays blocked for a new instance', async () => {
    const world = await startedWorld();
    world.upstream.documentsFault = { status: 429, retryAfterMs: 10 * MINUTE };
    world.upstream.publish(names(5));
    await nextRun(world);
    const refused = asked(world).length;
    world.upstream.documentsFault = null;
    world.kill();
    await world.engine.poke();
    await pass(world, 9 * MINUTE);
    expect(asked(world)).toHaveLength(refused);
    await followed(world);
    await expectProof(world);
  });

  it('parks nothing when it says so for long to all', async () => {
    const world = await startedWorld();
    world.upstream.documentsFault = { status: 429 };
    world.upstream.publish(names(50));
    await pass(world, 20 * MINUTE);
    expect(world.parked).toEqual([]);
    world.upstream.documentsFault = null;
    await followed(world);
    await expectProof(world);
    await expectNewest(world);
  });

  it('does not keep the other changes waiting when it says so of one document', async () => {
    const world = await startedWorld();
    world.upstream.faults.set('package-7', { status: 429 });
    world.upstream.publish(names(50));
    await followed(world);
    expect(world.parked).toMatchObject([{ key: 'package-7', reason: 'http-429' }]);
    expect(world.balance).toMatchObject({ rows: 49, parked: 1 });
    world.upstream.faults.clear();
    await runUntil(world, { until: isUnparked(world) });
    await expectProof(world);
    await expectNewest(world);
  });

  it('is asked no faster than its pace, bursts aside, over restarts', async () => {
    const world = await startedWorld({ requestsPerSecond: 5, pageChanges: 1_000 });
    world.upstream.publish(names(300));
    world.upstream.latencyMs = () => 30;
    for (let kills = 0; kills < 5; kills++) {
      await nextRun(world);
      world.kill();
    }
    await followed(world);
    const times = asked(world).map(({ atMs }) => atMs);
    for (const [index, atMs] of times.entries()) {
      const later = times[index + 50];
      if (later !== undefined) expect(later - atMs).toBeGreaterThanOrEqual((50 - 5 - 1) * 200);
    }
    await expectProof(world);
  });
});

describe('an upstream that does not answer', () => {
  it('parks nothing while the feed is out of reach, and is followed again when it is back', async () => {
    const world = await startedWorld();
    world.upstream.publish(names(5));
    world.upstream.feedFault = { reason: 'unreachable' };
    await pass(world, 30 * MINUTE);
    expect(world.fault('follow')).toMatchObject({ kind: 'upstream-unreachable' });
    expect(world.state).toBe('backing-off');
    world.upstream.feedFault = null;
    await runUntil(world, { until: () => world.isFollowed, withinMs: 6 * MINUTE });
    expect(world.state).toBe('following');
    expect(world.balance).toMatchObject({ rows: 5, parked: 0 });
  });

  it('parks at most the change that was asked for too often while its documents are out of reach', async () => {
    const world = await startedWorld();
    world.upstream.publish(names(50));
    world.upstream.documentsFault = { reason: 'unreachable' };
    await nextRun(world);
    await nextRun(world);
    expect(world.balance).toMatchObject({ changes: 0, parked: 0 });
    expect(world.state).toBe('backing-off');
    await pass(world, 5 * MINUTE);
    expect(world.parked.length).toBeLessThan(5);
    world.upstream.documentsFault = null;
    await runUntil(world, { until: isUnparked(world) });
    expect(world.state).toBe('following');
    await expectProof(world);
    await expectNewest(world);
  });

  it.each([
    ['http-500', { status: 500 }],
    ['http-403', { status: 403 }],
    ['timeout', { reason: 'timeout' as const }],
    ['malformed-json', { reason: 'malformed-json' as const }],
  ])('parks the one document it answers with %s', async (reason, fault) => {
    const world = await startedWorld();
    world.upstream.faults.set('package-7', fault);
    world.upstream.publish(names(20));
    await followed(world);
    expect(world.parked).toMatchObject([{ key: 'package-7', reason }]);
    expect(world.balance).toMatchObject({ rows: 19, parked: 1 });
    world.upstream.faults.clear();
    await runUntil(world, { until: isUnparked(world) });
    await expectNewest(world);
  });

  it('is asked again about a parked document after growing waits', async () => {
    const world = await startedWorld();
    world.upstream.faults.set('a', { status: 500 });
    world.upstream.publish(['a', 'b']);
    await pass(world, 3 * 60 * MINUTE);
    const times = asked(world).filter(({ subject }) => subject === 'a');
    const waits = times.slice(1).map(({ atMs }, index) => atMs - times[index]!.atMs);
    expect(waits[0]).toBeGreaterThanOrEqual(10_000);
    for (const [index, waitMs] of waits.slice(1).entries()) {
      expect(waitMs).toBeGreaterThan(Math.min(1.4 * waits[index]!, 59 * MINUTE));
      expect(waitMs).toBeLessThanOrEqual(75 * MINUTE);
    }
    expect(world.parked).toMatchObject([{ key: 'a', reason: 'http-500' }]);
  });

  it('is asked again about a parked document no earlier than it asked for', async () => {
    const world = await startedWorld();
    world.upstream.faults.set('a', { status: 500, retryAfterMs: 30 * MINUTE });
    world.upstream.publish(['a', 'b']);
    await followed(world);
    await pass(world, 29 * MINUTE);
    expect(asked(world).filter(({ subject }) => subject === 'a')).toHaveLength(1);
  });
});

describe('hosts that only answers name', () => {
  it('are forgotten a day after they were asked, unless they are blocked', async () => {
    const world = await startedWorld();
    world.upstream.publish('a');
    await followed(world);
    const { state } = world.engine.journal;
    const nowMs = world.clock.now();
    const known = { rate: 1, next_slot_ms: nowMs, strikes: 0 };
    state.saveHost({ ...known, host: 'idle.example', blocked_until_ms: 0 });
    state.saveHost({ ...known, host: 'blocked.example', blocked_until_ms: nowMs + 3 * 24 * 60 * MINUTE });
    world.clock.jump(25 * 60 * MINUTE);
    world.upstream.publish('b');
    await followed(world);
    const hosts = ['idle.example', 'blocked.example', DOCUMENT_HOST];
    expect(state.hosts(hosts).map(({ host }) => host)).toEqual(expect.arrayContaining(hosts.slice(1)));
    expect(state.host('idle.example')).toBe(null);
  });
});
