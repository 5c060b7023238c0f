import assert from 'node:assert/strict';
import { MISSED_WAITING_MAX } from '../../../src/engine/journal/sweeps.ts';
import type { Random } from '../world/faults.ts';
import { followed, pass, reached, runUntil, type World } from '../world/world.ts';

const SECOND = 1_000;

/** Situations of a sweep that random schedules rarely reach. */
export const AUDIT_SCENES = {
  'a sweep while a page is pending': pagePending,
  'a listing that leaves a key out': keyLeftOut,
  'a missing key that the feed shows later': missingAndShown,
  'a missing key that is deleted before its attempt': missingAndDeleted,
  'a listing that is answered late': answeredLate,
};

/** The tail has pulled the changes of keys that a sweep finds missing or extra, and accepts them before the second check. */
async function pagePending(world: World, random: Random): Promise<void> {
  const { upstream } = world;
  upstream.publish(['a', 'b', 'gone']);
  await followed(world);
  // A flush that is due ends the tail's part of a run in the middle of its page.
  world.options.flushBytesMax = 1;
  upstream.faults.set('slow', { status: 429 });
  upstream.publish(random() < 0.5 ? ['first', 'slow', 'new'] : ['first', 'slow', 'a', 'new']);
  upstream.remove('gone');
  world.engine.audit.startSweep(1);
  const listed = world.calls.hold(/^load\.list/);
  await reached(world, listed);
  assert.ok(world.engine.journal.state.lastLsnOf('new') === 0, 'scene: expected the page to be pending');
  upstream.faults.clear();
  listed.release();
  await expectSwept(world, { listed: 5, present: 5, missing: 0, deleted: 0, extra: 0, loaded_afresh: 0 });
}

/** A key that one listing leaves out is in the next. */
async function keyLeftOut(world: World, random: Random): Promise<void> {
  const { upstream } = world;
  const keys = Array.from({ length: 3 + Math.floor(random() * 5) }, (_, index) => `key-${index}`);
  upstream.publish(keys);
  await followed(world);
  const left = keys[Math.floor(random() * keys.length)];
  let pages = 0;
  upstream.alterList = page => (pages++ > 0 ? page : { ...page, keys: page.keys.filter(key => key !== left) });
  world.engine.audit.startSweep(1);
  await world.engine.poke();
  const present = keys.length - 1;
  await expectSwept(world, { listed: present, present, missing: 0, deleted: 0, extra: 0, loaded_afresh: 0 });
}

/** More keys are missing than are loaded at once; the feed shows one of those that wait. */
async function missingAndShown(world: World, random: Random): Promise<void> {
  const { upstream, queue } = world;
  const keys = Array.from({ length: MISSED_WAITING_MAX + 5 }, (_, index) => `key-${String(index).padStart(2, '0')}`);
  upstream.publish('other');
  await followed(world);
  for (const key of keys) upstream.changeSilently(key);
  queue.deliver = () => ({ delaysMs: [] });
  world.engine.audit.startSweep(1);
  await world.engine.poke();
  await runUntil(world, { until: () => world.parked.length === MISSED_WAITING_MAX });
  upstream.publish(keys.slice(MISSED_WAITING_MAX + Math.floor(random() * 5)));
  await followed(world);
  queue.deliver = () => ({ delaysMs: [0] });
  const shown = world.balance.rows - 1;
  assert.ok(shown > 0, 'scene: expected a key that the feed has shown');
  const counts = { listed: keys.length + 1, present: 1, missing: keys.length, loaded_afresh: keys.length - shown };
  await expectSwept(world, { ...counts, deleted: 0, extra: 0 });
}

/** A key that was listed, and is deleted without showing it in the feed, ends as a change without rows. */
async function missingAndDeleted(world: World, random: Random): Promise<void> {
  const { upstream, calls } = world;
  upstream.publish('other');
  await followed(world);
  upstream.changeSilently('a');
  const attempt = calls.hold(/^queue\.load\.load a/);
  // An attempt that counts as any other makes the change dead soon.
  world.options.retry.attemptsMax = 2;
  world.engine.audit.startSweep(1);
  await world.engine.poke();
  await reached(world, attempt);
  upstream.changeSilently('a', { deleted: true });
  await pass(world, random() * 5 * SECOND);
  attempt.release();
  await runUntil(world, { until: () => world.parked.length === 0 });
  const { changes, dead, skipped } = world.balance;
  assert.deepEqual({ changes, dead, none: skipped['no-rows'] }, { changes: 2, dead: 0, none: 1 }, 'balance');
}

/** A page of the listing arrives when its run was given up and another run has continued the sweep. */
async function answeredLate(world: World, random: Random): Promise<void> {
  const { upstream } = world;
  world.settings.pageChanges = 2 + Math.floor(random() * 3);
  upstream.publish(Array.from({ length: 20 }, (_, index) => String.fromCharCode(97 + index)));
  await followed(world);
  const first = world.calls.hold(/^load\.list null/, { answer: true });
  world.engine.audit.startSweep(1);
  await world.engine.poke();
  await reached(world, first);
  const later = world.calls.hold(/^load\.list (?!null)/);
  await reached(world, later);
  first.release();
  await pass(world, SECOND);
  later.release();
  await expectSwept(world, { listed: 20, present: 20, missing: 0, deleted: 0, extra: 0, loaded_afresh: 0 });
}

type Counts = Record<'listed' | 'present' | 'missing' | 'deleted' | 'extra' | 'loaded_afresh', number>;

async function expectSwept(world: World, expected: Counts): Promise<void> {
  const { audit } = world.engine;
  await runUntil(world, { until: () => audit.status().running === null && audit.status().last !== null });
  const { listed, present, missing, deleted, extra, loaded_afresh, missing_keys, extra_keys } = audit.status().last!;
  const counts = { listed, present, missing, deleted, extra, loaded_afresh };
  assert.deepEqual(counts, expected, 'sweep: expected these counts');
  const names = { missing: missing_keys.length, extra: extra_keys.length };
  assert.deepEqual(names, { missing, extra }, 'sweep: expected as many names as are counted');
}
