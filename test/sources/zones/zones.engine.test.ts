import { createHash } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import type { Source } from '../../../src/sources/source.ts';
import { startStandIn, type ZonesStandIn } from '../../../src/sources/zones/stand-in/stand-in.ts';
import { zones } from '../../../src/sources/zones/zones.ts';
import { numberOf } from '../../budget.ts';
import { expectProof, lakeRows } from '../../simulation/oracle/proof.ts';
import { type HostFault, ServedWorld } from '../served-world.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

const TYPE_SOA = 6;
const DOMAINS = Array.from({ length: 6 }, (_, index) => `visited-${index}.com`);

/** What both resolvers do for an hour; the default plays the first two, because the others take many requests. */
const OUTAGES = (
  [
    ['answer with status 429', { status: 429 }],
    ['answer with status 503', { status: 503 }],
    ['refuse connections', 'down'],
    ['answer after 30 seconds', { delayMs: 30_000 }],
    ['do not answer', 'silent'],
  ] satisfies [string, HostFault][]
).slice(0, numberOf('ZONES_OUTAGES', 2));

const open: ZonesStandIn[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map(standIn => standIn.stop()));
});

interface Started {
  served: ServedWorld;
  standIn: ZonesStandIn;
  hosts: string[];
}

/** A world that watches some domains, each of which has a zone. */
async function started(domains = DOMAINS, env: Record<string, string> = {}): Promise<Started> {
  const standIn = await startStandIn({ fast: true });
  open.push(standIn);
  for (const domain of domains) standIn.setZone(domain, { records: zoneOf(1) });
  const served = await ServedWorld.start(zones as unknown as Source, {
    env: { ...standIn.settings, ZONES_POLL_MS: '60000', ...env },
  });
  await served.watch(domains);
  return { served, standIn, hosts: [standIn.origin, standIn.fallbackOrigin].map(origin => new URL(origin).host) };
}

const zoneOf = (serial: number) =>
  `@ SOA ns1.dns-example.net. root ${serial} 2 3 4 5\n@ NS ns1.dns-example.net.\n@ A 192.0.2.1`;

/** How often each domain was visited since a number of questions: a visit asks for SOA first. */
function visitsSince({ questions }: ZonesStandIn, start: number): Record<string, number> {
  const counts: Record<string, number> = Object.fromEntries(DOMAINS.map(domain => [domain, 0]));
  for (const { type, name } of questions.slice(start)) if (type === TYPE_SOA && name in counts) counts[name]! += 1;
  return counts;
}

const each = (count: number) => Object.fromEntries(DOMAINS.map(domain => [domain, count]));

describe('an agenda of zones', () => {
  it('visits each domain once, and again after the time between two visits', async () => {
    const { served, standIn } = await started(DOMAINS, { ZONES_EVERY_MS: String(HOUR) });
    await served.settle(() => served.isAtRest);
    expect(visitsSince(standIn, 0)).toEqual(each(1));
    expect(served.world.balance).toMatchObject({ changes: 6, rows: 6, parked: 0 });
    const visited = standIn.questions.length;
    await served.pass(1.5 * HOUR);
    await served.settle(() => served.isAtRest);
    expect(visitsSince(standIn, visited)).toEqual(each(1));
    expect(served.world.balance).toMatchObject({ changes: 12, rows: 6, skipped: { unchanged: 6 } });
    await expectProof(served.world);
  });

  it.each(OUTAGES)(
    'parks nothing while both resolvers %s for an hour, and visits each due domain once afterwards',
    async (_, fault) => {
      const { served, standIn, hosts } = await started(DOMAINS, { ZONES_EVERY_MS: String(2 * HOUR) });
      await served.settle(() => served.isAtRest);
      // All become due within the outage.
      const dueMs = DOMAINS.map(domain => served.dueMs(domain)! - served.world.clock.now());
      expect(Math.max(...dueMs) - Math.min(...dueMs)).toBeLessThan(HOUR);
      await served.pass(Math.min(...dueMs) - MINUTE);
      for (const host of hosts) served.faults.set(host, fault);
      const before = served.requests.length;
      await served.pass(HOUR);
      expect(served.requests.length).toBeGreaterThan(before);
      expect(served.world.balance).toMatchObject({ changes: 6, parked: 0, dead: 0 });
      served.faults.clear();
      const visited = standIn.questions.length;
      await served.settle(() => served.isAtRest && served.world.balance.changes >= 12);
      expect(visitsSince(standIn, visited)).toEqual(each(1));
      expect(served.world.balance).toMatchObject({ changes: 12, parked: 0, dead: 0, skipped: { unchanged: 6 } });
      await expectProof(served.world);
    },
  );

  it('has one row and one zone file of each domain, as its row says, wherever its object is killed', async () => {
    const { served, standIn } = await started();
    let calls = 0;
    let kills = 0;
    for (const hook of ['before', 'after'] as const)
      served.world.calls[hook](() => {
        calls += 1;
        if (calls % 11 !== 0 || kills === 12) return;
        kills += 1;
        served.kill();
        if (hook === 'before') throw new Error('the instance is dead');
      });
    const visitedTwice = async () => {
      // The watchdog re-arms an object whose alarm was lost.
      await served.world.engine.watch().catch(() => undefined);
      await served.pass(30 * MINUTE);
    };
    await visitedTwice();
    for (const domain of DOMAINS) standIn.setZone(domain, { records: `${zoneOf(2)}\n@ TXT "changed"` });
    for (let halfHours = 0; halfHours < 60; halfHours++) await visitedTwice();
    await served.settle(() => served.isAtRest);
    expect(kills).toBe(12);
    const rows = await lakeRows(served.world);
    const byDomain = Map.groupBy(rows, ({ domain }) => String(domain));
    expect([...byDomain.values()].map(some => some.map(row => row.txt_records))).toEqual(
      DOMAINS.map(() => ['[]', '["changed"]']),
    );
    for (const [domain, some] of byDomain) {
      const { bytes } = served.bucket.objects.get(`zones/tld=com/${domain}.zone`)!;
      const { zone_file_hash, zone_file_size } = some.at(-1)!;
      expect([zone_file_hash, Number(zone_file_size)]).toEqual([
        createHash('sha256').update(bytes).digest('hex'),
        bytes.length,
      ]);
    }
    await expectProof(served.world);
  });
});
