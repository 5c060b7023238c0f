import type { AuditStatus } from './audit.ts';
import type { ControlAction, ControlResult } from './controls.ts';
import type { FailedChange, FailedQuery, ReplayResult } from './failed.ts';
import type { IcebergStatus } from './iceberg.ts';
import type { PushPart, PushResult } from './push.ts';
import type { RangeAction, RangeAnswer, RangeRequest, RangeStatus } from './ranges.ts';
import type { Signal, SignalResult } from './signals.ts';
import type { SourceHealth, SourceMetrics, SourceStatus } from './source.ts';
import type { LiveFile, TableFacts } from './tables.ts';
import type { WatchedKey, WatchPart, WatchResult } from './watched-keys.ts';

/** The calls that the API makes to a source's object. */
export interface SourceStub {
  status(): Promise<SourceStatus>;
  metrics(): Promise<SourceMetrics>;
  control(action: ControlAction): Promise<ControlResult>;
  /** The source's tables, with their live files in sum. */
  tables(): Promise<TableFacts[]>;
  /** The first `limit` live files of a table after the LSN `after`, in LSN order. */
  liveFiles(table: string, after: number, limit: number): Promise<LiveFile[]>;
  push(part: PushPart): Promise<PushResult>;
  startRange(lane: RangeStatus['lane'], request: RangeRequest): Promise<RangeAnswer>;
  controlRange(lane: RangeStatus['lane'], action: RangeAction): Promise<RangeAnswer>;
  /** Null when the lane has had no range. */
  range(lane: RangeStatus['lane']): Promise<RangeStatus | null>;
  /** The first `limit` failed changes after the change number `after`, in order. */
  failed(query: FailedQuery & { after: number; limit: number }): Promise<FailedChange[]>;
  /** Null when no failed change has the number. */
  failedChange(changeNumber: number): Promise<FailedChange | null>;
  /** Attempts dead changes again: those with these numbers, or with null those that fit the query. Skips others. */
  replay(wanted: { numbers: number[] | null; query: FailedQuery; dryRun: boolean }): Promise<ReplayResult>;
  /** Ends a dead change for good. False when it was ended before; null when no failed change has the number. */
  dismiss(changeNumber: number, note: string): Promise<boolean | null>;
  /** Adds keys to the agenda, due at once. */
  watchKeys(part: WatchPart): Promise<WatchResult>;
  /** Removes keys from the agenda. Returns how many were on it. */
  unwatchKeys(keys: string[]): Promise<number>;
  /** The first `limit` watched keys after the key `after`, in order. */
  watchedKeys(query: { after: string | null; limit: number }): Promise<WatchedKey[]>;
  /** Null when the key is not on the agenda. */
  watchedKey(key: string): Promise<WatchedKey | null>;
  /** Makes the watched keys that a signal names due now. */
  signal(signal: Signal): Promise<SignalResult>;
  audit(): Promise<AuditStatus>;
  /** Starts a sweep over `sample` keys. Null where the upstream cannot list its keys. */
  startSweep(sample: number): Promise<ControlResult | null>;
  startSelfCheck(): Promise<ControlResult>;
  health(): Promise<SourceHealth>;
  /** Sets the alarm of a source that lost it, and starts a source that the settings name for the first time. */
  watch(): Promise<void>;
}

/** The calls that the API makes to the Iceberg catalog's object. */
export interface CatalogStub {
  status(): Promise<IcebergStatus>;
  /** Sets the alarm of a committer that lost it. */
  watch(): Promise<void>;
}
