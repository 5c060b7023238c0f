import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sha256Hex } from '../../../src/digest.ts';
import type { Repository, World } from '../../../src/sources/github/stand-in/world.ts';
import { type Follower, startFollower } from './follower.ts';

const HOUR = 3_600_000;
const KEY = 'repo:octo/boat';

let follower: Follower;
let hub: World;
let close: () => Promise<unknown>;
let repository: Repository;

async function start(env: Record<string, string> = {}) {
  ({ follower, hub, close } = await startFollower(env));
  repository = hub.repository('octo/boat');
}

beforeEach(() => start());
afterEach(() => close());

const some = (count: number) => Array.from({ length: count }, () => ({}));

/** The default branch's commits, all of which are rows. */
function expectWhole() {
  const read = new Set(follower.shas());
  expect([...hub.reachable(repository)].filter(sha => !read.has(sha))).toEqual([]);
}

describe('the commits of a repository', () => {
  it('are the newest up to the limit of the history at first sight, and all later ones', async () => {
    await close();
    await start({ GITHUB_HISTORY: '150' });
    const shas = hub.commit(repository, some(260));
    expect(await follower.follow(KEY)).toBe(1);
    expect(new Set(follower.shas())).toEqual(new Set(shas.slice(-150)));
    const later = hub.commit(repository, some(320));
    await follower.follow(KEY);
    expect(new Set(follower.shas())).toEqual(new Set(shas.slice(-150).concat(later)));
  });

  it('are read in parts of ten requests, without the document in between, up to the head that was aimed at', async () => {
    await close();
    await start({ GITHUB_HISTORY: 'all' });
    hub.commit(repository, some(2_350));
    await follower.visit(KEY);
    expect(follower.shas()).toHaveLength(1_000);
    expect(follower.watched.get(KEY)).toMatchObject({ isUnfinished: true });
    const moved = hub.commit(repository, some(10));
    follower.asked();
    await follower.visit(KEY);
    expect(follower.asked()).toHaveLength(10);
    await follower.visit(KEY);
    expect(follower.asked().every(path => path.startsWith('/repos/octo/boat/commits?'))).toBe(true);
    expect(follower.watched.get(KEY)).toMatchObject({ isUnfinished: false });
    expect(follower.shas()).toHaveLength(2_350);
    await follower.follow(KEY);
    expectWhole();
    expect(follower.shas()).toHaveLength(2_350 + moved.length);
  });

  it('are compared in parts as well, and the known head moves with the last one', async () => {
    const [first] = hub.commit(repository, some(1));
    await follower.follow(KEY);
    hub.commit(repository, some(1_250));
    await follower.visit(KEY);
    expect(follower.watched.get(KEY)!.facts).toMatchObject({ head: first, reading: { kind: 'compare', done: 1_000 } });
    await follower.visit(KEY);
    expectWhole();
    expect(follower.watched.get(KEY)!.facts).toMatchObject({ head: hub.find('octo/boat')!.branches.get('main') });
  });

  it('are compared in as many requests as they have pages', async () => {
    hub.commit(repository, some(1));
    await follower.follow(KEY);
    for (const [count, pages] of [
      [100, 1],
      [101, 2],
      [200, 2],
    ] as const) {
      hub.nowMs += HOUR;
      hub.commit(repository, some(count));
      follower.asked();
      await follower.follow(KEY);
      expect(follower.asked().filter(path => path.includes('/compare/'))).toHaveLength(pages);
    }
    expectWhole();
  });

  it('of an old branch that is merged late come whole, also when the walk has to find them', async () => {
    const [root] = hub.commit(repository, some(30));
    hub.branch(repository, 'old', root!);
    hub.commit(repository, some(150), 'old');
    hub.nowMs += HOUR;
    hub.commit(repository, some(150));
    await follower.follow(KEY);
    hub.nowMs += HOUR;
    hub.merge(repository, 'old');
    // The comparison is too large: its first page has the changes of files.
    const files = [{ patch: 'x'.repeat(5 * 1024 * 1024) }];
    const body = JSON.stringify({ status: 'ahead', total_commits: 1, commits: [], files });
    follower.standIn.fault('/repos/octo/boat/compare', [{ body }]);
    await follower.follow(KEY);
    expectWhole();
  });

  it('come once each after a forced push, whose base is still there, has no common root, or is gone', async () => {
    const shas = hub.commit(repository, some(5));
    await follower.follow(KEY);
    hub.forcePush(repository, 'main', shas[2]!);
    hub.commit(repository, some(3));
    await follower.follow(KEY);
    expectWhole();
    hub.nowMs += HOUR;
    const [root] = hub.commit(repository, [{ parents: [] }], 'other');
    hub.forcePush(repository, 'main', root!);
    await follower.follow(KEY);
    expectWhole();
    hub.commit(repository, some(2));
    hub.forcePush(repository, 'main', shas[0]!);
    hub.commit(repository, some(2));
    hub.removeBranch(repository, 'other');
    hub.collect(repository);
    follower.asked();
    await follower.follow(KEY);
    expectWhole();
    expect(follower.asked().filter(path => path.includes('/compare/'))[0]).toMatch(/ 404$/);
  });

  it('behind the known head bring nothing, and the next ones are compared with the new head', async () => {
    const shas = hub.commit(repository, some(5));
    await follower.follow(KEY);
    hub.forcePush(repository, 'main', shas[1]!);
    await follower.follow(KEY);
    expect(follower.shas()).toHaveLength(5);
    expect(follower.watched.get(KEY)!.facts).toMatchObject({ head: shas[1] });
  });

  it('that vanish while they are read end the part, and the next visit aims at another head', async () => {
    await close();
    await start({ GITHUB_HISTORY: 'all' });
    hub.commit(repository, some(1_200));
    await follower.visit(KEY);
    const [root] = hub.commit(repository, [{ parents: [] }], 'other');
    hub.forcePush(repository, 'main', root!);
    hub.removeBranch(repository, 'other');
    hub.collect(repository);
    await follower.follow(KEY);
    expectWhole();
    expect(follower.shas()).toHaveLength(1_001);
  });

  it('are kept up to a page that fails, and the next visit goes on there', async () => {
    hub.commit(repository, some(350));
    const { standIn } = follower;
    const usual = { delayMs: 0 };
    standIn.fault('/repos/octo/boat/commits', [usual, usual, { status: 500 }]);
    await follower.visit(KEY);
    expect(follower.shas()).toHaveLength(200);
    standIn.fault('/repos/octo/boat/commits', [{ status: 502 }]);
    await expect(follower.visit(KEY)).rejects.toMatchObject({ status: 502 });
    await follower.follow(KEY);
    expectWhole();
  });

  it('are all read where GitHub fails to compare in three visits, which are an hour apart', async () => {
    hub.commit(repository, some(3));
    await follower.follow(KEY);
    hub.nowMs += HOUR;
    hub.commit(repository, some(2));
    follower.standIn.fault('/repos/octo/boat/compare', [{ status: 500 }, { status: 503 }, { status: 504 }]);
    for (const failures of [1, 2]) {
      await follower.visit(KEY);
      expect(follower.watched.get(KEY)).toMatchObject({ isUnfinished: false, facts: { reading: { failures } } });
      expect(follower.shas()).toHaveLength(3);
    }
    await follower.visit(KEY);
    expectWhole();
    expect(follower.watched.get(KEY)!.facts).not.toHaveProperty('reading');
    hub.commit(repository, some(2));
    await follower.visit(KEY);
    expectWhole();
  });

  it('with messages of 1 MB are read in smaller pages', async () => {
    const long = Array.from({ length: 5 }, () => ({ message: 'long'.repeat(256 * 1024) }));
    hub.commit(repository, some(12));
    hub.commit(repository, long);
    hub.commit(repository, some(3));
    await follower.follow(KEY);
    expectWhole();
    follower.asked();
    // A comparison with such messages is too large as well.
    hub.commit(repository, long.slice(0, 4));
    await follower.follow(KEY);
    expectWhole();
    expect(follower.asked().some(path => path.includes('per_page=1&'))).toBe(true);
  });

  it('over the limit alone are refused by name, and those before them count', async () => {
    hub.commit(repository, [{ message: 'x'.repeat(4 * 1024 * 1024) }]);
    hub.commit(repository, some(10));
    await follower.visit(KEY);
    expect(follower.shas()).toHaveLength(10);
    await expect(follower.visit(KEY)).rejects.toMatchObject({ reason: 'too-large' });
  });

  it('without an author, with empty names, odd addresses, and dates out of range are rows', async () => {
    hub.commit(repository, [
      { author: null, committer: null },
      { author: { name: '', email: '' } },
      { author: { name: 'Sam', email: 'sam at specimen example' } },
      { author: { name: 'Sam', date: '+275760-09-13T00:00:00Z' } },
      { author: { name: 'Sam', date: '0001-01-01T00:00:00Z' } },
      { message: '' },
    ]);
    await follower.follow(KEY);
    expectWhole();
    const rows = follower.rowsOf('github_commit').toReversed();
    expect(rows.map(row => row.author_name)).toEqual([null, null, 'Sam', 'Sam', 'Sam', 'Sam Specimen']);
    expect(rows[2]!.author_email).toBe('sam at specimen example');
    expect(rows.map(row => row.author_date).slice(3, 5)).toEqual([null, '0001-01-01T00:00:00Z']);
    for (const row of rows) expect(JSON.parse(String(row.data))).toMatchObject({ sha: row.sha });
  });

  it('lie as pages under names that say all of their bytes', async () => {
    hub.commit(repository, some(120));
    await follower.follow(KEY);
    hub.commit(repository, some(7));
    await follower.follow(KEY);
    const pages = [...follower.documents].filter(([name]) => name.startsWith('raw/commits/octo/boat/'));
    expect(pages).toHaveLength(3);
    for (const [name, { bytes, immutable }] of pages) {
      const json = JSON.parse(new TextDecoder().decode(bytes)) as { sha: string }[] | { commits: { sha: string }[] };
      const items = Array.isArray(json) ? json : json.commits;
      const file = `${items[0]!.sha}-${items.at(-1)!.sha}-${sha256Hex(bytes).slice(0, 16)}.json`;
      expect([name, immutable]).toEqual([`raw/commits/octo/boat/${file}`, true]);
    }
  });
});
