import { describe, expect, it } from 'vitest';
import { readKey } from '../../../src/sources/github/keys.ts';

function read(text: string): string {
  const found = readKey(text);
  return 'key' in found ? found.key : `(${found.rejected})`;
}

describe('a key of GitHub', () => {
  it.each([
    'repo:Octo-Org/Hello.World',
    'octo-org/hello.world',
    ' Octo-Org/Hello.World ',
    'github:octo-org/hello.world',
    'https://github.com/octo-org/hello.world',
    'http://www.github.com/octo-org/hello.world/',
    'https://github.com/octo-org/hello.world.git',
    'git+https://github.com/octo-org/hello.world.git#main',
    'git+https://user:token@github.com/octo-org/hello.world.git',
    'git://github.com/octo-org/hello.world.git',
    'git+ssh://git@github.com/octo-org/hello.world.git',
    'ssh://git@github.com:22/octo-org/hello.world',
    'ssh://git@github.com:octo-org/hello.world.git',
    'ssh://git@ssh.github.com:443/octo-org/hello.world.git',
    'git@github.com:octo-org/hello.world.git',
    'github.com/octo-org/hello.world',
    'https://github.com/octo-org/hello.world/tree/main/packages/thing',
    'https://github.com/octo-org/hello.world/blob/main/a b/readme.md?raw=1#top'.replace('a b', 'a%20b'),
    'octo-org/hello.world/packages/thing',
    'https://api.github.com/repos/octo-org/hello.world/commits',
    'https://raw.githubusercontent.com/octo-org/hello.world/main/readme.md',
    'HTTPS://GITHUB.COM/OCTO-ORG/HELLO.WORLD#readme',
  ])('is a repository: %s', text => {
    expect(readKey(text)).toEqual({ key: 'repo:octo-org/hello.world', space: 'repo' });
  });

  it.each([
    ['user:Octocat', 'user:octocat'],
    ['octocat', 'user:octocat'],
    ['@octocat', 'user:octocat'],
    ['https://github.com/octocat', 'user:octocat'],
    ['github.com/octocat/', 'user:octocat'],
    ['https://github.com/orgs/octo-org/repositories', 'user:octo-org'],
    ['https://github.com/sponsors/octocat', 'user:octocat'],
    ['https://api.github.com/users/octocat', 'user:octocat'],
    ['owner:Octo-Org', 'owner:octo-org'],
    ['jane_corp', 'user:jane_corp'],
  ])('is an account: %s', (text, key) => {
    expect(read(text)).toBe(key);
  });

  it.each([
    ['', '(empty)'],
    [' \n', '(empty)'],
    ['x'.repeat(10_240), '(too-long)'],
    [`https://github.com/a/b/tree/${'x'.repeat(10_240)}`, '(too-long)'],
    ['https://gist.github.com/octocat/0123456789abcdef', '(gist)'],
    ['gist:0123456789abcdef', '(gist)'],
    ['git@gist.github.com:0123456789abcdef.git', '(gist)'],
    ['https://gitlab.com/octo-org/hello', '(other-forge)'],
    ['git@bitbucket.org:octo-org/hello.git', '(other-forge)'],
    ['gitlab:octo-org/hello', '(other-forge)'],
    ['bitbucket:octo-org/hello', '(other-forge)'],
    ['https://github.com.example.org/octo-org/hello', '(other-forge)'],
    ['https://example.org/?u=https://github.com/a/b', '(other-forge)'],
    ['https://octo.github.io/hello', '(other-forge)'],
    ['file:///srv/git/hello.git', '(other-forge)'],
    ['https://github.com/', '(no-login)'],
    ['https://github.com/features/actions', '(no-repository)'],
    ['https://github.com/settings', '(no-repository)'],
    ['user:a/b', '(no-login)'],
    ['owner:a/b', '(no-login)'],
    ['user:', '(no-login)'],
    ['user:-octocat', '(no-login)'],
    ['user:dependabot[bot]', '(bot)'],
    ['repo:octocat', '(no-repository)'],
    ['repo:a/b/c', '(no-repository)'],
    ['a/..', '(no-repository)'],
    ['a/.git', '(no-repository)'],
    ['/', '(no-login)'],
    ['a b/c', '(no-repository)'],
    ['a/b c', '(no-repository)'],
    ['see our site/page for it', '(no-repository)'],
    ['ö/name', '(no-repository)'],
    [`${'a'.repeat(40)}/b`, '(no-repository)'],
    [`a/${'b'.repeat(101)}`, '(no-repository)'],
    ['constructor', 'user:constructor'],
    ['__proto__', '(no-login)'],
  ])('is not, or is another: %s', (text, expected) => {
    expect(read(text)).toBe(expected);
  });

  it('reads as itself, and takes any text without trying many ways', () => {
    for (const key of ['repo:a/b', 'user:a', 'owner:a-b']) expect(read(key)).toBe(key);
    for (const unit of ['a@', 'a.', 'a/', ':', '//', 'git+', 'ssh://a:', ' ']) {
      const text = unit.repeat(Math.floor(1_999 / unit.length));
      const startedMs = performance.now();
      read(text);
      expect(performance.now() - startedMs, unit).toBeLessThan(1_000);
    }
  });
});
