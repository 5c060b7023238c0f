/** A longer text is no name or address of a repository: the longest known ones name a folder in it. */
const TEXT_LENGTH_MAX = 2_000;

/** 39 characters is GitHub's limit. `_` occurs in logins that a company manages. */
const LOGIN = /^[a-z\d][a-z\d_-]{0,38}$/;
const NAME = /^[a-z\d._-]{1,100}$/;

/** First segments of GitHub's addresses that are pages of GitHub and no login. */
const PAGES = new Set(
  (
    'about account advisories apps blog codespaces collections contact customer-stories dashboard enterprise events ' +
    'explore features git-guides gist issues join login logout marketplace new notifications organizations pricing pulls ' +
    'readme search security settings site stars topics trending'
  ).split(' '),
);

/** First segments whose second one is a login. */
const BEFORE_LOGIN = new Set(['orgs', 'sponsors', 'users']);

const HOSTS = new Set(['github.com', 'www.github.com', 'ssh.github.com']);

/** `api.github.com/repos/…` and `raw.githubusercontent.com/…` name repositories too. */
const API_HOST = 'api.github.com';
const RAW_HOST = 'raw.githubusercontent.com';

/** The kinds of watched keys: each is a name space of the agenda. */
export const KINDS = ['repo', 'user', 'owner'] as const;

export type Kind = (typeof KINDS)[number];

/** Why a text is no key. */
export type KeyRejection = 'empty' | 'too-long' | 'gist' | 'other-forge' | 'bot' | 'no-login' | 'no-repository';

type Read = { key: string; space: Kind } | { rejected: KeyRejection };

/**
 * Makes a key of any form in which people and packages name repositories and accounts: keys, `owner/name`, logins, URLs
 * of the site, of git and of its API, with a folder or branch behind the name, `git@github.com:owner/name.git` and
 * `github:owner/name`.
 */
export function readKey(text: string): Read {
  if (text.length > TEXT_LENGTH_MAX) return { rejected: 'too-long' };
  const plain = text.trim();
  if (plain === '') return { rejected: 'empty' };
  const [, kind, rest = ''] = /^(repo|user|owner):(.*)$/is.exec(plain) ?? [];
  if (kind?.toLowerCase() === 'repo') return repository(rest.split('/'));
  if (kind !== undefined) return account(kind.toLowerCase() as Kind, rest);
  if (/^gist:/i.test(plain)) return { rejected: 'gist' };
  const short = /^github:(?!\/\/)(.*)$/is.exec(plain);
  if (short) return inPath(short[1]!);
  if (/^(gitlab|bitbucket|sourcehut):/i.test(plain)) return { rejected: 'other-forge' };
  return atAddress(plain) ?? inPath(plain);
}

/** The full name of a key `repo:<owner>/<name>`, or the login of another. */
export function nameOf(key: string): string {
  return key.slice(key.indexOf(':') + 1);
}

export function kindOf(key: string): Kind {
  return key.slice(0, key.indexOf(':')) as Kind;
}

/** What an address with a host names; null for a text without a host. */
function atAddress(text: string): Read | null {
  // Git takes `user@host:path` for SSH, which is no URL.
  const scp = /^(?:[\w.-]+@)([\w.-]+):(?!\/\/)(.*)$/s.exec(text);
  if (scp) return atHost(scp[1]!, scp[2]!);
  const withScheme = /^(?:git\+|svn\+)?([a-z][a-z\d+.-]*):\/\/(.*)$/is.exec(text);
  const bare = /^(?:[\w-]+\.)+[a-z]{2,}(?::\d+)?\//i.test(text) ? text : null;
  const address = withScheme?.[2] ?? bare;
  if (address === null || address === undefined) return null;
  const [, authority = '', path = ''] = /^([^/?#]*)(.*)$/s.exec(address)!;
  const host = authority.slice(authority.lastIndexOf('@') + 1).replace(/:.*$/s, '');
  // `ssh://git@github.com:owner/name` is a mistake that Git takes for a port, and packages have.
  const owner = /:(?!\d*$)(.+)$/s.exec(authority.slice(authority.lastIndexOf('@') + 1))?.[1];
  return atHost(host, owner === undefined ? path : `${owner}${path}`);
}

function atHost(given: string, path: string): Read {
  const host = given.toLowerCase().replace(/\.$/, '');
  if (host === 'gist.github.com' || host === 'gist.githubusercontent.com') return { rejected: 'gist' };
  if (host === RAW_HOST) return repository(segmentsOf(path).slice(0, 2));
  if (host === API_HOST) {
    const [first, ...rest] = segmentsOf(path);
    return first === 'repos' ? repository(rest.slice(0, 2)) : inPath(`${first ?? ''}/${rest.join('/')}`);
  }
  return HOSTS.has(host) ? inPath(path) : { rejected: 'other-forge' };
}

/** What a path on GitHub's site names: a repository, also by a folder or page in it, or an account. */
function inPath(path: string): Read {
  const [first = '', second, ...rest] = segmentsOf(path);
  const word = first.toLowerCase();
  if (BEFORE_LOGIN.has(word) && second !== undefined) return account('user', second);
  if (PAGES.has(word)) return { rejected: 'no-repository' };
  if (second === undefined) return account('user', first.replace(/^@/, ''));
  // Behind the name only pages of the repository follow.
  const isPage = rest.length === 0 || !/\s/.test(rest.join('/'));
  return isPage ? repository([first, second]) : { rejected: 'no-repository' };
}

/** The segments of a path, without query and fragment. */
function segmentsOf(path: string): string[] {
  return path
    .replace(/[?#].*$/s, '')
    .split('/')
    .filter(Boolean);
}

function repository(segments: string[]): Read {
  const [owner = '', name = '', ...more] = segments.map(segment => segment.toLowerCase());
  const bare = name.replace(/\.git$/, '');
  if (more.length > 0 || !LOGIN.test(owner) || !NAME.test(bare) || bare === '.' || bare === '..')
    return { rejected: 'no-repository' };
  return { key: `repo:${owner}/${bare}`, space: 'repo' };
}

function account(kind: Kind, text: string): Read {
  const login = text.toLowerCase();
  if (login.endsWith('[bot]')) return { rejected: 'bot' };
  return LOGIN.test(login) ? { key: `${kind}:${login}`, space: kind } : { rejected: 'no-login' };
}
