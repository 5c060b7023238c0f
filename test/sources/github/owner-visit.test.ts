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

const found = () => [...follower.watched.keys()].filter(key => key.startsWith('repo:')).sort();

/** A push to a repository, an hour after the last one. */
function pushed(name: string) {
  hub.nowMs += HOUR;
  hub.commit(hub.repository(`octo/${name}`), [{}]);
}

describe('an owner', () => {
  it('gives all its public repositories, then those pushed to since, and after seven days all again', async () => {
    for (let index = 0; index < 130; index++) pushed(`boat-${index}`);
    hub.repository('octo/secret', { private: true });
    await follower.visit('owner:octo');
    expect(found()).toHaveLength(130);
    pushed('new');
    follower.asked();
    await follower.visit('owner:octo');
    expect(found()).toHaveLength(131);
    expect(follower.asked()).toHaveLength(1);
    // A transfer is no push: only the whole list shows it.
    hub.nowMs += HOUR;
    hub.transfer(hub.repository('crew/old', { pushedAt: '2020-01-01T00:00:00Z' }), 'octo');
    await follower.visit('owner:octo');
    expect(found()).not.toContain('repo:octo/old');
    hub.nowMs += 7 * DAY;
    await follower.visit('owner:octo');
    expect(found()).toContain('repo:octo/old');
  });

  it('reads pages until the first push that it knows', async () => {
    for (let index = 0; index < 250; index++) hub.commit(hub.repository(`octo/boat-${index}`), [{}]);
    await follower.follow('owner:octo');
    for (let index = 0; index < 120; index++) pushed(`boat-${index}`);
    follower.asked();
    await follower.follow('owner:octo');
    expect(follower.asked().map(path => /page=(\d+) /.exec(path)![1])).toEqual(['1', '2']);
  });

  it('goes on with its list where a page failed', async () => {
    for (let index = 0; index < 150; index++) hub.commit(hub.repository(`octo/boat-${index}`), [{}]);
    follower.standIn.fault('/users/octo/repos', [{ delayMs: 0 }, { status: 500 }]);
    await follower.visit('owner:octo');
    expect([found().length, follower.watched.get('owner:octo')!.isUnfinished]).toEqual([100, true]);
    await follower.follow('owner:octo');
    expect(found()).toHaveLength(150);
  });

  it('follows its account to another login, and is gone without one', async () => {
    pushed('boat');
    await follower.visit('owner:octo');
    hub.renameAccount('octo', 'octopus');
    expect(await follower.visit('owner:octo')).toBe('owner:octopus');
    await follower.visit('owner:octopus');
    expect(found()).toContain('repo:octopus/boat');
    hub.removeAccount('octopus');
    const { facts } = follower.watched.get('owner:octopus')!;
    expect((await follower.load(changeOf('owner:octopus', facts))).seen).toMatchObject({ found: false });
    expect((await follower.load(changeOf('owner:none'))).seen).toMatchObject({ found: false });
  });
});
