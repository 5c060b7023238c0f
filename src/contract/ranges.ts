export type RangeAction = 'pause' | 'resume' | 'cancel';

/** A range to pull: the changes after `from` up to `to`. A rewind goes from `to` to the tail's cursor. */
export interface RangeRequest {
  from?: string;
  to: string;
  /** Changes a second at most; with null the engine chooses. */
  rate: number | null;
}

/** A range of the feed that a lane of its own pulls. Times are ISO 8601. */
export interface RangeStatus {
  source: string;
  lane: 'backfill' | 'rewind';
  /** The `_cursor` of its rows is `<cursor>#<run>`. */
  run: number;
  from: string;
  to: string;
  cursor: string;
  state: 'counting' | 'loading' | 'paused' | 'done' | 'cancelled';
  /** Changes in the range; null until all are counted. `changes_counted`: those counted so far. */
  changes: number | null;
  changes_counted: number;
  /** Accepted changes. */
  done: number;
  /** Changes a second at most. */
  rate: number;
  seconds_left: number | null;
  started_at: string;
  ended_at: string | null;
}

/** Why a range was not started or changed. */
export interface RangeRefusal {
  code: 'invalid_body' | 'conflict' | 'not_found';
  message: string;
  hint: string;
}

/** The answer to a request about a range. `changed` is false when the range was in that state already. */
export type RangeAnswer = { changed: boolean; range: RangeStatus } | RangeRefusal;
