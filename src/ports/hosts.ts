/** Which hosts a step will ask, and how often at most: what permits are taken for. */
export type HostRequests = Record<string, number>;

/** How fast a host may be asked: requests a second, and how many at once after a pause. */
export interface HostPace {
  requestsPerSecond: number;
  burst: number;
  /** The pace of a host nothing is known of; clean answers raise it. */
  startRequestsPerSecond?: number;
}

/** Slots on a host's timeline: request `i` goes out no earlier than `startAtMs + i * intervalMs`. */
export interface Permit {
  host: string;
  count: number;
  startAtMs: number;
  intervalMs: number;
}

/** How a request was answered: the first digit of its status, or not at all. */
export type StatusClass = '2xx' | '3xx' | '4xx' | '5xx' | 'none';

/**
 * What was asked of one host during a call, and in `statuses` how it was answered. `retryAfterMs` is the longest wait it
 * asked for, null when it did not.
 */
export interface HostTally {
  host: string;
  requests: number;
  statuses: Record<StatusClass, number>;
  notModified: number;
  throttled: number;
  errors: number;
  /** Requests that were forbidden or not answered in time: their host may mean "too many". */
  refused: number;
  retryAfterMs: number | null;
}
