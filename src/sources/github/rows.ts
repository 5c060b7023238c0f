import { z } from 'zod';
import { type GithubCommit, githubCommit } from '../../../schemas/github_commit.ts';
import { type GithubProfile, githubProfile } from '../../../schemas/github_profile.ts';
import { type GithubRepo, githubRepo } from '../../../schemas/github_repo.ts';
import { shortDigest } from '../../digest.ts';
import type { LoadedRow } from '../../ports/change.ts';
import { isObject } from '../upstream/json.ts';
import { readKey } from './keys.ts';

/** What a visit leaves to the next one is stored with each key, so it is short: GitHub's node ids have 20 characters. */
const SHORT_LENGTH_MAX = 200;
/** Git takes no longer name of a branch, because it is a file's name. */
const BRANCH_LENGTH_MAX = 255;

const text = z.string().nullish();
const count = z.int().nonnegative().nullish();
const flag = z.boolean().nullish();

export const repositoryShape = z.looseObject({
  id: z.int().positive(),
  node_id: z.string().min(1).max(SHORT_LENGTH_MAX),
  full_name: z.string().refine(name => 'key' in readKey(`repo:${name}`), 'the name of a repository'),
  owner: z.looseObject({ login: z.string(), type: text }),
  default_branch: z.string().min(1).max(BRANCH_LENGTH_MAX).nullish(),
  description: text,
  homepage: text,
  language: text,
  license: z.looseObject({ spdx_id: text }).nullish(),
  topics: z.array(z.string()).nullish(),
  stargazers_count: count,
  forks_count: count,
  subscribers_count: count,
  open_issues_count: count,
  size: count,
  fork: flag,
  archived: flag,
  pushed_at: text,
  created_at: text,
  updated_at: text,
});

export type RepositoryDocument = z.output<typeof repositoryShape>;

/** A user, or an organization, whose biography is its description. */
export const accountShape = z.looseObject({
  id: z.int().positive(),
  node_id: z.string().min(1).max(SHORT_LENGTH_MAX),
  login: z.string().refine(name => 'key' in readKey(`user:${name}`), 'a login'),
  type: text,
  name: text,
  company: text,
  blog: text,
  location: text,
  email: text,
  bio: text,
  description: text,
  twitter_username: text,
  public_repos: count,
  followers: count,
  following: count,
  created_at: text,
  updated_at: text,
});

export type AccountDocument = z.output<typeof accountShape>;

/** A listed commit. Anyone can push anything, so only its hash has to be as expected. */
export const commitShape = z.looseObject({ sha: z.string().regex(/^([\da-f]{40}|[\da-f]{64})$/) });

export type CommitItem = z.output<typeof commitShape>;

/** Fields that move without a change of the thing: counters, and GitHub's time of a change, which a new star moves too. */
const UNCOUNTED = new Set(
  (
    'stargazers_count watchers_count watchers forks_count forks open_issues_count open_issues subscribers_count ' +
    'network_count size updated_at followers following public_repos public_gists private_gists total_private_repos ' +
    'owned_private_repos disk_usage collaborators'
  ).split(' '),
);

/** The digests of a document: of its counters, and of all else. */
export interface DocumentDigests {
  main: string;
  counters: string;
}

/**
 * Digests of a document over its plain fields and lists of them. What it has inside (owner, parent, organization) has
 * documents of its own; of a license only the name counts.
 */
export function digestsOf(document: RepositoryDocument | AccountDocument): DocumentDigests {
  const fields = Object.entries(document).sort(([a], [b]) => (a < b ? -1 : 1));
  const plain = fields.filter(([, value]) => !isObject(value));
  const digest = (of: [string, unknown][]) => shortDigest(JSON.stringify(of)).slice(0, 12);
  const license = isObject(document.license) ? document.license.spdx_id : null;
  return {
    main: digest([...plain.filter(([name]) => !UNCOUNTED.has(name)), ['license', license]]),
    counters: digest(plain.filter(([name]) => UNCOUNTED.has(name) && name !== 'updated_at')),
  };
}

export function repositoryRow(document: RepositoryDocument): LoadedRow {
  const fullName = document.full_name.toLowerCase();
  const [owner, name] = fullName.split('/');
  const row: GithubRepo = {
    full_name: fullName,
    owner: owner!,
    name: name!,
    description: document.description ?? null,
    homepage: textOf(document.homepage),
    language: document.language ?? null,
    license: document.license?.spdx_id === 'NOASSERTION' ? null : (document.license?.spdx_id ?? null),
    topics: document.topics?.length ? document.topics.join(',') : null,
    default_branch: document.default_branch ?? null,
    stars: document.stargazers_count ?? null,
    forks: document.forks_count ?? null,
    watchers: document.subscribers_count ?? null,
    open_issues: document.open_issues_count ?? null,
    size_kb: document.size ?? null,
    fork: document.fork ?? null,
    archived: document.archived ?? null,
    pushed_at: timeOf(document.pushed_at),
    last_updated: timeOf(document.updated_at),
    data: JSON.stringify(document),
    created_at: timeOf(document.created_at),
    updated_at: null,
    github_id: String(document.id),
  };
  return { table: githubRepo.name, op: 'upsert', row };
}

export function profileRow(document: AccountDocument): LoadedRow {
  const row: GithubProfile = {
    username: document.login.toLowerCase(),
    email: textOf(document.email),
    name: textOf(document.name),
    company: textOf(document.company),
    location: textOf(document.location),
    bio: textOf(document.bio ?? document.description),
    blog: textOf(document.blog),
    twitter: textOf(document.twitter_username),
    public_repos: document.public_repos ?? null,
    followers: document.followers ?? null,
    following: document.following ?? null,
    created_at: timeOf(document.created_at),
    updated_at: null,
    data: JSON.stringify(document),
    github_id: String(document.id),
  };
  return { table: githubProfile.name, op: 'upsert', row };
}

/** The row of a listed commit: what is no text, or no time of the years 0 to 9999, is null and only in `data`. */
export function commitRow(item: CommitItem, { githubId, repo }: { githubId: number; repo: string }): LoadedRow {
  const commit = isObject(item.commit) ? item.commit : {};
  const [author, committer] = [commit.author, commit.committer].map(one => (isObject(one) ? one : {}));
  const row: GithubCommit = {
    sha: item.sha,
    repo: repo.toLowerCase(),
    author_name: textOf(author!.name),
    author_email: textOf(author!.email),
    author_date: timeOf(author!.date),
    committer_name: textOf(committer!.name),
    committer_email: textOf(committer!.email),
    committer_date: timeOf(committer!.date),
    message: typeof commit.message === 'string' ? commit.message : null,
    data: JSON.stringify(item),
    created_at: timeOf(committer!.date),
    github_id: String(githubId),
  };
  return { table: githubCommit.name, op: 'upsert', row };
}

/** The deletion of a repository under a name; `githubId` is null where no visit has seen which one it was. */
export function repositoryGone(fullName: string, githubId: number | null): LoadedRow {
  return deletion(githubRepo, { full_name: fullName, github_id: githubId === null ? '' : String(githubId) });
}

export function profileGone(login: string, githubId: number | null): LoadedRow {
  return deletion(githubProfile, { username: login, github_id: githubId === null ? '' : String(githubId) });
}

/** A row with values in its required columns only. */
function deletion(table: typeof githubRepo | typeof githubProfile, values: Record<string, string>): LoadedRow {
  const own = table.columns.filter(({ name }) => !name.startsWith('_'));
  return {
    table: table.name,
    op: 'delete',
    row: Object.fromEntries(own.map(({ name }) => [name, values[name] ?? null])),
  };
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' && value.trim() !== '' ? value : null;
}

/** GitHub's own text of a time, `2011-04-14T16:00:49Z`; null for one that is no time of the years 0 to 9999. */
export function timeOf(value: unknown): string | null {
  if (
    typeof value !== 'string' ||
    value.length > SHORT_LENGTH_MAX ||
    !/^\d{4}-\d{2}-\d{2}T[\d:.]{5,}(Z|[+-]\d{2}:\d{2})$/.test(value)
  )
    return null;
  return Number.isNaN(Date.parse(value)) ? null : value;
}
