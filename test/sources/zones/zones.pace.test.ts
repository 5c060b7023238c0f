import { expect, it } from 'vitest';
import { agendaStatus } from '../../../src/engine/controls/watched-keys.ts';
import { DAY, MINUTE, SECOND } from '../../../src/limits.ts';
import { numberOf } from '../../budget.ts';
import { requestTimes, visitCount } from '../../simulation/world/visits.ts';
import { pass, type World } from '../../simulation/world/world.ts';
import { domainsOf, FIRST, zonesWorld } from './simulated.ts';

const DOMAINS = numberOf('ZONES_DOMAINS', 100);
const DUE = numberOf('ZONES_DUE', 5_000);
const DUE_MINUTES = numberOf('ZONES_DUE_MINUTES', 2);

const REQUESTS_PER_SECOND = 10;
/** 13 questions at 10 a second. */
const VISIT_MS = 1_300;

const stretchOf = (world: World) => world.engine.journal.agenda!.pace.stretch();
const inSeconds = (ms: number) => Math.round(ms / SECOND);

/** That no second, and no longer time, has more requests than the pace and the burst allow. */
function expectPace(times: number[]): void {
  for (let index = 0; index < times.length; index++)
    for (const span of [1, 10, 60]) {
      const most = span * REQUESTS_PER_SECOND + 13;
      const later = times[index + most];
      if (later !== undefined) expect(later - times[index]!).toBeGreaterThan(span * SECOND - 1);
    }
}

it(`${DUE} domains that are due at once are visited at the pace, and the stretch is at once what it must be`, async () => {
  const heapBefore = process.memoryUsage().heapUsed;
  const world = await zonesWorld(domainsOf(DUE), { isQuick: true, requestsPerSecond: REQUESTS_PER_SECOND });
  await pass(world, DUE_MINUTES * MINUTE);
  const times = requestTimes(world, FIRST);
  const rate = ((times.length - 1) * SECOND) / (times.at(-1)! - times[0]!);
  const { keys, due, stretch } = agendaStatus(world.engine)!;
  const heap = (process.memoryUsage().heapUsed - heapBefore) / 2 ** 20;
  console.log(
    `${DUE} due, ${DUE_MINUTES} minutes: ${visitCount(world)} visits, ${times.length} requests, ${rate.toFixed(2)} a second; ` +
      `stretch ${stretch.toFixed(3)}; heap of the test grew by ${heap.toFixed(0)} MiB`,
  );
  expectPace(times);
  expect(rate).toBeGreaterThan(0.95 * REQUESTS_PER_SECOND);
  expect(visitCount(world)).toBeGreaterThan((0.9 * DUE_MINUTES * MINUTE) / VISIT_MS);
  expect({ keys, due }).toEqual({ keys: DUE, due: DUE - visitCount(world) });
  // By hand: a round of all takes 1.3 s for each, and each wants a visit a day.
  const byHand = Math.max(1, (DUE * VISIT_MS) / DAY);
  expect(Math.abs(stretch / byHand - 1)).toBeLessThan(0.1);
});

it(`${DOMAINS} domains with room for two thirds of their visits are all visited, each about as often`, async () => {
  // By hand: a round takes 1.3 s for each domain, and each wants a visit in two thirds of that.
  const roundMs = DOMAINS * VISIT_MS;
  const everyMs = roundMs / 1.5;
  const domains = domainsOf(DOMAINS);
  const world = await zonesWorld(domains, { isQuick: true, requestsPerSecond: REQUESTS_PER_SECOND, everyMs });
  const ROUNDS = 5;
  await pass(world, ROUNDS * roundMs);
  const stretch = stretchOf(world);
  const times = domains.map(domain => requestTimes(world, domain).filter((_, index) => index % 13 === 0));
  const visits = times.map(({ length }) => length);
  const waits = times.flatMap(of => of.slice(1).map((ms, index) => ms - of[index]!));
  const mean = waits.reduce((sum, ms) => sum + ms, 0) / waits.length;
  console.log(
    `${DOMAINS} domains, ${ROUNDS} rounds of ${inSeconds(roundMs)} s: ${Math.min(...visits)} to ${Math.max(...visits)} visits each, ` +
      `${inSeconds(Math.min(...waits))} to ${inSeconds(Math.max(...waits))} s apart, ${inSeconds(mean)} s on average; stretch ${stretch.toFixed(2)}`,
  );
  expectPace(requestTimes(world, FIRST));
  expect(stretch).toBeGreaterThan(1.4);
  expect(stretch).toBeLessThan(1.75);
  // Nobody starves: the longest wait is not twice the round.
  expect(Math.min(...visits)).toBeGreaterThanOrEqual(ROUNDS - 2);
  expect(Math.max(...waits)).toBeLessThan(2 * roundMs);
  expect(Math.abs(mean / roundMs - 1)).toBeLessThan(0.2);
});
