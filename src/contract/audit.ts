// The JSON of an audit. An unknown value is null; no field is ever absent, at any depth.

/**
 * A comparison of the keys the upstream lists with those that have a row here. `sampled` of the `listed` keys were
 * compared: `present` here, `failed` (parked or dead), `deleted` here (listed, but the newest row is a deletion) or
 * `missing`; `extra` keys of the sample are here and not listed. Null until they were looked at again, and where they
 * cannot be told. The rate is present of present, failed and missing, with the bounds of its Wilson 95 % interval.
 */
export interface SweepStatus {
  phase: 'listing' | 'catching-up' | 'checking' | 'mending' | 'done' | 'given-up';
  sample: number;
  listed: number;
  sampled: number;
  present: number;
  failed: number;
  deleted: number;
  missing: number | null;
  extra: number | null;
  capture_rate: number | null;
  capture_rate_low: number | null;
  capture_rate_high: number | null;
  /** The first of them in order, at most 100. */
  missing_keys: string[];
  extra_keys: string[];
  /** Changes made to load missing and deleted keys afresh. */
  loaded_afresh: number;
  /** Why it was given up. */
  reason: string | null;
  started_at: string;
  ended_at: string | null;
}

/** What the self-check of the lake found: `files` looked at by it so far, `found` by it in all, `problems` that still are, at most 100. */
export interface SelfCheckStatus {
  running: boolean;
  files: number;
  found: number;
  problems: { key: string; subject: string; expected: string; actual: string; found_at: string }[];
  started_at: string | null;
  ended_at: string | null;
  next_at: string | null;
}

export interface AuditStatus {
  source: string;
  running: SweepStatus | null;
  last: SweepStatus | null;
  self_check: SelfCheckStatus | null;
}
