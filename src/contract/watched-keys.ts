import type { SignalStatus } from './signals.ts';

// The JSON of watched keys. An unknown value is null; no field is ever absent, at any depth. Times are ISO 8601.

/**
 * How many keys an agenda has, and how many are due. `first_due`: due for their first visit, parked ones included.
 * `overdue`: due for more than an hour.
 */
export interface AgendaStatus {
  keys: number;
  due: number;
  first_due: number;
  overdue: number;
  oldest_due_at: string | null;
  /** How long one visit of every key takes at the present rates of the hosts; null without a key or a server. */
  seconds_at_rate: number | null;
  /** By which factor all intervals between visits are stretched, because the hosts have no room for all of them. */
  stretch: number;
  /** How many keys that visits found are not watched, by the reason: no keys, or found while the database was `full`. */
  refused_keys: Record<string, number>;
  signals: SignalStatus;
}

/** A key on an agenda, and its last visit. */
export interface WatchedKey {
  key: string;
  due_at: string;
  /** Why it is due at that time. */
  reason: string;
  added_at: string;
  /** The last visit that had an outcome. */
  last_checked_at: string | null;
  outcome: 'found' | 'partial' | 'gone' | 'failed' | null;
  /** How many visits in a row had this outcome. */
  times: number;
}

/**
 * One part of a request that adds keys, in canonical form. `atMs`: null in the first part, in the others what the
 * answer to the first one says (milliseconds since 1970). With it the object recognizes keys that the request had
 * before.
 */
export interface WatchPart {
  atMs: number | null;
  keys: { line: number; key: string; space: string }[];
}

/**
 * The result of a part. `refused`: it had new keys and none of its keys was added. `repeated`: lines with a key that the
 * request had before.
 */
export interface WatchResult {
  refused: { message: string; hint: string } | null;
  atMs: number;
  added: number;
  known: number;
  repeated: number[];
}
