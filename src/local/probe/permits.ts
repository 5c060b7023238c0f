import { setTimeout as sleep } from 'node:timers/promises';
import { ChangeError, isConnectionFault, isThrottled } from '../../errors.ts';
import type { HostPace, Permit } from '../../ports/hosts.ts';
import { RETRIES_MAX } from '../../sources/upstream/fetcher.ts';

/** Requests that a probe sends at most, repeated ones included: enough for each step and a handful of documents. */
export const REQUESTS_MAX = 20;

/** The fetcher repeats a request that has a permit, so the last permit is given while that much is left. */
const REQUESTS_A_PERMIT = 1 + RETRIES_MAX;

/** A person waits for a probe. At a request a second, and with a host that does not answer, it ends within this. */
export const PROBE_MS_MAX = 120_000;

/** A request that the probe does not send, because it sent enough. */
export class ProbeLimit extends Error {
  override readonly name = 'ProbeLimit';
}

export interface PermitOptions {
  pace: { hosts: Record<string, HostPace>; others?: HostPace };
  /** Null for a stand-in, which may be asked without limits. `signal` ends the probe. */
  limits: { signal: AbortSignal } | null;
  /** Counts the requests by host. */
  requests: Record<string, number>;
}

/**
 * Permits at a source's own pace, until the probe has sent enough. A host that does not answer, or asks for fewer
 * requests, is not asked again.
 */
export function createPermits({ pace, limits, requests }: PermitOptions) {
  const nextAtMs = new Map<string, number>();
  const lost = new Map<string, Error>();
  let newest = '';
  const sent = () => Object.values(requests).reduce((sum, count) => sum + count, 0);

  return {
    async permit(host: string): Promise<Permit> {
      const startAtMs = limits ? slotOf(host) : 0;
      if (limits && startAtMs > Date.now()) await sleep(startAtMs - Date.now(), undefined, { signal: limits.signal });
      return { host, count: 1, startAtMs, intervalMs: 0 };
    },
    /** The host of the newest permit. */
    newest: () => newest,
    /** Notes that the request with the newest permit failed. */
    failed(error: unknown): void {
      if (!(error instanceof ChangeError)) return;
      if (isThrottled(error) || isConnectionFault(error)) lost.set(newest, error);
    },
    /** A function that sends a request, with its calls counted. */
    counted<A extends unknown[], R>(send: (...args: A) => R, hostOf: (target: A[0]) => string): (...args: A) => R {
      return (...args) => {
        const host = hostOf(args[0]);
        requests[host] = (requests[host] ?? 0) + 1;
        return send(...args);
      };
    },
  };

  function slotOf(host: string): number {
    limits?.signal.throwIfAborted();
    const error = lost.get(host);
    if (error) throw error;
    if (sent() + REQUESTS_A_PERMIT > REQUESTS_MAX)
      throw new ProbeLimit(`${host}: expected at most ${REQUESTS_MAX} requests in one probe, got more to send`);
    const hostPace = pace.hosts[host] ?? pace.others;
    if (!hostPace) throw new Error(`${host}: expected a pace of the source for this host, got none`);
    const startAtMs = Math.max(nextAtMs.get(host) ?? 0, Date.now());
    newest = host;
    nextAtMs.set(host, startAtMs + 1000 / (hostPace.startRequestsPerSecond ?? hostPace.requestsPerSecond));
    return startAtMs;
  }
}
