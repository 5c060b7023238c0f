import { Foreigner } from '../../iceberg/foreign.ts';
import { type Lie, lie, type Operation } from '../../iceberg/lies.ts';
import { CommitOracle } from '../oracle/commit-oracle.ts';
import { CommitWorld, FILES_MAX, table } from '../world/commit-world.ts';
import { type Fault, Faults, pick, type Random } from '../world/faults.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const STEPS = 24;
const KILLS_MAX = 10;
/** By then all that waits has been tried often enough: a stalled table probes every five minutes. */
const CALM_MS = 6 * 60 * MINUTE;

export interface Committed {
  seed: number;
  error: Error | null;
  faults: Fault[];
  commits: number;
}

/** One schedule: files are settled, and everything that can go wrong does, as the seed's dice say; then all is calm. */
export async function playCommits(seed: number, only: ReadonlySet<string> | null = null): Promise<Committed> {
  const faults = new Faults(seed, only);
  const { random } = faults.draw('world');
  const pace = { commitFiles: pick(random, [1, 2, 5, 64]), commitMs: pick(random, [1, 60, 900]) * SECOND };
  const world = new CommitWorld(pace);
  world.catalog.checksSequence = random() < 0.5;
  world.catalog.heedsRefs = random() < 0.5;
  // First of all it hears of a call, before anything happens to it.
  const oracle = new CommitOracle(world);
  const trouble = new Trouble(world, faults);
  let error: Error | null = null;
  try {
    for (let step = 0; step < STEPS; step++) {
      await trouble.step();
      oracle.look();
    }
    await trouble.calm();
    await world.pass(CALM_MS, () => {
      oracle.look();
      return world.committedLsn === world.lastLsn;
    });
    // What was sent long ago arrives when all is done.
    world.catalog.arrive();
    await world.pass(MINUTE);
    oracle.end();
  } catch (thrown) {
    error = thrown as Error;
  }
  const commits = world.log.filter(({ event }) => event === 'catalog_committed').length;
  return { seed, error, faults: faults.happened, commits };
}

/** What goes wrong, and what others do. */
class Trouble {
  readonly #world: CommitWorld;
  readonly #faults: Faults;
  readonly #foreigner: Foreigner;
  #kills = 0;
  /** Calls wait while somebody else changes the table. */
  #gate: Promise<void> | null = null;
  #twins: { wake(): void; end(): void }[] = [];

  constructor(world: CommitWorld, faults: Faults) {
    this.#world = world;
    this.#faults = faults;
    this.#foreigner = new Foreigner(world.catalog);
    world.offer = files => this.#offered(files);
    world.calls.before(call => this.#before(call));
    world.calls.after(call => this.#after(call));
    // The last of all: what comes past it has its effect at once.
    world.calls.before(() => this.#gate ?? undefined);
  }

  async step(): Promise<void> {
    const { random } = this.#faults.draw('step');
    if (random() < 0.6) this.#world.settle(pick(random, [1, 1, 2, 3, 8]));
    await this.#happen(random);
    this.#lies(random);
    await this.#world.pass(pick(random, [1, 10, 61, 300, 900]) * SECOND * random());
  }

  async calm(): Promise<void> {
    this.#faults.calm = true;
    for (const twin of this.#twins) twin.end();
    this.#world.catalog.lies.length = 0;
    this.#world.settle(FILES_MAX);
  }

  async #happen(random: Random): Promise<void> {
    const { id } = this.#faults.draw('event');
    const chance = random();
    const { elapsedMs: atMs } = this.#world.clock;
    const happens = (kind: string) => this.#faults.happens({ id, kind, atMs, call: '' });
    if (chance < 0.1 && happens('compaction')) await this.#compact();
    else if (chance >= 0.1 && chance < 0.2 && happens('expiry')) this.#expire();
    else if (chance >= 0.2 && chance < 0.26 && happens('storage lost')) this.#world.loseStorage();
    else if (chance >= 0.26 && chance < 0.32 && happens('two alive')) this.#twins.push(this.#world.split());
    else if (chance >= 0.32 && chance < 0.42 && happens('late arrivals')) this.#world.catalog.arrive();
    for (const twin of this.#twins) if (random() < 0.5) twin.wake();
    if (random() < 0.3) this.#twins.shift()?.end();
  }

  async #compact(): Promise<void> {
    if (this.#world.committedLsn === 0) return;
    const done = Promise.withResolvers<void>();
    this.#gate = done.promise;
    await this.#foreigner.compact(table);
    this.#gate = null;
    done.resolve();
  }

  #expire(): void {
    if (this.#world.committedLsn > 0) this.#foreigner.expire(table.name);
  }

  #lies(random: Random): void {
    const { id } = this.#faults.draw('lie');
    if (random() < 0.4) return;
    const on = pick<Operation>(random, ['config', 'load', 'create', 'commit', 'commit', 'commit', 'commit']);
    const happens = pick<Lie['happens']>(random, ['now', 'never', 'late']);
    const lies: [string, Lie[]][] = [
      ['request lost', [lie.lostRequest(on)]],
      ['answer lost', [lie.lostAnswer(on)]],
      ['hangs', [lie.hangs(on)]],
      ['late', [lie.late('commit')]],
      ['throttled', [lie.throttled(on)]],
      ['storm of 429', Array.from({ length: 6 }, () => lie.throttled(pick(random, [on, 'commit'] as const)))],
      ['concurrent update', [lie.concurrentUpdate(happens)]],
      ['5xx', [lie.serverError(on, { status: pick(random, [500, 502, 503, 504]), happens })]],
      ['html', [lie.html(on, { status: pick(random, [200, 302, 502]), happens })]],
      ['no permission', [lie.plainText(on, { status: pick(random, [401, 403]) })]],
    ];
    const [kind, told] = pick(random, lies);
    if (this.#faults.happens({ id, kind, atMs: this.#world.clock.elapsedMs, call: on }))
      this.#world.catalog.lies.push(...told);
  }

  /** A source may tell its files in any order, more than once, and not all of them. */
  #offered(files: Parameters<CommitWorld['offer']>[0]): typeof files {
    const { id, random } = this.#faults.draw('offer');
    const kind = pick(random, ['as they are', 'as they are', 'twice', 'shuffled', 'one missing']);
    if (kind === 'as they are' || !this.#faults.happens({ id, kind, atMs: this.#world.clock.elapsedMs, call: 'offer' }))
      return files;
    if (kind === 'twice') return [...files, ...files.slice(0, 3)];
    if (kind === 'shuffled') return files.toSorted(() => random() - 0.5);
    const missing = Math.floor(random() * files.length);
    return files.filter((_, at) => at !== missing);
  }

  #before(call: string): void | Promise<void> {
    const name = call.split(' ')[0]!;
    const { id, random } = this.#faults.draw(name);
    const chance = random();
    const lateMs = random() * 3 * MINUTE;
    const happens = (kind: string) => this.#faults.happens({ id, kind, atMs: this.#world.clock.elapsedMs, call: name });
    const { clock } = this.#world;
    if (chance < 0.02 && this.#kills < KILLS_MAX && happens('killed, lands late')) {
      this.#kill(call);
      return clock.sleep(lateMs);
    }
    if (chance >= 0.02 && chance < 0.04 && this.#kills < KILLS_MAX && happens('killed before')) {
      this.#kill(call);
      throw new Error('the instance is dead');
    }
    if (chance >= 0.04 && chance < 0.06 && happens('failed')) throw new Error('it failed');
    if (chance >= 0.06 && chance < 0.09 && happens('delayed')) return clock.sleep(random() * 10 * SECOND);
    if (chance >= 0.09 && chance < 0.11 && happens('held')) return clock.sleep(lateMs);
  }

  #after(call: string): void {
    const name = call.split(' ')[0]!;
    const { id, random } = this.#faults.draw(`after:${name}`);
    const chance = random();
    const happens = (kind: string) => this.#faults.happens({ id, kind, atMs: this.#world.clock.elapsedMs, call: name });
    if (chance < 0.02 && this.#kills < KILLS_MAX && happens('killed after')) this.#kill(call);
    else if (chance >= 0.02 && chance < 0.05 && happens('answer lost')) throw new Error('the answer was lost');
  }

  #kill(call: string): void {
    this.#kills += 1;
    this.#world.kill({ alarmFailed: call.startsWith('wake.set') });
  }
}
