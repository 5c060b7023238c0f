import assert from 'node:assert/strict';
import { calmAgenda } from '../clients/agenda-round.ts';
import { expectLetters } from '../clients/dead-letters.ts';
import { expectVisits, visitAll } from '../oracle/agenda-ending.ts';
import { expectChecked, expectSwept } from '../oracle/audit-proof.ts';
import {
  expectAccounted,
  expectInOrder,
  expectNewest,
  expectOnce,
  expectPages,
  expectProof,
  expectSameBytes,
} from '../oracle/proof.ts';
import { CLEAR } from '../world/disturb.ts';
import { coalescing, pages } from '../world/sources.ts';
import { pass, settle } from '../world/world.ts';
import { HELD_MS_MAX, type Scene, SEEDS_PER_PARQUET } from './schedule.ts';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

/** Nothing is disturbed any more; all that is owed comes in. */
export async function calmDown(scene: Scene): Promise<void> {
  const { world, faults, oracle, people, weather, mayStall } = scene;
  const { upstream, bucket } = world;
  faults.calm = true;
  Object.assign(weather, CLEAR);
  upstream.faults.clear();
  upstream.lagging.clear();
  upstream.feedFault = null;
  upstream.documentsFault = null;
  if (people.agenda) calmAgenda(world);
  await world.engine.watch();
  // What was held up lands first.
  await pass(world, HELD_MS_MAX, () => world.calls.underWay === 0);
  // Nothing is published any more: looking for it would only take long.
  world.pollEvery(60 * MINUTE);
  for (const [key, { head }] of bucket.objects) if (head.metadata.digest === 'foreign') bucket.objects.delete(key);
  oracle.check();
  await world.engine.watch();
  if (faults.draw('paused at the end').random() < 0.25) await emptyPaused(scene);
  if (world.engine.paused) await world.engine.control('start');
  await people.ranges.finish(faults.draw('ranges at the end').random);
  await people.pushes.finish();
  await becomeQuiet(scene);
  if (!isStalled(scene) && !oracle.hasForgotten) expectLetters(world);
  await people.letters.replay({});
  await becomeQuiet(scene);
  if (isStalled(scene)) return;
  await visitAll(scene, () => becomeQuiet(scene));
  if (!people.audits.isOn) return;
  await expectChecked(scene);
  if (world.kind === coalescing && !mayStall) await expectSwept(scene, () => becomeQuiet(scene));
}

/** All that is owed comes in; what is dead stays so. */
async function becomeQuiet(scene: Scene): Promise<void> {
  const { world, oracle, people } = scene;
  const isTold = () => world.engine.journal.parked.letters.unpublished(1).length === 0;
  const isDone = () => world.isFollowed && world.parked.length === 0 && people.ranges.areDone && isTold();
  const until = () => oracle.violation !== null || isDone() || isStalled(scene);
  // A host's wait is believed up to a day, and up to two where it was noted by a clock that was ahead.
  await settle(world, { until, withinMs: 3 * DAY });
  oracle.check();
}

function isStalled({ world, mayStall }: Scene): boolean {
  return mayStall && world.state === 'stalled';
}

/** A paused source brings what it has accepted into files, and the database knows of it. */
async function emptyPaused({ world, oracle, mayStall }: Scene): Promise<void> {
  await world.engine.control('pause');
  const isEmpty = () => world.engine.files.backlog().rows === 0 && world.engine.files.unpublished(1).length === 0;
  const isStalled = () => mayStall && world.engine.journal.state.faults().some(({ stalls }) => stalls === 1);
  const until = () => oracle.violation !== null || isEmpty() || isStalled();
  await settle(world, { until, withinMs: 60 * MINUTE });
  oracle.check();
}

/** All promises, on what is left at the end. */
export async function expectAll(scene: Scene, seed: number): Promise<void> {
  const { world, oracle, people, mayStall } = scene;
  if (isStalled(scene)) return expectOnce(world);
  await expectProof(world);
  const { deadSilently } = people.audits;
  assert.equal(world.balance.dead, deadSilently, 'balance: expected no dead change after all were replayed');
  if (!oracle.hasForgotten) expectLetters(world);
  const { excused } = people;
  const isMissed = (key: string) => people.audits.mayMiss(key);
  if (people.visits) await expectVisits(world, people.visits);
  else if (world.kind === pages) await expectPages(world, excused);
  else await expectNewest(world, excused);
  if (!oracle.hasForgotten) await expectAnswered(scene);
  // Where a visit's row stands is told above.
  const shown = people.visits ? { has: () => true } : oracle.shown;
  if (!mayStall) await expectAccounted(world, { shown, pushed: people.pushes.places, isMissed });
  if (seed % SEEDS_PER_PARQUET === 0) await expectSameBytes(world);
}

/** What an object that kept its storage has answered for. */
async function expectAnswered({ world, people }: Scene): Promise<void> {
  if (!people.visits) await expectInOrder(world);
  await people.ranges.expect(people.letters.dismissed);
  await people.pushes.expect();
}
