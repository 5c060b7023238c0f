import { describe, expect, it } from 'vitest';
import { clientOf, ORIGIN } from './client.ts';

const changes = (count: number) => Array.from({ length: count }, (_, index) => ({ message: `change ${index}` }));

describe('a repository', () => {
  it('is found in any case of letters, and keeps its spelling', () => {
    const { world, get } = clientOf();
    const repository = world.repository('Octo/Boat', { stars: 3 });
    const { status, json } = get('/repos/octo/BOAT');
    expect([status, json.full_name, json.id, json.node_id]).toEqual([
      200,
      'Octo/Boat',
      repository.id,
      repository.nodeId,
    ]);
    expect(get(`/repositories/${repository.id}`).json).toEqual(json);
    expect(get('/repos/octo/boat/').status).toBe(404);
  });

  it('redirects from its old name until another repository takes it', () => {
    const { world, get } = clientOf();
    const repository = world.repository('octo/old');
    world.commit(repository, changes(1));
    world.rename(repository, 'octo/new');
    const moved = get('/repos/octo/old/commits?per_page=5');
    expect([moved.status, moved.headers.location]).toEqual([
      301,
      `${ORIGIN}/repositories/${repository.id}/commits?per_page=5`,
    ]);
    expect(moved.json).toMatchObject({ message: 'Moved Permanently', url: moved.headers.location });
    expect(get(moved.headers.location!.slice(ORIGIN.length)).json).toHaveLength(1);
    const other = world.repository('octo/old');
    expect(get('/repos/octo/old').json.id).toBe(other.id);
    world.transfer(repository, 'crew');
    expect(get('/repos/octo/new').status).toBe(301);
    expect(get('/repos/crew/new').json.owner.login).toBe('crew');
  });

  it('is gone when it is removed or private, and refused when it is blocked', () => {
    const { world, get } = clientOf();
    const [gone, hidden, taken, closed] = ['gone', 'hidden', 'taken', 'closed'].map(name =>
      world.repository(`octo/${name}`),
    );
    world.rename(gone!, 'octo/later');
    world.remove(gone!);
    hidden!.private = true;
    world.block(taken!, 'dmca', 451);
    world.block(closed!, 'tos', 403);
    for (const path of ['/repos/octo/gone', '/repos/octo/later', '/repos/octo/hidden', `/repositories/${gone!.id}`])
      expect([path, get(path).status]).toEqual([path, 404]);
    expect(get('/repos/octo/taken').status).toBe(451);
    expect(get('/repos/octo/closed/commits')).toMatchObject({ status: 403, json: { block: { reason: 'tos' } } });
    expect(get('/users/octo/repos').json.map(({ name }: { name: string }) => name)).toEqual(['closed', 'taken']);
  });
});

describe('an account', () => {
  it('is a user or an organization, each with its own form', () => {
    const { world, get } = clientOf();
    const user = world.account('Sam', { name: 'Sam Specimen', email: 'sam@specimen.example' });
    const crew = world.account('Crew', { type: 'Organization', bio: 'A crew' });
    expect(get('/users/sam').json).toMatchObject({
      login: 'Sam',
      type: 'User',
      email: 'sam@specimen.example',
      id: user.id,
    });
    expect(get(`/user/${user.id}`).json).toEqual(get('/users/SAM').json);
    expect(get('/users/crew').json).toMatchObject({ type: 'Organization', id: crew.id });
    expect(get('/orgs/crew').json).toMatchObject({ description: 'A crew', id: crew.id });
    expect(get('/orgs/sam').status).toBe(404);
  });

  it('leaves no trace at its old login, but its repositories redirect', () => {
    const { world, get } = clientOf();
    const repository = world.repository('sam/boat');
    world.renameAccount('sam', 'samuel');
    expect([get('/users/sam').status, get('/users/samuel').status]).toEqual([404, 200]);
    expect(get('/repos/sam/boat').status).toBe(301);
    expect(get('/repos/samuel/boat').json.id).toBe(repository.id);
    world.account('sam', { name: 'Another' });
    expect(get('/users/sam').json.id).not.toBe(get('/users/samuel').json.id);
  });

  it('lists its public repositories by page, newest push first where that is asked for', () => {
    const { world, get } = clientOf();
    for (let index = 0; index < 5; index++) {
      world.nowMs += 60_000;
      world.commit(world.repository(`octo/r${index}`), changes(1));
    }
    world.repository('octo/secret', { private: true });
    const first = get('/users/octo/repos?sort=pushed&per_page=2');
    const namesOf = (json: { name: string }[]) => json.map(({ name }) => name);
    expect(namesOf(first.json)).toEqual(['r4', 'r3']);
    expect(first.headers.link).toContain('rel="next"');
    expect(namesOf(get('/users/octo/repos?sort=pushed&per_page=2&page=3').json)).toEqual(['r0']);
    expect(namesOf(get('/users/octo/repos?direction=asc').json)).toEqual(['r0', 'r1', 'r2', 'r3', 'r4']);
    expect(get('/users/octo/repos?visibility=all').status).toBe(400);
  });
});

describe('a list of commits', () => {
  it('is refused with status 409 while the repository is empty', () => {
    const { world, get } = clientOf();
    world.repository('octo/empty');
    expect(get('/repos/octo/empty/commits')).toMatchObject({
      status: 409,
      json: { message: 'Git Repository is empty.' },
    });
  });

  it('has 30 a page, 100 at most, newest first, with links by number', () => {
    const { world, get } = clientOf();
    const repository = world.repository('octo/boat');
    const shas = world.commit(repository, changes(130));
    const path = '/repos/octo/boat/commits';
    const shasOf = (query: string) => get(`${path}?${query}`).json.map(({ sha }: { sha: string }) => sha);
    expect(shasOf('')).toEqual(shas.slice(-30).reverse());
    expect(shasOf('per_page=1000')).toHaveLength(100);
    expect([...shasOf('per_page=100'), ...shasOf('per_page=100&page=2')]).toEqual(shas.toReversed());
    expect(shasOf('per_page=100&page=3')).toEqual([]);
    const { link } = get(`${path}?per_page=100`).headers;
    expect(link).toBe(
      ['next', 'last']
        .map(rel => `<${ORIGIN}/repositories/${repository.id}/commits?per_page=100&page=2>; rel="${rel}"`)
        .join(', '),
    );
    expect(get(`${path}?per_page=100&page=2`).headers.link).not.toContain('next');
    expect(shasOf(`sha=${shas[4]}`)).toEqual(shas.slice(0, 5).reverse());
    expect(get(`${path}?sha=${'0'.repeat(40)}`).status).toBe(404);
  });

  it('links a commit to the account with its address at the time of the request', () => {
    const { world, get } = clientOf();
    const repository = world.repository('octo/boat');
    world.commit(repository, [{ author: { email: 'sam@specimen.example' } }, { author: null, committer: null }]);
    const authors = () =>
      get('/repos/octo/boat/commits').json.map(({ author }: { author: { login: string } | null }) => author?.login);
    expect(authors()).toEqual([undefined, undefined]);
    world.account('sam', { emails: ['sam@specimen.example'] });
    expect(authors()).toEqual([undefined, 'sam']);
  });
});

describe('a comparison', () => {
  it('has its commits oldest first and its files on the first page', () => {
    const { world, get } = clientOf();
    const repository = world.repository('octo/boat');
    const [base, ...shas] = world.commit(repository, changes(131));
    const path = `/repos/octo/boat/compare/${base}...${shas.at(-1)}`;
    const pages = [1, 2].map(page => get(`${path}?per_page=100&page=${page}`).json);
    expect(pages.flatMap(({ commits }) => commits.map(({ sha }: { sha: string }) => sha))).toEqual(shas);
    expect(pages.map(({ files }) => files.length)).toEqual([130, 0]);
    expect(pages[0]).toMatchObject({ status: 'ahead', ahead_by: 130, behind_by: 0, total_commits: 130 });
    expect(pages[0].merge_base_commit.sha).toBe(base);
  });

  it('without paging has the newest 250', () => {
    const { world, get } = clientOf();
    const repository = world.repository('octo/boat');
    const [base, ...shas] = world.commit(repository, changes(261));
    const { commits, total_commits: total, files } = get(`/repos/octo/boat/compare/${base}...main`).json;
    expect([total, files.length]).toEqual([260, 260]);
    expect(commits.map(({ sha }: { sha: string }) => sha)).toEqual(shas.slice(-250));
  });

  it('is diverged after a forced push, and refused when nothing is in common', () => {
    const { world, get } = clientOf();
    const repository = world.repository('octo/boat');
    const [root, old] = world.commit(repository, changes(2));
    world.branch(repository, 'work', root!);
    const [head] = world.commit(repository, changes(1), 'work');
    world.forcePush(repository, 'main', head!);
    expect(get(`/repos/octo/boat/compare/${old}...${head}`).json).toMatchObject({
      status: 'diverged',
      ahead_by: 1,
      behind_by: 1,
    });
    const [orphan] = world.commit(repository, [{ parents: [] }], 'orphan');
    expect(get(`/repos/octo/boat/compare/${old}...${orphan}`)).toMatchObject({
      status: 404,
      json: { message: `No common ancestor between ${old} and ${orphan}.` },
    });
    world.collect(repository);
    expect(get(`/repos/octo/boat/compare/${old}...${head}`).json.message).toBe('Not Found');
    expect(get(`/repos/octo/boat/compare/${head}...${head}`).json.status).toBe('identical');
  });

  it('has files as large as a test wants', () => {
    const { world, get } = clientOf();
    const repository = world.repository('octo/boat');
    const [base, head] = world.commit(repository, [{}, { patchBytes: 100_000 }]);
    expect(get(`/repos/octo/boat/compare/${base}...${head}`).json.files[0].patch).toHaveLength(100_000);
  });
});
