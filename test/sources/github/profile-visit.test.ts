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

const profile = (login: string) => follower.row('github_profile', login);

describe('a profile', () => {
  it('of a person has a row and a raw document', async () => {
    const { id } = hub.account('Sam', {
      name: 'Sam Specimen',
      email: 'sam@specimen.example',
      blog: '',
      twitter: 'sam',
    });
    await follower.follow('user:sam');
    expect(profile('sam')).toMatchObject({
      username: 'sam',
      name: 'Sam Specimen',
      email: 'sam@specimen.example',
      blog: null,
      twitter: 'sam',
      github_id: String(id),
    });
    expect(JSON.parse(String(profile('sam')!.data))).toMatchObject({ login: 'Sam' });
    expect([...follower.documents.keys()]).toEqual(['raw/profiles/sam/']);
  });

  it('of an organization has its own document, whose description is its biography', async () => {
    hub.account('Crew', { type: 'Organization', bio: 'We sail', isVerified: true });
    await follower.follow('user:crew');
    expect(profile('crew')).toMatchObject({ bio: 'We sail', username: 'crew' });
    expect(JSON.parse(String(profile('crew')!.data))).toMatchObject({ type: 'Organization', is_verified: true });
    hub.nowMs += HOUR;
    hub.account('Crew', { bio: 'We row' });
    follower.asked();
    await follower.follow('user:crew');
    expect(follower.asked()).toEqual(['/graphql 200', '/orgs/crew 200']);
    expect(profile('crew')).toMatchObject({ bio: 'We row' });
  });

  it('has no row for an ETag that still holds, nor for counters within a day', async () => {
    const sam = hub.account('sam');
    await follower.follow('user:sam');
    await follower.visit('user:sam', { probed: false });
    follower.asked();
    await follower.visit('user:sam', { probed: false });
    expect(follower.asked()).toEqual([`/user/${sam.id} 304`]);
    hub.account('sam', { followers: 5 });
    hub.nowMs += HOUR;
    await follower.visit('user:sam', { probed: false });
    expect(follower.appended.github_profile).toBe(1);
    hub.nowMs += DAY;
    await follower.visit('user:sam', { probed: false });
    expect([follower.appended.github_profile, profile('sam')!.followers]).toEqual([2, 5]);
  });

  it('under another login is found by its number, and another account may have the old one', async () => {
    const first = hub.account('sam');
    await follower.follow('user:sam');
    hub.nowMs += HOUR;
    hub.renameAccount('sam', 'sammy');
    expect(await follower.visit('user:sam')).toBe('user:sammy');
    expect([profile('sam'), profile('sammy')]).toMatchObject([null, { github_id: String(first.id) }]);
    expect([...follower.watched.keys()]).toEqual(['user:sammy']);
    hub.nowMs += HOUR;
    hub.renameAccount('sammy', 'samuel');
    const second = hub.account('sammy');
    await follower.visit('user:sammy');
    expect([...follower.watched.keys()]).toEqual(['user:samuel', 'user:sammy']);
    await follower.follow('user:sammy');
    expect([profile('sammy'), profile('samuel')]).toMatchObject([
      { github_id: String(second.id) },
      { github_id: String(first.id) },
    ]);
  });

  it('of an organization under another login is found as well', async () => {
    const { id } = hub.account('crew', { type: 'Organization' });
    await follower.follow('user:crew');
    hub.nowMs += HOUR;
    hub.renameAccount('crew', 'sailors');
    expect(await follower.visit('user:crew')).toBe('user:sailors');
    expect([profile('crew'), profile('sailors')]).toMatchObject([null, { github_id: String(id) }]);
  });

  it('that is not there is gone at once, and one that was there after two visits', async () => {
    expect((await follower.load(changeOf('user:none'))).seen).toMatchObject({ found: false });
    hub.account('sam');
    await follower.follow('user:sam');
    hub.removeAccount('sam');
    await follower.follow('user:sam');
    expect(profile('sam')).not.toBeNull();
    await follower.follow('user:sam');
    expect(profile('sam')).toBeNull();
  });
});
