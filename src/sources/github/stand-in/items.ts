import type { components } from '@octokit/openapi-types';
import type { Commit, GitPerson } from './commit-graph.ts';
import type { Account, Repository, World } from './world.ts';

type Schemas = components['schemas'];
type UserUrls = Pick<Schemas['simple-user'], Extract<keyof Schemas['simple-user'], `${string}_url`>>;
type RepositoryUrls = Omit<
  Pick<Schemas['minimal-repository'], Extract<keyof Schemas['minimal-repository'], `${string}_url`>>,
  'git_url' | 'ssh_url' | 'clone_url' | 'svn_url' | 'mirror_url'
>;

/** Where the API and the web pages are, for the links in answers. */
export interface Places {
  api: string;
  web: string;
}

/** The bodies of answers. Their types are GitHub's own: a body without a required field does not compile. */
export class Items {
  readonly #world: World;
  readonly #places: Places;

  constructor(world: World, places: Places) {
    this.#world = world;
    this.#places = places;
  }

  simpleUser(account: Account): Schemas['simple-user'] {
    return {
      login: account.login,
      id: account.id,
      node_id: account.nodeId,
      gravatar_id: '',
      type: account.type,
      site_admin: false,
      url: `${this.#places.api}/users/${account.login}`,
      user_view_type: 'public',
      ...this.#userUrls(account),
    };
  }

  publicUser(account: Account): Schemas['public-user'] {
    return {
      ...this.simpleUser(account),
      name: account.name,
      company: account.company,
      blog: account.blog ?? '',
      location: account.location,
      email: account.email,
      hireable: account.hireable,
      bio: account.bio,
      twitter_username: account.twitter,
      public_repos: this.#publicRepos(account),
      public_gists: account.publicGists,
      followers: account.followers,
      following: account.following,
      created_at: account.createdAt,
      updated_at: account.updatedAt,
    };
  }

  organization(account: Account): Schemas['organization-full'] {
    const { api, web } = this.#places;
    const url = `${api}/orgs/${account.login}`;
    return {
      login: account.login,
      id: account.id,
      node_id: account.nodeId,
      url,
      repos_url: `${url}/repos`,
      events_url: `${url}/events`,
      hooks_url: `${url}/hooks`,
      issues_url: `${url}/issues`,
      members_url: `${url}/members{/member}`,
      public_members_url: `${url}/public_members{/member}`,
      avatar_url: `${web}/avatars/${account.id}`,
      html_url: `${web}/${account.login}`,
      description: account.bio,
      ...(account.name === null ? {} : { name: account.name }),
      ...(account.company === null ? {} : { company: account.company }),
      ...(account.location === null ? {} : { location: account.location }),
      ...(account.email === null ? {} : { email: account.email }),
      blog: account.blog ?? '',
      twitter_username: account.twitter,
      is_verified: account.isVerified,
      has_organization_projects: true,
      has_repository_projects: true,
      public_repos: this.#publicRepos(account),
      public_gists: account.publicGists,
      followers: account.followers,
      following: account.following,
      type: 'Organization',
      created_at: account.createdAt,
      updated_at: account.updatedAt,
      archived_at: null,
    };
  }

  repository(repository: Repository): Schemas['full-repository'] {
    const { owner, parent } = repository;
    return {
      ...this.#core(repository),
      ...this.#counters(repository),
      default_branch: repository.defaultBranch,
      archived: repository.archived,
      disabled: repository.disabled,
      visibility: repository.private ? 'private' : 'public',
      is_template: repository.isTemplate,
      topics: repository.topics,
      license: licenseOf(repository, this.#places.api),
      has_issues: true,
      has_projects: true,
      has_wiki: true,
      has_pages: false,
      has_discussions: false,
      subscribers_count: repository.subscribers,
      network_count: repository.forks,
      pushed_at: repository.pushedAt ?? repository.createdAt,
      created_at: repository.createdAt,
      updated_at: repository.updatedAt,
      ...(owner.type === 'Organization' ? { organization: this.simpleUser(owner) } : {}),
      ...(parent ? { parent: this.parentRepository(parent), source: this.parentRepository(parent) } : {}),
    };
  }

  /** A repository in a list: fewer fields, and fields that a list may leave out. */
  listedRepository(repository: Repository): Schemas['minimal-repository'] {
    return {
      ...this.#core(repository),
      ...this.#counters(repository),
      default_branch: repository.defaultBranch,
      archived: repository.archived,
      disabled: repository.disabled,
      visibility: 'public',
      topics: repository.topics,
      pushed_at: repository.pushedAt ?? repository.createdAt,
      created_at: repository.createdAt,
      updated_at: repository.updatedAt,
    };
  }

  /** A repository inside another one's answer, or in a webhook. */
  parentRepository(repository: Repository): Schemas['repository'] {
    return {
      ...this.#core(repository),
      ...this.#counters(repository),
      default_branch: repository.defaultBranch,
      archived: repository.archived,
      disabled: repository.disabled,
      license: licenseOf(repository, this.#places.api),
      has_issues: true,
      has_projects: true,
      has_wiki: true,
      has_pages: false,
      has_downloads: true,
      has_discussions: false,
      pushed_at: repository.pushedAt ?? repository.createdAt,
      created_at: repository.createdAt,
      updated_at: repository.updatedAt,
    };
  }

  commit(repository: Repository, sha: string): Schemas['commit'] {
    const commit = repository.objects.get(sha)!;
    const { api, web } = this.#places;
    const path = `${api}/repos/${repository.fullName}`;
    const page = `${web}/${repository.fullName}`;
    return {
      url: `${path}/commits/${sha}`,
      html_url: `${page}/commit/${sha}`,
      comments_url: `${path}/commits/${sha}/comments`,
      sha,
      node_id: `C_${sha.slice(0, 20)}`,
      commit: {
        url: `${path}/git/commits/${sha}`,
        author: commit.author,
        committer: commit.committer,
        message: commit.message,
        comment_count: 0,
        tree: { sha: treeOf(sha), url: `${path}/git/trees/${treeOf(sha)}` },
        verification: verificationOf(commit),
      },
      author: this.#linked(commit.author),
      committer: this.#linked(commit.committer),
      parents: commit.parents.map(parent => ({
        sha: parent,
        url: `${path}/commits/${parent}`,
        html_url: `${page}/commit/${parent}`,
      })),
    };
  }

  /** The file that a commit changes. */
  file(repository: Repository, sha: string): Schemas['diff-entry'] {
    const { api, web } = this.#places;
    const filename = `notes/${sha.slice(0, 8)}.txt`;
    return {
      sha: treeOf(sha),
      filename,
      status: 'added',
      additions: 1,
      deletions: 0,
      changes: 1,
      blob_url: `${web}/${repository.fullName}/blob/${sha}/${filename}`,
      raw_url: `${web}/${repository.fullName}/raw/${sha}/${filename}`,
      contents_url: `${api}/repos/${repository.fullName}/contents/${filename}?ref=${sha}`,
      patch: '@@ -0,0 +1 @@\n+'.padEnd(repository.objects.get(sha)!.patchBytes, 'x'),
    };
  }

  /** The account whose address a commit names. GitHub looks it up when it is asked, so old commits change as well. */
  #linked(person: GitPerson | null): Schemas['simple-user'] | null {
    const account = person && this.#world.accountOf(person.email);
    return account ? this.simpleUser(account) : null;
  }

  #publicRepos(account: Account): number {
    return this.#world.repositoriesOf(account).filter(repository => !repository.private).length;
  }

  #core(repository: Repository) {
    const { api, web } = this.#places;
    return {
      id: repository.id,
      node_id: repository.nodeId,
      name: repository.name,
      full_name: repository.fullName,
      owner: this.simpleUser(repository.owner),
      private: repository.private,
      description: repository.description,
      fork: repository.parent !== null,
      homepage: repository.homepage,
      language: repository.language,
      url: `${api}/repos/${repository.fullName}`,
      git_url: `git:${web.slice(web.indexOf('//'))}/${repository.fullName}.git`,
      ssh_url: `git@${web.slice(web.indexOf('//') + 2)}:${repository.fullName}.git`,
      clone_url: `${web}/${repository.fullName}.git`,
      svn_url: `${web}/${repository.fullName}`,
      mirror_url: null,
      ...this.#repositoryUrls(repository),
    };
  }

  #counters(repository: Repository) {
    return {
      forks_count: repository.forks,
      forks: repository.forks,
      stargazers_count: repository.stars,
      watchers_count: repository.stars,
      watchers: repository.stars,
      open_issues_count: repository.openIssues,
      open_issues: repository.openIssues,
      size: repository.sizeKb,
    };
  }

  #userUrls({ login, id }: Account): UserUrls {
    const { api, web } = this.#places;
    const url = `${api}/users/${login}`;
    return {
      avatar_url: `${web}/avatars/${id}`,
      html_url: `${web}/${login}`,
      followers_url: `${url}/followers`,
      following_url: `${url}/following{/other_user}`,
      gists_url: `${url}/gists{/gist_id}`,
      starred_url: `${url}/starred{/owner}{/repo}`,
      subscriptions_url: `${url}/subscriptions`,
      organizations_url: `${url}/orgs`,
      repos_url: `${url}/repos`,
      events_url: `${url}/events{/privacy}`,
      received_events_url: `${url}/received_events`,
    };
  }

  #repositoryUrls({ fullName }: Repository): RepositoryUrls {
    const url = `${this.#places.api}/repos/${fullName}`;
    return {
      html_url: `${this.#places.web}/${fullName}`,
      archive_url: `${url}/{archive_format}{/ref}`,
      assignees_url: `${url}/assignees{/user}`,
      blobs_url: `${url}/git/blobs{/sha}`,
      branches_url: `${url}/branches{/branch}`,
      collaborators_url: `${url}/collaborators{/collaborator}`,
      comments_url: `${url}/comments{/number}`,
      commits_url: `${url}/commits{/sha}`,
      compare_url: `${url}/compare/{base}...{head}`,
      contents_url: `${url}/contents/{+path}`,
      contributors_url: `${url}/contributors`,
      deployments_url: `${url}/deployments`,
      downloads_url: `${url}/downloads`,
      events_url: `${url}/events`,
      forks_url: `${url}/forks`,
      git_commits_url: `${url}/git/commits{/sha}`,
      git_refs_url: `${url}/git/refs{/sha}`,
      git_tags_url: `${url}/git/tags{/sha}`,
      hooks_url: `${url}/hooks`,
      issue_comment_url: `${url}/issues/comments{/number}`,
      issue_events_url: `${url}/issues/events{/number}`,
      issues_url: `${url}/issues{/number}`,
      keys_url: `${url}/keys{/key_id}`,
      labels_url: `${url}/labels{/name}`,
      languages_url: `${url}/languages`,
      merges_url: `${url}/merges`,
      milestones_url: `${url}/milestones{/number}`,
      notifications_url: `${url}/notifications{?since,all,participating}`,
      pulls_url: `${url}/pulls{/number}`,
      releases_url: `${url}/releases{/id}`,
      stargazers_url: `${url}/stargazers`,
      statuses_url: `${url}/statuses/{sha}`,
      subscribers_url: `${url}/subscribers`,
      subscription_url: `${url}/subscription`,
      tags_url: `${url}/tags`,
      teams_url: `${url}/teams`,
      trees_url: `${url}/git/trees{/sha}`,
    };
  }
}

function licenseOf({ license }: Repository, api: string): Schemas['nullable-license-simple'] {
  if (license === null) return null;
  const key = license.toLowerCase();
  return { key, name: `${license} License`, url: `${api}/licenses/${key}`, spdx_id: license, node_id: `L_${key}` };
}

function verificationOf({ signed, committer }: Commit): Schemas['verification'] {
  if (!signed) return { verified: false, reason: 'unsigned', payload: null, signature: null, verified_at: null };
  const verifiedAt = committer?.date ?? null;
  return { verified: true, reason: 'valid', payload: 'tree', signature: 'signature', verified_at: verifiedAt };
}

/** The tree of a commit. It is no commit's sha. */
function treeOf(sha: string): string {
  return [...sha].reverse().join('');
}
