import { describe, expect, it } from 'vitest';
import { expectProof } from '../../simulation/oracle/proof.ts';
import type { Fault } from '../../simulation/world/upstream.ts';
import { visitCount } from '../../simulation/world/visits.ts';
import { pass, runUntil, type World } from '../../simulation/world/world.ts';
import { domainsOf, FALLBACK, FIRST, zonesWorld } from './simulated.ts';

const HOUR = 3_600_000;
const DOMAINS = domainsOf(40);

const isVisited = (world: World) => () => visitCount(world) >= DOMAINS.length && world.isFollowed;

/** Each domain was visited once, and has one row. */
async function expectOnce(world: World): Promise<void> {
  expect(visitCount(world)).toBe(DOMAINS.length);
  expect(world.balance).toMatchObject({ changes: DOMAINS.length, rows: DOMAINS.length, parked: 0, balanced: true });
  await expectProof(world);
}

describe('while both resolvers are down', () => {
  it.each([
    ['cannot be reached', { reason: 'unreachable' as const }],
    ['answer with status 503', { status: 503 }],
    ['answer with status 502', { status: 502 }],
    ['break off', { reason: 'truncated' as const }],
    ['answer too late', { reason: 'timeout' as const }],
  ])(
    'for an hour, and %s, nothing is parked; afterwards each domain is visited once',
    async (_, fault: { reason?: 'unreachable' | 'truncated' | 'timeout'; status?: number }) => {
      const world = await zonesWorld(DOMAINS);
      for (const host of [FIRST, FALLBACK]) world.upstream.hostFaults.set(host, fault as Fault);
      await pass(world, HOUR);
      expect(visitCount(world)).toBe(0);
      expect(world.parked).toEqual([]);
      expect(world.state).not.toBe('following');
      // A host that is late is not asked at all for a while, so there may be no failure.
      if (fault.reason !== 'timeout') expect(world.fault('follow')).toMatchObject({ kind: 'upstream-unreachable' });
      // Resolvers that are down are not asked again and again.
      expect(world.upstream.requests.length).toBeLessThan(10 * 3600);
      world.upstream.hostFaults.clear();
      await runUntil(world, { until: isVisited(world), withinMs: HOUR });
      await expectOnce(world);
    },
  );
});

it.each([
  ['the first', FIRST, { reason: 'unreachable' as const }],
  ['the first, with status 500,', FIRST, { status: 500 }],
  ['the fallback', FALLBACK, { reason: 'unreachable' as const }],
])('while %s is down, each domain is visited once all the same', async (_, host, fault) => {
  const world = await zonesWorld(DOMAINS);
  world.upstream.hostFaults.set(host, fault);
  await runUntil(world, { until: isVisited(world), withinMs: HOUR });
  await expectOnce(world);
});

it.each([
  ['the first', (host: string) => (host === FIRST ? 2_500 : 50)],
  ['each', () => 1_500],
])('%s that is slow holds nothing up but itself: each domain is visited once', async (_, latencyMs) => {
  const world = await zonesWorld(DOMAINS);
  world.upstream.latencyMs = (_subject, host) => latencyMs(host);
  await runUntil(world, { until: isVisited(world), withinMs: HOUR });
  await expectOnce(world);
});

it('a first resolver that asks for fewer requests is waited for, and no domain is parked', async () => {
  const world = await zonesWorld(DOMAINS);
  world.upstream.hostFaults.set(FIRST, { status: 429, retryAfterMs: 60_000 });
  await pass(world, 30 * 60_000);
  world.upstream.hostFaults.clear();
  await runUntil(world, { until: isVisited(world), withinMs: HOUR });
  await expectOnce(world);
});

it('domains that one resolver does not know are parked, and the others are visited at their pace', async () => {
  const world = await zonesWorld(DOMAINS);
  for (const domain of DOMAINS.slice(0, 10)) world.upstream.remove(domain);
  world.upstream.hostFaults.set(FALLBACK, { status: 403 });
  await runUntil(world, { until: () => visitCount(world) >= DOMAINS.length, withinMs: HOUR });
  expect(world.balance).toMatchObject({ rows: 30, parked: 10 });
  expect(new Set(world.parked.map(({ reason }) => reason))).toEqual(new Set(['dns-error']));
});

it('killed at any of many calls, the object visits each domain once', async () => {
  for (let at = 3; at < 60; at += 7) {
    const world = await zonesWorld(DOMAINS.slice(0, 6));
    const start = world.calls.made.length;
    world.calls.after(() => {
      if (world.calls.made.length - start === at) world.kill({ lose: at % 2 === 0 });
    });
    await runUntil(world, { until: () => visitCount(world) >= 6 && world.isFollowed, withinMs: HOUR });
    expect(world.balance, `killed after call ${at}`).toMatchObject({ changes: 6, rows: 6, balanced: true });
    await expectProof(world);
    await world.recycle();
  }
});
