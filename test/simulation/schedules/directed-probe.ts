import assert from 'node:assert/strict';
import { lakeRows } from '../oracle/proof.ts';
import { pick, type Random } from '../world/faults.ts';
import { PROBE_HOST, PROBE_KEYS } from '../world/probing.ts';
import { requestTimes, watch } from '../world/visits.ts';
import { nextRun, pass, runUntil, type World } from '../world/world.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** Situations of an agenda whose source has a probe, in which random schedules would rarely be. */
export const PROBE_SCENES = {
  'a key that fails its probe': failingKey,
  'changed keys of a blocked host': blockedHost,
  'a key that moves': movingKey,
  'a name that another key takes': takenName,
  'a key with several visits of work': unfinishedKey,
  'a host whose quota is used up': spentQuota,
};

/** The key that fails is put off, costs no request of its own, and the others are probed. */
async function failingKey(world: World, random: Random): Promise<void> {
  const keys = await startVisited(world, 12 + Math.floor(random() * 20));
  const failing = pick(random, keys);
  world.upstream.probeFaults.set(failing, { status: pick(random, [500, 502]) });
  world.upstream.requests.length = 0;
  await disturbed(world, random);
  const isAgain = (key: string) => key === failing || world.engine.journal.agenda!.find(key)!.times >= 2;
  await runUntil(world, { until: () => keys.every(isAgain), withinMs: 90 * MINUTE });
  assert.deepEqual(requestTimes(world, failing), [], `${failing}: expected no request of its own`);
  assert.equal(outcomeOf(world, failing), 'failed', `${failing}: expected it put off`);
  const requests = requestTimes(world, PROBE_HOST).length;
  const most = Math.ceil(keys.length / PROBE_KEYS) * 4 + 8;
  assert.ok(requests <= most, `probe: expected at most ${most} requests, got ${requests}`);
}

/** A host that says that nothing is left is not asked before its reset, and then its keys are visited. */
async function spentQuota(world: World, random: Random): Promise<void> {
  const limit = 5 + Math.floor(random() * 20);
  const windowMs = (20 + Math.floor(random() * 40)) * MINUTE;
  world.upstream.quotas.set('red.test', { limit, windowMs, startMs: 0, used: 0 });
  await startVisited(world, 0, names('red', limit));
  const { startMs } = world.upstream.quotas.get('red.test')!;
  const more = names('red', limit + 4).slice(limit);
  await startVisited(world, 0, [...more, 'z.blue']);
  const times = requestTimes(world, 'red.test').slice(limit);
  assert.equal(times.length, more.length, `red.test: expected ${more.length} requests more, got ${times.length}`);
  for (const atMs of times)
    assert.ok(
      atMs >= startMs + windowMs,
      `red.test: expected no request before its reset, got one ${atMs - startMs} ms in`,
    );
  const waitedMs = requestTimes(world, 'blue.test')[0]! - startMs;
  assert.ok(waitedMs < windowMs, `blue.test: expected no wait for another host, got ${waitedMs} ms`);
}

/** Keys are probed, and those of other hosts loaded, although many keys that changed wait for a host that is blocked. */
async function blockedHost(world: World, random: Random): Promise<void> {
  const changing = names('red', 105 + Math.floor(random() * 30));
  await startVisited(world, 0, changing);
  // The host is blocked by the time these are due, and the last red key changes as well.
  await pass(world, MINUTE);
  await startVisited(world, 0, ['z.blue', 'last.red']);
  const others = names('red', 200).slice(150);
  await startVisited(world, 0, others);
  changing.push('last.red');
  world.upstream.publish([...changing, 'z.blue'], 'second');
  world.upstream.hostFaults.set('red.test', { status: 429, retryAfterMs: 20 * HOUR });
  const found = (key: string) => world.engine.journal.agenda!.find(key)!;
  const isNew = (key: string) => found(key).facts?.includes('"revision":2') === true;
  const isProbed = (key: string) => found(key).times >= 2;
  await runUntil(world, { until: () => isNew('z.blue') && others.every(isProbed), withinMs: 2 * HOUR });
  world.upstream.hostFaults.clear();
  await runUntil(world, { until: () => changing.every(isNew), withinMs: 40 * HOUR });
}

/** A key that moves is watched under one name, with its facts, and its old name has a deletion. */
async function movingKey(world: World, random: Random): Promise<void> {
  await startVisited(world, 0, ['a.red', 'c.red']);
  const isKnown = random() < 0.3;
  if (isKnown) {
    world.upstream.publish('b.blue', 'first');
    await watch(world, ['b.blue']);
  }
  world.upstream.publish('a.red', 'moved b.blue');
  await disturbed(world, random);
  await runUntil(world, { until: () => world.engine.journal.agenda!.find('a.red') === null, withinMs: 3 * HOUR });
  const { agenda } = world.engine.journal;
  const keys = agenda!.list({ after: null, limit: 9 });
  assert.deepEqual(
    keys.map(({ key }) => key),
    ['b.blue', 'c.red'],
  );
  if (!isKnown) assert.equal(keys[0]!.revisit, 1, 'b.blue: expected what the visits of a.red found');
  const counted = agenda!.spaces().reduce((sum, space) => sum + space.keys, 0);
  assert.equal(counted, 2, 'spaces: expected two keys');
  await runUntil(world, { until: () => world.isFollowed });
  const rows = (await lakeRows(world)).filter(({ username }) => username === 'a.red');
  assert.equal(rows.at(-1)!._op, 'delete', 'a.red: expected a deletion');
}

/** A key moves, and another moves to its name. In whatever order they are visited, each name has the row of its own thing. */
async function takenName(world: World, random: Random): Promise<void> {
  const keys = ['a.red', 'c.red'];
  Object.assign(world.upstream.servers, { red: 'red.test', blue: 'blue.test' });
  world.upstream.publish(['a.red'], 'first @one');
  world.upstream.publish(['c.red'], 'first @two');
  await watch(world, keys);
  await runUntil(world, { until: () => keys.every(key => outcomeOf(world, key) !== null) });
  const moves = [() => world.upstream.publish(['a.red'], 'moved b.blue @one')];
  moves.push(() => world.upstream.publish(['c.red'], 'moved a.red @two'));
  if (random() < 0.5) moves.reverse();
  const isMoved = (key: string, to: string) => world.engine.journal.agenda!.moved.currentOf(key) === to;
  for (const [turn, move] of moves.entries()) {
    move();
    await disturbed(world, random);
    // Half of the time both are visited in one slice.
    if (turn === 1 || random() < 0.5) await pass(world, 3 * HOUR);
  }
  const isDone = () => isMoved('c.red', 'a.red') || isMoved('c.red', 'b.blue');
  await runUntil(world, { until: isDone, withinMs: 6 * HOUR });
  await runUntil(world, { until: () => world.engine.journal.agenda!.find('b.blue') !== null, withinMs: 6 * HOUR });
  await runUntil(world, { until: () => world.isFollowed });
  const rows = await lakeRows(world);
  const newest = (name: string) => rows.findLast(({ username }) => username === name);
  for (const [name, op, thing] of [
    ['a.red', 'upsert', 'two'],
    ['b.blue', 'upsert', 'one'],
    ['c.red', 'delete', 'two'],
  ] as const) {
    const { _op, github_id } = newest(name) ?? {};
    assert.deepEqual([name, _op, github_id], [name, op, thing], `${name}: expected the row of its own thing`);
  }
}

/** A key with more work goes on at once, part by part, each once. */
async function unfinishedKey(world: World, random: Random): Promise<void> {
  await startVisited(world, 0, ['a.red', 'b.red']);
  const parts = 2 + Math.floor(random() * 6);
  world.upstream.publish('a.red', `parts ${parts}`);
  const isDone = () => world.engine.journal.agenda!.find('a.red')!.facts?.includes(`"part":${parts}`) === true;
  await runUntil(world, { until: () => requestTimes(world, 'a.red').length >= 2 });
  await disturbed(world, random);
  await pass(world, 5 * MINUTE, isDone);
  assert.ok(isDone(), `a.red: expected all ${parts} parts within minutes`);
  await runUntil(world, { until: () => world.isFollowed });
  const repos = await lakeRows(world, world.engine.source.tables[1]);
  assert.deepEqual(
    repos.map(row => row.full_name),
    Array.from({ length: parts }, (_, index) => `a.red/${index + 1}`),
  );
}

/** Watches keys and lets each have its first visit. */
async function startVisited(world: World, count: number, keys = names('red', count)): Promise<string[]> {
  Object.assign(world.upstream.servers, { red: 'red.test', blue: 'blue.test' });
  world.upstream.publish(keys, 'first');
  await watch(world, keys);
  const isVisited = (key: string) => world.engine.journal.agenda!.find(key)!.outcome !== null;
  await runUntil(world, { until: () => keys.every(isVisited) });
  return keys;
}

/** In half of the plays the object dies. */
async function disturbed(world: World, random: Random): Promise<void> {
  if (random() < 0.5) return;
  world.kill({ lose: random() < 0.5 });
  await world.engine.watch();
  await nextRun(world);
}

function outcomeOf(world: World, key: string): string | null {
  return world.engine.journal.agenda!.find(key)!.outcome;
}

function names(space: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `n${index}.${space}`);
}
