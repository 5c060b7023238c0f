import type { ParkReason, SkipReason } from '../errors.ts';
import type { TableFacts } from './tables.ts';

import type { AgendaStatus } from './watched-keys.ts';

// The JSON other programs rely on. An unknown value is null; no field is ever absent, at any depth.

export type SourceState = 'following' | 'catching-up' | 'paused' | 'backing-off' | 'stalled';

/** Status of a source, all of it from durable state. Times are ISO 8601. */
export interface SourceStatus {
  source: string;
  state: SourceState;
  cursor: { accepted: string | null; durable: string | null; head: string | null };
  /** `changes` once the pages to the head have been read; `seconds` since a pull last reached the head. */
  lag: { changes: number | null; seconds: number | null };
  rate: { rows_per_second_1m: number | null; rows_per_second_1h: number | null };
  /** What is accepted and not yet durable. */
  buffer: { rows: number; bytes: number; oldest_age_seconds: number | null };
  /** Change numbers by present outcome; `balanced` when their sum is `changes`. */
  balance: {
    changes: number;
    rows: number;
    tombstones: number;
    parked: number;
    dead: number;
    skipped: Record<SkipReason, number>;
    balanced: boolean;
  };
  tables: Record<string, Omit<TableFacts, 'name' | 'prefix'>>;
  /** By table; null of one that is sent to no stream. */
  streams: Record<string, StreamStatus | null>;
  last_flush: {
    at: string | null;
    rows: number | null;
    bytes: number | null;
    key: string | null;
    duration_ms: number | null;
  };
  upstream: { requests: number; not_modified: number; throttled: number; errors: number };
  /** Null of a source that has a feed. */
  agenda: AgendaStatus | null;
  next_wake_at: string | null;
  last_error: {
    kind: string | null;
    reason: ParkReason | (string & {}) | null;
    hint: string | null;
    retry: string | null;
    at: string | null;
  };
}

/**
 * What a source counts and measures, all of it from durable state. Counts never go down, but for `changes`, which are
 * the accepted changes by present outcome. Times are seconds, points in time seconds since 1970.
 */
export interface SourceMetrics {
  source: string;
  state: SourceState;
  changes_accepted: number;
  /** `rows`, `tombstones`, `parked`, `dead`, and `skipped:<reason>` for each reason. */
  changes: Record<string, number>;
  tables: { name: string; rows_accepted: number; rows_durable: number; files: number; bytes: number }[];
  streams: ({ table: string } & StreamStatus)[];
  /** `status`: 2xx, 3xx, 4xx, 5xx, or none for a request without an answer. */
  requests: { host: string; status: string; requests: number }[];
  /** Looks at parked changes that counted. */
  retries: number;
  lag: { changes: number | null; seconds: number | null };
  /** Null of a source with a feed. */
  agenda: { keys: number; due: number; overdue: number } | null;
  buffer: { rows: number; bytes: number; oldest_age_seconds: number };
  /** Of each settled file: from the look at the bucket before its put to its settling. */
  flush_seconds: Histogram;
  /** Of each Loader call that loaded changes and answered. */
  load_seconds: Histogram;
  last_success_at: number | null;
  next_wake_at: number | null;
}

/** Times as Prometheus counts them: a bucket holds all up to its bound, `count` also those over the last one. */
export interface Histogram {
  buckets: { seconds: number; count: number }[];
  count: number;
  sum_seconds: number;
}

/** Whether a source does what it should; `reason` says why not. `state` is null when it did not answer. */
export interface SourceHealth {
  id: string;
  state: SourceState | null;
  ok: boolean;
  reason: string | null;
}

/** The stream a table is sent to: up to which LSN it has the rows, and how many rows in files it has not. */
export interface StreamStatus {
  binding: string;
  last_lsn: number;
  waiting: number;
}
