import type { AuditStatus } from './audit.ts';
import type {
  ControlAction,
  ControlResult,
  Failed,
  FailedQuery,
  Pushed,
  PushedPart,
  RangeAction,
  RangeAnswer,
  RangeRequest,
  RangeStatus,
  Replayed,
} from './controls.ts';
import type { IcebergStatus } from './iceberg.ts';
import type { SourceHealth, SourceMetrics, SourceStatus } from './source.ts';
import type { LiveFile, TableFacts } from './tables.ts';
import type { WatchedKey, WatchedPart, WatchPart } from './watched-keys.ts';

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

/** What the catalog's object is asked for. */
export interface CatalogStub {
  status(): Promise<IcebergStatus>;
  /** Re-arms the committer when it is silent. */
  watch(): Promise<void>;
}
