import type { Row, Table } from '../../schemas/table.ts';
import type { ParkReason, SkipReason } from '../errors.ts';
import type { LogFields } from '../log.ts';
import type { Source } from '../sources/source.ts';
import type { AuditStatus } from './audit.ts';
import type { CatalogStub } from './iceberg.ts';
import type { StreamStatus } from './streams.ts';
import type { AgendaStatus, WatchedKey, WatchedPart, WatchPart } from './watched-keys.ts';

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

/** A table's live data files in sum. */
export interface TableFacts {
  name: string;
  prefix: string;
  rows: number;
  files: number;
  bytes: number;
  last_lsn: number;
}

/** One data file that readers may read. */
export interface LiveFile {
  key: string;
  first_lsn: number;
  last_lsn: number;
  rows: number;
  bytes: number;
  etag: string;
  year: number;
  month: number;
}

/** One table: its schema, and its live files after an LSN, in LSN order. */
export interface TableDetail extends TableFacts {
  columns: { name: string; type: string; required: boolean; description: string; field_id: number }[];
  live_files: LiveFile[];
}

export type ControlAction = 'start' | 'pause' | 'flush';
export type AuditAction = 'audit' | 'self-check';

/** What a control came to. `changed` is false when the source was so already. */
export interface ControlResult {
  source: string;
  action: ControlAction | AuditAction;
  changed: boolean;
  state: SourceState;
}

export type RangeAction = 'pause' | 'resume' | 'cancel';
/** A stretch of the feed, `from` excluded; a rewind goes from `to` to where the tail stands. `rate`: changes a second. */
export interface RangeRequest {
  from?: string;
  to: string;
  rate: number | null;
}

/** A stretch of the feed that is pulled beside the tail. Times are ISO 8601. */
export interface RangeStatus {
  source: string;
  lane: 'backfill' | 'rewind';
  /** Its rows have `_cursor` `<place>#<run>`. */
  run: number;
  from: string;
  to: string;
  cursor: string;
  state: 'counting' | 'loading' | 'paused' | 'done' | 'cancelled';
  /** Changes in it, once they are counted; `changes_counted` so far. */
  changes: number | null;
  changes_counted: number;
  done: number;
  rate: number;
  seconds_left: number | null;
  started_at: string;
  ended_at: string | null;
}

/** Why an object did not do what it was asked for. */
export interface Refusal {
  code: 'invalid_body' | 'conflict' | 'not_found';
  message: string;
  hint: string;
}

export type RangeAnswer = { changed: boolean; range: RangeStatus } | Refusal;

/** One part of a request that pushes rows: each with its line, `row` as the table has it without lineage. */
export interface PushedPart {
  identity: string;
  table: string;
  rows: { line: number; row: Row }[];
}

/** What came of a part; `refused`: nothing, for a reason that may pass. */
export interface Pushed {
  refused: { message: string; hint: string } | null;
  accepted: number;
  repeated: number;
}

/** Which failed changes are meant: dead ones by default, or `parked`, those still looked at. */
export interface FailedQuery {
  state: 'dead' | 'parked';
  reason: string | null;
  /** Dead, or parked, for longer. */
  olderThanSeconds: number | null;
}

/** A change that failed. Its id is `<source>-<change number>`. Times are ISO 8601. */
export interface Failed {
  id: string;
  source: string;
  change_number: number;
  key: string;
  cursor: string;
  state: 'parked' | 'dead' | 'replaying' | 'resolved' | 'superseded' | 'dismissed';
  reason: ParkReason;
  message: string;
  hint: string;
  attempts: number;
  history: { at: string; reason: string; detail: string }[];
  parked_at: string;
  failed_at: string | null;
  next_look_at: string | null;
  resolved_at: string | null;
  note: string | null;
}

/** How many dead changes are, or would be, looked at again. */
export interface Replayed {
  changes: number;
  by_reason: Record<string, number>;
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

/** What a source's object is asked for. */
export interface SourceStub {
  status(): Promise<SourceStatus>;
  metrics(): Promise<SourceMetrics>;
  control(action: ControlAction): Promise<ControlResult>;
  /** Facts of each of the source's tables. */
  tables(): Promise<TableFacts[]>;
  /** The first `limit` live files of a table whose first LSN is over `after`, in LSN order. */
  liveFiles(table: string, after: number, limit: number): Promise<LiveFile[]>;
  push(part: PushedPart): Promise<Pushed>;
  startRange(lane: RangeStatus['lane'], request: RangeRequest): Promise<RangeAnswer>;
  controlRange(lane: RangeStatus['lane'], action: RangeAction): Promise<RangeAnswer>;
  range(lane: RangeStatus['lane']): Promise<RangeStatus | null>;
  /** The first `limit` failed changes after a change number, in order. */
  failed(query: FailedQuery & { after: number; limit: number }): Promise<Failed[]>;
  failedChange(changeNumber: number): Promise<Failed | null>;
  /** `numbers`: only these changes; a number that is not dead is passed over. */
  replay(wanted: { numbers: number[] | null; query: FailedQuery; dryRun: boolean }): Promise<Replayed>;
  /** False when it was ended before, null when there is none of the number. */
  dismiss(changeNumber: number, note: string): Promise<boolean | null>;
  watchKeys(part: WatchPart): Promise<WatchedPart>;
  /** How many of them were watched. */
  unwatchKeys(keys: string[]): Promise<number>;
  /** The first `limit` watched keys after one, in order. */
  watchedKeys(query: { after: string | null; limit: number }): Promise<WatchedKey[]>;
  watchedKey(key: string): Promise<WatchedKey | null>;
  audit(): Promise<AuditStatus>;
  /** Null where the upstream does not list its keys. */
  startSweep(sample: number): Promise<ControlResult | null>;
  startSelfCheck(): Promise<ControlResult>;
  health(): Promise<SourceHealth>;
  /** Re-arms a source that is silent, and starts one named in the settings the first time. */
  watch(): Promise<void>;
}

/** What is used of the worker's environment; settings are read from it too. */
export interface ApiEnv {
  SOURCES_NS: { getByName(id: string): SourceStub };
  CATALOG_NS: { getByName(name: string): CatalogStub };
}

/** What the API knows without asking an object. */
export interface Known {
  sources: readonly Pick<Source, 'id' | 'tables' | 'agenda'>[];
  tables: readonly Table[];
  log: (event: string, fields: LogFields) => void;
}
