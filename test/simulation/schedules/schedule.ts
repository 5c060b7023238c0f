import { partitionsPrefix } from '../../../src/lake/object-keys.ts';
import { beginAgenda, playAgenda } from '../clients/agenda-round.ts';
import { beginAudits, playAudits } from '../clients/audit-round.ts';
import { People } from '../clients/people.ts';
import { Oracle } from '../oracle/oracle.ts';
import { VisitOracle } from '../oracle/visit-oracle.ts';
import { disturb, drawnAction, type Weather } from '../world/disturb.ts';
import { JSON_LINES, PARQUET } from '../world/encode.ts';
import { type Fault, Faults, pick } from '../world/faults.ts';
import { disturbQueue } from '../world/queue-faults.ts';
import { agenda, coalescing, pages, type SourceKind } from '../world/sources.ts';
import { pass, startedWorld, type World } from '../world/world.ts';
import { calmDown, expectAll } from './ending.ts';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const ROUNDS = 5;
/** The real encoder costs more than all the rest: one seed in so many has it. */
export const SEEDS_PER_PARQUET = 50;
/** No call is held up longer. */
export const HELD_MS_MAX = 16 * MINUTE;

export interface Simulated {
  faults: Fault[];
  error: Error | null;
  /** Runs the engine made. */
  runs: number;
  trace: string[];
}

export interface SimulateOptions {
  /** The only faults that happen, by id; null for all that are drawn. */
  only?: ReadonlySet<string> | null;
  trace?: boolean;
  /** Whether somebody sweeps and checks; as the seed has it where it is left out. */
  audited?: boolean;
}

export interface Scene {
  world: World;
  faults: Faults;
  oracle: Oracle;
  people: People;
  weather: Weather;
  earlier: ReturnType<World['storage']['copy']> | null;
  /** Data files stood that the object no longer knew of when its storage was lost or put back: to be stalled is right then. */
  mayStall: boolean;
}

/** Runs the schedule of a seed and checks all promises on the way and at its end. Never throws. */
export async function simulate(
  seed: number,
  { only = null, trace = false, audited }: SimulateOptions = {},
): Promise<Simulated> {
  const faults = new Faults(seed, only);
  const lines: string[] = [];
  const world = await startedWorld(optionsOf(seed, faults));
  const people = new People(world);
  const oracle = new Oracle(world, people);
  if (world.kind === agenda) people.watch(new VisitOracle(world, promise => oracle.fail(promise)));
  if (trace) traceInto(lines, { world, faults });
  const weather = disturb({ world, faults, oracle, people });
  disturbQueue({ world, faults });
  const scene: Scene = { world, faults, oracle, people, weather, earlier: null, mayStall: false };
  beginAudits(scene, audited);
  try {
    beginAgenda(scene);
    await beginLate(scene);
    for (let round = 0; round < ROUNDS; round++) await playRound(scene);
    await calmDown(scene);
    await expectAll(scene, seed);
    await world.recycle();
    return { faults: faults.happened, error: null, runs: world.runs, trace: lines };
  } catch (error) {
    // What the oracle saw first is the cause of what came later.
    return { faults: faults.happened, error: oracle.violation ?? (error as Error), runs: world.runs, trace: lines };
  }
}

/** Of eight seeds five follow a feed, two follow pages, and one has keys to visit. */
function kindOf(seed: number): SourceKind {
  if (seed % 8 === 6) return agenda;
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
  };
}

/** Some tails begin in the middle of their feed. */
async function beginLate({ world, ...rest }: Scene): Promise<void> {
  const { id, random } = rest.faults.draw('late beginning');
  if (rest.people.agenda || random() >= 0.3 || !rest.faults.happens({ id, kind: 'late beginning', atMs: 0, call: '' }))
    return;
  for (let times = 0; times < 3; times++)
    world.kind === pages ? publishPage({ world, ...rest }) : publish({ world, ...rest });
  rest.people.audits.beginLate();
  world.startAt(String(world.kind === pages ? world.upstream.pages.length : world.upstream.seq));
  world.storage.flush();
}

async function playRound(scene: Scene): Promise<void> {
  const { world, faults, oracle } = scene;
  const { random } = faults.draw('round');
  if (world.kind === pages) publishPage(scene);
  else if (world.kind === coalescing) publish(scene);
  playAudits(scene);
  changeWeather(scene);
  playAgenda(scene);
  await loseStorage(scene);
  control(scene);
  visit(scene);
  if (random() < 0.5) scene.earlier ??= world.storage.copy();
  // The watchdog looks about once a minute.
  oracle.unclear(2 * MINUTE);
  void world.engine.watch().catch(() => undefined);
  await pass(world, random() * 2 * MINUTE);
  giveUpAlarm(scene);
  oracle.check();
}

/** The platform gives an alarm up that has failed too often: only the watchdog brings the source back. */
function giveUpAlarm({ world, faults }: Scene): void {
  const { id, random } = faults.draw('alarm');
  if (random() >= 0.05 || world.running) return;
  if (!faults.happens({ id, kind: 'alarm given up', atMs: world.clock.elapsedMs, call: '' })) return;
  world.storage.alarmMs = null;
}

/** Between two rounds somebody starts, pauses or flushes the source. */
function control({ world, faults }: Scene): void {
  const { id, random } = faults.draw('control');
  if (random() >= (world.engine.paused ? 0.5 : 0.1)) return;
  const action = drawnAction(world, random);
  if (!faults.happens({ id, kind: `told to ${action}`, atMs: world.clock.elapsedMs, call: '' })) return;
  void world.engine.control(action).catch(() => undefined);
}

/** Between two rounds somebody asks for more than that. */
function visit({ world, faults, people }: Scene): void {
  const { id, random } = faults.draw('visit');
  const drawn = random() < 0.3 ? people.drawn(random) : null;
  if (!drawn || !faults.happens({ id, kind: drawn.kind, atMs: world.clock.elapsedMs, call: '' })) return;
  void drawn.act().catch(() => undefined);
}

/** Publishes, removes and breaks documents. */
function publish({ world, faults }: Scene): void {
  const { id, random } = faults.draw('changes');
  if (!faults.happens({ id, kind: 'changes', atMs: world.clock.elapsedMs, call: '' })) return;
  const { upstream } = world;
  for (let count = Math.floor(random() * 12); count > 0; count--) {
    const key = `package-${Math.floor(random() * 30)}`;
    const chance = random();
    if (chance < 0.15 && upstream.items.has(key)) upstream.remove(key);
    else if (chance < 0.2) upstream.publish(`internal:${key}`);
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

function publishPage({ world, faults, oracle }: Scene): void {
  const { id, random } = faults.draw('changes');
  if (!faults.happens({ id, kind: 'changes', atMs: world.clock.elapsedMs, call: '' })) return;
  const length = Math.floor(random() * 12);
  const names = Array.from({ length }, () => `user-${Math.floor(random() * 40)}${pick(random, ['', '+'])}`);
  const page = [...new Set(names)];
  // What its documents say tells old from new.
  world.upstream.publish(page, String(world.upstream.pages.length));
  if (random() < 0.2 && page[0]) world.upstream.faults.set(page[0], { status: 404 });
  for (const [index, key] of page.entries()) oracle.shown.add(`${key}@${world.upstream.pages.length}:${index}`);
  world.upstream.pages.push(page);
}

/** What goes wrong until the next round: each thing by a draw of its own. */
function changeWeather({ world, faults, oracle, weather }: Scene): void {
  const { upstream, clock } = world;
  const drawn = (name: string, share: number) => {
    const { id, random } = faults.draw(name);
    const happens = random() < share && faults.happens({ id, kind: name, atMs: clock.elapsedMs, call: '' });
    return happens ? random : null;
  };
  weather.database = drawn('database down', 0.05) !== null;
  weather.loaders = drawn('loaders dying', 0.03) !== null;
  weather.alarms = drawn('no alarms', 0.04) !== null;
  const bucket = drawn('bucket down or slow', 0.05);
  weather.bucket = bucket ? pick(bucket, ['failing', 'slow'] as const) : null;
  upstream.feedFault = drawn('feed down', 0.05) ? { reason: 'unreachable' } : null;
  const documents = drawn('documents down', 0.05);
  upstream.documentsFault = documents
    ? pick(documents, [{ status: 503 }, { status: 429, retryAfterMs: 30_000 }] as const)
    : null;
  const jump = drawn('clock jumps', 0.12);
  if (!jump) return;
  oracle.unclear();
  const toMonthEndMs = nextMonthMs(clock.now()) - clock.now() - 30_000;
  clock.jump(pick(jump, [-3 * DAY, -20 * MINUTE, -5_000, 5_000, 20 * MINUTE, 2 * DAY, toMonthEndMs]));
}

/** The object comes back without its storage, or with that of an earlier time; the bucket stays. */
async function loseStorage(scene: Scene): Promise<void> {
  const { world, faults, oracle } = scene;
  const { id, random } = faults.draw('storage lost');
  if (random() >= 0.02) return;
  const earlier = random() < 0.5 ? scene.earlier : null;
  const kind = earlier ? 'storage put back' : 'storage lost';
  if (!faults.happens({ id, kind, atMs: world.clock.elapsedMs, call: '' })) return;
  oracle.forget();
  world.kill();
  world.storage.alarmMs = null;
  // What the lost instance began lands before anybody brings it back.
  await pass(world, HELD_MS_MAX);
  oracle.forget();
  if (earlier) world.storage.restore(earlier);
  else world.storage.wipe();
  world.kill();
  const known = world.storage.sql.exec<{ key: string }>('SELECT key FROM files UNION SELECT key FROM intents');
  const knownKeys = new Set(known.map(({ key }) => key));
  const keys = world.engine.source.tables.flatMap(table => world.bucket.keys(partitionsPrefix(table)));
  scene.mayStall ||= keys.some(key => !knownKeys.has(key));
}

/** Calls, log lines and faults, in order, each with its time. */
function traceInto(lines: string[], { world, faults }: { world: World; faults: Faults }): void {
  const time = () => `${(world.clock.elapsedMs / 1000).toFixed(3).padStart(10)}s`;
  let told = 0;
  let logged = 0;
  const flush = () => {
    for (const { id, kind, call } of faults.happened.slice(told)) lines.push(`${time()} FAULT ${kind} (${id}) ${call}`);
    told = faults.happened.length;
    for (const line of world.log.slice(logged)) lines.push(`${time()} log   ${JSON.stringify(line)}`);
    logged = world.log.length;
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
