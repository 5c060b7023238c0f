import type { People } from '../clients/people.ts';
import type { Oracle } from '../oracle/oracle.ts';
import { type Faults, pick, type Random } from './faults.ts';
import type { World } from './world.ts';

const MINUTE = 60_000;
const KILLS_MAX = 12;
const DATA_FILE = /^bucket\.put .*\/data-/;

/** What goes wrong with every call for a while. */
export interface Weather {
  database: boolean;
  bucket: 'failing' | 'slow' | null;
  loaders: boolean;
  alarms: boolean;
}

/** A sky without a cloud. */
export const CLEAR: Weather = { database: false, bucket: null, loaders: false, alarms: false };

interface Disturbed {
  world: World;
  faults: Faults;
  oracle: Oracle;
  people: People;
  weather: Weather;
  kills: number;
}

type Effect = () => void | Promise<void>;

/** Kills, fails, delays and doubles calls, each as its draw says. Returns the weather, which is clear. */
export function disturb(scene: Omit<Disturbed, 'weather' | 'kills'>): Weather {
  const { world, faults } = scene;
  const weather = { ...CLEAR };
  const disturbed: Disturbed = { ...scene, weather, kills: 0 };
  world.calls.before(call => {
    if (faults.calm) return;
    const name = call.slice(0, call.indexOf(' ') >>> 0);
    const { id, random } = faults.draw(name);
    const drawn = beforeFault(disturbed, { call, random });
    if (drawn && faults.happens({ id, kind: drawn.kind, atMs: world.clock.elapsedMs, call })) return drawn.effect();
    return underWeather(disturbed, call, random);
  });
  world.calls.after(call => {
    if (faults.calm) return;
    const { id, random } = faults.draw(`after:${call.slice(0, call.indexOf(' ') >>> 0)}`);
    const drawn = afterFault(disturbed, random);
    if (drawn && faults.happens({ id, kind: drawn.kind, atMs: world.clock.elapsedMs, call })) return drawn.effect();
  });
  return weather;
}

function beforeFault(
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
    if (random() < 0.5) return { kind: 'killed before', effect: () => die(kill) };
    return {
      kind: 'killed, lands late',
      effect: () => {
        kill();
        return world.clock.sleep(lateMs);
      },
    };
  }
  if (chance < 0.03) return { kind: 'failed', effect: () => die(() => undefined) };
  if (chance < 0.06) return sleep('delayed', random() * 10_000);
  if (chance < 0.07) return sleep('held', lateMs);
  // Renewed alarms are few, and the only calls that can outlast a run.
  if (chance < (call.startsWith('wake') ? 0.08 : 0.072)) return sleep('hung', (6 + random() * 9) * MINUTE);
  if (chance < 0.09 && !call.startsWith('wake') && world.running)
    return { kind: 'woken', effect: () => void world.engine.wake().catch(() => undefined) };
  if (chance < 0.12 && DATA_FILE.test(call) && !world.bucket.objects.has(keyOf(call)))
    return {
      kind: 'foreign object',
      effect: () => void world.bucket.place(keyOf(call), Buffer.from('foreign'), { digest: 'foreign' }),
    };
  return visitor(disturbed, call, random);
}

/** Somebody comes by while a call waits: for the status, with a control, or for more. */
function visitor(
  { world, oracle, people }: Disturbed,
  call: string,
  random: Random,
): { kind: string; effect: Effect } | null {
  const chance = random();
  if (chance < 0.02) return { kind: 'status asked', effect: () => oracle.look() };
  // What is told to the database may change while it is told.
  if (chance > (call.startsWith('d1') ? 0.12 : 0.06) || call.startsWith('wake')) return null;
  if (chance > 0.03) {
    const drawn = people.drawn(random);
    return drawn && { kind: drawn.kind, effect: () => void drawn.act().catch(() => undefined) };
  }
  const action = drawnAction(world, random);
  return { kind: `told to ${action}`, effect: () => void world.engine.control(action).catch(() => undefined) };
}

/** What a source is told to do; a paused one is mostly started again. */
export function drawnAction(world: World, random: Random): 'start' | 'pause' | 'flush' {
  if (world.engine.paused && random() < 0.7) return 'start';
  return pick(random, ['start', 'pause', 'flush'] as const);
}

function afterFault(disturbed: Disturbed, random: Random): { kind: string; effect: Effect } | null {
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
  if (chance < 0.03) return { kind: 'answer lost', effect: () => die(() => undefined) };
  return null;
}

function underWeather({ world, weather }: Disturbed, call: string, random: Random): void | Promise<void> {
  if (weather.alarms && call.startsWith('wake.set')) throw new Error('no alarm can be set');
  if (weather.database && call.startsWith('d1.')) throw new Error('the database is down');
  if (weather.loaders && /^(queue\.)?load\.load/.test(call)) throw new Error('the Loader died');
  if (!/^(bucket|loader)\./.test(call)) return;
  if (weather.bucket === 'failing') throw new Error('the bucket is down');
  if (weather.bucket === 'slow') return world.clock.sleep(pick(random, [1_000, 5_000, 30_000]));
}

function die(before: () => void): never {
  before();
  throw new Error('it failed');
}

function keyOf(call: string): string {
  return call.slice(call.indexOf(' ') + 1);
}
