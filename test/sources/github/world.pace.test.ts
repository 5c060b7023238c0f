import { expect, it } from 'vitest';
import { agendaStatus } from '../../../src/engine/controls/watched-keys.ts';
import { numberOf } from '../../budget.ts';
import { pass } from '../../simulation/world/world.ts';
import { type Asked, engineWorld, visitAll, watchNames } from './engine-world.ts';

/** Repositories that are due for their first visit; a tenth as many are known and have changed. */
const REPOSITORIES = numberOf('GITHUB_DUE_REPOS', 1_000);
const KNOWN = REPOSITORIES / 10;
/** GitHub's limit, of which the source takes nine tenths. */
const PER_HOUR = 5_000;
const PER_SECOND = 1.25;
/** Requests that may go out at once after a pause. */
const BURST = 10;
/** A revisit of a changed repository takes two requests, and revisits get half of them: allow twice the time, and a minute. */
const SECONDS_MAX = (2 * KNOWN * 2) / (PER_SECOND / 2) + 60;
const SECOND = 1_000;
const HOUR = 3_600 * SECOND;
const DAY = 24 * HOUR;

/** A revisit asks for a document by number, and for a comparison. */
const isOfRevisit = ({ path }: Asked) => path.startsWith('/repositories/') || path.includes('/compare/');

it(`revisits ${KNOWN} changed repositories while ${REPOSITORIES} are due for the first time`, {
  timeout: 1_200_000,
}, async () => {
  const own = await engineWorld();
  const { world, hub, github } = own;
  github.limit('core', { left: PER_HOUR, resetMs: HOUR, as: 'primary', repeat: true });
  const names = Array.from({ length: REPOSITORIES + KNOWN }, (_, index) => `owner${index % 3}/r${index}`);
  for (const name of names) hub.commit(hub.repository(name), [{}]);

  // Know some of them, which then change.
  const known = names.slice(0, KNOWN);
  await watchNames(own, known);
  await visitAll(own);
  await watchNames(own, names.slice(KNOWN));
  world.clock.jump(8 * DAY);
  // All were pushed to just now, so that each wants its next visit in a quarter of an hour, which is too often for all.
  for (const name of names) hub.commit(hub.find(name)!, [{}]);
  await world.engine.watch();

  // Let time pass until each known one was visited, however many wait for their first visit.
  own.asked.length = 0;
  const startMs = world.clock.now();
  const agenda = world.engine.journal.agenda!;
  const isWaiting = (name: string) => agenda.find(`repo:${name}`)!.checked_ms! < startMs;
  await pass(world, SECONDS_MAX * SECOND, () => !known.some(isWaiting));
  expect(known.filter(isWaiting)).toEqual([]);
  const seconds = (world.clock.now() - startMs) / SECOND;
  const rest = own.asked.filter(({ path }) => path !== 'graphql');
  const revisits = rest.filter(isOfRevisit).length;
  const { first_due, seconds_at_rate, stretch } = agendaStatus(world.engine)!;
  console.log(JSON.stringify({ seconds, requests: rest.length, revisits, first_due, seconds_at_rate, stretch }));
  expect(rest.length).toBeLessThanOrEqual(PER_SECOND * seconds + BURST);
  expect(rest.length).toBeGreaterThan(0.7 * PER_SECOND * seconds);
  // First visits go on meanwhile.
  expect(revisits / rest.length).toBeLessThan(0.85);
  // GitHub refused nothing, because the source keeps to its pace and heeds what is left.
  expect(own.asked.filter(({ status }) => status === 403 || status === 429)).toEqual([]);

  // The status says how long a round takes at this pace, and how far the intervals stretch because of it.
  expect(first_due).toBeGreaterThan(0);
  expect(seconds_at_rate).toBeGreaterThan(0);
  expect(stretch).toBeGreaterThan(1);
});
