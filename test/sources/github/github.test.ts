import { describe, expect, it } from 'vitest';
import { checkRow } from '../../../src/loader/rows.ts';
import { github } from '../../../src/sources/github/github.ts';
import { GITHUB_INLETS } from '../../../src/sources/github/inlets.ts';
import { commitRow, digestsOf, repositoryRow, repositoryShape } from '../../../src/sources/github/rows.ts';

const TOKEN = { GITHUB_TOKEN: 'github_pat_x' };

describe('the settings of GitHub', () => {
  it('have defaults for all but the token, and say how to make one', () => {
    expect(github.settings(TOKEN)).toEqual({
      url: 'https://api.github.com',
      token: 'github_pat_x',
      historyMax: 1_000,
      authors: false,
      webhookSecret: null,
      requestsPerSecond: 1.25,
      graphqlRequestsPerSecond: 1,
      pollMs: 60_000,
    });
    expect(() => github.settings({})).toThrow(
      /^GITHUB_TOKEN: expected a token, because .+ fine-grained personal access token without any permission suffices .+, got \(hidden\)$/,
    );
  });

  it('are refused by name', () => {
    for (const [name, value] of [
      ['GITHUB_HISTORY', '0'],
      ['GITHUB_HISTORY', 'some'],
      ['GITHUB_HISTORY', '-1'],
      ['GITHUB_AUTHORS', 'yes'],
      ['GITHUB_API_URL', 'ftp://api.github.com'],
      ['GITHUB_TOKEN', 'a b'],
      ['GITHUB_TOKEN', 'a\n'],
      ['GITHUB_REQUESTS_PER_SECOND', '0'],
    ] as const)
      expect(() => github.settings({ ...TOKEN, [name]: value }), name).toThrow(name);
    expect(github.settings({ ...TOKEN, GITHUB_HISTORY: 'all' }).historyMax).toBeNull();
    expect(github.settings({ ...TOKEN, GITHUB_HISTORY: 5 }).historyMax).toBe(5);
  });

  it('give REST and GraphQL permits of their own, with the headers of their limits', () => {
    const { hosts } = github.pace(github.settings({ ...TOKEN, GITHUB_API_URL: 'https://git.example/api/v3' }));
    expect(Object.keys(hosts)).toEqual(['git.example', 'git.example/graphql']);
    for (const { quota } of Object.values(hosts)) expect(quota).toMatchObject({ remaining: 'x-ratelimit-remaining' });
  });
});

describe('the inlet of npm', () => {
  const [npm] = GITHUB_INLETS;
  const read = (repository: unknown, op: 'upsert' | 'delete' = 'upsert') =>
    npm!.read({ op, lsn: 1, key: 'thing', row: { repository: repository as string } }).map(({ key }) => {
      const found = github.agenda!.read(key);
      return 'key' in found ? found.key : `(${found.rejected})`;
    });

  it('names the repository of a package, whatever form it has', () => {
    expect(read('git+https://github.com/Octo/Boat.git')).toEqual(['repo:octo/boat']);
    expect(read('https://github.com/octo/boat/tree/main/packages/thing')).toEqual(['repo:octo/boat']);
    expect(read('git@github.com:octo/boat.git')).toEqual(['repo:octo/boat']);
    expect(read('github:octo/boat')).toEqual(['repo:octo/boat']);
  });

  it('counts what is none by its reason, and takes no word for an account', () => {
    expect(read('https://gist.github.com/octo/0123')).toEqual(['(gist)']);
    expect(read('https://gitlab.com/octo/boat')).toEqual(['(other-forge)']);
    expect(read('x'.repeat(10_240))).toEqual(['(too-long)']);
    expect(read('none')).toEqual(['(no-repository)']);
    expect(read('https://github.com/octo')).toEqual(['(no-repository)']);
    for (const empty of [null, '', ' ', 7]) expect(read(empty)).toEqual([]);
    expect(read('octo/boat', 'delete')).toEqual([]);
  });
});

const DOCUMENT = repositoryShape.parse({
  id: 7,
  node_id: 'R_7',
  full_name: 'Octo/Boat',
  owner: { login: 'Octo', id: 1 },
  license: { spdx_id: 'MIT', key: 'mit' },
  topics: ['sea', 'wood'],
  stargazers_count: 1,
  size: 10,
  pushed_at: '2026-11-25T12:00:00Z',
  updated_at: '2026-11-25T12:00:00Z',
  default_branch: 'main',
});

describe('a row of GitHub', () => {
  it('of a repository has names in lower case, and the spelling in its data', () => {
    expect(checkRow(repositoryRow(DOCUMENT)).row).toMatchObject({
      full_name: 'octo/boat',
      owner: 'octo',
      name: 'boat',
      license: 'MIT',
      topics: 'sea,wood',
      stars: 1,
      github_id: '7',
    });
    expect(JSON.parse(String(repositoryRow(DOCUMENT).row.data))).toMatchObject({ full_name: 'Octo/Boat' });
    expect(repositoryRow({ ...DOCUMENT, license: { spdx_id: 'NOASSERTION' }, topics: [] }).row).toMatchObject({
      license: null,
      topics: null,
    });
  });

  it('is the same for counters and what a document has inside, and another for anything else', () => {
    const main = (change: object) => digestsOf({ ...DOCUMENT, ...change }).main;
    for (const same of [
      { stargazers_count: 9 },
      { size: 11 },
      { updated_at: 'x' },
      { owner: { login: 'Octo', id: 1, x: 2 } },
    ])
      expect(main(same), JSON.stringify(same)).toBe(main({}));
    for (const other of [
      { description: 'x' },
      { topics: ['sea'] },
      { archived: true },
      { license: { spdx_id: 'ISC' } },
      { pushed_at: 'x' },
      { field_of_tomorrow: 1 },
    ])
      expect(main(other), JSON.stringify(other)).not.toBe(main({}));
    expect(digestsOf({ ...DOCUMENT, stargazers_count: 9 }).counters).not.toBe(digestsOf(DOCUMENT).counters);
    expect(digestsOf({ ...DOCUMENT, updated_at: 'x' }).counters).toBe(digestsOf(DOCUMENT).counters);
  });

  it('of a commit takes anything but a missing hash', () => {
    const sha = 'a'.repeat(40);
    for (const commit of [
      undefined,
      null,
      7,
      [],
      {},
      { author: 'x', committer: [] },
      { author: { name: 7, date: {} }, message: [] },
    ])
      expect(checkRow(commitRow({ sha, commit }, { githubId: 7, repo: 'Octo/Boat' })).row).toMatchObject({
        sha,
        repo: 'octo/boat',
        author_name: null,
        message: null,
        created_at: null,
        github_id: '7',
      });
  });

  it.each([
    ['2026-11-25T12:00:00Z', '2026-11-25T12:00:00Z'],
    ['2026-11-25T12:00:00+02:00', '2026-11-25T12:00:00+02:00'],
    ['0001-01-01T00:00:00Z', '0001-01-01T00:00:00Z'],
    ['2026-13-45T99:00:00Z', null],
    ['+275760-09-13T00:00:00Z', null],
    ['yesterday', null],
    ['', null],
  ])('has a time of the years 0 to 9999, or none: %s', (date, expected) => {
    const item = { sha: 'a'.repeat(40), commit: { committer: { date } } };
    expect(commitRow(item, { githubId: 7, repo: 'a/b' }).row.created_at).toBe(expected);
  });
});
