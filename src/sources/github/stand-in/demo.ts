import { type Demo, type DemoAct, isVisited } from '../../stand-in/demo.ts';
import { makeCoin } from '../../stand-in/faults.ts';
import { type GithubStandIn, startStandIn } from './stand-in.ts';
import { type CommitFacts, isoSecond, World } from './world.ts';

/**
 * Repositories that the packages of npm's demo name. Their names are real; owners, commits and people here are made up.
 * Packages name some more, which GitHub does not have here.
 */
export const DEMO_REPOSITORIES = (
  'biomejs/biome cloudflare/workers-sdk duckdb/duckdb-node-neo jridgewell/sourcemaps poppinss/colors sindresorhus/is ' +
  'dominictarr/JSONStream mhart/aws4fetch connor4312/blake3 chaijs/chai jshttp/cookie lovell/detect-libc ' +
  'guybedford/es-module-lexer expressjs/express hyparam/hyparquet hyparam/hyparquet-writer ' +
  'kwhitley/itty-router lukeed/kleur stevemao/left-pad pillarjs/path-to-regexp unjs/pathe micromatch/picomatch ' +
  'tim-kos/node-retry Microsoft/tslib colinhacks/zod'
).split(' ');

/** Texts that a person may give: two are the same repository, and the last ones name none. */
const TEXTS = [
  'https://github.com/chaijs/chai/tree/main/lib',
  'git@github.com:chaijs/chai.git',
  'owner:hyparam',
  'https://gitlab.com/group/project',
  'https://gist.github.com/someone/1234',
];

/** The query for commits by email domain that the lake was specified with, unchanged. */
const EMAIL_QUERY = `SELECT author_email, repo, COUNT(*) as commit_count
FROM r2_sql('data-ingestion/github/commits/partitions.parquet')
WHERE author_email LIKE '%@stripe.com'
GROUP BY author_email, repo
ORDER BY commit_count DESC;`;
/** So many pairs of an address and a repository at least. */
const EMAIL_ROWS_MIN = 10;

const DOMAINS_QUERY = `SELECT split_part(author_email, '@', 2) AS domain, count(*) AS commits,
  count(DISTINCT author_email) AS people, count(DISTINCT repo) AS repositories
FROM github_commit GROUP BY domain ORDER BY commits DESC, domain LIMIT 8`;

/** The made-up people. The query names the domain of a real company, so these invented people have addresses there. */
const PEOPLE = [
  ['Pat Pattern', 'pat.pattern@stripe.com'],
  ['Sam Specimen', 'sam@stripe.com'],
  ['Lane Lorem', 'lane@lorem.example'],
  ['Kim Keystone', 'kim.keystone@harbour-works.example'],
  ['Robin Rune', 'robin@harbour-works.example'],
  ['Ash Arbor', '7001+ash-arbor@users.noreply.github.com'],
  ['Dana Dune', 'dana@northfield.example'],
] as const;

const HOUR_MS = 3_600_000;
const COMMITS_MAX = 60;
/** One repository has more commits than the source reads at first sight by default. */
const COMMITS_OF_LARGEST = 1_300;
const HISTORY_MAX = 1_000;

export const demo: Demo = {
  example:
    'SELECT author_email, count(*) AS commits FROM github_commit GROUP BY author_email ORDER BY commits DESC LIMIT 10',
  feeds: ['npm>github'],

  async start() {
    const world = demoWorld();
    const standIn = await startStandIn({ world, fast: true });
    const counts = [...world.repositories.values()].map(repository => world.reachable(repository).size);
    const read = counts.reduce((sum, count) => sum + Math.min(count, HISTORY_MAX), 0);
    return {
      standIn,
      content: `${counts.length} repositories with ${counts.reduce((sum, count) => sum + count, 0)} made-up commits`,
      acts: [visits(standIn, read)],
    };
  },
};

/** A GitHub on the machine's clock. Which commits it has depends on nothing else. */
function demoWorld(): World {
  const world = new World({ now: Date.now });
  const coin = makeCoin(1);
  world.account('ash-arbor', { name: 'Ash Arbor', emails: [PEOPLE[5][1]], blog: 'https://ash-arbor.example' });
  for (const fullName of DEMO_REPOSITORIES) {
    const repository = world.repository(fullName, { stars: Math.floor(coin() * 9_000), language: 'TypeScript' });
    const count = fullName === 'expressjs/express' ? COMMITS_OF_LARGEST : 5 + Math.floor(coin() * COMMITS_MAX);
    world.commit(repository, commitsOf(world.nowMs, count, coin));
  }
  return world;
}

/** Commits some hours apart, the last one not long ago. */
function commitsOf(nowMs: number, count: number, coin: () => number): Partial<CommitFacts>[] {
  return Array.from({ length: count }, (_, index) => {
    const [name, email] = PEOPLE[Math.floor(coin() * PEOPLE.length)]!;
    const date = isoSecond(nowMs - (count - index) * 7 * HOUR_MS);
    return { message: `Change ${index + 1} of ${count}`, author: { name, email, date } };
  });
}

function visits({ world, requests }: GithubStandIn, commits: number): DemoAct {
  const repositories = world.repositories.size;
  return {
    daysAhead: 0,
    async begin({ call, print }) {
      const { added, rejections } = await call<{ added: number; rejections: { text: string; reason: string }[] }>(
        '/v1/sources/github/keys',
        TEXTS,
      );
      const rejected = rejections.map(({ text, reason }) => `"${text}" (${reason})`).join(', ');
      print(`Watching ${added} keys beside what npm's packages name; rejected: ${rejected}.`);
    },
    isDone: status => isVisited(status) && status.tables.github_commit!.rows === commits,
    progress: ({ tables }) => ({ done: tables.github_commit?.rows ?? 0, total: commits, unit: 'commits' }),
    async end({ status, print, query, check }) {
      const { github_repo: repos, github_profile: profiles } = status.tables;
      print(
        `${status.balance.changes} visits took ${requests.total} requests, ${requests.count('/graphql')} of them GraphQL: ` +
          `${repos?.rows} rows of repositories, ${profiles?.rows} of profiles.\n`,
      );
      await query({ title: 'Commits by email domain', sql: DOMAINS_QUERY, answerOnly: true });
      await query({ title: 'Commits of one email domain', sql: EMAIL_QUERY, rowsMin: EMAIL_ROWS_MIN });
      const known = status.tables.github_commit!.rows;
      check({
        check: `The newest ${HISTORY_MAX} commits of each of ${repositories} repositories that npm's packages name have a row`,
        ok: known === commits,
        found: `${known} of ${commits}`,
      });
    },
  };
}
