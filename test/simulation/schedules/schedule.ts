import { partitionsPrefix } from '../../../src/lake/object-keys.ts';
import { playAgendaStep, startAgenda } from '../clients/agenda-step.ts';
import { playAuditStep, startAudits } from '../clients/audit-step.ts';
import { Clients } from '../clients/clients.ts';
import { playFeedingStep, startFeeding } from '../clients/feeding-step.ts';
import { Oracle } from '../oracle/oracle.ts';
import { VisitOracle } from '../oracle/visit-oracle.ts';
import { disturb, drawControl, type Outages } from '../world/disturb.ts';
import { JSON_LINES, PARQUET } from '../world/encode.ts';
import { type Fault, Faults, pick } from '../world/faults.ts';
import { disturbQueue } from '../world/queue-faults.ts';
import { rounding } from '../world/serials.ts';
import { agenda, coalescing, pages, type SourceKind } from '../world/sources.ts';
import { pass, startedWorld, type World } from '../world/world.ts';
import { expectAll, finish } from './ending.ts';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const STEPS = 5;
/** One seed in this many has real Parquet files, because encoding them takes longer than all else. */
export const SEEDS_PER_PARQUET = 50;
/** No call is delayed longer. */
export const DELAY_MS_MAX = 16 * MINUTE;

export interface Simulated {
  faults: Fault[];
  error: Error | null;
  /** The number of the engine's runs. */
  runs: number;
  trace: string[];
}

export interface SimulateOptions {
  /** Only faults with these ids happen; null for all that are drawn. */
  only?: ReadonlySet<string> | null;
  trace?: boolean;
  /** Whether there are sweeps and self-checks; where it is left out, the seed decides. */
  audited?: boolean;
}

export interface Schedule {
  world: World;
  faults: Faults;
  oracle: Oracle;
  clients: Clients;
  outages: Outages;
  /** A copy of the object's storage, which may come back later. */
  earlierStorage: ReturnType<World['storage']['copy']> | null;
  /** Whether the bucket has data files that the object does not know of since it lost its storage: it may stall then. */
  mayStall: boolean;
}

/** Plays the schedule of a seed, and checks all guarantees during it and at its end. Never throws. */
export async function simulate(
  seed: number,
  { only = null, trace = false, audited }: SimulateOptions = {},
): Promise<Simulated> {
  const faults = new Faults(seed, only);
  const lines: string[] = [];
  const world = await startedWorld(optionsOf(seed, faults));
  const clients = new Clients(world);
  const oracle = new Oracle(world, clients);
  if (world.kind === agenda) clients.followAgenda(new VisitOracle(world, message => oracle.fail(message)));
  if (trace) traceInto(lines, { world, faults });
  const outages = disturb({ world, faults, oracle, clients });
  disturbQueue({ world, faults });
  const schedule: Schedule = { world, faults, oracle, clients, outages, earlierStorage: null, mayStall: false };
  startAudits(schedule, audited);
  try {
    startAgenda(schedule);
    startFeeding(schedule);
    await startLate(schedule);
    for (let step = 0; step < STEPS; step++) await playStep(schedule);
    await finish(schedule);
    await expectAll(schedule, seed);
    await world.recycle();
    return { faults: faults.happened, error: null, runs: world.runs, trace: lines };
  } catch (error) {
    // The oracle's violation came before the error, and may be its cause.
    return { faults: faults.happened, error: oracle.violation ?? (error as Error), runs: world.runs, trace: lines };
  }
}

/** Of eight seeds four follow a feed, one a journal with a round, two follow pages, and one has an agenda. */
function kindOf(seed: number): SourceKind {
  if (seed % 8 === 6) return agenda;
  if (seed % 8 === 5) return rounding;
  return seed % 4 === 3 ? pages : coalescing;
}

function optionsOf(seed: number, faults: Faults) {
  const { random } = faults.draw('options');
  return {
    kind: kindOf(seed),
    encoding: seed % SEEDS_PER_PARQUET === 0 ? PARQUET : JSON_LINES,
    pollMs: pick(random, kindOf(seed) === agenda ? [120_000, 30 * MINUTE] : [15_000, 60_000, 120_000]),
    settleMs: pick(random, [0, 0, 10_000]),
    pageChanges: pick(random, [1, 3, 7, 100]),
    flushBytesMax: pick(random, [1, 2_000, 1_000_000]),
    flushAgeMs: pick(random, [1_000, 30_000]),
    requestsPerSecond: pick(random, [0.2, 3, 1_000, 1_000]),
    startMs: pick(random, [Date.UTC(2026, 10, 10), Date.UTC(2026, 11, 31, 23, 57)]),
    retry: { waitMs: pick(random, [1_000, 10_000]), attemptsMax: pick(random, [2, 2, 5, 20]), leaseMs: 300_000 },
    fed: pick(random, [true, false]) && kindOf(seed) === agenda,
  };
}

/** Some tails start in the middle of their feed. */
async function startLate({ world, ...rest }: Schedule): Promise<void> {
  const { id, random } = rest.faults.draw('late beginning');
  if (rest.clients.agenda || random() >= 0.3 || !rest.faults.happens({ id, kind: 'late start', atMs: 0, call: '' }))
    return;
  for (let times = 0; times < 3; times++)
    world.kind === pages ? publishPage({ world, ...rest }) : publish({ world, ...rest });
  rest.clients.audits.startLate();
  world.startAt(String(world.kind === pages ? world.upstream.pages.length : world.upstream.seq));
  world.storage.flush();
}

async function playStep(schedule: Schedule): Promise<void> {
  const { world, faults, oracle } = schedule;
  const { random } = faults.draw('round');
  if (world.kind === pages) publishPage(schedule);
  else if (world.kind === coalescing || world.kind === rounding) publish(schedule);
  if (world.kind === rounding) changeStatuses(schedule);
  playAuditStep(schedule);
  drawOutages(schedule);
  playAgendaStep(schedule);
  playFeedingStep(schedule);
  await loseStorage(schedule);
  sendControl(schedule);
  sendRequest(schedule);
  if (random() < 0.5) schedule.earlierStorage ??= world.storage.copy();
  // The watchdog is due about once a minute.
  oracle.ignoreAlarms(2 * MINUTE);
  void world.engine.watch().catch(() => undefined);
  await pass(world, random() * 2 * MINUTE);
  dropAlarm(schedule);
  oracle.check();
}

/** The platform drops an alarm that failed too often: only the watchdog starts the source again. */
function dropAlarm({ world, faults }: Schedule): void {
  const { id, random } = faults.draw('alarm');
  if (random() >= 0.05 || world.running) return;
  if (!faults.happens({ id, kind: 'alarm dropped', atMs: world.clock.elapsedMs, call: '' })) return;
  world.storage.alarmMs = null;
}

/** Starts, pauses or flushes the source. */
function sendControl({ world, faults }: Schedule): void {
  const { id, random } = faults.draw('control');
  if (random() >= (world.engine.paused ? 0.5 : 0.1)) return;
  const action = drawControl(world, random);
  if (!faults.happens({ id, kind: `control: ${action}`, atMs: world.clock.elapsedMs, call: '' })) return;
  void world.engine.control(action).catch(() => undefined);
}

/** Sends a request of one of the clients. */
function sendRequest({ world, faults, clients }: Schedule): void {
  const { id, random } = faults.draw('visit');
  const drawn = random() < 0.3 ? clients.draw(random) : null;
  if (!drawn || !faults.happens({ id, kind: drawn.kind, atMs: world.clock.elapsedMs, call: '' })) return;
  void drawn.run().catch(() => undefined);
}

/** Publishes and removes documents, and sets faults of documents. */
function publish({ world, faults }: Schedule): void {
  const { id, random } = faults.draw('changes');
  if (!faults.happens({ id, kind: 'changes', atMs: world.clock.elapsedMs, call: '' })) return;
  const { upstream } = world;
  for (let count = Math.floor(random() * 12); count > 0; count--) {
    const key = `package-${Math.floor(random() * 30)}`;
    const chance = random();
    if (chance < 0.15 && upstream.items.has(key)) upstream.remove(key);
    else if (chance < 0.2 && world.kind === coalescing) upstream.publish(`internal:${key}`);
    else upstream.publish(key, 'x'.repeat(Math.floor(random() * 200)));
    const fault = pick(random, [
      { status: 500 },
      { status: 404 },
      { status: 429 },
      { status: 451 },
      { kills: true },
    ] as const);
    if (random() < 0.1) upstream.faults.set(key, fault);
    const { revision } = upstream.items.get(key) ?? { revision: 0 };
    if (random() < 0.08 && revision > 1) upstream.lagging.set(key, revision - 1);
  }
}

/** Changes statuses, which the feed does not show, and has some of the requests for them fail. */
function changeStatuses({ world, faults }: Schedule): void {
  const { id, random } = faults.draw('statuses');
  if (!faults.happens({ id, kind: 'statuses', atMs: world.clock.elapsedMs, call: '' })) return;
  const { upstream } = world;
  for (let count = Math.floor(random() * 5); count > 0; count--) {
    const key = `package-${Math.floor(random() * 30)}`;
    upstream.setStatus(key, pick(random, ['archived', 'deprecated', null]));
    if (random() < 0.2) upstream.faults.set(`status ${key}`, pick(random, [{ status: 500 }, { status: 429 }] as const));
  }
}

function publishPage({ world, faults, oracle }: Schedule): void {
  const { id, random } = faults.draw('changes');
  if (!faults.happens({ id, kind: 'changes', atMs: world.clock.elapsedMs, call: '' })) return;
  const length = Math.floor(random() * 12);
  const names = Array.from({ length }, () => `user-${Math.floor(random() * 40)}${pick(random, ['', '+'])}`);
  const page = [...new Set(names)];
  // The number of the page is the revision of its documents.
  world.upstream.publish(page, String(world.upstream.pages.length));
  if (random() < 0.2 && page[0]) world.upstream.faults.set(page[0], { status: 404 });
  for (const [index, key] of page.entries()) oracle.shown.add(`${key}@${world.upstream.pages.length}:${index}`);
  world.upstream.pages.push(page);
}

/** Draws the outages of this step, and a jump of the clock, one draw for each. */
function drawOutages({ world, faults, oracle, outages }: Schedule): void {
  const { upstream, clock } = world;
  const drawn = (name: string, share: number) => {
    const { id, random } = faults.draw(name);
    const happens = random() < share && faults.happens({ id, kind: name, atMs: clock.elapsedMs, call: '' });
    return happens ? random : null;
  };
  outages.database = drawn('database down', 0.05) !== null;
  outages.loaders = drawn('loaders dying', 0.03) !== null;
  outages.alarms = drawn('no alarms', 0.04) !== null;
  const bucket = drawn('bucket down or slow', 0.05);
  outages.bucket = bucket ? pick(bucket, ['failing', 'slow'] as const) : null;
  upstream.feedFault = drawn('feed down', 0.05) ? { reason: 'unreachable' } : null;
  const documents = drawn('documents down', 0.05);
  upstream.documentsFault = documents
    ? pick(documents, [{ status: 503 }, { status: 429, retryAfterMs: 30_000 }] as const)
    : null;
  const jump = drawn('clock jumps', 0.12);
  if (!jump) return;
  oracle.ignoreAlarms();
  const toMonthEndMs = nextMonthMs(clock.now()) - clock.now() - 30_000;
  clock.jump(pick(jump, [-3 * DAY, -20 * MINUTE, -5_000, 5_000, 20 * MINUTE, 2 * DAY, toMonthEndMs]));
}

/** The object starts again without its storage, or with an earlier copy of it; the bucket stays. */
async function loseStorage(schedule: Schedule): Promise<void> {
  const { world, faults, oracle } = schedule;
  const { id, random } = faults.draw('storage lost');
  if (random() >= 0.02) return;
  const earlier = random() < 0.5 ? schedule.earlierStorage : null;
  const kind = earlier ? 'storage restored' : 'storage lost';
  if (!faults.happens({ id, kind, atMs: world.clock.elapsedMs, call: '' })) return;
  oracle.onStorageLost();
  world.kill();
  world.storage.alarmMs = null;
  // All calls of the lost instance land before the object starts again.
  await pass(world, DELAY_MS_MAX);
  oracle.onStorageLost();
  if (earlier) world.storage.restore(earlier);
  else world.storage.wipe();
  world.kill();
  const known = world.storage.sql.exec<{ key: string }>('SELECT key FROM files UNION SELECT key FROM intents');
  const knownKeys = new Set(known.map(({ key }) => key));
  const keys = world.engine.source.tables.flatMap(table => world.bucket.keys(partitionsPrefix(table)));
  schedule.mayStall ||= keys.some(key => !knownKeys.has(key));
}

/** Adds calls, log lines and faults to the trace, in order, each with its time. */
function traceInto(lines: string[], { world, faults }: { world: World; faults: Faults }): void {
  const time = () => `${(world.clock.elapsedMs / 1000).toFixed(3).padStart(10)}s`;
  let faultsTraced = 0;
  let logTraced = 0;
  const flush = () => {
    for (const { id, kind, call } of faults.happened.slice(faultsTraced))
      lines.push(`${time()} FAULT ${kind} (${id}) ${call}`);
    faultsTraced = faults.happened.length;
    for (const line of world.log.slice(logTraced)) lines.push(`${time()} log   ${JSON.stringify(line)}`);
    logTraced = world.log.length;
  };
  world.calls.before(call => {
    flush();
    lines.push(`${time()} call  ${call}`);
  });
  world.calls.after(call => {
    flush();
    lines.push(`${time()} made  ${call}`);
  });
}

function nextMonthMs(nowMs: number): number {
  const now = new Date(nowMs);
  return Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1);
}
