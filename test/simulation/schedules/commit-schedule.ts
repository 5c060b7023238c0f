import { type CatalogFault, catalogFault, type Operation } from '../../iceberg/catalog-faults.ts';
import { ForeignWriter } from '../../iceberg/foreign-writer.ts';
import { CommitOracle } from '../oracle/commit-oracle.ts';
import { CommitWorld, FILES_MAX, table } from '../world/commit-world.ts';
import { type Fault, Faults, pick, type Random } from '../world/faults.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const STEPS = 24;
const KILLS_MAX = 10;
/** Everything must be committed this long after the last fault: a stalled table probes every five minutes. */
const CALM_MS = 6 * 60 * MINUTE;

export interface PlayedCommits {
  seed: number;
  error: Error | null;
  faults: Fault[];
  commits: number;
}

/** Plays one schedule: the source settles files while the faults of the seed happen, then all faults end. */
export async function playCommits(seed: number, only: ReadonlySet<string> | null = null): Promise<PlayedCommits> {
  const faults = new Faults(seed, only);
  const { random } = faults.draw('world');
  const pace = { commitFiles: pick(random, [1, 2, 5, 64]), commitMs: pick(random, [1, 60, 900]) * SECOND };
  const world = new CommitWorld(pace);
  world.catalog.checksSequence = random() < 0.5;
  world.catalog.filtersSnapshots = random() < 0.5;
  world.catalog.writesNulls = faults.draw('nulls').random() < 0.5;
  // Create the oracle first, so that it checks a call before any fault happens to it.
  const oracle = new CommitOracle(world);
  const disturbance = new Disturbance(world, faults, oracle);
  let error: Error | null = null;
  try {
    // Let faults happen between and during the steps.
    for (let step = 0; step < STEPS; step++) {
      await disturbance.step();
      oracle.check();
    }
    // End the faults, settle the remaining files, and wait until all are committed.
    await disturbance.calm();
    await world.pass(CALM_MS, () => {
      disturbance.followHint();
      oracle.check();
      return world.committedLsn === world.lastLsn;
    });
    // Carry out the requests that are still late: they must change nothing.
    world.catalog.deliverLate();
    await world.pass(MINUTE);
    oracle.checkEnd();
  } catch (thrown) {
    error = thrown as Error;
  }
  const commits = world.log.filter(({ event }) => event === 'catalog_committed').length;
  return { seed, error, faults: faults.happened, commits };
}

/** Makes calls and requests fail, kills instances, and lets other programs change the table. */
class Disturbance {
  readonly #world: CommitWorld;
  readonly #faults: Faults;
  readonly #oracle: CommitOracle;
  readonly #foreignWriter: ForeignWriter;
  #kills = 0;
  /** Lines of the log that were read. */
  #linesRead = 0;
  /** Calls wait for this while another program changes the table. */
  #gate: Promise<void> | null = null;
  /** Old instances that are still alive. */
  #twins: { wake(): void; end(): void }[] = [];

  constructor(world: CommitWorld, faults: Faults, oracle: CommitOracle) {
    this.#world = world;
    this.#faults = faults;
    this.#oracle = oracle;
    this.#foreignWriter = new ForeignWriter(world.catalog);
    world.listFiles = files => this.#listFiles(files);
    world.calls.before(call => this.#before(call));
    world.calls.after(call => this.#after(call));
    // Register the gate last, because a call that passes it takes effect at once.
    world.calls.before(() => this.#gate ?? undefined);
  }

  async step(): Promise<void> {
    const { random } = this.#faults.draw('step');
    if (random() < 0.6) this.#world.settle(pick(random, [1, 1, 2, 3, 8]));
    await this.#happen(random);
    this.#addColumn();
    this.#rollBack();
    this.#failRequests(random);
    await this.#world.pass(pick(random, [1, 10, 61, 300, 900]) * SECOND * random());
  }

  async calm(): Promise<void> {
    this.#faults.areOver = true;
    for (const twin of this.#twins) twin.end();
    this.#world.catalog.faults.length = 0;
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
    else if (chance >= 0.32 && chance < 0.42 && happens('late arrivals')) this.#world.catalog.deliverLate();
    for (const twin of this.#twins) if (random() < 0.5) twin.wake();
    if (random() < 0.3) this.#twins.shift()?.end();
  }

  async #compact(): Promise<void> {
    if (this.#world.committedLsn === 0) return;
    const done = Promise.withResolvers<void>();
    this.#gate = done.promise;
    await this.#foreignWriter.compact(table);
    this.#gate = null;
    done.resolve();
  }

  /** Another program adds an optional column, which changes nothing for us. */
  #addColumn(): void {
    const { id, random } = this.#faults.draw('column');
    if (random() >= 0.05 || this.#world.committedLsn === 0) return;
    if (this.#faults.happens({ id, kind: 'column added', atMs: this.#world.clock.elapsedMs, call: '' }))
      this.#foreignWriter.addColumn(table.name);
  }

  /** A person rolls the table back. Not once all files are settled, because only a later commit notices it. */
  #rollBack(): void {
    const { id, random } = this.#faults.draw('roll back');
    this.followHint();
    const isLikely = random() < 0.1 && this.#world.committedLsn > 0 && this.#world.settled.length < FILES_MAX;
    if (!isLikely || !this.#faults.happens({ id, kind: 'rolled back', atMs: this.#world.clock.elapsedMs, call: '' }))
      return;
    const lsn = this.#foreignWriter.rollBack(table.name);
    if (lsn === null) return;
    this.#oracle.rolledBack();
    // A person who knows the tool sets the property at once.
    if (random() < 0.3) this.#setProperty(lsn);
  }

  /** A person who reads that the table is rolled back sets the property that brings its rows again. */
  followHint(): void {
    const lines = this.#world.log.slice(this.#linesRead);
    this.#linesRead = this.#world.log.length;
    for (const { kind, hint } of lines) {
      if (kind !== 'rolled-back') continue;
      const [, lsn] = /set its property tributary\.committed_lsn to (\d+)\./.exec(String(hint))!;
      this.#setProperty(lsn!);
    }
  }

  #setProperty(lsn: string): void {
    this.#world.catalog.change(table.name, ({ properties }) => {
      properties['tributary.committed_lsn'] = lsn;
    });
  }

  #expire(): void {
    const { committedLsn, isRolledBack, lostLsn, lostStorage } = this.#world;
    // Without the snapshots of before, a table that was rolled back does not show it.
    if (committedLsn === 0 || isRolledBack) return;
    // An instance that never knew commits the rows again under copies that the snapshots of before name too.
    const isKnown = !lostStorage && this.#twins.length === 0;
    if (lostLsn === 0 || isKnown) this.#foreignWriter.expire(table.name);
  }

  /** Makes later requests to the catalog fail. */
  #failRequests(random: Random): void {
    const { id } = this.#faults.draw('request');
    if (random() < 0.4) return;
    const on = pick<Operation>(random, ['config', 'load', 'create', 'commit', 'commit', 'commit', 'commit']);
    const effect = pick<CatalogFault['effect']>(random, ['now', 'never', 'late']);
    const choices: [string, CatalogFault[]][] = [
      ['request lost', [catalogFault.lostRequest(on)]],
      ['answer lost', [catalogFault.lostAnswer(on)]],
      ['hangs', [catalogFault.hangs(on)]],
      ['late', [catalogFault.late('commit')]],
      ['throttled', [catalogFault.throttled(on)]],
      ['storm of 429', Array.from({ length: 6 }, () => catalogFault.throttled(pick(random, [on, 'commit'] as const)))],
      ['concurrent update', [catalogFault.concurrentUpdate(effect)]],
      ['5xx', [catalogFault.serverError(on, { status: pick(random, [500, 502, 503, 504]), effect })]],
      ['html', [catalogFault.html(on, { status: pick(random, [200, 302, 502]), effect })]],
      ['no permission', [catalogFault.plainText(on, { status: pick(random, [401, 403]) })]],
    ];
    const [kind, faults] = pick(random, choices);
    if (this.#faults.happens({ id, kind, atMs: this.#world.clock.elapsedMs, call: on }))
      this.#world.catalog.faults.push(...faults);
  }

  /** A source may list its files in any order, list some twice, or leave one out. */
  #listFiles(files: Parameters<CommitWorld['listFiles']>[0]): typeof files {
    const { id, random } = this.#faults.draw('files');
    const kind = pick(random, ['as they are', 'as they are', 'twice', 'shuffled', 'one missing']);
    if (kind === 'as they are' || !this.#faults.happens({ id, kind, atMs: this.#world.clock.elapsedMs, call: 'files' }))
      return files;
    if (kind === 'twice') return [...files, ...files.slice(0, 3)];
    if (kind === 'shuffled') return files.toSorted(() => random() - 0.5);
    const missing = Math.floor(random() * files.length);
    return files.filter((_, index) => index !== missing);
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
