import type { Faults, Random } from './faults.ts';
import type { DeliveryPlan } from './queue.ts';
import type { World } from './world.ts';

const MINUTE = 60_000;
/** Longer than a ticket's lease, and than all attempts of a change with few attempts. */
const LATE_MS_MAX = 20 * MINUTE;

/** Loses, delays, doubles and expires batches of tickets at random, which also changes their order. */
export function disturbQueue({ world, faults }: { world: World; faults: Faults }): void {
  world.queue.deliver = batch => {
    const { id, random } = faults.draw('delivery');
    const drawn = drawDelivery(random);
    if (drawn === null) return { delaysMs: [0] };
    const call = batch.map(({ changeNumber, attempt }) => `${changeNumber}/${attempt}`).join(' ');
    const happens = faults.happens({ id, kind: drawn.kind, atMs: world.clock.elapsedMs, call });
    return happens ? drawn.delivery : { delaysMs: [0] };
  };
}

function drawDelivery(random: Random): { kind: string; delivery: DeliveryPlan } | null {
  const chance = random();
  const lateMs = random() * LATE_MS_MAX;
  if (chance < 0.06) return { kind: 'tickets lost', delivery: { delaysMs: [] } };
  if (chance < 0.12) return { kind: 'tickets late', delivery: { delaysMs: [lateMs] } };
  if (chance < 0.2) return { kind: 'tickets out of order', delivery: { delaysMs: [lateMs / 20] } };
  if (chance < 0.32) return { kind: 'tickets doubled', delivery: { delaysMs: [0, random() * 10_000, lateMs] } };
  if (chance < 0.36) return { kind: 'tickets expired', delivery: { delaysMs: [lateMs], expires: true } };
  if (chance < 0.44) return { kind: 'consumer died', delivery: { delaysMs: [0], callsMax: Math.floor(random() * 3) } };
  return null;
}
