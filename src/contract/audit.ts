// The JSON of an audit. An unknown value is null; no field is ever absent, at any depth. Times are ISO 8601.

/** Starts a sweep (`audit`) or a self-check. */
export type AuditAction = 'audit' | 'self-check';

/**
 * A sweep: it compares keys that the upstream lists with keys that have a row here. Of `listed` keys it compares
 * `sampled`. Each of those is `present`, `failed` (parked or dead), `deleted` (its newest row here is a deletion) or
 * `missing`. `stale` keys are present, and listed with a revision that no change here had. `extra` keys of the sample have
 * a row here and are not listed. A count is null until the keys are checked again, and where it cannot be known.
 */
export interface SweepStatus {
  phase: 'listing' | 'catching-up' | 'checking' | 'mending' | 'done' | 'given-up';
  /** How many keys the sweep was asked to compare. */
  sample: number;
  listed: number;
  sampled: number;
  present: number;
  failed: number;
  deleted: number;
  missing: number | null;
  stale: number | null;
  extra: number | null;
  /**
   * Present keys as a share of present, failed and missing ones, with the bounds of its Wilson 95 % interval: 0 to 1.
   */
  capture_rate: number | null;
  capture_rate_low: number | null;
  capture_rate_high: number | null;
  /** The first 100 of them, in order. */
  missing_keys: string[];
  stale_keys: string[];
  extra_keys: string[];
  /** Changes that the sweep made to load keys that differ; extra ones only where the upstream lists all keys in one answer. */
  loaded_afresh: number;
  /** Why the sweep was given up. */
  reason: string | null;
  started_at: string;
  ended_at: string | null;
}

/**
 * The self-check, which compares the lake with the journal: `files` it has read so far, `found` problems in all, and
 * the first 100 `problems` that still exist.
 */
export interface SelfCheckStatus {
  running: boolean;
  files: number;
  found: number;
  problems: { key: string; subject: string; expected: string; actual: string; found_at: string }[];
  started_at: string | null;
  ended_at: string | null;
  next_at: string | null;
}

/** The audit of a source: the running sweep, the last one that ended, and the self-check. */
export interface AuditStatus {
  source: string;
  running: SweepStatus | null;
  last: SweepStatus | null;
  self_check: SelfCheckStatus | null;
}
