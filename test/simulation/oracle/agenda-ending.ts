import assert from 'node:assert/strict';
import { HOSTS } from '../clients/agenda-client.ts';
import { changeDocuments, disturbHost, HOST_FAULTS, repairAgenda } from '../clients/agenda-step.ts';
import type { Schedule } from '../schedules/schedule.ts';
import { pick } from '../world/faults.ts';
import { nextRun, pass, type World } from '../world/world.ts';
import { freshUntilMs } from './agenda-state.ts';
import { lakeRows } from './proof.ts';
import type { Appended, VisitOracle } from './visit-oracle.ts';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
/** Besides the time that its own host takes for all keys, a key waits at most this long: three slices and a recovery. */
const BOUND_MS = 70_000;
/** No rule sets a due time later than this; a clock that jumped back may leave one. */
const AHEAD_MS_MAX = 200 * DAY;

/**
 * Makes every key due three more times: first to see that each is visited, then while one host fails, and last so that
 * the newest rows are what the upstream says.
 */
export async function visitAll(schedule: Schedule, becomeQuiet: () => Promise<void>): Promise<void> {
  const { world, faults, clients } = schedule;
  const { visits } = clients;
  if (!visits) return;
  // A run repairs due times that a clock that was ahead has set.
  await world.engine.poke();
  await nextRun(world);
  for (const [key, { due_ms }] of visits.state.keys)
    assert.ok(due_ms <= world.clock.now() + AHEAD_MS_MAX, `${key}: expected it due by any rule, got ${due_ms}`);
  if (!(await visitOnce(schedule, visits, becomeQuiet))) return;
  const { random } = faults.draw('agenda at the end');
  changeDocuments(world.upstream, random, 12);
  await visitDuringFault(world, visits, { host: pick(random, HOSTS), fault: pick(random, HOST_FAULTS) });
  repairAgenda(world);
  changeDocuments(world.upstream, random, 12);
  await becomeQuiet();
  await visitOnce(schedule, visits, becomeQuiet);
}

/** Moves the clock past all due times, all blocks of hosts, and the time for which the list of servers is fresh. */
async function makeDue({ clock, storage, engine }: World, { state }: VisitOracle): Promise<void> {
  const dueMs = [...state.keys.values()].map(({ due_ms }) => due_ms);
  const waitMs = [...state.hosts.values()].map(({ blocked_until_ms }) => blocked_until_ms);
  clock.jump(Math.max(clock.now(), freshUntilMs(storage.sql), ...dueMs, ...waitMs) - clock.now() + 1);
  await engine.watch();
}

/** Every key is visited when it is due. False where the source stalls first, as it may after its storage was restored. */
async function visitOnce(
  { world, mayStall }: Schedule,
  visits: VisitOracle,
  becomeQuiet: () => Promise<void>,
): Promise<boolean> {
  const before = new Map(visits.visits);
  await makeDue(world, visits);
  await becomeQuiet();
  if (mayStall && world.state === 'stalled') return false;
  for (const key of visits.state.keys.keys())
    assert.ok((visits.visits.get(key) ?? 0) > (before.get(key) ?? 0), `${key}: expected a visit once it was due`);
  return true;
}

/** While one host fails, the keys of the other hosts are visited at the pace of their hosts. */
async function visitDuringFault(
  world: World,
  visits: VisitOracle,
  { host, fault }: { host: string; fault: (typeof HOST_FAULTS)[number] },
): Promise<void> {
  const { upstream, engine, clock } = world;
  const before = new Map(visits.visits);
  const hostOf = (key: string) => upstream.servers[key.split('.')[1]!]!;
  const others = [...visits.state.keys.keys()].filter(key => hostOf(key) !== host);
  const keysOf = Map.groupBy(others, hostOf);
  const times = [...keysOf].map(([one, keys]) => (keys.length * 1_000) / engine.admission.rateOf(one, clock.now()));
  const boundMs = BOUND_MS + times.reduce((most, ms) => Math.max(most, ms), 0);
  disturbHost(upstream, host, fault);
  await makeDue(world, visits);
  const first = upstream.requests.length;
  const isVisited = (key: string) => (visits.visits.get(key) ?? 0) > (before.get(key) ?? 0);
  const waiting = () => others.filter(key => !isVisited(key));
  await pass(world, boundMs, () => waiting().length === 0);
  const expected = `expected visits during the fault of ${host} (${JSON.stringify(fault)}) within ${boundMs} ms`;
  assert.deepEqual(waiting(), [], expected);
  // Each request to the failing host ends the visit of its key, but for throttled ones.
  const own = upstream.requests.slice(first).filter(request => request.host === host);
  const answered = new Set(own.map(({ subject }) => subject));
  const unvisited = [...answered].filter(key => hostOf(key) === host && !isVisited(key) && visits.state.keys.has(key));
  if (!('status' in fault && fault.status === 429)) assert.deepEqual(unvisited, [], `${expected} of what it answered`);
}

/**
 * Every row is that of a visit that must give it, or was pushed. The newest row of a key is what its hosts say, also
 * where a row was pushed before its last visit.
 */
export async function expectVisits(world: World, visits: VisitOracle): Promise<void> {
  const rows = (await lakeRows(world)).map(row => ({
    key: String(row.username),
    lsn: Number(row._lsn),
    cursor: String(row._cursor),
    op: String(row._op),
    bio: row.bio as string | null,
    company: row.company as string | null,
  }));
  const newest = new Map<string, string | null>();
  const said = new Map<string, string | null>();
  for (const { key, lsn, cursor, op, bio, company } of rows) {
    const appended = visits.appended.find(({ firstLsn, lastLsn }) => firstLsn <= lsn && lsn <= lastLsn);
    assert.ok(appended, `LSN ${lsn}: expected it appended at some time`);
    assert.ok(isCursorOf(appended, cursor), `LSN ${lsn}: expected ${JSON.stringify(appended.cursors)}, got ${cursor}`);
    newest.set(key, op === 'delete' ? null : bio);
    if (!appended.rows) continue;
    assert.deepEqual({ op, bio }, appended.rows.get(key), `LSN ${lsn}: expected what the visit of ${key} found`);
    said.set(key, op === 'delete' ? null : company);
  }
  for (const [key, { outcome }] of visits.state.keys) {
    const item = world.upstream.items.get(key);
    const half = world.upstream.halves.get(key);
    const whole = !item || item.deleted ? null : half ? `${item.text}+${half.text}` : item.text;
    // After a partial answer the row need not have what the second host says.
    const checked = (bio: string | null) => (outcome === 'partial' ? bio?.split('+')[0] : bio);
    const message = `${key}: expected its newest row to say what its hosts say`;
    assert.equal(checked(newest.get(key) ?? null), checked(whole), message);
    const { inlet } = visits.state;
    if (!inlet || whole === null) continue;
    const evidence = inlet.evidence.get(key) ?? '';
    assert.equal(said.get(key), evidence, `${key}: expected its newest row to have all evidence of its key`);
  }
}

function isCursorOf({ cursors }: Appended, cursor: string): boolean {
  if ('prefix' in cursors) return cursor.startsWith(cursors.prefix);
  return /^\d+$/.test(cursor) && Number(cursor) > cursors.after && Number(cursor) <= cursors.upTo;
}
