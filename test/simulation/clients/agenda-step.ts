import type { Schedule } from '../schedules/schedule.ts';
import { pick, type Random } from '../world/faults.ts';
import type { Fault, Upstream } from '../world/upstream.ts';
import type { World } from '../world/world.ts';
import { AGENDA_KEYS, HOSTS, SECOND_HOST, SERVERS } from './agenda-client.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** How a host answers, other than well and at once. */
export const HOST_FAULTS: (Fault | { slowMs: number })[] = [
  { slowMs: 2 * SECOND },
  { slowMs: 19 * SECOND },
  { slowMs: 60 * SECOND },
  { status: 403 },
  { reason: 'unreachable' as const },
  { status: 500 },
  { status: 500, retryAfterMs: 5 * HOUR },
  { status: 429 },
  { status: 429, retryAfterMs: 30 * SECOND },
  { status: 429, retryAfterMs: 9 * HOUR },
];

const KEY_FAULTS: Fault[] = [{ status: 500 }, { status: 404 }, { status: 429 }, { status: 403 }, { kills: true }];

/** Moves of the clock: some keys are due after them, or all. A year is further ahead than any due time. */
const MOVES_MS = [HOUR, HOUR, 4 * HOUR, 2 * DAY, 7 * DAY, 30 * DAY, -30 * DAY, 365 * DAY, -365 * DAY];

type AgendaSchedule = Pick<Schedule, 'world' | 'faults' | 'oracle' | 'clients'>;

/** Adds the first keys. From now on some calls that load keys come with a request that adds or removes keys. */
export function startAgenda({ world, faults, clients }: AgendaSchedule): void {
  const { agenda } = clients;
  if (!agenda) return;
  const { random } = faults.draw('agenda');
  Object.assign(world.upstream.servers, SERVERS);
  world.upstream.serversFreshMs = pick(random, [5 * MINUTE, DAY]);
  changeDocuments(world.upstream, random, AGENDA_KEYS.length);
  if (random() < 0.2) world.upstream.feedFault = { reason: 'unreachable' };
  void agenda.watch(AGENDA_KEYS.filter(() => random() < 0.6)).catch(() => undefined);
  world.calls.before(call => {
    if (faults.areOver || !/load\.load/.test(call)) return;
    const draw = faults.draw('agenda visited');
    if (draw.random() > 0.12) return;
    const { kind, run } = agenda.draw(draw.random);
    if (faults.happens({ id: draw.id, kind, atMs: world.clock.elapsedMs, call })) void run().catch(() => undefined);
  });
}

/** Changes documents, key faults, host faults and the list of servers, then moves the clock by hours or weeks. */
export function playAgendaStep({ world, faults, oracle, clients }: AgendaSchedule): void {
  if (!clients.agenda) return;
  const { upstream, clock } = world;
  const drawn = (name: string, share: number): Random | null => {
    const { id, random } = faults.draw(name);
    const happens = random() < share && faults.happens({ id, kind: name, atMs: clock.elapsedMs, call: '' });
    return happens ? random : null;
  };
  const documents = drawn('documents', 0.9);
  if (documents) changeDocuments(upstream, documents, 5);
  upstream.faults.clear();
  const failing = drawn('keys failing', 0.6);
  if (failing)
    for (let count = 1 + Math.floor(failing() * 4); count > 0; count--)
      upstream.faults.set(pick(failing, AGENDA_KEYS), pick(failing, KEY_FAULTS));
  repairHosts(upstream);
  for (const host of HOSTS) {
    const random = drawn(`${host} disturbed`, 0.3);
    if (random) disturbHost(upstream, host, pick(random, HOST_FAULTS));
  }
  const moved = drawn('space moved', 0.15);
  if (moved) {
    const space = pick(moved, Object.keys(SERVERS));
    if (moved() < 0.4) delete upstream.servers[space];
    else upstream.servers[space] = pick(moved, HOSTS);
  }
  const move = drawn('time moved', 0.75);
  if (!move) return;
  oracle.ignoreAlarms();
  clock.jump(pick(move, MOVES_MS));
}

export function repairHosts(upstream: Upstream): void {
  upstream.hostFaults.clear();
  upstream.latencyMs = () => 0;
}

export function disturbHost(upstream: Upstream, host: string, fault: (typeof HOST_FAULTS)[number]): void {
  if (!('slowMs' in fault)) return void upstream.hostFaults.set(host, fault);
  const { latencyMs } = upstream;
  upstream.latencyMs = (key, requested) => (requested === host ? fault.slowMs : latencyMs(key, requested));
}

/** All hosts answer, and the list names each of them. */
export function repairAgenda({ upstream }: World): void {
  repairHosts(upstream);
  Object.assign(upstream.servers, SERVERS);
}

/** Changes and removes documents, and changes second halves. */
export function changeDocuments(upstream: Upstream, random: Random, countMax: number): void {
  for (let count = Math.floor(random() * countMax); count > 0; count--) {
    const key = pick(random, AGENDA_KEYS);
    const text = `text ${upstream.seq}`;
    const chance = random();
    if (chance < 0.25 && upstream.items.has(key)) upstream.remove(key);
    else if (chance < 0.5) upstream.halves.set(key, { host: SECOND_HOST, text: `half ${upstream.seq}` });
    else upstream.publish(key, text);
  }
}
