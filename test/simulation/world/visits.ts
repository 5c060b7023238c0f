import type { WatchResult } from '../../../src/contract/watched-keys.ts';
import { unwatchKeys, watchKeys } from '../../../src/engine/controls/watched-keys.ts';
import { agenda } from './sources.ts';
import { startedWorld, type World, type WorldOptions } from './world.ts';

/** A world that visits keys `<name>.<space>`. Each space of `servers` has its host. */
export async function agendaWorld({
  servers = { red: 'red.test', blue: 'blue.test' },
  ...options
}: WorldOptions & { servers?: Record<string, string> } = {}): Promise<World> {
  const world = await startedWorld({ kind: agenda, pollMs: 60_000, ...options });
  Object.assign(world.upstream.servers, servers);
  return world;
}

/** Runs a change of an object's agenda, and something before and after it. */
type Wrap = <T>(change: () => T) => T;

const unwrapped: Wrap = change => change();

/** Adds keys to the agenda. */
export function watch(world: World, keys: string[], wrap: Wrap = unwrapped): Promise<WatchResult> {
  const part = keys.map((key, index) => ({ line: index + 1, key, space: key.split('.')[1]! }));
  return world.ask('object.watch', engine => wrap(() => watchKeys(engine, { atMs: null, keys: part })));
}

export function unwatch(world: World, keys: string[], wrap: Wrap = unwrapped): Promise<number> {
  return world.ask('object.unwatch', engine => wrap(() => unwatchKeys(engine, keys)));
}

/** The times of all requests for a key, or to a host, in milliseconds since 1970. */
export function requestTimes({ upstream }: World, subject: string): number[] {
  const requests = upstream.requests.filter(request => request.subject === subject || request.host === subject);
  return requests.map(({ atMs }) => atMs);
}

export function nextDueMs({ engine }: World, key: string): number | null {
  return engine.journal.agenda!.find(key)?.due_ms ?? null;
}

/** The number of visits accepted so far. */
export function visitCount({ lane }: World): number {
  return Number(lane.cursor ?? 0);
}
