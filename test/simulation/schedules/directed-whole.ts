import assert from 'node:assert/strict';
import { rangeOf, startRange } from '../../../src/engine/controls/ranges.ts';
import { listingKey } from '../../../src/lake/object-keys.ts';
import { listedPage } from '../../../src/loader/listing.ts';
import type { ListingContext } from '../../../src/sources/source.ts';
import { expectNewest, expectStatuses, lakeRows } from '../oracle/proof.ts';
import { pick, type Random } from '../world/faults.ts';
import { LISTING_FRESH_MS, ROUND_MS } from '../world/serials.ts';
import { followed, pass, reached, runUntil, type World } from '../world/world.ts';

const SECOND = 1_000;
const KEYS = Array.from({ length: 12 }, (_, index) => `key-${String(index).padStart(2, '0')}`);

/** Situations of a sweep over a listing in one answer. */
export const WHOLE_SCENES = {
  'a stored listing that is lost or replaced in its middle': listingGone,
  'a listing that breaks off': listingCut,
  'a listing that is older than the rows': listingOld,
  'a listing with revisions that the feed shows later': listingAhead,
  'a document that lags behind its listing': listingLags,
  'a range of older rows while the tail waits for a revision': rangeOfOlder,
};

/** Situations of a round. */
export const ROUND_SCENES = {
  'facts that change while their key is loaded': factsDuringLoad,
  'facts that change while a range has loaded their key': factsDuringRange,
  'facts of a key that is deleted': factsDeleted,
  'a round whose object is killed': roundKilled,
};

/** A sweep whose listing is gone begins again: what it says is of one listing. */
async function listingGone(world: World, random: Random): Promise<void> {
  const { upstream, bucket, clock } = world;
  const source = world.engine.source.id;
  await listed(world);
  upstream.changeSilently(pick(random, KEYS));
  const held = world.calls.hold(/^load\.list key/);
  await begin(world);
  await reached(world, held);
  bucket.objects.delete(listingKey(source));
  // Another one is of a later time, as the call of an abandoned run may put it late.
  upstream.changeSilently('key-00-new');
  const listing = {
    freshMs: LISTING_FRESH_MS,
    read: async function* () {
      yield upstream.listedKeys();
    },
  };
  const options = { source, listing, bucket, blockKeys: 5, now: () => clock.now() };
  if (random() < 0.5) await listedPage({ after: null, listing: null }, options, {} as ListingContext<unknown>);
  held.release();
  await expectSwept(world, { listed: 13, present: 12, missing: 1, stale: 1, extra: 0, loaded_afresh: 2 });
}

/** Nothing of a listing counts whose end is missing. */
async function listingCut(world: World, random: Random): Promise<void> {
  const { upstream } = world;
  await listed(world);
  upstream.listedKeysMax = 1 + Math.floor(random() * 10);
  await begin(world);
  await pass(world, 20 * SECOND);
  assert.equal(world.engine.audit.status().running?.listed, 0, 'sweep: expected nothing of a listing that breaks off');
  upstream.listedKeysMax = null;
  await expectSwept(world, { listed: 12, present: 12, missing: 0, stale: 0, extra: 0, loaded_afresh: 0 });
}

/** Keys that were accepted after the listing was made are not extra; one that is gone is deleted. */
async function listingOld(world: World, random: Random): Promise<void> {
  const { upstream } = world;
  await listed(world);
  upstream.wholeListing = upstream.listedKeys();
  upstream.publish(['later', pick(random, KEYS.slice(0, 6))]);
  const gone = pick(random, KEYS.slice(6));
  upstream.wholeListing = upstream.wholeListing.filter(({ key }) => key !== gone);
  upstream.changeSilently(gone, { deleted: true });
  await followed(world);
  await begin(world);
  await expectSwept(world, { listed: 11, present: 11, missing: 0, stale: 0, extra: 1, loaded_afresh: 2 });
  await runUntil(world, { until: () => world.parked.length === 0 && world.isFollowed });
  await expectNewest(world);
}

/** The tail pulls the listed revision of a key that the sweep has found stale, and accepts it before the second check. */
async function listingAhead(world: World, random: Random): Promise<void> {
  const { upstream } = world;
  await listed(world);
  const key = pick(random, KEYS.slice(1));
  const isSilent = random() < 0.5;
  // A flush that is due ends the tail's part of a run in the middle of its page.
  world.options.flushBytesMax = 1;
  upstream.faults.set('slow', { status: 429 });
  upstream.publish(['first', 'slow', key]);
  if (isSilent) upstream.changeSilently('key-00');
  const held = world.calls.hold(/^load\.list null/);
  await begin(world);
  await reached(world, held);
  upstream.faults.clear();
  held.release();
  const stale = isSilent ? 1 : 0;
  await expectSwept(world, { listed: 14, present: 14, missing: 0, stale, extra: 0, loaded_afresh: stale });
  await runUntil(world, { until: () => world.parked.length === 0 && world.isFollowed });
  await expectNewest(world);
}

/** A key whose listed revision is never served is loaded by one sweep, and not by the next. */
async function listingLags(world: World, random: Random): Promise<void> {
  const { upstream } = world;
  await listed(world);
  const key = pick(random, KEYS);
  upstream.lagging.set(key, 1);
  const isShown = random() < 0.5;
  if (isShown) upstream.publish(key);
  else upstream.changeSilently(key);
  await runUntil(world, { until: () => world.isFollowed && world.parked.length === 0 });
  const first = isShown ? 0 : 1;
  await begin(world);
  await expectSwept(world, { listed: 12, present: 12, missing: 0, stale: first, extra: 0, loaded_afresh: first });
  await runUntil(world, { until: () => world.parked.length === 0 });
  assert.equal(world.balance.skipped['revision-never-served'], 1, 'balance: expected one revision never served');
  await begin(world);
  await expectSwept(world, { listed: 12, present: 12, missing: 0, stale: 0, extra: 0, loaded_afresh: 0 });
}

/** A range has several older rows of keys, of which the tail waits for the newest revision of one. */
async function rangeOfOlder(world: World, random: Random): Promise<void> {
  const { upstream } = world;
  const rows = ['a', 'b', 'a', 'b', 'a'];
  const seqs = rows.map(key => {
    upstream.publish(key);
    return upstream.seq;
  });
  world.startAt(String(upstream.seq));
  upstream.lagging.set('a', 1 + Math.floor(random() * 3));
  // The newest row of `a` lags, or it has none yet, because its change is parked.
  if (random() < 0.5) upstream.faults.set('a', { status: 403 });
  world.queue.deliver = () => ({ delaysMs: [] });
  upstream.publish('a');
  await followed(world);
  upstream.faults.clear();
  // It ends before the last row of `b`, which nothing else loads.
  await startRange(world.engine, 'backfill', { from: '0', to: String(seqs[2]), rate: 1_000 });
  await runUntil(world, { until: () => rangeOf(world.engine, 'backfill')?.state === 'done' });
  world.queue.deliver = () => ({ delaysMs: [0] });
  upstream.lagging.clear();
  await runUntil(world, { until: () => world.parked.length === 0 && world.isFollowed });
  await expectNewest(world);
}

/** The tail, or an attempt at a parked change, has loaded a key with the facts of before. */
async function factsDuringLoad(world: World, random: Random): Promise<void> {
  const { upstream } = world;
  await listed(world);
  const isTail = random() < 0.5;
  if (isTail) {
    world.options.flushBytesMax = 1;
    upstream.faults.set('slow', { status: 429 });
    upstream.publish(['z-first', 'slow', 'key-00']);
    await runUntil(world, { until: () => world.engine.journal.state.lastLsnOf('z-first') > 0 });
  } else {
    upstream.faults.set('key-00', { status: 403 });
    upstream.publish('key-00');
    await runUntil(world, { until: () => world.parked.length === 1 });
    upstream.faults.clear();
  }
  upstream.setStatus('key-00', 'archived');
  const held = isTail ? null : world.calls.hold(/^queue\.take/);
  if (held) await reached(world, held);
  makeDue(world);
  await runUntilNow(world, () => isChecked(world, 'key-00'));
  upstream.faults.clear();
  await pass(world, random() * 5 * SECOND);
  held?.release();
  await passEnded(world);
  await expectStatuses(world);
}

/** A range has loaded a key with the facts of before, and waits for the tail. */
async function factsDuringRange(world: World, random: Random): Promise<void> {
  const { upstream, engine } = world;
  upstream.publish(KEYS);
  await followed(world);
  upstream.faults.set('key-01', { status: 429 });
  upstream.latencyMs = key => (key === 'key-01' ? random() * SECOND : 0);
  await startRange(engine, 'rewind', { to: '0', rate: 1_000 });
  await runUntil(world, { until: () => world.balance.changes === 13, withinMs: ROUND_MS });
  upstream.setStatus('key-02', 'archived');
  // The change that the round makes is not loaded before the range goes on.
  world.queue.deliver = () => ({ delaysMs: [] });
  makeDue(world, 3);
  await runUntilNow(world, () => isChecked(world, 'key-02'));
  upstream.faults.clear();
  await runUntil(world, { until: () => rangeOf(world.engine, 'rewind')?.state === 'done' });
  world.queue.deliver = () => ({ delaysMs: [0] });
  await runUntil(world, { until: () => world.parked.length === 0 && world.isFollowed });
  await expectStatuses(world);
}

/** Facts end with the key's deletion row, also where an attempt brings that while the round asks. */
async function factsDeleted(world: World, random: Random): Promise<void> {
  const { upstream, calls } = world;
  upstream.setStatus('key-00', 'archived');
  await listed(world);
  if (random() < 0.5) {
    await passEnded(world);
    upstream.remove('key-00');
  } else {
    // A sweep finds that it is gone, and has it loaded.
    upstream.changeSilently('key-00', { deleted: true });
    const attempt = calls.hold(/^queue\.take/);
    await begin(world);
    await reached(world, attempt);
    // The round's answer is of the time before the removal.
    upstream.items.get('key-00')!.deleted = false;
    const asked = calls.hold(/^load\.round key-00/, { answer: true });
    makeDue(world);
    void world.engine.poke();
    await reached(world, asked);
    upstream.items.get('key-00')!.deleted = true;
    attempt.release();
    await pass(world, SECOND);
    assert.equal(world.balance.tombstones, 1, 'scene: expected the deletion to be accepted while the round asks');
    asked.release();
  }
  await runUntil(world, { until: () => world.parked.length === 0 && world.isFollowed });
  assert.equal(world.balance.tombstones, 1, 'balance: expected one deletion');
  await expectStatuses(world);
  upstream.setStatus('key-00', null);
  upstream.publish('key-00');
  await followed(world);
  const newest = (await lakeRows(world)).filter(({ name }) => name === 'key-00').at(-1);
  assert.equal(newest?.license, null, 'key-00: expected no facts of before its deletion');
}

/** Wherever the object dies, each change of facts is loaded once. */
async function roundKilled(world: World, random: Random): Promise<void> {
  const { upstream, calls } = world;
  await listed(world);
  for (const key of KEYS) if (random() < 0.3) upstream.setStatus(key, 'archived');
  const changes = world.balance.changes + upstream.statuses.size;
  let left = Math.floor(random() * 40);
  const isBefore = random() < 0.5;
  const lose = random() < 0.5;
  const kill = (call: string) => {
    if (/^(load\.round|wake|queue\.)/.test(call) && left-- === 0) world.kill({ lose });
  };
  if (isBefore) calls.before(kill);
  else calls.after(kill);
  await passEnded(world);
  await expectStatuses(world);
  assert.equal(world.balance.changes, changes, 'balance: expected one change for each key whose facts changed');
}

async function listed(world: World): Promise<void> {
  world.settings.pageChanges = 5;
  world.upstream.publish(KEYS);
  await followed(world);
}

async function begin(world: World): Promise<void> {
  assert.ok(world.engine.audit.startSweep(1), 'scene: expected no sweep to run');
  await world.engine.poke();
}

/** Makes the next keys of the round due now. */
function makeDue({ storage, engine }: World, keys = 1): void {
  const { round } = engine.journal;
  storage.sql.exec('UPDATE round SET paced_ms = paced_ms - ?', Math.ceil((keys * ROUND_MS) / round!.countKeys()));
  storage.flush();
}

/** Has runs go on until something holds, which may be in the middle of one. */
async function runUntilNow(world: World, until: () => boolean): Promise<void> {
  await world.engine.poke();
  await runUntil(world, { until, withinMs: 2 * ROUND_MS });
}

function isChecked({ upstream }: World, key: string): boolean {
  return upstream.requests.some(({ subject }) => subject === `status ${key}`);
}

/** Lets the pass under way and a whole one end, and all changes be loaded. */
async function passEnded(world: World): Promise<void> {
  const pass = () => world.engine.journal.round!.current()?.pass ?? 0;
  const before = pass();
  const isQuiet = () => world.parked.length === 0 && world.isFollowed;
  await runUntil(world, { until: () => pass() > before + 1 && isQuiet(), withinMs: 4 * ROUND_MS });
}

type Counts = Record<'listed' | 'present' | 'missing' | 'stale' | 'extra' | 'loaded_afresh', number>;

async function expectSwept(world: World, expected: Counts): Promise<void> {
  const { audit } = world.engine;
  await runUntil(world, { until: () => audit.status().running === null && audit.status().last !== null });
  await runUntil(world, { until: () => world.parked.every(({ from_sweep }) => from_sweep === 0) });
  const { listed, present, missing, stale, extra, loaded_afresh } = audit.status().last!;
  assert.deepEqual({ listed, present, missing, stale, extra, loaded_afresh }, expected, 'sweep: expected these counts');
  assert.ok(!world.bucket.objects.has(listingKey(world.engine.source.id)), 'sweep: expected no listing to be left');
}
