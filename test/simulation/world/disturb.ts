import type { Clients } from '../clients/clients.ts';
import type { Oracle } from '../oracle/oracle.ts';
import { type Faults, pick, type Random } from './faults.ts';
import type { World } from './world.ts';

const MINUTE = 60_000;
const KILLS_MAX = 12;
const DATA_FILE = /^bucket\.put .*\/data-/;

/** Ports of which every call fails, or is slow, for a while. */
export interface Outages {
  database: boolean;
  bucket: 'failing' | 'slow' | null;
  loaders: boolean;
  alarms: boolean;
}

export const NO_OUTAGES: Outages = { database: false, bucket: null, loaders: false, alarms: false };

interface Disturbed {
  world: World;
  faults: Faults;
  oracle: Oracle;
  clients: Clients;
  outages: Outages;
  kills: number;
}

type Effect = () => void | Promise<void>;

/** From now on calls are killed, failed, delayed and joined by requests, at random. Returns the outages, to be set. */
export function disturb(target: Omit<Disturbed, 'outages' | 'kills'>): Outages {
  const { world, faults } = target;
  const outages = { ...NO_OUTAGES };
  const disturbed: Disturbed = { ...target, outages, kills: 0 };
  world.calls.before(call => {
    if (faults.areOver) return;
    const name = call.slice(0, call.indexOf(' ') >>> 0);
    const { id, random } = faults.draw(name);
    const drawn = drawBefore(disturbed, { call, random });
    if (drawn && faults.happens({ id, kind: drawn.kind, atMs: world.clock.elapsedMs, call })) return drawn.effect();
    return applyOutages(disturbed, call, random);
  });
  world.calls.after(call => {
    if (faults.areOver) return;
    const { id, random } = faults.draw(`after:${call.slice(0, call.indexOf(' ') >>> 0)}`);
    const drawn = drawAfter(disturbed, random);
    if (drawn && faults.happens({ id, kind: drawn.kind, atMs: world.clock.elapsedMs, call })) return drawn.effect();
  });
  return outages;
}

function drawBefore(
  disturbed: Disturbed,
  { call, random }: { call: string; random: Random },
): { kind: string; effect: Effect } | null {
  const { world } = disturbed;
  const chance = random();
  const lateMs = random() * 2 * MINUTE;
  const lose = random() < 0.5;
  const sleep = (kind: string, ms: number) => ({ kind, effect: () => world.clock.sleep(ms) });
  if (chance < 0.02) {
    if (disturbed.kills >= KILLS_MAX) return null;
    const kill = () => {
      disturbed.kills += 1;
      world.kill({ lose });
    };
    if (random() < 0.5) return { kind: 'killed before', effect: () => fail(kill) };
    return {
      kind: 'killed, lands late',
      effect: () => {
        kill();
        return world.clock.sleep(lateMs);
      },
    };
  }
  if (chance < 0.03) return { kind: 'failed', effect: () => fail() };
  if (chance < 0.06) return sleep('delayed', random() * 10_000);
  if (chance < 0.07) return sleep('held', lateMs);
  // Calls that set an alarm hang more often, because they are few and the only ones that can outlast a run.
  if (chance < (call.startsWith('wake') ? 0.08 : 0.072)) return sleep('hung', (6 + random() * 9) * MINUTE);
  if (chance < 0.09 && !call.startsWith('wake') && world.running)
    return { kind: 'woken', effect: () => void world.engine.wake().catch(() => undefined) };
  if (chance < 0.12 && DATA_FILE.test(call) && !world.bucket.objects.has(keyOf(call)))
    return {
      kind: 'foreign object',
      effect: () => void world.bucket.store(keyOf(call), Buffer.from('foreign'), { digest: 'foreign' }),
    };
  return drawRequest(disturbed, call, random);
}

/** A request to the object during a call: for its status, a control, or one of its clients'. */
function drawRequest(
  { world, oracle, clients }: Disturbed,
  call: string,
  random: Random,
): { kind: string; effect: Effect } | null {
  const chance = random();
  if (chance < 0.02) return { kind: 'status requested', effect: () => oracle.checkStatus() };
  // More often during calls to the database, because a request may change what is being written there.
  if (chance > (call.startsWith('d1') ? 0.12 : 0.06) || call.startsWith('wake')) return null;
  if (chance > 0.03) {
    const drawn = clients.draw(random);
    return drawn && { kind: drawn.kind, effect: () => void drawn.run().catch(() => undefined) };
  }
  const action = drawControl(world, random);
  return { kind: `control: ${action}`, effect: () => void world.engine.control(action).catch(() => undefined) };
}

/** A random control; a paused source is mostly started. */
export function drawControl(world: World, random: Random): 'start' | 'pause' | 'flush' {
  if (world.engine.paused && random() < 0.7) return 'start';
  return pick(random, ['start', 'pause', 'flush'] as const);
}

function drawAfter(disturbed: Disturbed, random: Random): { kind: string; effect: Effect } | null {
  const chance = random();
  const lose = random() < 0.5;
  if (chance < 0.02 && disturbed.kills < KILLS_MAX)
    return {
      kind: 'killed after',
      effect: () => {
        disturbed.kills += 1;
        disturbed.world.kill({ lose });
      },
    };
  if (chance < 0.03) return { kind: 'answer lost', effect: () => fail() };
  return null;
}

function applyOutages({ world, outages }: Disturbed, call: string, random: Random): void | Promise<void> {
  if (outages.alarms && call.startsWith('wake.set')) throw new Error('no alarm can be set');
  if (outages.database && call.startsWith('d1.')) throw new Error('the database is down');
  if (outages.loaders && /^(queue\.)?load\.load/.test(call)) throw new Error('the Loader died');
  if (!/^(bucket|loader)\./.test(call)) return;
  if (outages.bucket === 'failing') throw new Error('the bucket is down');
  if (outages.bucket === 'slow') return world.clock.sleep(pick(random, [1_000, 5_000, 30_000]));
}

function fail(first: () => void = () => undefined): never {
  first();
  throw new Error('it failed');
}

function keyOf(call: string): string {
  return call.slice(call.indexOf(' ') + 1);
}
