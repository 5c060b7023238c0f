import type { WatchResult } from '../../../src/contract/watched-keys.ts';
import { unwatchKeys, watchKeys } from '../../../src/engine/controls/watched-keys.ts';
import { agenda } from './sources.ts';
import { startedWorld, type World, type WorldOptions } from './world.ts';

/** A world that visits keys `<name>.<space>`; spaces `red` and `blue` are served at a host each, unless others are named. */
export async function agendaWorld({
  servers = { red: 'red.test', blue: 'blue.test' },
  ...options
}: WorldOptions & { servers?: Record<string, string> } = {}): Promise<World> {
  const world = await startedWorld({ kind: agenda, pollMs: 60_000, ...options });
  Object.assign(world.upstream.servers, servers);
  return world;
}

/** Somebody who looks on while an object changes its agenda. */
type LookingOn = <T>(change: () => T) => T;

const nobody: LookingOn = change => change();

/** Puts keys on the agenda, as a request of its own. */
export function watch(world: World, keys: string[], lookingOn: LookingOn = nobody): Promise<WatchResult> {
  const part = keys.map((key, index) => ({ line: index + 1, key, space: key.split('.')[1]! }));
  return world.ask('object.watch', engine => lookingOn(() => watchKeys(engine, { atMs: null, keys: part })));
}

export function unwatch(world: World, keys: string[], lookingOn: LookingOn = nobody): Promise<number> {
  return world.ask('object.unwatch', engine => lookingOn(() => unwatchKeys(engine, keys)));
}

/** When a key was asked for, or a host for anything: milliseconds since 1970. */
export function asked({ upstream }: World, subject: string): number[] {
  const requests = upstream.requests.filter(request => request.subject === subject || request.host === subject);
  return requests.map(({ atMs }) => atMs);
}

export function nextDueMs({ engine }: World, key: string): number | null {
  return engine.journal.agenda!.find(key)?.due_ms ?? null;
}

/** Visits accepted so far. */
export function visited({ lane }: World): number {
  return Number(lane.cursor ?? 0);
}
