import type { Permit } from '../../ports/hosts.ts';
import { pastDeadline } from './attempt.ts';

interface PacerOptions {
  permits: Permit[];
  /** Gets a slot for a host that is not among the permits; null when it has none in time. */
  permit?: ((host: string) => Promise<Permit | null>) | undefined;
  /** Nothing is waited for past this. */
  deadlineAtMs: number;
  now: () => number;
  sleep: (ms: number) => Promise<void>;
}

/**
 * Lets each request of a host go in the next slot of its permits. A retry goes in the slot of its request. Throws
 * `StepError` of kind `deadline` where the slot would come too late, and a plain Error for a host nobody may ask.
 */
export function createPacer({ permits: given, permit: ask, deadlineAtMs, now, sleep }: PacerOptions) {
  const used = new Map<Permit, number>();
  const permits = [...given];
  const find = (host: string) =>
    permits.find(candidate => candidate.host === host && (used.get(candidate) ?? 0) < candidate.count);
  const askFor = async (host: string, subject: string) => {
    const permit = await ask?.(host);
    if (permit === null) throw pastDeadline(subject);
    if (permit) permits.push(permit);
    return permit;
  };
  return async (host: string, subject: string) => {
    const permit = find(host) ?? (await askFor(host, subject));
    if (!permit) throw new Error(`${subject}: expected a permit for ${host}, got none left`);
    const slot = used.get(permit) ?? 0;
    const atMs = permit.startAtMs + slot * permit.intervalMs;
    if (atMs >= deadlineAtMs) throw pastDeadline(subject);
    used.set(permit, slot + 1);
    const waitMs = atMs - now();
    if (waitMs > 0) await sleep(waitMs);
  };
}
