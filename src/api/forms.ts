import type { Table } from '../../schemas/table.ts';
import type { ParkReason, SkipReason } from '../errors.ts';
import type { LogFields } from '../log.ts';
import type { Source } from '../sources/source.ts';

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
  last_flush: {
    at: string | null;
    rows: number | null;
    bytes: number | null;
    key: string | null;
    duration_ms: number | null;
  };
  upstream: { requests: number; not_modified: number; throttled: number; errors: number };
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

/** What a control came to. `changed` is false when the source was so already. */
export interface ControlResult {
  source: string;
  action: ControlAction;
  changed: boolean;
  state: SourceState;
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
  control(action: ControlAction): Promise<ControlResult>;
  /** Facts of each of the source's tables. */
  tables(): Promise<TableFacts[]>;
  /** The first `limit` live files of a table whose first LSN is over `after`, in LSN order. */
  liveFiles(table: string, after: number, limit: number): Promise<LiveFile[]>;
  health(): Promise<SourceHealth>;
  /** Re-arms a source that is silent, and starts one named in the settings the first time. */
  watch(): Promise<void>;
}

/** What is used of the worker's environment; settings are read from it too. */
export interface ApiEnv {
  SOURCES_NS: { getByName(id: string): SourceStub };
}

/** What the API knows without asking an object. */
export interface Known {
  sources: readonly Pick<Source, 'id' | 'tables'>[];
  tables: readonly Table[];
  log: (event: string, fields: LogFields) => void;
}
