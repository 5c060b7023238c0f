import type { Permit } from '../../ports/hosts.ts';
import { deadlineError } from './attempt.ts';

export interface PacerOptions {
  permits: Permit[];
  /** Gets a permit for a host that has none left here; null when the host has no slot before the deadline. */
  requestPermit?: ((host: string) => Promise<Permit | null>) | undefined;
  /** Gets a permit for a host that a redirect names; `requestPermit` by default. */
  redirectPermit?: ((host: string) => Promise<Permit | null>) | undefined;
  /** No request starts or waits past this. */
  deadlineAtMs: number;
  now: () => number;
  sleep: (ms: number) => Promise<void>;
}

/** What a request is, as its permit depends on it; `subject` names it in errors. */
export interface Slot {
  subject: string;
  isRedirect?: boolean;
}

/** Waits for the next slot of a host's permits. */
export type WaitForSlot = (host: string, slot: Slot) => Promise<void>;

/**
 * Gives each request of a host the next slot of the host's permits. A retry uses the slot of its request. Waiting throws
 * `StepError` of kind `deadline` when the slot comes too late, and a plain Error when there is no permit for the host.
 */
export function createPacer(options: PacerOptions): WaitForSlot {
  const { requestPermit, redirectPermit = requestPermit, deadlineAtMs, now, sleep } = options;
  const permits = [...options.permits];
  const usedSlots = new Map<Permit, number>();

  function findPermit(host: string): Permit | undefined {
    return permits.find(permit => permit.host === host && (usedSlots.get(permit) ?? 0) < permit.count);
  }

  async function addPermit(host: string, subject: string, request: PacerOptions['requestPermit']): Promise<Permit> {
    const permit = await request?.(host);
    if (permit === null) throw deadlineError(subject);
    if (permit === undefined) throw new Error(`${subject}: expected a permit for ${host}, got none left`);
    permits.push(permit);
    return permit;
  }

  return async (host, { subject, isRedirect = false }) => {
    // A redirect takes no permit of the call, because each of those is meant for a request that was foreseen.
    const permit = isRedirect
      ? await addPermit(host, subject, redirectPermit)
      : (findPermit(host) ?? (await addPermit(host, subject, requestPermit)));
    // Take the slot before waiting for it, so that requests that wait at the same time have different slots.
    const slot = usedSlots.get(permit) ?? 0;
    const startAtMs = permit.startAtMs + slot * permit.intervalMs;
    if (startAtMs >= deadlineAtMs) throw deadlineError(subject);
    usedSlots.set(permit, slot + 1);
    const waitMs = startAtMs - now();
    if (waitMs > 0) await sleep(waitMs);
  };
}
