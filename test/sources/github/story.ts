import type { CommitFacts, Repository, World } from '../../../src/sources/github/stand-in/world.ts';

type Coin = () => number;

const DAY = 86_400_000;

/** What happens to the repositories of a GitHub, at random, and which commits a visit could have seen. */
export class Story {
  readonly hub: World;
  readonly repositories: Repository[] = [];
  /** Commits that the default branch reached at some time, by the number of the repository. */
  readonly ever = new Map<string, Set<string>>();
  /** What happened, as `<time> <number of the repository> <name before> <event>`. */
  readonly log: string[] = [];
  readonly #coin: Coin;
  #names = 0;

  constructor(hub: World, coin: Coin) {
    this.hub = hub;
    this.#coin = coin;
  }

  get names(): string[] {
    return this.repositories.map(({ fullName }) => fullName);
  }

  /** Makes repositories whose commits are so many together. A few have most of them. */
  begin({ repositories, commits }: { repositories: number; commits: number }): void {
    const weights = Array.from({ length: repositories }, () => this.#coin() ** 4 + 0.01);
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    for (const weight of weights) {
      const repository = this.#create(`owner${this.#below(7)}`);
      const count = Math.round((commits * weight) / total);
      this.hub.commit(repository, this.#commits(count, 400));
      this.#note(repository);
    }
  }

  /** So many random events. */
  happen(events: number): void {
    for (let event = 0; event < events; event++) this.#happen(this.#pick(this.repositories));
  }

  #happen(repository: Repository): void {
    const [event, act] = this.#pick(this.#acts(repository));
    this.log.push(`${this.hub.now} ${repository.id} ${repository.fullName} ${event}`);
    act();
    if (!repository.removed) this.#note(repository);
  }

  #acts(repository: Repository): [string, () => void][] {
    const { hub } = this;
    const head = repository.branches.get(repository.defaultBranch);
    // More commits than a page of a comparison has.
    const longPush = (): void => void hub.commit(repository, this.#commits(110 + this.#below(150), 1));
    const push: [string, () => void] = ['push', () => hub.commit(repository, this.#commits(1 + this.#below(5), 1))];
    if (head === undefined) return [push];
    return [
      push,
      push,
      push,
      ['long push', longPush],
      ['long push', longPush],
      ['late merge', () => this.#mergeLate(repository)],
      ['forced push', () => this.#forcePush(repository, head)],
      ['other root', () => this.#startAnew(repository)],
      ['other default branch', () => this.#changeDefault(repository, head)],
      ['push to a side branch', () => this.#sideBranch(repository, head)],
      ['edit', () => hub.repository(repository.fullName, { description: `Edited ${hub.now}` })],
      ['star', () => this.#star(repository)],
      ['rename', () => hub.rename(repository, `${repository.owner.login}/r${this.#names++}`)],
      ['transfer', () => hub.transfer(repository, `owner${this.#names++}`)],
      ['name taken', () => this.#takeName(repository)],
      ['removal', () => this.#remove(repository)],
      ['collection', () => hub.collect(repository)],
    ];
  }

  /** An old branch, whose commits lie behind known ones in a list by date. */
  #mergeLate(repository: Repository): void {
    const { hub } = this;
    const reachable = [...hub.reachable(repository)];
    hub.branch(repository, 'old', reachable[this.#below(reachable.length)]!);
    hub.commit(repository, this.#commits(1 + this.#below(4), 300), 'old');
    hub.merge(repository, 'old');
    hub.removeBranch(repository, 'old');
  }

  #forcePush(repository: Repository, head: string): void {
    const { hub } = this;
    const reachable = [...hub.reachable(repository)];
    hub.branch(repository, 'rewritten', reachable[this.#below(Math.min(20, reachable.length))] ?? head);
    hub.commit(repository, this.#commits(1 + this.#below(3), 2), 'rewritten');
    hub.forcePush(repository, repository.defaultBranch, repository.branches.get('rewritten')!);
    hub.removeBranch(repository, 'rewritten');
  }

  /** A history that has nothing in common with the one before. */
  #startAnew(repository: Repository): void {
    const [root] = this.hub.commit(repository, [{ ...this.#commits(1, 2)[0], parents: [] }], 'anew');
    this.hub.forcePush(repository, repository.defaultBranch, root!);
    this.hub.removeBranch(repository, 'anew');
  }

  #changeDefault(repository: Repository, head: string): void {
    const name = `main${this.#names++}`;
    this.hub.branch(repository, name, head);
    this.hub.commit(repository, this.#commits(1, 1), name);
    repository.defaultBranch = name;
  }

  /** Moves a counter, and nothing that a visit should find on the same day. */
  #star(repository: Repository): void {
    repository.stars += 1;
  }

  /** Moves `pushed_at`, and nothing that a visit should find. */
  #sideBranch(repository: Repository, head: string): void {
    this.hub.branch(repository, 'side', head);
    this.hub.commit(repository, this.#commits(1, 1), 'side');
  }

  /** The repository gives its name up, and a new one takes it at once. */
  #takeName(repository: Repository): void {
    const { fullName, owner } = repository;
    this.hub.rename(repository, `${owner.login}/r${this.#names++}`);
    const taker = this.hub.repository(fullName);
    this.hub.commit(taker, this.#commits(2, 5));
    this.repositories.push(taker);
    this.#note(taker);
  }

  #remove(repository: Repository): void {
    if (this.repositories.length < 3) return;
    this.hub.remove(repository);
    this.repositories.splice(this.repositories.indexOf(repository), 1);
  }

  #create(owner: string): Repository {
    const repository = this.hub.repository(`${owner}/r${this.#names++}`);
    this.repositories.push(repository);
    return repository;
  }

  /** Commits of the last days, the newest last, by some authors. */
  #commits(count: number, days: number): Partial<CommitFacts>[] {
    const fromMs = this.hub.nowMs - Math.floor(this.#coin() * days) * DAY - count * 60_000;
    return Array.from({ length: count }, (_, index) => {
      const person = this.#below(9);
      const date = new Date(fromMs + index * 60_000).toISOString().replace(/\.\d+/, '');
      return { author: { name: `Person ${person}`, email: `person${person}@people.example`, date } };
    });
  }

  #note(repository: Repository): void {
    const id = String(repository.id);
    const ever = this.ever.get(id) ?? new Set();
    this.ever.set(id, ever);
    for (const sha of this.hub.reachable(repository)) ever.add(sha);
  }

  #below(end: number): number {
    return Math.floor(this.#coin() * end);
  }

  #pick<T>(all: readonly T[]): T {
    return all[this.#below(all.length)]!;
  }
}
