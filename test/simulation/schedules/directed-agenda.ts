import assert from 'node:assert/strict';
import { githubProfile } from '../../../schemas/github_profile.ts';
import { takePush } from '../../../src/engine/controls/push.ts';
import { lakeRows } from '../oracle/proof.ts';
import { pick, type Random } from '../world/faults.ts';
import { rowOf } from '../world/sources.ts';
import { requestTimes, unwatch, visitCount, watch } from '../world/visits.ts';
import { followed, nextRun, pass, runUntil, type World } from '../world/world.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Situations of an agenda that random schedules rarely reach. */
export const AGENDA_SCENES = {
  'a clock that was a year ahead': yearAhead,
  'spaces that share a host': sharedHost,
  'a host that sends Retry-After': retryAfter,
  'a slow host whose keys are loaded alone': slowHost,
  'a second host that is blocked': secondHostBlocked,
  'a deleted key that is added again': deletedKey,
  'first visits beside revisits': firstVisits,
  'a visit, a push, the same visit': pushBetweenVisits,
  'a database that is full': fullDatabase,
};

/** Keys whose due times a clock set a year ahead are visited when the clock is right again. */
async function yearAhead(world: World, random: Random): Promise<void> {
  const keys = names('red', 1 + Math.floor(random() * 5));
  await startWatching(world, { red: 'red.test' }, keys);
  await followed(world);
  const aheadMs = (300 + Math.floor(random() * 1_000)) * DAY;
  world.clock.jump(aheadMs);
  await world.engine.poke();
  await runUntil(world, { until: () => visitCount(world) === 2 * keys.length });
  world.clock.jump(-aheadMs);
  if (random() < 0.5) world.kill({ lose: false });
  await world.engine.watch();
  await runUntil(world, { until: () => visitCount(world) === 3 * keys.length, withinMs: 2 * HOUR });
}

/** Spaces that are due at the same time take turns, however few slots their host has. */
async function sharedHost(world: World, random: Random): Promise<void> {
  const spaces = Array.from({ length: 18 + Math.floor(random() * 7) }, (_, index) => `s${letter(index)}`);
  setPace(world, 1);
  const keys = spaces.flatMap(space => names(space, 8));
  await startWatching(world, Object.fromEntries(spaces.map(space => [space, 'one.test'])), keys);
  await runUntil(world, { until: () => requestTimes(world, 'one.test').length >= 4 * spaces.length });
  for (const space of spaces) {
    const visits = world.upstream.requests.filter(({ subject }) => subject.endsWith(`.${space}`)).length;
    assert.ok(visits >= 2, `${space}: expected two of four turns by now, got ${visits} visits`);
  }
}

/** A host that sent Retry-After gets no request before that time, even when the object dies meanwhile. */
async function retryAfter(world: World, random: Random): Promise<void> {
  const { upstream } = world;
  const waitMs = pick(random, [2 * MINUTE, 40 * MINUTE, 7 * HOUR]);
  const keys = [...names('red', 30), ...names('blue', 30)];
  upstream.hostFaults.set('red.test', { status: 429, retryAfterMs: waitMs });
  await startWatching(world, { red: 'red.test', blue: 'blue.test' }, keys);
  await runUntil(world, { until: () => requestTimes(world, 'red.test').length > 0 });
  const answeredMs = world.clock.now();
  const before = requestTimes(world, 'red.test').length;
  if (random() < 0.5) world.kill({ lose: false });
  await world.engine.watch();
  await pass(world, waitMs - MINUTE);
  assert.equal(
    requestTimes(world, 'red.test').length,
    before,
    'red.test: expected no request before Retry-After is over',
  );
  upstream.hostFaults.clear();
  await followed(world);
  const nextMs = requestTimes(world, 'red.test')[before]!;
  assert.ok(
    nextMs >= answeredMs + waitMs - MINUTE,
    `red.test: expected a wait of ${waitMs} ms, got ${nextMs - answeredMs}`,
  );
  assert.equal(world.balance.rows, keys.length, 'rows: expected one of each key');
}

/** After a dead Loader call each key of a slow host is loaded alone; keys of other hosts wait for only a few of them. */
async function slowHost(world: World, random: Random): Promise<void> {
  const slow = names('red', 40);
  const quick = names('blue', 20 + Math.floor(random() * 30));
  world.upstream.latencyMs = (_, host) => (host === 'red.test' ? pick(random, [13, 15, 17]) * SECOND : 200);
  world.calls.fail(/^load\.load/, { times: 1 });
  await startWatching(world, { red: 'red.test', blue: 'blue.test' }, slow);
  await nextRun(world);
  world.upstream.publish(quick);
  await watch(world, quick);
  const isVisited = (key: string) => world.engine.journal.agenda!.find(key)!.outcome !== null;
  await runUntil(world, { until: () => quick.every(isVisited), withinMs: 2 * MINUTE });
  await runUntil(world, { until: () => slow.every(isVisited), withinMs: 30 * MINUTE });
}

/** Keys with a second half are visited without it while the host of the second half is blocked. */
async function secondHostBlocked(world: World, random: Random): Promise<void> {
  const keys = [...names('red', 5), ...names('blue', 1 + Math.floor(random() * 5))];
  for (const key of keys) world.upstream.halves.set(key, { host: 'both.test', text: 'half' });
  await startWatching(world, { red: 'red.test', blue: 'blue.test' }, keys);
  await runUntil(world, { until: () => visitCount(world) === keys.length });
  world.upstream.hostFaults.set('both.test', { status: 429, retryAfterMs: 20 * HOUR });
  await runUntil(world, { until: () => visitCount(world) === 2 * keys.length, withinMs: 2 * HOUR });
  await runUntil(world, { until: () => visitCount(world) === 3 * keys.length, withinMs: 3 * HOUR });
  world.upstream.hostFaults.clear();
}

/** A deleted key gives one deletion row, however often it is removed and added again. */
async function deletedKey(world: World, random: Random): Promise<void> {
  await startWatching(world, { red: 'red.test' }, ['a.red', 'b.red']);
  await followed(world);
  world.upstream.remove('a.red');
  await runUntil(world, { until: () => world.balance.tombstones === 1 });
  for (let times = 1 + Math.floor(random() * 3); times > 0; times--) {
    const before = visitCount(world);
    await unwatch(world, ['a.red']);
    if (random() < 0.5) await pass(world, random() * HOUR);
    await watch(world, ['a.red']);
    await runUntil(world, { until: () => visitCount(world) > before && world.isFollowed });
  }
  assert.equal(world.balance.tombstones, 1, 'a.red: expected one deletion');
}

/** While keys are due again, first visits get half of their host. */
async function firstVisits(world: World, random: Random): Promise<void> {
  setPace(world, 0.25);
  const keys = names('red', 150 + Math.floor(random() * 75));
  await startWatching(world, { red: 'red.test' }, keys);
  const startMs = world.clock.now();
  await pass(world, 40 * MINUTE);
  const more = names('red', 875).slice(250);
  world.upstream.publish(more);
  await watch(world, more);
  await pass(world, 32 * MINUTE);
  const isFirst = new Set(more);
  const shareOf = (fromMs: number, toMs: number) => {
    const asked = world.upstream.requests.filter(
      ({ host, atMs }) => host === 'red.test' && atMs >= startMs + fromMs && atMs < startMs + toMs,
    );
    return asked.filter(({ subject }) => isFirst.has(subject)).length / asked.length;
  };
  const before = shareOf(45 * MINUTE, 55 * MINUTE);
  assert.ok(before > 0.9, `first visits: expected the whole host while no key is due again, got a share of ${before}`);
  const beside = shareOf(62 * MINUTE, 70 * MINUTE);
  assert.ok(Math.abs(beside - 0.5) < 0.1, `first visits: expected half of the host beside revisits, got ${beside}`);
}

/** After a push of a row, the next visit gives its key's row again though it finds what the one before found. */
async function pushBetweenVisits(world: World, random: Random): Promise<void> {
  const keys = names('red', 1 + Math.floor(random() * 5));
  await startWatching(world, { red: 'red.test' }, keys);
  await followed(world);
  if (random() < 0.3) world.upstream.remove(keys[0]!);
  await runUntil(world, { until: () => visitCount(world) === 2 * keys.length });
  const row = rowOf(githubProfile, { username: keys[0]!, bio: 'pushed' });
  const part = { identity: 'scene', table: githubProfile.name, rows: [{ line: 1, row }] };
  await world.ask('object.push', engine => takePush(engine, part));
  if (random() < 0.5) world.kill({ lose: false });
  await world.engine.watch();
  await runUntil(world, { until: () => visitCount(world) === 4 * keys.length && world.isFollowed });
  const item = world.upstream.items.get(keys[0]!)!;
  const newest = (await lakeRows(world)).findLast(({ username }) => username === keys[0])!;
  assert.equal(newest.bio, item.deleted ? null : item.text, `${keys[0]}: expected what its host says`);
}

/** While the object's database is full no new key is watched, and those that are there are visited. */
async function fullDatabase(world: World, random: Random): Promise<void> {
  const keys = names('red', 1 + Math.floor(random() * 5));
  await startWatching(world, { red: 'red.test' }, keys);
  await followed(world);
  const room = world.options.room!;
  room.bytesMax = world.engine.room.bytes - 1;
  if (random() < 0.5) world.kill({ lose: false });
  await world.engine.watch();
  world.upstream.publish([...keys, 'new.red']);
  const { refused } = await watch(world, ['new.red']);
  assert.ok(refused !== null, 'new.red: expected it refused');
  assert.equal(world.state, 'full');
  await runUntil(world, { until: () => visitCount(world) === 2 * keys.length && world.isFollowed });
  assert.equal(world.engine.journal.agenda!.find('new.red'), null, 'new.red: expected it not watched');
  room.bytesMax = Number.MAX_SAFE_INTEGER;
  await watch(world, ['new.red']);
  await runUntil(world, { until: () => world.engine.journal.agenda!.find('new.red')!.outcome === 'found' });
}

async function startWatching(world: World, servers: Record<string, string>, keys: string[]): Promise<void> {
  Object.assign(world.upstream.servers, servers);
  world.upstream.publish(keys);
  await watch(world, keys);
}

/** Starts another instance, because settings are read at the start. */
function setPace(world: World, requestsPerSecond: number): void {
  const pace = { hostRequestsPerSecond: requestsPerSecond, hostRequestsPerSecondMax: requestsPerSecond };
  Object.assign(world.settings, pace);
  world.kill({ lose: false });
}

function names(space: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `n${index}.${space}`);
}

function letter(index: number): string {
  return String.fromCharCode(97 + index);
}
