import type { ParkReason } from '../errors.ts';

/** Selects failed changes: dead ones, or `parked` ones, which are attempted again. Null selects all. */
export interface FailedQuery {
  state: 'dead' | 'parked';
  reason: string | null;
  /** Dead, or parked, for longer than this. */
  olderThanSeconds: number | null;
}

/** A change that failed. Its id is `<source>-<change number>`. Times are ISO 8601. */
export interface FailedChange {
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
  /** Why a person dismissed it. */
  note: string | null;
}

/** How many dead changes are attempted again; after a dry run, how many would be. */
export interface ReplayResult {
  changes: number;
  by_reason: Record<string, number>;
}
