import type { Finding } from '../../../src/ports/inlet.ts';
import type { Schedule } from '../schedules/schedule.ts';
import { pick, type Random } from '../world/faults.ts';
import type { World } from '../world/world.ts';
import { AGENDA_KEYS } from './agenda-client.ts';

type FeedingSchedule = Pick<Schedule, 'world' | 'faults' | 'oracle'>;

/** Names of rows. They are few, so that most rows replace what an earlier one said. */
const NAMES = ['p', 'q', 'r', 's', 't', 'u'];

/** Findings that are passed over. */
const REFUSED: Finding[] = [
  { key: 'no key' },
  { key: `${'k'.repeat(200_000)}.red` },
  { key: 'a\u0000.red', facts: { n: 1 } },
  { key: 'a.red', facts: { text: 'x'.repeat(600) } },
];

/** The first rows. From now on the table changes while it is read: it grows, its files are merged, or it begins anew. */
export function startFeeding({ world, faults }: FeedingSchedule): void {
  if (!world.fed) return;
  const { random } = faults.draw('feeding');
  addRows(world, random);
  world.feeding.settle();
  world.calls.before(call => {
    if (faults.areOver || !/^(feeding\.files|load\.inlet)/.test(call)) return;
    const draw = faults.draw('table read');
    if (draw.random() > 0.15) return;
    const kind = change(world, draw.random);
    faults.happens({ id: draw.id, kind: kind.name, atMs: world.clock.elapsedMs, call }) && kind.run();
  });
}

/** Adds rows and settles them, merges files, or begins the table anew. */
export function playFeedingStep({ world, faults }: FeedingSchedule): void {
  if (!world.fed) return;
  const { id, random } = faults.draw('rows');
  const happens = (share: number, kind: string) =>
    random() < share && faults.happens({ id: `${id} ${kind}`, kind, atMs: world.clock.elapsedMs, call: '' });
  if (happens(0.15, 'table begun anew')) world.feeding.beginAnew();
  if (happens(0.9, 'rows added')) addRows(world, random);
  if (happens(0.8, 'rows settled')) world.feeding.settle();
  if (happens(0.3, 'files merged')) merge(world, random);
}

function change(world: World, random: Random): { name: string; run: () => void } {
  const settle = () => {
    addRows(world, random);
    world.feeding.settle();
  };
  return pick(random, [
    { name: 'rows settled while read', run: settle },
    { name: 'files merged while read', run: () => merge(world, random) },
    { name: 'files merged while read', run: () => merge(world, random) },
    { name: 'table begun anew while read', run: () => world.feeding.beginAnew() },
  ]);
}

function merge({ feeding }: World, random: Random): void {
  const from = Math.floor(random() * feeding.files.length);
  feeding.merge(from, 2 + Math.floor(random() * 3), { removes: random() < 0.7 });
}

function addRows({ feeding }: World, random: Random): void {
  for (let count = 1 + Math.floor(random() * 6); count > 0; count--) {
    const name = pick(random, NAMES);
    if (random() < 0.15) feeding.add({ name, op: 'delete', says: [] });
    else feeding.say(name, ...Array.from({ length: Math.floor(random() * 4) }, () => findingOf(random)));
  }
}

function findingOf(random: Random): Finding {
  const chance = random();
  if (chance < 0.1) return pick(random, REFUSED);
  const key = pick(random, AGENDA_KEYS);
  if (chance < 0.3) return { key };
  return { key, item: pick(random, ['one', 'two']), facts: { n: Math.floor(random() * 3) } };
}
