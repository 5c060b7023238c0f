import { describe, expect, it } from 'vitest';
import { FAULTS } from '../../../src/sources/github/stand-in/refusals.ts';
import { makeCoin } from '../../../src/sources/stand-in/faults.ts';
import { numberOf, seedOf } from '../../budget.ts';
import { countOf, type EngineWorld, engineWorld, visitAll, watchNames } from './engine-world.ts';

/** The bounds are for 10,000 repositories; fewer have their share of them. */
const REPOSITORIES = numberOf('GITHUB_ROUND_REPOS', 200);
/** Visits of repositories find their owners, which are watched too. */
const OWNERS = 5;
const SEED = seedOf('GITHUB_ROUND_SEED');
const share = (requests: number) => Math.ceil((requests * REPOSITORIES) / 10_000);

async function visitedWorld(): Promise<EngineWorld> {
  const own = await engineWorld();
  const names = Array.from({ length: REPOSITORIES }, (_, index) => `owner${index % OWNERS}/r${index}`);
  for (const name of names) own.hub.commit(own.hub.repository(name), [{}]);
  await watchNames(own, names);
  await visitAll(own);
  expect(own.world.balance).toMatchObject({ parked: 0, dead: 0 });
  own.asked.length = 0;
  return own;
}

describe(`a round of ${REPOSITORIES} repositories in which nothing changed`, { timeout: 600_000 }, () => {
  it('takes 110 GraphQL requests for 10,000, and none of REST', async () => {
    const own = await visitedWorld();
    const { skipped } = own.world.balance;
    await visitAll(own);
    expect(countOf(own.asked, 'rest')).toBe(0);
    expect(countOf(own.asked, 'graphql')).toBeLessThanOrEqual(share(110));
    expect(own.world.balance.skipped.unchanged! - (skipped.unchanged ?? 0)).toBe(REPOSITORIES + OWNERS);
    console.log(`quiet round: ${countOf(own.asked, 'graphql')} GraphQL requests for ${REPOSITORIES}`);
  });

  it(`takes 350 while a third of the chunks fail, and none of REST (seed ${SEED})`, async () => {
    const own = await visitedWorld();
    const coin = makeCoin(SEED);
    const faults = [FAULTS.badGateway, FAULTS.timeout, FAULTS.graphqlTimeout, FAULTS.graphqlTimeout502];
    own.onRequest = () => (coin() < 1 / 3 ? faults[Math.floor(coin() * faults.length)]! : null);
    await visitAll(own);
    expect(countOf(own.asked, 'rest')).toBe(0);
    expect(countOf(own.asked, 'graphql')).toBeLessThanOrEqual(share(350));
    console.log(`a third fails: ${countOf(own.asked, 'graphql')} GraphQL requests for ${REPOSITORIES}, seed ${SEED}`);
  });

  it('asks REST of those alone that changed', async () => {
    const own = await visitedWorld();
    const changed = [3, 70, 71].map(index => own.hub.find(`owner${index % OWNERS}/r${index}`)!);
    for (const repository of changed) own.hub.commit(repository, [{}]);
    await visitAll(own);
    const asked = own.asked
      .filter(({ path }) => path !== 'graphql')
      .map(({ path }) => path.split('/').slice(1, 3).join('/'));
    const expected = changed.flatMap(({ id, owner }) => [`repos/${owner.login}`, `repositories/${id}`]);
    expect([...new Set(asked)].sort()).toEqual(expected.sort());
    expect(countOf(own.asked, 'rest')).toBeLessThanOrEqual(3 * changed.length);
  });
});
