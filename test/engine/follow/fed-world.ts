import type { SaidRow } from '../../simulation/world/feeding.ts';
import { agendaWorld } from '../../simulation/world/visits.ts';
import { runUntil, type World, type WorldOptions } from '../../simulation/world/world.ts';

/** A world whose agenda is fed by the table of another source. Its upstream has these keys. */
export async function fedWorld({ keys = [], ...options }: WorldOptions & { keys?: string[] } = {}): Promise<World> {
  const world = await agendaWorld({ fed: true, ...options });
  world.upstream.publish(keys);
  return world;
}

export const inletOf = ({ engine }: World) => engine.journal.inlets!.find(engine.source.inlets[0]!);

export const refusalsOf = (world: World) => world.engine.journal.inlets!.refusals(inletOf(world).id);

export const keysOf = ({ engine }: World) =>
  engine.journal.agenda!.list({ after: null, limit: 10_000 }).map(({ key }) => key);

/** Evidence of a key as `<row>/<item>=<facts>`, the newest first. */
export const evidenceOf = ({ engine }: World, key: string) =>
  engine.journal
    .evidence!.of(key)
    .evidence.items.map(({ row, item, facts }) => `${row}/${item}=${JSON.stringify(facts)}`);

/** A row that gives facts about keys, each under the item `role` unless it names another. */
export function row(name: string, ...says: { key: string; item?: string; n: number }[]): SaidRow {
  return { name, op: 'upsert', says: says.map(({ key, item = 'role', n }) => ({ key, item, facts: { n } })) };
}

export const deletion = (name: string): SaidRow => ({ name, op: 'delete', says: [] });

/** Appends and settles rows, and waits until the inlet has read them. */
export async function feed(world: World, ...rows: SaidRow[]): Promise<void> {
  world.feeding.add(...rows);
  world.feeding.settle();
  await read(world);
}

export const isRead = (world: World) => () =>
  inletOf(world).lsn === world.feeding.settledLsn && inletOf(world).identity === world.feeding.identity;

export const read = (world: World) => runUntil(world, { until: isRead(world) });
