import type { Schedule } from '../schedules/schedule.ts';
import type { Faults } from '../world/faults.ts';
import { coalescing } from '../world/sources.ts';

/** The share of schedules with sweeps and self-checks, which take long. */
const AUDITED_SHARE = 0.15;

/** Turns sweeps and self-checks on or off; the seed decides when `isEnabled` is undefined. */
export function startAudits(
  { faults, clients }: Pick<Schedule, 'faults' | 'clients'>,
  isEnabled: boolean | undefined,
): void {
  const { audits } = clients;
  audits.isEnabled = isEnabled ?? faults.draw('audits').random() < AUDITED_SHARE;
  if (audits.isEnabled) audits.disturbListing(faults);
}

/** Hides changes from the feed, damages files or restores them, and starts a sweep or a self-check. */
export function playAuditStep({ world, faults, clients }: Schedule): void {
  const { audits } = clients;
  if (!audits.isEnabled) return;
  const happens = (id: string, kind: string) => faults.happens({ id, kind, atMs: world.clock.elapsedMs, call: '' });
  const hidden = drawn(faults, 'silent changes', 0.5);
  if (hidden && world.kind === coalescing && happens(hidden.id, 'silent changes')) audits.changeSilently(hidden.random);
  const damaged = drawn(faults, 'damage', 0.2);
  const damage = damaged && !audits.hasLostStorage && audits.damage.draw(damaged.random);
  if (damage && happens(damaged.id, damage.kind)) damage.run();
  const restored = drawn(faults, 'files put back', 0.1);
  if (restored && happens(restored.id, 'files restored')) audits.damage.restore();
  const audit = drawn(faults, 'audit', 0.6);
  const action = audit && audits.draw(audit.random);
  if (action && happens(audit.id, action.kind)) void action.run().catch(() => undefined);
}

/** A draw that comes up in this share of all steps, else null. */
function drawn(faults: Faults, name: string, share: number) {
  const draw = faults.draw(name);
  return draw.random() < share ? draw : null;
}
