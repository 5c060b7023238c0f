import type { Reading } from '../errors.ts';
import type { Quota, QuotaHeaders } from '../http-headers.ts';

/** How many requests a step may send to each host, by host. */
export type HostRequests = Record<string, number>;

/**
 * How fast a host may be asked: requests a second, and how many at once after a pause. A host is a name of permits: that
 * of a network host, or what the source calls a part of one that has limits of its own (`api.example.com/graphql`).
 */
export interface HostPace {
  requestsPerSecond: number;
  burst: number;
  /** Absent where the host does not say what is left. */
  quota?: QuotaHeaders;
  /** The first pace of a host without a history. Clean answers raise it. */
  startRequestsPerSecond?: number;
}

/** Slots on a host's timeline: request `i`, counted from 0, starts at `startAtMs + i * intervalMs` at the earliest. */
export interface Permit {
  host: string;
  count: number;
  /** Milliseconds since 1970. */
  startAtMs: number;
  intervalMs: number;
}

/** The first digit of an answer's status; `none` for a request without an answer. */
export type StatusClass = '2xx' | '3xx' | '4xx' | '5xx' | 'none';

/** Answers by server and by what the source made of them. */
export type Readings = Record<string, Partial<Record<Reading, number>>>;

/** The requests of one call to one host. */
export interface HostTally {
  host: string;
  requests: number;
  /** The requests by the status of their answer. */
  statuses: Record<StatusClass, number>;
  /** Answers with status 304. */
  notModified: number;
  /** Answers that asked for fewer requests. */
  throttled: number;
  /** Requests without an answer, and answers with a status of 5xx. */
  errors: number;
  /** Requests that were forbidden or not answered in time, which is how some hosts say "too many". */
  refused: number;
  /** The longest wait that an answer asked for; null when none did. */
  retryAfterMs: number | null;
  /** The least that an answer said is left; absent where none said it. */
  quota?: Quota;
  /** Absent where no answer was text that the source reads. */
  readings?: Readings;
}

/** The steps of a source that ask its hosts. */
export type AskedStep = 'pull' | 'prepare' | 'load' | 'list' | 'probe' | 'round';
