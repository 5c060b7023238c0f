import assert from 'node:assert/strict';
import { lakeRows } from '../oracle/proof.ts';
import { pick, type Random } from '../world/faults.ts';
import { unwatch, watch } from '../world/visits.ts';
import { followed, pass, reached, runUntil, type World } from '../world/world.ts';

const MINUTE = 60_000;
const KEY = 'a.red';

/** Situations of an agenda that is fed, which random schedules rarely reach. */
export const INLET_SCENES = {
  'evidence that comes during an attempt': evidenceDuringAttempt,
  'evidence that comes before an attempt': evidenceBeforeAttempt,
  'a removed key that rows name': removedKeyNamed,
};

/** What comes while an attempt at a parked key is under way is seen by a visit soon after it. */
async function evidenceDuringAttempt(world: World, random: Random): Promise<void> {
  await park(world);
  world.upstream.faults.clear();
  const held = world.calls.hold(pick(random, [/^queue\.load\.load a\.red/, /^queue\.take/]), {
    answer: random() < 0.5,
  });
  await reached(world, held);
  await say(world, 1);
  if (random() < 0.5) world.kill({ lose: false });
  held.release();
  const isVisited = () => world.isFollowed && world.parked.length === 0;
  await runUntil(world, { until: isVisited, withinMs: 30 * MINUTE });
  await expectSaid(world, 1);
}

/** An attempt at a parked key has the evidence that came since the visit that failed. */
async function evidenceBeforeAttempt(world: World, random: Random): Promise<void> {
  await park(world);
  await say(world, 1);
  if (random() < 0.5) await say(world, 2);
  world.upstream.faults.clear();
  await runUntil(world, { until: () => world.parked.length === 0 });
  assert.equal(world.balance.rows, 1, 'a.red: expected the attempt to give a row');
  await runUntil(world, { until: () => world.isFollowed });
  const [first] = await lakeRows(world);
  assert.match(String(first?.company), /"n":[12]/, 'a.red: expected the row of the attempt to have its evidence');
}

/** Rows that name a key do not add it again after a person removed it; what they said is there when a person adds it. */
async function removedKeyNamed(world: World, random: Random): Promise<void> {
  world.upstream.publish(KEY);
  await say(world, 1);
  await followed(world);
  await unwatch(world, [KEY]);
  if (random() < 0.5) world.kill({ lose: false });
  for (let n = 2; n < 4; n++) {
    await say(world, n);
    if (random() < 0.5) await pass(world, random() * 10 * MINUTE);
  }
  assert.equal(world.engine.journal.agenda!.find(KEY), null, 'a.red: expected a removed key to stay out');
  await watch(world, [KEY]);
  await followed(world);
  await expectSaid(world, 3);
}

/** Parks the visit of a key, whose fault goes on. */
async function park(world: World): Promise<void> {
  const { upstream } = world;
  upstream.publish(KEY);
  upstream.faults.set(KEY, { status: 500 });
  await watch(world, [KEY]);
  await runUntil(world, { until: () => world.parked.length === 1 });
}

/** A row of the feeding table says `n` of the key, and the inlet has read it. */
async function say(world: World, n: number): Promise<void> {
  world.feeding.say('p', { key: KEY, facts: { n } });
  world.feeding.settle();
  await runUntil(world, { until: () => world.isFed });
}

async function expectSaid(world: World, n: number): Promise<void> {
  const newest = (await lakeRows(world)).at(-1);
  assert.match(String(newest?.company), new RegExp(`"n":${n}`), 'a.red: expected its newest row to have all evidence');
}
