import { ChangeError, isThrottled, type Reading } from '../../errors.ts';
import { type QuotaHeaders, quotaOf } from '../../http-headers.ts';
import type { HostTally, StatusClass } from '../../ports/hosts.ts';

/** The tally of a host that has had no request yet. */
export function createTally(host: string): HostTally {
  return {
    host,
    requests: 0,
    statuses: { '2xx': 0, '3xx': 0, '4xx': 0, '5xx': 0, none: 0 },
    notModified: 0,
    throttled: 0,
    errors: 0,
    refused: 0,
    retryAfterMs: null,
  };
}

/** The first digit of a status. */
export function classOf(status: number): Exclude<StatusClass, 'none'> {
  return status >= 500 ? '5xx' : status >= 400 ? '4xx' : status >= 300 ? '3xx' : '2xx';
}

/**
 * Counts an answer other than 200 by what it says about its host, and keeps the longest wait. A 404 counts as nothing,
 * because it is an answer.
 */
export function countRefusal(
  tally: HostTally,
  { status, retryAfterMs }: { status: number; retryAfterMs: number | null },
): void {
  if (retryAfterMs !== null) tally.retryAfterMs = Math.max(tally.retryAfterMs ?? 0, retryAfterMs);
  if (status === 304) tally.notModified += 1;
  else if (isThrottled({ status, retryAfterMs })) tally.throttled += 1;
  else if (status === 403) tally.refused += 1;
  else if (status >= 500) tally.errors += 1;
}

/** Notes how many requests an answer says are left. Answers come in any order, so the least counts. */
export function countQuota(tally: HostTally, quota: QuotaHeaders | undefined, headers: Headers, nowMs: number): void {
  const found = quota ? quotaOf(headers, quota, nowMs) : null;
  if (found && found.remaining <= (tally.quota?.remaining ?? found.remaining)) tally.quota = found;
}

/** What the source makes of an answer. Where it throws because the host refuses the caller, the host's tally says so. */
export function judged<T>(tally: HostTally, judge: () => T): T {
  try {
    return judge();
  } catch (error) {
    countThrown(tally, error);
    throw error;
  }
}

/** Counts what the judgement of an answer's body threw, where that says that the host refuses the caller. */
export function countThrown(tally: HostTally, error: unknown): void {
  if (!(error instanceof ChangeError) || error.status !== 429) return;
  countRefusal(tally, { status: error.status, retryAfterMs: error.retryAfterMs });
}

/** Counts what a source made of a server's text. */
export function countReading(tally: HostTally, server: string, reading: Reading): void {
  tally.readings ??= {};
  const counts = tally.readings[server] ?? {};
  counts[reading] = (counts[reading] ?? 0) + 1;
  tally.readings[server] = counts;
}
