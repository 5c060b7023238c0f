import type { Histogram } from '../../contract/source.ts';
import type { HostTally, StatusClass } from '../../ports/hosts.ts';
import type { SqlPort } from '../../ports/sql.ts';

/** Requests by host and by how they were answered. */
export type Statuses = Record<string, Partial<Record<StatusClass, number>>>;

/** Times by the bound of the bucket they fall into, those over all bounds under `over`; `ms` is their sum. */
interface Times {
  buckets?: Record<string, number>;
  over?: number;
  ms?: number;
}

/**
 * Upper bounds in seconds. A flush lists, encodes and puts: a small file takes a tenth of a second, one of 24 MiB some
 * seconds, and each call of the bucket is given up after a minute.
 */
export const FLUSH_SECONDS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];

/**
 * Upper bounds in seconds. A Loader call fetches one document in parts of a second or some dozens at the host's pace,
 * for which it has a minute; it is given up ten seconds later.
 */
export const LOAD_SECONDS = [0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 60];

/** The requests counted so far, with those of one call. */
export function withRequests(statuses: string, hosts: HostTally[]): string {
  const counted = JSON.parse(statuses) as Statuses;
  for (const { host, statuses: more } of hosts) {
    const answers = counted[host] ?? {};
    counted[host] = answers;
    for (const [status, requests] of Object.entries(more) as [StatusClass, number][])
      if (requests > 0) answers[status] = (answers[status] ?? 0) + requests;
  }
  return JSON.stringify(counted);
}

/** The times counted so far, with one more. A clock that jumped back makes none negative. */
export function withTime(times: string, { ms, bounds }: { ms: number; bounds: readonly number[] }): string {
  const { buckets = {}, over = 0, ms: sum = 0 } = JSON.parse(times) as Times;
  const tookMs = Math.max(0, Math.round(ms));
  const bound = bounds.find(seconds => tookMs <= seconds * 1_000);
  if (bound !== undefined) buckets[bound] = (buckets[bound] ?? 0) + 1;
  return JSON.stringify({ buckets, over: over + (bound === undefined ? 1 : 0), ms: sum + tookMs } satisfies Times);
}

/** The times counted so far. What was counted under other bounds is in the next bucket that holds all of it. */
export function histogramOf(times: string, bounds: readonly number[]): Histogram {
  const { buckets = {}, over = 0, ms = 0 } = JSON.parse(times) as Times;
  const counted = Object.entries(buckets).map(([bound, count]) => ({ bound: Number(bound), count }));
  const upTo = (seconds: number) => counted.reduce((sum, { bound, count }) => sum + (bound <= seconds ? count : 0), 0);
  return {
    buckets: bounds.map(seconds => ({ seconds, count: upTo(seconds) })),
    count: upTo(Number.POSITIVE_INFINITY) + over,
    sum_seconds: ms / 1_000,
  };
}

/** Counts changes by what they came to. */
export function countOutcome(sql: SqlPort, outcome: string, changes: number): void {
  if (changes === 0) return;
  sql.exec(
    'INSERT INTO outcomes (outcome, changes) VALUES (?, ?) ON CONFLICT (outcome) DO UPDATE SET changes = changes + excluded.changes',
    outcome,
    changes,
  );
}
