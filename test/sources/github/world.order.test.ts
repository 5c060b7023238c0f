import { expect, it } from 'vitest';
import type { Repository } from '../../../src/sources/github/stand-in/world.ts';
import { makeCoin } from '../../../src/sources/stand-in/faults.ts';
import { numberOf, seedOf } from '../../budget.ts';
import { pass } from '../../simulation/world/world.ts';
import { type EngineWorld, engineWorld, rowsOf, visitAll, watchNames } from './engine-world.ts';

const GRAPHS = numberOf('GITHUB_ORDERS', 1);
const SEED = seedOf('GITHUB_ORDER_SEED');
const HOUR = 3_600_000;
const START_MS = Date.parse('2026-01-01T00:00:00Z');

type Coin = () => number;
type Event = (own: EngineWorld) => void;

/** Pushes, merges and renames of two repositories, as a list that several worlds play. No forced push is among them. */
function storyOf(coin: Coin): Event[] {
  const below = (end: number) => Math.floor(coin() * end);
  const events: Event[] = [];
  const names = ['octo/a', 'octo/b'];
  let minute = 0;
  let renames = 0;
  for (let index = 0; index < 16; index++) {
    const which = below(2);
    const draws = Array.from({ length: 6 }, coin);
    // Some commits are older than those before them, and some branches are merged long after they began.
    const dateOf = (draw: number) => new Date(START_MS + (++minute - Math.floor(draw * 20)) * 60_000).toISOString();
    const dates = draws.map(dateOf);
    const person = (date: string) => ({ author: { name: 'Sam', email: 'sam@specimen.example', date } });
    const repositoryOf = ({ hub }: EngineWorld): Repository => hub.find(names[which]!) ?? hub.redirect(names[which]!)!;
    const kind = below(5);
    if (index < 2) {
      events.push(({ hub }) => {
        hub.commit(hub.repository(names[index]!), [person(dates[0]!), person(dates[1]!)]);
      });
    } else if (kind < 2) {
      events.push(
        own => void own.hub.commit(repositoryOf(own), dates.slice(0, 1 + Math.floor(draws[5]! * 5)).map(person)),
      );
    } else if (kind === 2) {
      events.push(own => {
        const repository = repositoryOf(own);
        const reachable = [...own.hub.reachable(repository)].sort();
        own.hub.branch(repository, 'side', reachable[Math.floor(draws[0]! * reachable.length)]!);
        own.hub.commit(repository, [person(dates[1]!), person(dates[2]!)], 'side');
      });
    } else if (kind === 3) {
      events.push(own => {
        const repository = repositoryOf(own);
        const side = repository.branches.get('side');
        const parents = [repository.branches.get('main')!, side ?? repository.branches.get('main')!];
        own.hub.commit(repository, [{ ...person(dates[0]!), parents: [...new Set(parents)] }]);
      });
    } else {
      const name = `octo/r${renames++}`;
      events.push(own => own.hub.rename(repositoryOf(own), name));
    }
  }
  return events;
}

/** Plays a story, with visits between its events where `visits` says so, and gives the commits in files. */
async function play(story: Event[], visits: (index: number) => 'all' | 'some' | 'none', coin: Coin): Promise<string[]> {
  const own = await engineWorld({ GITHUB_HISTORY: 'all' });
  const names = () => [...own.hub.repositories.values()].map(({ fullName }) => fullName);
  for (const [index, event] of story.entries()) {
    event(own);
    if (index === 1) await watchNames(own, names());
    if (index < 1) continue;
    if (visits(index) === 'all') await visitAll(own);
    if (visits(index) === 'some') await pass(own.world, coin() * 30 * HOUR);
  }
  await watchNames(own, names());
  await visitAll(own);
  const reachable = [...own.hub.repositories.values()].flatMap(repository =>
    [...own.hub.reachable(repository)].map(sha => `${repository.id} ${sha}`),
  );
  const rows = (await rowsOf(own, 'github_commit')).map(({ github_id, sha }) => `${github_id} ${sha}`);
  expect(rows.toSorted()).toEqual(reachable.toSorted());
  return rows.toSorted();
}

it.each(Array.from({ length: GRAPHS }, (_, index) => SEED + index))(
  'has the same commits whatever the order of pushes, merges, renames and visits (seed %i)',
  { timeout: 120_000 },
  async seed => {
    const story = storyOf(makeCoin(seed));
    const coin = makeCoin(seed + 1);
    const late = await play(story, () => 'none', coin);
    const often = await play(story, () => 'all', coin);
    const now = await play(story, () => (coin() < 0.3 ? 'some' : 'none'), coin);
    expect(often).toEqual(late);
    expect(now).toEqual(late);
  },
);
