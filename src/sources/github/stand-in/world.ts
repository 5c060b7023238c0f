import { createHash } from 'node:crypto';
import { type Commit, forgetHistories, type GitPerson, historyOf, type Objects } from './commit-graph.ts';

/** What a test may say of an account. Dates are ISO 8601. */
export interface AccountFacts {
  type: 'User' | 'Organization';
  name: string | null;
  company: string | null;
  blog: string | null;
  location: string | null;
  /** The public address of the profile. */
  email: string | null;
  bio: string | null;
  twitter: string | null;
  hireable: boolean | null;
  /** Addresses that its owner added: commits with one of them are linked to the account, old ones too. */
  emails: string[];
  followers: number;
  following: number;
  publicGists: number;
  isVerified: boolean;
  createdAt: string;
  updatedAt: string;
}

export interface Account extends AccountFacts {
  readonly id: number;
  readonly nodeId: string;
  login: string;
  removed: boolean;
}

/** What a test may say of a repository. Dates are ISO 8601. */
export interface RepositoryFacts {
  description: string | null;
  homepage: string | null;
  language: string | null;
  topics: string[];
  /** An SPDX id. */
  license: string | null;
  stars: number;
  subscribers: number;
  forks: number;
  openIssues: number;
  sizeKb: number;
  private: boolean;
  archived: boolean;
  disabled: boolean;
  isTemplate: boolean;
  /** A fork has the branches and the objects of its parent. */
  parent: Repository | null;
  defaultBranch: string;
  createdAt: string;
  updatedAt: string;
  pushedAt: string | null;
}

export interface Repository extends RepositoryFacts {
  readonly id: number;
  readonly nodeId: string;
  owner: Account;
  name: string;
  readonly fullName: string;
  branches: Map<string, string>;
  objects: Objects;
  block: { reason: string; status: 403 | 451; createdAt: string } | null;
  removed: boolean;
}

/** What a test may say of a commit. Without a date a person did it now; without a committer the author committed it. */
export interface CommitFacts {
  author: Partial<GitPerson> | null;
  committer: Partial<GitPerson> | null;
  message: string;
  /** Instead of the head of the branch; none for a second root. */
  parents: string[];
  signed: boolean;
  patchBytes: number;
}

const SOMEONE = { name: 'Sam Specimen', email: 'sam@specimen.example' };
const PATCH_BYTES = 60;

/** The day on which a world begins whose clock a test moves. */
export const FIRST_DAY = '2026-11-25T12:00:00Z';

/** GitHub in memory: accounts, repositories and their commits, and the ways in which they change. */
export class World {
  readonly accounts = new Map<string, Account>();
  readonly repositories = new Map<string, Repository>();
  readonly nodes = new Map<string, Account | Repository>();
  readonly ids = new Map<number, Account | Repository>();
  readonly #redirects = new Map<string, Repository>();
  readonly #now: (() => number) | null;
  #nowMs: number;
  #ids = 1000;
  #commits = 0;

  /** With `now` the world's time is that of a clock; without it a test sets `nowMs`. */
  constructor({ now = null }: { now?: (() => number) | null } = {}) {
    this.#now = now;
    this.#nowMs = Date.parse(FIRST_DAY);
  }

  get nowMs(): number {
    return this.#now?.() ?? this.#nowMs;
  }

  set nowMs(ms: number) {
    if (this.#now) throw new Error('world: expected no clock of its own, because the time is set, got one');
    this.#nowMs = ms;
  }

  /** The world's time, as the API writes it. */
  get now(): string {
    return isoSecond(this.nowMs);
  }

  /** Makes an account, or changes what is known of it. */
  account(login: string, facts: Partial<AccountFacts> = {}): Account {
    const known = this.accounts.get(login.toLowerCase());
    if (known) return Object.assign(known, { updatedAt: this.now }, facts);
    const id = this.#ids++;
    const type = facts.type ?? 'User';
    const account: Account = {
      id,
      nodeId: nodeId(type === 'User' ? 'U' : 'O', id),
      login,
      removed: false,
      type,
      name: null,
      company: null,
      blog: null,
      location: null,
      email: null,
      bio: null,
      twitter: null,
      hireable: null,
      emails: [],
      followers: 0,
      following: 0,
      publicGists: 0,
      isVerified: false,
      createdAt: this.now,
      updatedAt: this.now,
      ...facts,
    };
    this.accounts.set(login.toLowerCase(), account);
    this.#number(account);
    return account;
  }

  /** Makes a repository, empty until its first commit, or changes one. Its owner is made where there is none. */
  repository(fullName: string, facts: Partial<RepositoryFacts> = {}): Repository {
    const known = this.find(fullName);
    if (known) return Object.assign(known, { updatedAt: this.now }, facts);
    const [login, name] = partsOf(fullName);
    const id = this.#ids++;
    const { parent = null } = facts;
    const repository: Repository = {
      id,
      nodeId: nodeId('R', id),
      owner: this.accounts.get(login.toLowerCase()) ?? this.account(login),
      name,
      get fullName() {
        return `${this.owner.login}/${this.name}`;
      },
      branches: new Map(parent?.branches),
      objects: parent?.objects ?? new Map(),
      block: null,
      removed: false,
      description: null,
      homepage: null,
      language: null,
      topics: [],
      license: null,
      stars: 0,
      subscribers: 0,
      forks: 0,
      openIssues: 0,
      sizeKb: 0,
      private: false,
      archived: false,
      disabled: false,
      isTemplate: false,
      defaultBranch: parent?.defaultBranch ?? 'main',
      createdAt: this.now,
      updatedAt: this.now,
      pushedAt: null,
      ...facts,
      parent,
    };
    this.#name(repository, fullName);
    this.#number(repository);
    return repository;
  }

  /** The repository that has this name now; those that had it before do not count. */
  find(fullName: string): Repository | null {
    return this.repositories.get(fullName.toLowerCase()) ?? null;
  }

  /** The repository to which GitHub redirects from a name that it had before. */
  redirect(fullName: string): Repository | null {
    return this.#redirects.get(fullName.toLowerCase()) ?? null;
  }

  /** The account to which an address belongs. */
  accountOf(email: string): Account | null {
    for (const account of this.accounts.values()) if (account.emails.includes(email)) return account;
    return null;
  }

  repositoriesOf(account: Account): Repository[] {
    return [...this.repositories.values()].filter(({ owner }) => owner === account);
  }

  /**
   * Commits on a branch, the default one unless another is named, and pushes it. A branch that does not exist begins with
   * them. Returns the shas, oldest first.
   */
  commit(repository: Repository, commits: Partial<CommitFacts>[], branch = repository.defaultBranch): string[] {
    let head = repository.branches.get(branch);
    const shas = commits.map(facts => {
      const parents = facts.parents ?? (head === undefined ? [] : [head]);
      head = this.#addCommit(repository, { ...facts, parents });
      return head;
    });
    if (head !== undefined) this.#push(repository, branch, head);
    return shas;
  }

  /** Makes a branch at a commit, or moves one there. */
  branch(repository: Repository, name: string, at: string): void {
    requireCommit(repository, at);
    this.#push(repository, name, at);
  }

  removeBranch(repository: Repository, name: string): void {
    repository.branches.delete(name);
    repository.pushedAt = this.now;
  }

  /** A merge commit with two parents, on the default branch unless another is named. Returns its sha. */
  merge(repository: Repository, from: string, into = repository.defaultBranch): string {
    const parents = [headOf(repository, into), headOf(repository, from)];
    const [sha] = this.commit(repository, [{ message: `Merge branch '${from}'`, parents }], into);
    return sha!;
  }

  forcePush(repository: Repository, branch: string, sha: string): void {
    headOf(repository, branch);
    this.branch(repository, branch, sha);
  }

  /** Removes the objects that no branch reaches: GitHub does so some time after a forced push. */
  collect(repository: Repository): void {
    const kept = new Set([...repository.branches.values()].flatMap(head => historyOf(repository.objects, head)));
    for (const sha of repository.objects.keys()) if (!kept.has(sha)) repository.objects.delete(sha);
    forgetHistories(repository.objects);
  }

  /** Gives a repository another name. The old one leads to it until another repository takes that. */
  rename(repository: Repository, fullName: string): void {
    const [login, name] = partsOf(fullName);
    const owner = this.accounts.get(login.toLowerCase()) ?? this.account(login);
    this.#unname(repository);
    Object.assign(repository, { owner, name, updatedAt: this.now });
    this.#name(repository, fullName);
  }

  transfer(repository: Repository, owner: string): void {
    this.rename(repository, `${owner}/${repository.name}`);
  }

  /** Gives an account another login. The old one leads nowhere; its repositories are redirected. */
  renameAccount(login: string, to: string): void {
    const account = this.accounts.get(login.toLowerCase());
    if (!account) throw new Error(`world: expected an account, got none with login ${login}`);
    const own = this.repositoriesOf(account);
    for (const repository of own) this.#unname(repository);
    this.accounts.delete(login.toLowerCase());
    if (this.accounts.has(to.toLowerCase())) throw new Error(`world: expected a free login, got ${to}`);
    Object.assign(account, { login: to, updatedAt: this.now });
    this.accounts.set(to.toLowerCase(), account);
    for (const repository of own) this.#name(repository, repository.fullName);
  }

  remove(repository: Repository): void {
    repository.removed = true;
    this.repositories.delete(repository.fullName.toLowerCase());
    for (const [name, target] of this.#redirects) if (target === repository) this.#redirects.delete(name);
    this.nodes.delete(repository.nodeId);
    this.ids.delete(repository.id);
  }

  /** Removes an account and its repositories. Its login is free. */
  removeAccount(login: string): void {
    const account = this.accounts.get(login.toLowerCase());
    if (!account) throw new Error(`world: expected an account, got none with login ${login}`);
    for (const repository of this.repositoriesOf(account)) this.remove(repository);
    account.removed = true;
    this.accounts.delete(login.toLowerCase());
    this.nodes.delete(account.nodeId);
    this.ids.delete(account.id);
  }

  /** Refuses access, as GitHub does after a complaint (451) or a breach of its terms (403). */
  block(repository: Repository, reason: string, status: 403 | 451): void {
    repository.block = { reason, status, createdAt: this.now };
  }

  unblock(repository: Repository): void {
    repository.block = null;
  }

  /** The shas that the default branch reaches now. */
  reachable(repository: Repository): Set<string> {
    const head = repository.branches.get(repository.defaultBranch);
    return new Set(head === undefined ? [] : historyOf(repository.objects, head));
  }

  #addCommit(repository: Repository, facts: Partial<CommitFacts> & { parents: string[] }): string {
    const { parents, message = `Change ${this.#commits}`, signed = false, patchBytes = PATCH_BYTES } = facts;
    for (const parent of parents) requireCommit(repository, parent);
    const authored = facts.author === null ? null : { ...SOMEONE, date: this.now, ...facts.author };
    const committer = facts.committer === null ? null : { ...SOMEONE, ...authored, date: this.now, ...facts.committer };
    // A person who says nothing of the committer means the author at the same time.
    if (facts.committer === undefined && committer && authored) committer.date = authored.date;
    const content = { parents, message, author: authored, committer, signed, patchBytes };
    const sha = createHash('sha1')
      .update(JSON.stringify([content, this.#commits++]))
      .digest('hex');
    const commit: Commit = { sha, ...content };
    repository.objects.set(sha, commit);
    return sha;
  }

  #push(repository: Repository, branch: string, sha: string): void {
    repository.branches.set(branch, sha);
    repository.pushedAt = this.now;
  }

  #number(node: Account | Repository): void {
    this.nodes.set(node.nodeId, node);
    this.ids.set(node.id, node);
  }

  #name(repository: Repository, fullName: string): void {
    const key = fullName.toLowerCase();
    if (this.repositories.has(key)) throw new Error(`world: expected a free name, got ${fullName}`);
    this.#redirects.delete(key);
    this.repositories.set(key, repository);
  }

  #unname(repository: Repository): void {
    const key = repository.fullName.toLowerCase();
    this.repositories.delete(key);
    this.#redirects.set(key, repository);
  }
}

export function isRepository(node: Account | Repository): node is Repository {
  return 'branches' in node;
}

/** A time as the API writes it: UTC, without fractions. */
export function isoSecond(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}

function headOf(repository: Repository, branch: string): string {
  const head = repository.branches.get(branch);
  if (head === undefined) throw new Error(`world: expected a branch of ${repository.fullName}, got ${branch}`);
  return head;
}

function requireCommit(repository: Repository, sha: string): void {
  if (!repository.objects.has(sha)) throw new Error(`world: expected a commit of ${repository.fullName}, got ${sha}`);
}

function partsOf(fullName: string): [string, string] {
  const [owner, name, ...rest] = fullName.split('/');
  if (!owner || !name || rest.length > 0) throw new Error(`world: expected owner/name, got ${fullName}`);
  return [owner, name];
}

/** An id in the form of GitHub's. Its bytes mean nothing to clients. */
function nodeId(kind: 'U' | 'O' | 'R', id: number): string {
  const bytes = Buffer.alloc(6);
  bytes.writeUInt16BE(0x92ce);
  bytes.writeUInt32BE(id, 2);
  return `${kind}_kgDO${bytes.toString('base64url')}`;
}
