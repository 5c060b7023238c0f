// The JSON of what is watched. An unknown value is null; no field is ever absent, at any depth. Times are ISO 8601.

/** How much of an agenda is due; `overdue`: for more than an hour. */
export interface AgendaStatus {
  keys: number;
  due: number;
  overdue: number;
  oldest_due_at: string | null;
  /** How long visiting every key once takes at the rates its hosts are asked at now; null without a key or a server. */
  seconds_at_rate: number | null;
}

/** A key that is visited again and again, and what its last visit came to. */
export interface WatchedKey {
  key: string;
  due_at: string;
  /** Why it is due then. */
  reason: string;
  added_at: string;
  /** The last visit that came to something. */
  last_checked_at: string | null;
  outcome: 'found' | 'partial' | 'gone' | 'failed' | null;
  /** Visits in a row with this outcome. */
  times: number;
}

/** One part of a request that adds keys, in their one form. `atMs` is the same in all parts of it. */
export interface WatchPart {
  atMs: number | null;
  keys: { line: number; key: string; space: string }[];
}

/** What came of a part. `atMs` is for the next one; `repeated`: lines whose key an earlier part of the request had. */
export interface WatchedPart {
  atMs: number;
  added: number;
  known: number;
  repeated: number[];
}
