import type { ParkReason, Reading, SkipReason } from '../errors.ts';
import type { InletStatus } from './inlets.ts';
import type { TableFacts } from './tables.ts';
import type { AgendaStatus } from './watched-keys.ts';

// The JSON of a source. An unknown value is null; no field is ever absent, at any depth.

/**
 * What a source does now. `stalled`: a failure that waiting does not end, or no progress for too long; it probes. `full`:
 * it goes on, but its database is over its limit, so new keys are refused.
 */
export const SOURCE_STATES = ['following', 'catching-up', 'paused', 'backing-off', 'stalled', 'full'] as const;

export type SourceState = (typeof SOURCE_STATES)[number];

/** The status of a source, all of it from durable state. Times are ISO 8601. */
export interface SourceStatus {
  source: string;
  state: SourceState;
  /** The cursor of the journal, the one up to which every row is in the lake, and the upstream's newest. */
  cursor: { accepted: string | null; durable: string | null; head: string | null };
  /** `changes`: between cursor and head, once counted. `seconds`: since a pull last reached the head. */
  lag: { changes: number | null; seconds: number | null };
  rate: { rows_per_second_1m: number | null; rows_per_second_1h: number | null };
  /** Accepted rows that are not yet durable. */
  buffer: { rows: number; bytes: number; oldest_age_seconds: number | null };
  /** Accepted changes by present outcome. `balanced`: the sum of the outcomes is `changes`. */
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
  /** By table; null for a table without a stream. */
  streams: Record<string, StreamStatus | null>;
  last_flush: {
    at: string | null;
    rows: number | null;
    bytes: number | null;
    key: string | null;
    duration_ms: number | null;
  };
  upstream: { requests: number; not_modified: number; throttled: number; errors: number };
  /** By server, how many of its answers in text were read whole, in part, as absence, as a refusal, or not at all. */
  readings: Record<string, Record<Reading, number>>;
  /** Null for a source with a feed. */
  agenda: AgendaStatus | null;
  /** Null for a source without a round. */
  round: RoundStatus | null;
  /** The database of the source's object. `by_table` is empty unless the state is `full`. */
  database: { bytes: number | null; bytes_max: number; by_table: TableRoom[] };
  /** Tables of other sources that the agenda reads; none for a source without inlets. */
  inlets: InletStatus[];
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
 * The counts and measurements of a source, all of them from durable state. Counts never go down, except those in
 * `changes`, which are by present outcome. Durations are seconds, times are seconds since 1970.
 */
export interface SourceMetrics {
  source: string;
  state: SourceState;
  changes_accepted: number;
  /** Accepted changes by present outcome: `rows`, `tombstones`, `parked`, `dead`, and `skipped:<reason>` for each. */
  changes: Record<string, number>;
  tables: {
    name: string;
    rows_accepted: number;
    rows_known: number;
    rows_durable: number;
    files: number;
    bytes: number;
  }[];
  streams: ({ table: string } & StreamStatus)[];
  /** `status`: 2xx, 3xx, 4xx or 5xx; `none` for a request without an answer. */
  requests: { host: string; status: string; requests: number }[];
  /** Answers in text, by what the source made of them. */
  readings: { server: string; reading: Reading; answers: number }[];
  /** Attempts at parked changes, without those that were deferred. */
  retries: number;
  lag: { changes: number | null; seconds: number | null };
  /** Size of the object's database; null where it cannot be read. */
  database_bytes: number | null;
  /** Watched keys; null for a source with a feed. */
  agenda: { keys: number; due: number; overdue: number; stretch: number } | null;
  /** Checks of the round by what they found; null for a source without a round. */
  round: Pick<RoundStatus, 'unchanged' | 'changed' | 'failed'> | null;
  inlets: Pick<InletStatus, 'table' | 'lsn' | 'behind' | 'findings' | 'evidence' | 'passed_over'>[];
  buffer: { rows: number; bytes: number; oldest_age_seconds: number };
  /** How long each flush took, from the first request to the bucket until the file was settled. */
  flush_seconds: Histogram;
  /** How long each Loader call took that loaded changes and answered. */
  load_seconds: Histogram;
  last_success_at: number | null;
  next_wake_at: number | null;
}

/**
 * A walk over all keys of a feed that asks for small facts of each. `done` of about `total` keys are checked, the last one
 * is `after`; then it begins again. The counts are of all rounds.
 */
export interface RoundStatus {
  started_at: string | null;
  done: number;
  total: number;
  after: string | null;
  unchanged: number;
  changed: number;
  failed: number;
}

/** What a table of an object's database takes, estimated; `others` is all the rest. */
export interface TableRoom {
  table: string;
  rows: number | null;
  bytes: number;
}

/** Durations as Prometheus counts them: a bucket counts all up to its bound, `count` counts all. */
export interface Histogram {
  buckets: { seconds: number; count: number }[];
  count: number;
  sum_seconds: number;
}

/** Whether a source works; `reason` says why not. `state` is null when the source did not answer. */
export interface SourceHealth {
  id: string;
  state: SourceState | null;
  ok: boolean;
  reason: string | null;
}

/** The stream of a table: it has the rows up to `last_lsn`, and `waiting` rows of settled files are not yet sent. */
export interface StreamStatus {
  binding: string;
  last_lsn: number;
  waiting: number;
}
