import { expect, it } from 'vitest';
import { FAULTS } from '../../../src/sources/github/stand-in/refusals.ts';
import { makeCoin } from '../../../src/sources/stand-in/faults.ts';
import { numberOf, seedOf } from '../../budget.ts';
import { expectProof } from '../../simulation/oracle/proof.ts';
import { pass } from '../../simulation/world/world.ts';
import { type EngineWorld, engineWorld, rowsOf, shasOf, visitAll, watchNames } from './engine-world.ts';
import { Story } from './story.ts';

const REPOSITORIES = numberOf('GITHUB_WORLD_REPOS', 8);
const COMMITS = numberOf('GITHUB_WORLD_COMMITS', 500);
const SEED = seedOf('GITHUB_WORLD_SEED');
const PHASES = numberOf('GITHUB_WORLD_PHASES', 2);
const HOUR = 3_600_000;
/** Shares of requests that fail, and of calls before or after which the object dies, while a phase lasts. */
const FAULT_SHARE = 0.1;
const KILL_SHARE = 0.02;

const ANSWERS = [FAULTS.serverError, FAULTS.badGateway, FAULTS.timeout, FAULTS.cut];
const GRAPHQL_ANSWERS = [FAULTS.graphqlTimeout, FAULTS.graphqlTimeout502, FAULTS.badGateway];

/** From now on requests fail, limits refuse, and the object dies, at random; the result ends that. */
function disturb(own: EngineWorld, coin: () => number): () => void {
  const { world, github } = own;
  let isOver = false;
  const maybeKill = () => {
    if (!isOver && coin() < KILL_SHARE) world.kill({ lose: coin() < 0.5 });
  };
  const offs = [world.calls.before(maybeKill), world.calls.after(maybeKill)];
  own.onRequest = path => {
    if (coin() < 0.005) {
      const as = coin() < 0.5 ? 'primary' : 'secondary';
      const resource = path === 'graphql' ? 'graphql' : 'core';
      github.limit(resource, { left: 0, resetMs: 90_000, as, retryAfter: coin() < 0.5 });
    }
    if (path === 'graphql' && coin() < 0.2) github.losePart(() => coin() < 0.3);
    if (coin() >= FAULT_SHARE) return null;
    const answers = path === 'graphql' ? GRAPHQL_ANSWERS : ANSWERS;
    return answers[Math.floor(coin() * answers.length)]!;
  };
  return () => {
    isOver = true;
    for (const off of offs) off();
    github.clearFaults();
    own.onRequest = () => null;
  };
}

/** Under each name that a repository has now is its row, and under each name that none has any more is a deletion. */
async function expectRepositories(own: EngineWorld, { repositories }: Story): Promise<void> {
  const newest = new Map((await rowsOf(own, 'github_repo')).map(row => [String(row.full_name), row]));
  const held = new Map(repositories.map(({ fullName, id }) => [fullName.toLowerCase(), String(id)]));
  const found = [...newest].filter(([, { _op }]) => _op === 'upsert').map(([name, row]) => [name, row.github_id]);
  expect(Object.fromEntries(found)).toEqual(Object.fromEntries(held));
}

it(`has each commit that a visit could see once (seed ${SEED})`, { timeout: 600_000 }, async () => {
  console.log(`GITHUB_WORLD_SEED=${SEED}`);
  const coin = makeCoin(SEED);
  const own = await engineWorld({ GITHUB_HISTORY: 'all' });
  const story = new Story(own.hub, coin);
  story.begin({ repositories: REPOSITORIES, commits: COMMITS });
  const seen = new Map<string, Set<string>>();

  for (let phase = 0; phase < PHASES; phase++) {
    // Let things happen while the source visits, and while requests and the object fail.
    await watchNames(own, story.names);
    const end = disturb(own, coin);
    for (let step = 0; step < 6; step++) {
      story.happen(Math.ceil(REPOSITORIES / 4));
      await pass(own.world, coin() * 12 * HOUR);
    }
    // Let it visit every key in peace: it has seen what the default branches reach now.
    end();
    await watchNames(own, story.names);
    await visitAll(own);
    // One more round, because a repository that is not found counts as removed when it is not found twice.
    await visitAll(own);
    const shas = await shasOf(own);
    for (const repository of story.repositories) {
      const id = String(repository.id);
      const reached = new Set([...(seen.get(id) ?? []), ...own.hub.reachable(repository)]);
      seen.set(id, reached);
      const missing = [...reached].filter(sha => !shas.get(id)?.has(sha));
      expect({ repository: repository.fullName, missing }).toEqual({ repository: repository.fullName, missing: [] });
    }
    for (const [id, found] of shas) expect([...found].filter(sha => !story.ever.get(id)!.has(sha))).toEqual([]);
    await expectRepositories(own, story);
  }
  // The proof has each key of an immutable table once, and no gap in any table.
  await expectProof(own.world);
  console.log(JSON.stringify({ requests: own.asked.length, events: story.log.length }));
});
