import { createHmac } from 'node:crypto';
import type { components } from '@octokit/openapi-types';
import { Items, type Places } from './items.ts';
import type { Account, Repository, World } from './world.ts';

type Schemas = components['schemas'];

/** A request as GitHub sends it to a webhook. */
export interface Delivery {
  headers: Record<string, string>;
  body: string;
}

export interface DeliveryOptions {
  secret: string;
  /** The same id again is a repeated delivery. */
  id: string;
  /** Instead of the signature that belongs to the body; null leaves it out. */
  signature?: string | null;
}

const ZERO_SHA = '0'.repeat(40);

/** A signed request with any payload. */
export function delivery(event: string, payload: unknown, { secret, id, signature }: DeliveryOptions): Delivery {
  const body = typeof payload === 'string' ? payload : JSON.stringify(payload);
  const right = `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`;
  const sent = signature === undefined ? right : signature;
  return {
    headers: {
      'content-type': 'application/json',
      'user-agent': 'GitHub-Hookshot/5ca1ab1e',
      'x-github-event': event,
      'x-github-delivery': id,
      'x-github-hook-id': '1',
      'x-github-hook-installation-target-type': 'repository',
      'x-github-hook-installation-target-id': '1',
      ...(sent === null ? {} : { 'x-hub-signature-256': sent }),
    },
    body,
  };
}

/** The payloads of a world's webhooks. */
export class Webhooks {
  readonly #items: Items;
  readonly #world: World;

  constructor(world: World, places: Places) {
    this.#items = new Items(world, places);
    this.#world = world;
  }

  /** A push that moved a branch from one commit to another; null where it made or removed the branch. */
  push(
    repository: Repository,
    { branch, before, after }: { branch: string; before: string | null; after: string | null },
  ) {
    const item = this.#items.parentRepository(repository);
    const commits: Schemas['webhook-push']['commits'] = after === null ? [] : [this.#commit(repository, after)];
    const payload: Omit<Schemas['webhook-push'], 'repository'> & { repository: unknown } = {
      ref: `refs/heads/${branch}`,
      before: before ?? ZERO_SHA,
      after: after ?? ZERO_SHA,
      base_ref: null,
      created: before === null,
      deleted: after === null,
      forced: false,
      compare: `${item.html_url}/compare`,
      commits,
      head_commit: commits[0] ?? null,
      pusher: { name: repository.owner.login },
      sender: this.#items.simpleUser(repository.owner),
      // Only here are these dates numbers.
      repository: {
        ...item,
        created_at: seconds(item.created_at),
        pushed_at: seconds(item.pushed_at),
        owner: { ...item.owner, name: repository.owner.login, email: repository.owner.email },
      },
    };
    return payload;
  }

  /** The event `repository` after a rename or a transfer. */
  renamed(repository: Repository, from: { name?: string; owner?: Account }) {
    const isTransfer = from.owner !== undefined;
    const owner = from.owner && this.#items.simpleUser(from.owner);
    const kind = from.owner?.type === 'Organization' ? 'organization' : 'user';
    return {
      action: isTransfer ? 'transferred' : 'renamed',
      changes: isTransfer ? { owner: { from: { [kind]: owner } } } : { repository: { name: { from: from.name } } },
      repository: this.#items.parentRepository(repository),
      sender: this.#items.simpleUser(repository.owner),
    };
  }

  /** The event `repository` with an action that changes no name, such as `deleted` or `edited`. */
  repository(repository: Repository, action: string) {
    const sender = this.#items.simpleUser(repository.owner);
    return { action, repository: this.#items.parentRepository(repository), sender };
  }

  /** The event `organization` after the login changed. */
  organizationRenamed(organization: Account, from: string) {
    return {
      action: 'renamed',
      changes: { login: { from } },
      organization: this.#items.simpleUser(organization),
      sender: this.#items.simpleUser(organization),
    };
  }

  /** The first delivery of a new webhook. */
  ping(repository: Repository): Schemas['webhook-ping'] {
    return {
      zen: 'Keep it logically awesome.',
      hook_id: 1,
      hook: {
        type: 'Repository',
        id: 1,
        name: 'web',
        active: true,
        events: ['push', 'repository'],
        config: { content_type: 'json', url: 'https://lake.example/v1/sources/github/signals', insecure_ssl: '0' },
        created_at: this.#world.now,
        updated_at: this.#world.now,
      },
      repository: { ...this.#items.parentRepository(repository), has_downloads: true },
      sender: this.#items.simpleUser(repository.owner),
    };
  }

  #commit(repository: Repository, sha: string): Schemas['webhook-push']['commits'][number] {
    const { commit, html_url } = this.#items.commit(repository, sha);
    const personOf = (person: { name?: string; email?: string } | null) => ({
      name: person?.name ?? '',
      email: person?.email ?? null,
    });
    return {
      id: sha,
      tree_id: commit.tree.sha,
      distinct: true,
      message: commit.message,
      timestamp: commit.committer?.date ?? this.#world.now,
      url: html_url,
      author: personOf(commit.author),
      committer: personOf(commit.committer),
      added: [],
      removed: [],
      modified: [],
    };
  }
}

function seconds(date: string | null): number | null {
  return date === null ? null : Math.floor(Date.parse(date) / 1000);
}
