import assert from 'node:assert/strict';
import { npmPackage } from '../../../schemas/npm_package.ts';
import { dismissFailed, failedOf, replayFailed } from '../../../src/engine/controls/failed.ts';
import { takePush } from '../../../src/engine/controls/push.ts';
import { rangeOf, startRange } from '../../../src/engine/controls/ranges.ts';
import { expectLetters } from '../clients/letter-client.ts';
import { expectInOrder, expectProof, lakeRows } from '../oracle/proof.ts';
import { drained } from '../world/clock.ts';
import { Faults, pick, type Random } from '../world/faults.ts';
import { probing } from '../world/probing.ts';
import { rounding, serials } from '../world/serials.ts';
import { agenda, coalescing, pages, rowOf, type SourceKind } from '../world/sources.ts';
import { followed, pass, reached, runUntil, startedWorld, type World } from '../world/world.ts';
import { AGENDA_SCENES } from './directed-agenda.ts';
import { AUDIT_SCENES } from './directed-audit.ts';
import { IMMUTABLE_SCENES } from './directed-immutable.ts';
import { INLET_SCENES } from './directed-inlet.ts';
import { PROBE_SCENES } from './directed-probe.ts';
import { ROUND_SCENES, WHOLE_SCENES } from './directed-whole.ts';
import type { Simulated } from './schedule.ts';

const SECOND = 1_000;
const DEAD = { state: 'dead', reason: null, olderThanSeconds: null } as const;

/** Situations that random schedules rarely reach. The seed draws the details. */
const SCENES = {
  'a push between an attempt and its result': pushDuringAttempt,
  'an attempt at a key that the tail is loading': attemptDuringLoad,
  'a range at a key that the tail has loaded': rangeAfterLoad,
  'a range at a key that the tail has staged': rangeAfterStaging,
  'a removal after a range has pulled its key': removalDuringRange,
  'a push while a range loads its key': pushDuringRange,
  'a letter that is published late': letterPublishedLate,
  'a letter that changes while it is published': letterChanging,
  ...AUDIT_SCENES,
  ...AGENDA_SCENES,
  ...INLET_SCENES,
  ...PROBE_SCENES,
  ...IMMUTABLE_SCENES,
  ...WHOLE_SCENES,
  ...ROUND_SCENES,
};

export type SceneName = keyof typeof SCENES;
export const SCENE_NAMES = Object.keys(SCENES) as SceneName[];

/** Plays a scene with the details of its seed, and checks the guarantees at its end. Never throws. */
export async function playScene(name: SceneName, seed: number): Promise<Simulated> {
  const { random } = new Faults(seed).draw(name);
  const kind = sourceOf(name);
  const isAgenda = kind === agenda || kind === probing;
  const fed = name in INLET_SCENES;
  // Hours pass between two visits, and in a round, so frequent pulls would only take time.
  const pollSeconds = isAgenda ? 600 : kind === serials || kind === rounding ? 60 : 5;
  const world = await startedWorld({ kind, fed, pollMs: pollSeconds * SECOND });
  if (fed) Object.assign(world.upstream.servers, { red: 'red.test' });
  const untraced = { faults: [], trace: [] };
  try {
    await SCENES[name](world, random);
    await runUntil(world, { until: () => isQuiet(world) });
    await expectProof(world);
    if (!isAgenda) await expectInOrder(world);
    expectLetters(world);
    await world.recycle();
    return { ...untraced, error: null, runs: world.runs };
  } catch (error) {
    return { ...untraced, error: error as Error, runs: world.runs };
  }
}

function sourceOf(name: SceneName): SourceKind {
  if (name in WHOLE_SCENES) return serials;
  if (name in ROUND_SCENES) return rounding;
  if (name in PROBE_SCENES) return probing;
  if (name in AGENDA_SCENES || name in INLET_SCENES) return agenda;
  return name in IMMUTABLE_SCENES || SCENES[name] === rangeAfterStaging ? pages : coalescing;
}

/** A push is newer than what an attempt has loaded: its row stays the newest until the key is loaded again. */
async function pushDuringAttempt(world: World, random: Random): Promise<void> {
  const { upstream, calls } = world;
  if (random() < 0.5) await park(world, 'a');
  else await findMissing(world, 'a');
  const held = random() < 0.5 ? calls.hold(/^queue\.load\.load a/, { answer: true }) : calls.hold(/^queue\.take/);
  await reached(world, held);
  upstream.changeSilently('a');
  await push(world, 'a');
  await pass(world, random() * 5 * SECOND);
  held.release();
  await expectNewestOf(world, 'a');
}

/** The tail has loaded a revision and not accepted it when an attempt at an older change loads a newer one. */
async function attemptDuringLoad(world: World, random: Random): Promise<void> {
  const { upstream, calls } = world;
  await park(world, 'a');
  const attempt = calls.hold(/^queue\.load\.load a/);
  await reached(world, attempt);
  upstream.publish(random() < 0.5 ? ['b', 'a'] : 'a');
  const tail = calls.hold(/^load\.load a/, { answer: true });
  await reached(world, tail);
  upstream.publish('a');
  attempt.release();
  await pass(world, random() * 5 * SECOND);
  tail.release();
  await expectNewestOf(world, 'a');
}

/** The tail has loaded a revision, which waits for an earlier change, when a range loads a newer one. */
async function rangeAfterLoad(world: World, random: Random): Promise<void> {
  const { upstream, engine } = world;
  upstream.publish(['a', 'b']);
  await followed(world);
  await startRange(engine, 'rewind', { to: '0', rate: 0.02 });
  await runUntil(world, { until: () => rangeOf(engine, 'rewind')?.done === 1 });
  let isSlow = true;
  upstream.latencyMs = key => (isSlow && key === 'slow' ? 120 * SECOND : 0);
  upstream.publish(random() < 0.5 ? ['first', 'slow', 'b'] : ['first', 'slow', 'c', 'b']);
  const held = world.calls.hold(/^load\.load slow/);
  await reached(world, held);
  held.release();
  await drained();
  isSlow = false;
  upstream.publish('b');
  await runUntil(world, { until: () => rangeOf(engine, 'rewind')?.state === 'done' });
  await expectNewestOf(world, 'b');
}

/** The tail has staged the first slice of a whole page when a range loads a newer revision of its key. */
async function rangeAfterStaging(world: World, random: Random): Promise<void> {
  const { upstream, engine, calls } = world;
  const show = (...keys: string[]) => {
    upstream.publish(keys, String(upstream.pages.length));
    upstream.pages.push(keys);
  };
  show('a', 'b');
  await followed(world);
  upstream.faults.set('slow', { status: 429 });
  show('a', 'slow');
  await runUntil(world, { until: () => world.lane.page_done === 1 });
  upstream.publish('a', '2');
  await startRange(engine, 'rewind', { to: '0', rate: 1_000 });
  if (random() < 0.5) world.kill({ lose: false });
  const held = calls.hold(/^load\.load .*\ba\b/, { answer: true });
  await reached(world, held);
  upstream.faults.clear();
  held.release();
  await runUntil(world, { until: () => rangeOf(world.engine, 'rewind')?.state === 'done' });
}

/** The tail has accepted a deletion when a range reaches the key by an older page, and an old document is served. */
async function removalDuringRange(world: World, random: Random): Promise<void> {
  const { upstream, engine } = world;
  upstream.publish(['a', 'b']);
  await followed(world);
  upstream.publish('b');
  await followed(world);
  await startRange(engine, 'rewind', { to: '0', rate: 0.02 });
  await runUntil(world, { until: () => rangeOf(engine, 'rewind')?.done === 1 });
  // A parked change dies soon.
  world.options.retry.attemptsMax = 2;
  if (random() < 0.5) upstream.lagging.set('b', 1);
  upstream.remove('b');
  await runUntil(world, { until: () => rangeOf(engine, 'rewind')?.state === 'done' });
  upstream.lagging.clear();
  await runUntil(world, { until: () => isQuiet(world) });
  const [newest] = (await lakeRows(world)).filter(row => row.name === 'b').slice(-1);
  assert.equal(newest?._op, 'delete', 'b: expected its newest row to be its deletion');
  assert.equal(world.balance.dead, 0, 'b: expected no dead change of a key that was removed');
}

/** A push is newer than what a range has loaded. */
async function pushDuringRange(world: World, random: Random): Promise<void> {
  const { upstream, engine, calls } = world;
  upstream.publish(['a', 'b']);
  await followed(world);
  await startRange(engine, 'rewind', { to: '0', rate: pick(random, [0.1, 1_000]) });
  const key = pick(random, ['a', 'b']);
  const held = calls.hold(new RegExp(`^load\\.load .*\\b${key}\\b`), { answer: true });
  await reached(world, held);
  upstream.changeSilently(key);
  await push(world, key);
  await pass(world, random() * 5 * SECOND);
  held.release();
  await runUntil(world, { until: () => rangeOf(engine, 'rewind')?.state === 'done' });
  await expectNewestOf(world, key);
}

/** A letter that a dead instance publishes lands after the next instance has published a newer version. */
async function letterPublishedLate(world: World, random: Random): Promise<void> {
  const { upstream, calls } = world;
  await followed(world);
  upstream.faults.set('a', { status: 451 });
  upstream.publish('a');
  const held = calls.hold(/^d1\.batch/);
  await reached(world, held);
  assert.equal(unpublishedLetters(world), 1, 'letters: expected the one that is being published');
  world.kill({ lose: false });
  upstream.faults.clear();
  await pick(random, [dismiss, replay, async () => upstream.publish('a')])(world);
  await runUntil(world, { until: () => isQuiet(world) && world.balance.dead === 0 });
  held.release();
  await drained();
}

/** A letter ends while it is being published as dead. */
async function letterChanging(world: World, random: Random): Promise<void> {
  const { upstream, calls } = world;
  upstream.faults.set('a', { status: 451 });
  upstream.publish('a');
  const back = calls.fail(/^d1\.batch/);
  await runUntil(world, { until: () => world.balance.dead === 1 });
  upstream.faults.clear();
  const isDismissed = random() < 0.5;
  const attempt = calls.hold(/^queue\.take/);
  if (!isDismissed) {
    await replay(world);
    await reached(world, attempt);
  }
  back();
  const held = calls.hold(/^d1\.batch/, { answer: random() < 0.5 });
  await reached(world, held);
  assert.equal(unpublishedLetters(world), 1, 'letters: expected the one that is being published');
  if (isDismissed) await dismiss(world);
  attempt.release();
  await pass(world, random() * 5 * SECOND);
  assert.equal(
    world.balance.dead + world.balance.parked,
    0,
    'letter: expected it to have ended while it was being published',
  );
  held.release();
}

/** Parks a change of a key, and then ends the fault that parked it. */
async function park(world: World, key: string): Promise<void> {
  const { upstream } = world;
  upstream.faults.set(key, { status: 403 });
  upstream.publish(key);
  await runUntil(world, { until: () => world.parked.length === 1 });
  upstream.faults.clear();
}

/** A sweep finds a key that the feed never showed. */
async function findMissing(world: World, key: string): Promise<void> {
  world.upstream.publish('other');
  await followed(world);
  world.upstream.changeSilently(key);
  world.engine.audit.startSweep(1);
  await world.engine.poke();
}

/** Pushes the row of what the upstream says of a key now. */
async function push({ engine, upstream }: World, key: string): Promise<void> {
  const row = rowOf(npmPackage, { name: key, version: String(upstream.items.get(key)!.revision) });
  await takePush(engine, { identity: `push-of-${key}`, table: npmPackage.name, rows: [{ line: 1, row }] });
}

async function dismiss({ engine }: World): Promise<void> {
  const [letter] = failedOf(engine, { ...DEAD, after: 0, limit: 1 });
  dismissFailed(engine, letter!.change_number, 'not wanted');
  await engine.poke();
}

async function replay({ engine }: World): Promise<void> {
  await replayFailed(engine, { numbers: null, query: DEAD, dryRun: false });
}

/** Everything shown is in files and published, and no change is parked. */
function isQuiet(world: World): boolean {
  return world.isFollowed && world.parked.length === 0 && unpublishedLetters(world) === 0;
}

function unpublishedLetters({ engine }: World): number {
  return engine.journal.parked.letters.unpublished(10).length;
}

async function expectNewestOf(world: World, key: string): Promise<void> {
  await runUntil(world, { until: () => isQuiet(world) });
  const newest = (await lakeRows(world)).filter(row => row.name === key).at(-1);
  const { revision } = world.upstream.items.get(key)!;
  assert.equal(newest?.version, String(revision), `${key}: expected its newest row to be what its upstream says`);
}
