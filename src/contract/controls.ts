import type { Row } from '../../schemas/table.ts';
import type { ParkReason } from '../errors.ts';
import type { SourceState } from './source.ts';

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

/**
 * A stretch of the feed, `from` excluded; a rewind goes from `to` to where the tail stands. `rate`: changes a second.
 */
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
