import type { Faults, Random } from './faults.ts';
import type { Delivered } from './queue.ts';
import type { World } from './world.ts';

const MINUTE = 60_000;
/** Longer than a ticket's lease, and than the looks of a change that soon dies take together. */
const LATE_MS_MAX = 20 * MINUTE;

/** Loses, delays, doubles and expires batches of tickets, each as its draw says; batches overtake each other by it. */
export function disturbQueue({ world, faults }: { world: World; faults: Faults }): void {
  world.queue.deliver = batch => {
    const { id, random } = faults.draw('delivery');
    const drawn = drawnDelivery(random);
    if (drawn === null) return { delaysMs: [0] };
    const call = batch.map(({ changeNumber, attempt }) => `${changeNumber}/${attempt}`).join(' ');
    const happens = faults.happens({ id, kind: drawn.kind, atMs: world.clock.elapsedMs, call });
    return happens ? drawn.delivery : { delaysMs: [0] };
  };
}

function drawnDelivery(random: Random): { kind: string; delivery: Delivered } | null {
  const chance = random();
  const lateMs = random() * LATE_MS_MAX;
  if (chance < 0.06) return { kind: 'tickets lost', delivery: { delaysMs: [] } };
  if (chance < 0.12) return { kind: 'tickets late', delivery: { delaysMs: [lateMs] } };
  if (chance < 0.2) return { kind: 'tickets out of order', delivery: { delaysMs: [lateMs / 20] } };
  if (chance < 0.32) return { kind: 'tickets doubled', delivery: { delaysMs: [0, random() * 10_000, lateMs] } };
  if (chance < 0.36) return { kind: 'tickets expired', delivery: { delaysMs: [lateMs], expires: true } };
  if (chance < 0.44) return { kind: 'consumer gone', delivery: { delaysMs: [0], callsMax: Math.floor(random() * 3) } };
  return null;
}
