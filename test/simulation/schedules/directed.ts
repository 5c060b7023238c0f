import assert from 'node:assert/strict';
import { npmPackage } from '../../../schemas/npm_package.ts';
import { dismissFailed, failedOf, replayFailed } from '../../../src/engine/controls/failed.ts';
import { takePush } from '../../../src/engine/controls/push.ts';
import { rangeOf, startRange } from '../../../src/engine/controls/ranges.ts';
import { expectLetters } from '../clients/letter-client.ts';
import { expectInOrder, expectProof, lakeRows } from '../oracle/proof.ts';
import { drained } from '../world/clock.ts';
import { Faults, pick, type Random } from '../world/faults.ts';
import { agenda, coalescing, pages, rowOf } from '../world/sources.ts';
import { followed, pass, reached, settle, startedWorld, type World } from '../world/world.ts';
import { AGENDA_SCENES } from './directed-agenda.ts';
import { AUDIT_SCENES } from './directed-audit.ts';
import type { Simulated } from './schedule.ts';

const SECOND = 1_000;
const DEAD = { state: 'dead', reason: null, olderThanSeconds: null } as const;

/** Moments that random schedules hardly ever meet, each told with what may differ between one time and the next. */
const SCENES = {
  'a push between a look and its result': pushBeforeResult,
  'a look at a key that the tail is loading': lookBesideTail,
  'a range at a key that the tail has loaded': rangeBesideTail,
  'a range at a key that the tail has staged': rangeBesideStaged,
  'a removal after a range has pulled its key': removedBesideRange,
  'a push while a range loads its key': pushBesideRange,
  'a letter that is told late': letterToldLate,
  'a letter that turns while it is told': letterTurning,
  ...AUDIT_SCENES,
  ...AGENDA_SCENES,
};

export type SceneName = keyof typeof SCENES;
export const SCENE_NAMES = Object.keys(SCENES) as SceneName[];

/** Plays a scene, as its seed has it, and checks what must hold at its end. Never throws. */
export async function playScene(name: SceneName, seed: number): Promise<Simulated> {
  const { random } = new Faults(seed).draw(name);
  const kind = name in AGENDA_SCENES ? agenda : SCENES[name] === rangeBesideStaged ? pages : coalescing;
  // Hours pass between two visits: looking for what is due all the while would only take long.
  const world = await startedWorld({ kind, pollMs: (kind === agenda ? 600 : 5) * SECOND });
  const told = { faults: [], trace: [] };
  try {
    await SCENES[name](world, random);
    await settle(world, { until: () => isQuiet(world) });
    await expectProof(world);
    if (kind !== agenda) await expectInOrder(world);
    expectLetters(world);
    await world.recycle();
    return { ...told, error: null, runs: world.runs };
  } catch (error) {
    return { ...told, error: error as Error, runs: world.runs };
  }
}

/** What is pushed is newer than what a look has found: it stays the newest until the key is looked at again. */
async function pushBeforeResult(world: World, random: Random): Promise<void> {
  const { upstream, calls } = world;
  if (random() < 0.5) await park(world, 'a');
  else await miss(world, 'a');
  const held = random() < 0.5 ? calls.hold(/^queue\.load\.load a/, { answer: true }) : calls.hold(/^queue\.take/);
  await reached(world, held);
  upstream.changeSilently('a');
  await push(world, 'a');
  await pass(world, random() * 5 * SECOND);
  held.release();
  await expectNewestOf(world, 'a');
}

/** The tail has loaded a revision and not accepted it when a look at an older change finds a newer one. */
async function lookBesideTail(world: World, random: Random): Promise<void> {
  const { upstream, calls } = world;
  await park(world, 'a');
  const look = calls.hold(/^queue\.load\.load a/);
  await reached(world, look);
  upstream.publish(random() < 0.5 ? ['b', 'a'] : 'a');
  const tail = calls.hold(/^load\.load a/, { answer: true });
  await reached(world, tail);
  upstream.publish('a');
  look.release();
  await pass(world, random() * 5 * SECOND);
  tail.release();
  await expectNewestOf(world, 'a');
}

/** The tail has loaded a revision, and waits with it for an earlier change, when a range finds a newer one. */
async function rangeBesideTail(world: World, random: Random): Promise<void> {
  const { upstream, engine } = world;
  upstream.publish(['a', 'b']);
  await followed(world);
  await startRange(engine, 'rewind', { to: '0', rate: 0.02 });
  await settle(world, { until: () => rangeOf(engine, 'rewind')?.done === 1 });
  let isSlow = true;
  upstream.latencyMs = key => (isSlow && key === 'slow' ? 120 * SECOND : 0);
  upstream.publish(random() < 0.5 ? ['first', 'slow', 'b'] : ['first', 'slow', 'c', 'b']);
  const held = world.calls.hold(/^load\.load slow/);
  await reached(world, held);
  held.release();
  await drained();
  isSlow = false;
  upstream.publish('b');
  await settle(world, { until: () => rangeOf(engine, 'rewind')?.state === 'done' });
  await expectNewestOf(world, 'b');
}

/** The tail has staged what it loaded of a page that comes in as a whole, when a range finds something newer. */
async function rangeBesideStaged(world: World, random: Random): Promise<void> {
  const { upstream, engine, calls } = world;
  const show = (...keys: string[]) => {
    upstream.publish(keys, String(upstream.pages.length));
    upstream.pages.push(keys);
  };
  show('a', 'b');
  await followed(world);
  upstream.faults.set('slow', { status: 429 });
  show('a', 'slow');
  await settle(world, { until: () => world.lane.page_done === 1 });
  upstream.publish('a', '2');
  await startRange(engine, 'rewind', { to: '0', rate: 1_000 });
  if (random() < 0.5) world.kill({ lose: false });
  const held = calls.hold(/^load\.load .*\ba\b/, { answer: true });
  await reached(world, held);
  upstream.faults.clear();
  held.release();
  await settle(world, { until: () => rangeOf(world.engine, 'rewind')?.state === 'done' });
}

/** The tail has let a deletion in when a range comes to the key by the page of before, and an old document is served. */
async function removedBesideRange(world: World, random: Random): Promise<void> {
  const { upstream, engine } = world;
  upstream.publish(['a', 'b']);
  await followed(world);
  upstream.publish('b');
  await followed(world);
  await startRange(engine, 'rewind', { to: '0', rate: 0.02 });
  await settle(world, { until: () => rangeOf(engine, 'rewind')?.done === 1 });
  // Where it is parked, it is dead soon.
  world.options.retry.attemptsMax = 2;
  if (random() < 0.5) upstream.lagging.set('b', 1);
  upstream.remove('b');
  await settle(world, { until: () => rangeOf(engine, 'rewind')?.state === 'done' });
  upstream.lagging.clear();
  await settle(world, { until: () => isQuiet(world) });
  const [newest] = (await lakeRows(world)).filter(row => row.name === 'b').slice(-1);
  assert.equal(newest?._op, 'delete', 'b: expected its newest row to be its deletion');
  assert.equal(world.balance.dead, 0, 'b: expected no dead change of a key that was removed');
}

/** What is pushed is newer than what a range has loaded. */
async function pushBesideRange(world: World, random: Random): Promise<void> {
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
  await settle(world, { until: () => rangeOf(engine, 'rewind')?.state === 'done' });
  await expectNewestOf(world, key);
}

/** What a dead instance tells of a letter lands when its successor has told of what came of it. */
async function letterToldLate(world: World, random: Random): Promise<void> {
  const { upstream, calls } = world;
  await followed(world);
  upstream.faults.set('a', { status: 451 });
  upstream.publish('a');
  const held = calls.hold(/^d1\.batch/);
  await reached(world, held);
  assert.equal(untold(world), 1, 'letters: expected the one that is being told');
  world.kill({ lose: false });
  upstream.faults.clear();
  await pick(random, [dismiss, replay, async () => upstream.publish('a')])(world);
  await settle(world, { until: () => isQuiet(world) && world.balance.dead === 0 });
  held.release();
  await drained();
}

/** A letter ends while the database is told that its change is dead. */
async function letterTurning(world: World, random: Random): Promise<void> {
  const { upstream, calls } = world;
  upstream.faults.set('a', { status: 451 });
  upstream.publish('a');
  const back = calls.fail(/^d1\.batch/);
  await settle(world, { until: () => world.balance.dead === 1 });
  upstream.faults.clear();
  const isDismissed = random() < 0.5;
  const look = calls.hold(/^queue\.take/);
  if (!isDismissed) {
    await replay(world);
    await reached(world, look);
  }
  back();
  const held = calls.hold(/^d1\.batch/, { answer: random() < 0.5 });
  await reached(world, held);
  assert.equal(untold(world), 1, 'letters: expected the one that is being told');
  if (isDismissed) await dismiss(world);
  look.release();
  await pass(world, random() * 5 * SECOND);
  assert.equal(world.balance.dead + world.balance.parked, 0, 'letter: expected it to have ended while it was told');
  held.release();
}

/** A change of a key is owed, and nothing hinders it any more. */
async function park(world: World, key: string): Promise<void> {
  const { upstream } = world;
  upstream.faults.set(key, { status: 403 });
  upstream.publish(key);
  await settle(world, { until: () => world.parked.length === 1 });
  upstream.faults.clear();
}

/** A sweep finds a key that the feed never showed. */
async function miss(world: World, key: string): Promise<void> {
  world.upstream.publish('other');
  await followed(world);
  world.upstream.changeSilently(key);
  world.engine.audit.startSweep(1);
  await world.engine.poke();
}

/** Somebody pushes what the upstream says of a key. */
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

/** Everything shown is in files and told, and nothing is owed. */
function isQuiet(world: World): boolean {
  return world.isFollowed && world.parked.length === 0 && untold(world) === 0;
}

function untold({ engine }: World): number {
  return engine.journal.parked.letters.unpublished(10).length;
}

async function expectNewestOf(world: World, key: string): Promise<void> {
  await settle(world, { until: () => isQuiet(world) });
  const newest = (await lakeRows(world)).filter(row => row.name === key).at(-1);
  const { revision } = world.upstream.items.get(key)!;
  assert.equal(newest?.version, String(revision), `${key}: expected its newest row to say what its upstream says`);
}
