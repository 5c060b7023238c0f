import { readFileSync } from 'node:fs';
import path from 'node:path';
import { type AccountFacts, type CommitFacts, type RepositoryFacts, World } from './world.ts';

/** The folder of the made-up world; its README describes the files. */
export const GITHUB_RECORDINGS = path.resolve(import.meta.dirname, '../../../../test/fixtures/github');

/** One thing that happens, in the order of the file. Repositories are named as they are at that moment. */
export type WorldEvent =
  | { account: string; facts?: Partial<AccountFacts> }
  | { repository: string; facts?: Partial<RepositoryFacts> }
  | { fork: string; of: string; facts?: Partial<RepositoryFacts> }
  | { commits: Partial<CommitFacts>[]; to: string; branch?: string }
  | { branch: string; of: string; at?: string; back?: number }
  | { merge: string; of: string }
  | { forcePush: string; branch: string; back: number }
  | { rename: string; to: string }
  | { renameAccount: string; to: string }
  | { remove: string }
  | { removeAccount: string }
  | { block: string; reason: string; status: 403 | 451 };

/** A world as a file: what has happened by `day`. */
export interface WorldFile {
  day: string;
  events: WorldEvent[];
}

export function readWorldFile(folder: string): WorldFile {
  return JSON.parse(readFileSync(path.join(folder, 'world.json'), 'utf8')) as WorldFile;
}

/** The world of a folder, on its day. */
export function readWorld(folder: string, { now = null }: { now?: (() => number) | null } = {}): World {
  const { day, events } = readWorldFile(folder);
  const world = new World({ now });
  if (!now) world.nowMs = Date.parse(day);
  for (const event of events) happen(world, event);
  return world;
}

export function happen(world: World, event: WorldEvent): void {
  const repositoryOf = (fullName: string) => {
    const repository = world.find(fullName);
    if (!repository) throw new Error(`world: expected a repository, got none named ${fullName}`);
    return repository;
  };
  if ('account' in event) world.account(event.account, event.facts);
  else if ('repository' in event) world.repository(event.repository, event.facts);
  else if ('fork' in event) world.repository(event.fork, { ...event.facts, parent: repositoryOf(event.of) });
  else if ('commits' in event) world.commit(repositoryOf(event.to), event.commits, event.branch);
  else if ('merge' in event) world.merge(repositoryOf(event.of), event.merge);
  else if ('renameAccount' in event) world.renameAccount(event.renameAccount, event.to);
  else if ('rename' in event) world.rename(repositoryOf(event.rename), event.to);
  else if ('removeAccount' in event) world.removeAccount(event.removeAccount);
  else if ('remove' in event) world.remove(repositoryOf(event.remove));
  else if ('block' in event) world.block(repositoryOf(event.block), event.reason, event.status);
  else if ('forcePush' in event) {
    const repository = repositoryOf(event.forcePush);
    world.forcePush(repository, event.branch, commitBack(world, event.forcePush, event.branch, event.back));
  } else if ('of' in event) {
    const { branch, of, back = 0 } = event;
    const repository = repositoryOf(of);
    world.branch(repository, branch, commitBack(world, of, repository.defaultBranch, back));
  }
}

/** The commit so many first parents before the head of a branch. */
function commitBack(world: World, fullName: string, branch: string, back: number): string {
  const repository = world.find(fullName)!;
  let sha = repository.branches.get(branch);
  for (let step = 0; step < back && sha !== undefined; step++) sha = repository.objects.get(sha)!.parents[0];
  if (sha === undefined) throw new Error(`world: expected ${back} commits on ${branch} of ${fullName}, got fewer`);
  return sha;
}
