import type { Histogram } from '../../contract/source.ts';
import type { HostTally, StatusClass } from '../../ports/hosts.ts';
import type { SqlPort } from '../../ports/sql.ts';

/** Requests by host and by class of their status. */
export type Statuses = Record<string, Partial<Record<StatusClass, number>>>;

/**
 * Counts of times by the upper bound of their bucket, in seconds. `over` counts those over all bounds, `ms` is the sum
 * of all.
 */
interface Times {
  buckets?: Record<string, number>;
  over?: number;
  ms?: number;
}

/**
 * Upper bounds in seconds. A flush lists, encodes and puts: a small file takes a tenth of a second and one of 24 MiB
 * some seconds; each call of the bucket has a deadline of a minute.
 */
export const FLUSH_SECONDS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];

/**
 * Upper bounds in seconds. A Loader call fetches one document in less than a second, or some dozens at the host's pace.
 * Its own deadline is a minute, and the engine waits ten seconds longer.
 */
export const LOAD_SECONDS = [0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 60];

/** Adds the requests of one call to those counted so far. Both texts are JSON of `Statuses`. */
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

/** Adds one time to those counted so far. A negative time, of a clock that jumped back, counts as 0. */
export function withTime(times: string, { ms, bounds }: { ms: number; bounds: readonly number[] }): string {
  const { buckets = {}, over = 0, ms: sum = 0 } = JSON.parse(times) as Times;
  const tookMs = Math.max(0, Math.round(ms));
  const bound = bounds.find(seconds => tookMs <= seconds * 1_000);
  if (bound !== undefined) buckets[bound] = (buckets[bound] ?? 0) + 1;
  return JSON.stringify({ buckets, over: over + (bound === undefined ? 1 : 0), ms: sum + tookMs } satisfies Times);
}

/**
 * The histogram of the times counted so far. A count under a bound that is no longer in use goes to the next larger
 * bound.
 */
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

/** Servers that are counted by name: about as many top-level domains have no RDAP server. A list for people ends somewhere. */
const SERVERS_MAX = 300;

/** The name under which the answers of all other servers are counted. */
const OTHER_SERVERS = 'others';

/** Adds answers to the counts of their servers. */
export function countReadings(sql: SqlPort, hosts: HostTally[]): void {
  for (const { readings = {} } of hosts)
    for (const [name, counts] of Object.entries(readings)) {
      const [known] = sql.exec<{ servers: number; has: number }>(
        'SELECT COUNT(DISTINCT server) AS servers, COALESCE(MAX(server = ?), 0) AS has FROM readings',
        name,
      );
      const server = known!.has === 1 || known!.servers < SERVERS_MAX ? name : OTHER_SERVERS;
      for (const [reading, answers] of Object.entries(counts))
        sql.exec(
          `INSERT INTO readings (server, reading, answers) VALUES (?, ?, ?)
           ON CONFLICT (server, reading) DO UPDATE SET answers = answers + excluded.answers`,
          server,
          reading,
          answers,
        );
    }
}

/** Adds changes to the count of an outcome. */
export function countOutcome(sql: SqlPort, outcome: string, changes: number): void {
  if (changes === 0) return;
  sql.exec(
    'INSERT INTO outcomes (outcome, changes) VALUES (?, ?) ON CONFLICT (outcome) DO UPDATE SET changes = changes + excluded.changes',
    outcome,
    changes,
  );
}
