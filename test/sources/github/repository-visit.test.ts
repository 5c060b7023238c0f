import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { World } from '../../../src/sources/github/stand-in/world.ts';
import { changeOf, type Follower, startFollower } from './follower.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

let follower: Follower;
let hub: World;
let close: () => Promise<unknown>;

beforeEach(async () => {
  ({ follower, hub, close } = await startFollower());
});
afterEach(() => close());

const repo = (name: string) => follower.row('github_repo', name);

/** A repository with some commits, visited once. */
async function visited(name = 'octo/boat', commits = 3) {
  const repository = hub.repository(name, { description: 'A boat' });
  hub.commit(
    repository,
    Array.from({ length: commits }, () => ({})),
  );
  await follower.follow(`repo:${name}`);
  return repository;
}

describe('a repository', () => {
  it('has a row, a raw document, its commits, and its owner as a further key', async () => {
    const repository = await visited('Octo/Boat');
    expect(repo('octo/boat')).toMatchObject({
      full_name: 'octo/boat',
      owner: 'octo',
      name: 'boat',
      description: 'A boat',
      default_branch: 'main',
      github_id: String(repository.id),
    });
    expect(new Set(follower.shas())).toEqual(hub.reachable(repository));
    expect(follower.rowsOf('github_commit').every(({ repo: name }) => name === 'octo/boat')).toBe(true);
    expect([...follower.documents.keys()].filter(name => !name.includes('/commits/'))).toEqual([
      'raw/repos/octo/boat/',
    ]);
    expect([...follower.watched.keys()]).toEqual(['repo:octo/boat', 'user:octo']);
  });

  it('costs one request of the probe while it has not changed', async () => {
    await visited();
    follower.asked();
    await follower.follow('repo:octo/boat');
    expect(follower.asked()).toEqual(['/graphql 200']);
  });

  it('costs its document and a comparison after a push', async () => {
    const repository = await visited();
    hub.nowMs += HOUR;
    const [before] = follower.shas();
    const shas = hub.commit(repository, [{}, {}]);
    follower.asked();
    await follower.follow('repo:octo/boat');
    expect(follower.asked()).toEqual([
      '/graphql 200',
      `/repositories/${repository.id} 200`,
      `/repos/octo/boat/compare/${before}...${shas[1]}?per_page=100&page=1 200`,
    ]);
    expect(follower.shas()).toHaveLength(5);
    expect(repo('octo/boat')).toMatchObject({ pushed_at: hub.now });
  });

  it('asks for its document with the ETag of the same token only', async () => {
    const repository = await visited();
    hub.nowMs += HOUR;
    await follower.visit('repo:octo/boat', { probed: false });
    follower.asked();
    await follower.visit('repo:octo/boat', { probed: false });
    expect(follower.asked()[0]).toBe(`/repositories/${repository.id} 304`);
    follower.standIn.tokens.add('another');
    follower.settings.token = 'another';
    await follower.visit('repo:octo/boat', { probed: false });
    expect(follower.standIn.requests.recent[0]).toMatchObject({ status: 200, ifNoneMatch: null });
    expect(JSON.stringify([...follower.watched])).not.toContain('token-of-the-stand-in');
  });

  it('has a row for another description, and for counters alone once in 24 hours', async () => {
    const repository = await visited();
    const rows = () => follower.appended.github_repo;
    const starred = async (hours: number) => {
      hub.nowMs += hours * HOUR;
      hub.repository('octo/boat', { stars: repository.stars + 1 });
      await follower.follow('repo:octo/boat');
    };
    for (const hours of [1, 1, 5, 10, 7]) await starred(hours);
    expect([rows(), repo('octo/boat')!.stars]).toEqual([1, 0]);
    await starred(2);
    expect([rows(), repo('octo/boat')!.stars]).toEqual([2, 6]);
    await starred(1);
    hub.nowMs += HOUR;
    hub.repository('octo/boat', { description: 'Another' });
    await follower.follow('repo:octo/boat');
    expect([rows(), repo('octo/boat')!.stars]).toEqual([3, 7]);
    await starred(1);
    // No further change comes, and the row gets its counters all the same.
    hub.nowMs += DAY;
    await follower.follow('repo:octo/boat');
    expect([rows(), repo('octo/boat')!.stars]).toEqual([4, 8]);
    await follower.follow('repo:octo/boat');
    hub.nowMs += 2 * DAY;
    await follower.follow('repo:octo/boat');
    expect(rows()).toBe(4);
  });

  it('that is not there is gone at once, and one that was there after two visits', async () => {
    const gone = await follower.load(changeOf('repo:octo/none'));
    expect(gone.seen).toMatchObject({ found: false });
    const repository = await visited();
    hub.remove(repository);
    await follower.follow('repo:octo/boat');
    expect(repo('octo/boat')).not.toBeNull();
    await follower.follow('repo:octo/boat');
    expect(repo('octo/boat')).toBeNull();
    expect(follower.shas()).toHaveLength(3);
  });

  it.each([
    [403, 'tos'],
    [451, 'dmca'],
  ] as const)('that GitHub blocks with status %i is gone at once, and comes back', async (status, reason) => {
    const repository = await visited();
    hub.block(repository, reason, status);
    await follower.follow('repo:octo/boat');
    expect(repo('octo/boat')).toBeNull();
    expect(follower.shas()).toHaveLength(3);
    hub.unblock(repository);
    await follower.follow('repo:octo/boat');
    expect(repo('octo/boat')).toMatchObject({ github_id: String(repository.id) });
  });

  it('whose document is nested too deep, or is another thing, is refused by name', async () => {
    const deep = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;
    follower.standIn.fault('/repos/octo/boat', [{ body: `{"id":1,"more":${deep}}` }, { body: '{"id":"1"}' }]);
    await expect(follower.visit('repo:octo/boat')).rejects.toThrow(
      'github repository: expected JSON at most 100 deep, got a deeper one',
    );
    await expect(follower.visit('repo:octo/boat')).rejects.toThrow(
      'github repository: expected id to be a number, got text',
    );
  });

  it('without commits has a row, and all commits that come later', async () => {
    ({ follower, hub, close } = await restart({ GITHUB_HISTORY: '2' }));
    const repository = await visited('octo/boat', 0);
    expect(repo('octo/boat')).not.toBeNull();
    hub.commit(repository, [{}, {}, {}, {}]);
    await follower.follow('repo:octo/boat');
    expect(follower.shas()).toHaveLength(4);
  });

  it('that has another name is followed there, and its old name has no row', async () => {
    const repository = await visited();
    hub.nowMs += HOUR;
    hub.rename(repository, 'octo/Ship');
    hub.commit(repository, [{}]);
    expect(await follower.visit('repo:octo/boat')).toBe('repo:octo/ship');
    expect([repo('octo/boat'), repo('octo/ship')]).toMatchObject([null, { github_id: String(repository.id) }]);
    expect(follower.shas()).toHaveLength(4);
    expect([...follower.watched.keys()].sort()).toEqual(['repo:octo/ship', 'user:octo']);
    expect(new Set(follower.rowsOf('github_commit').map(({ repo: name }) => name))).toEqual(
      new Set(['octo/boat', 'octo/ship']),
    );
  });

  it('that was watched by an old name is found by its redirect', async () => {
    const repository = hub.repository('octo/boat');
    hub.commit(repository, [{}]);
    hub.transfer(repository, 'harbour');
    expect(await follower.visit('repo:octo/boat')).toBe('repo:harbour/boat');
    expect(repo('harbour/boat')).not.toBeNull();
  });

  it.each(['old first', 'new first'])('whose name another has taken keeps its history: %s', async order => {
    const first = await visited('octo/boat');
    const second = await visited('octo/raft');
    hub.nowMs += HOUR;
    hub.rename(first, 'octo/ship');
    hub.rename(second, 'octo/boat');
    hub.commit(first, [{}]);
    hub.commit(second, [{}]);
    for (const key of order === 'old first'
      ? ['repo:octo/boat', 'repo:octo/raft']
      : ['repo:octo/raft', 'repo:octo/boat'])
      await follower.visit(key);
    for (const key of ['repo:octo/boat', 'repo:octo/ship']) await follower.follow(key);
    expect(repo('octo/ship')).toMatchObject({ github_id: String(first.id) });
    expect(repo('octo/boat')).toMatchObject({ github_id: String(second.id) });
    expect(repo('octo/raft')).toBeNull();
    for (const repository of [first, second]) {
      const own = follower.rowsOf('github_commit').filter(({ github_id: id }) => id === String(repository.id));
      expect(new Set(own.map(({ sha }) => sha))).toEqual(hub.reachable(repository));
    }
    expect([...follower.watched.keys()].sort()).toEqual(['repo:octo/boat', 'repo:octo/ship', 'user:octo']);
  });

  it('that was removed and made anew is another one, seen for the first time', async () => {
    ({ follower, hub, close } = await restart({ GITHUB_HISTORY: '3' }));
    const first = await visited();
    hub.remove(first);
    const second = hub.repository('octo/boat', { description: 'New' });
    hub.commit(second, [{}, {}, {}, {}, {}]);
    await follower.follow('repo:octo/boat');
    expect(repo('octo/boat')).toMatchObject({ github_id: String(second.id), description: 'New' });
    expect(follower.shas()).toHaveLength(6);
  });

  it('whose name a new one has taken is followed, and the new one is watched', async () => {
    const first = await visited();
    hub.nowMs += HOUR;
    hub.rename(first, 'octo/ship');
    const second = hub.repository('octo/boat');
    hub.commit(second, [{}]);
    expect(await follower.visit('repo:octo/boat')).toBe('repo:octo/ship');
    expect([...follower.watched.keys()].sort()).toEqual(['repo:octo/boat', 'repo:octo/ship', 'user:octo']);
    await follower.follow('repo:octo/boat');
    expect(repo('octo/boat')).toMatchObject({ github_id: String(second.id) });
  });

  it('gives the accounts of its authors where the settings say so', async () => {
    const repository = hub.repository('octo/boat');
    hub.account('sam', { emails: ['sam@specimen.example'] });
    hub.commit(repository, [{}, { author: { email: 'else@specimen.example' } }]);
    await follower.follow('repo:octo/boat');
    expect(follower.watched.has('user:sam')).toBe(false);
    follower.settings.authors = true;
    hub.commit(repository, [{}]);
    await follower.follow('repo:octo/boat');
    expect(follower.watched.has('user:sam')).toBe(true);
  });
});

async function restart(env: Record<string, string>) {
  await close();
  return startFollower(env);
}
