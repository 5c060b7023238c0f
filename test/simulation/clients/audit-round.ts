import type { Scene } from '../schedules/schedule.ts';
import type { Faults } from '../world/faults.ts';
import { coalescing } from '../world/sources.ts';

/** One seed in so many has somebody who looks: sweeps and self-checks take long. */
const AUDITED_SHARE = 0.15;

/** Decides whether anybody sweeps and checks in this world, where that is not said. */
export function beginAudits({ faults, people }: Pick<Scene, 'faults' | 'people'>, isOn: boolean | undefined): void {
  const { audits } = people;
  audits.isOn = isOn ?? faults.draw('audits').random() < AUDITED_SHARE;
  if (audits.isOn) audits.disturbListing(faults);
}

/** Between two rounds the feed hides something, a file is damaged or put back, and somebody looks. */
export function playAudits({ world, faults, people }: Scene): void {
  const { audits } = people;
  if (!audits.isOn) return;
  const happens = (id: string, kind: string) => faults.happens({ id, kind, atMs: world.clock.elapsedMs, call: '' });
  const hidden = drawn(faults, 'silent changes', 0.5);
  if (hidden && world.kind === coalescing && happens(hidden.id, 'silent changes')) audits.changeSilently(hidden.random);
  const damaged = drawn(faults, 'damage', 0.2);
  const damage = damaged && !audits.hasForgotten && audits.damage.drawn(damaged.random);
  if (damage && happens(damaged.id, damage.kind)) damage.act();
  const restored = drawn(faults, 'files put back', 0.1);
  if (restored && happens(restored.id, 'files put back')) audits.damage.putBack();
  const asked = drawn(faults, 'audit', 0.6);
  const act = asked && audits.drawn(asked.random);
  if (act && happens(asked.id, act.kind)) void act.act().catch(() => undefined);
}

function drawn(faults: Faults, name: string, share: number) {
  const draw = faults.draw(name);
  return draw.random() < share ? draw : null;
}
