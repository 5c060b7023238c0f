/** Why a change is parked: what its upstream answered, or what is wrong with its document. */
export type ParkReason =
  | `http-${number}`
  | 'timeout'
  | 'truncated'
  | 'malformed-json'
  | 'not-json'
  | 'too-large'
  | 'row-too-large'
  | 'key-too-long'
  | 'name-mismatch'
  | 'wrong-shape'
  | 'document-kills-loader'
  | 'lagging-revision'
  | 'no-server'
  | 'missed';

/** Why an accepted change gave no row and never will. */
export type SkipReason =
  | 'internal-document'
  | 'no-rows'
  | 'superseded'
  | 'unchanged'
  | 'revision-never-served'
  | 'dismissed'
  | 'unwatched';

/** Kinds of failure of a whole run, or of a step of it. */
export type ErrorKind =
  | 'upstream-unreachable'
  | 'upstream-throttled'
  | 'upstream-status'
  | 'upstream-shape'
  | 'upstream-failing'
  | 'cursor-refused'
  | 'sequence-reset'
  | 'foreign-object'
  | 'lake-not-empty'
  | 'catalog-ahead'
  | 'loader-failed'
  | 'bucket-failed'
  | 'database-failed'
  | 'queue-failed'
  | 'source-failed'
  | 'stream-failed'
  | 'stream-refused'
  | 'journal-full'
  | 'journal-layout'
  | 'flush-failed'
  | 'lake-damaged'
  | 'deadline'
  | 'internal';

/**
 * What an upstream did instead of answering: the reason a change is parked under, or a page is asked for again.
 * `retryAfterMs` is the upstream's own floor for the next attempt. Carries no value of any row.
 */
export class ChangeError extends Error {
  override readonly name = 'ChangeError';
  readonly reason: ParkReason | 'unreachable';
  readonly status: number | null;
  readonly retryAfterMs: number | null;

  constructor(
    reason: ParkReason | 'unreachable',
    message: string,
    { status = null, retryAfterMs = null }: { status?: number | null; retryAfterMs?: number | null } = {},
  ) {
    super(message);
    this.reason = reason;
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }
}

/** A source refuses its own cursor, or sees that its upstream started counting anew. Stops the lane until it passes. */
export class CursorError extends Error {
  override readonly name = 'CursorError';
}

/** A setting that cannot be used; the message names it and says what was expected. Stops the start. */
export class SettingError extends Error {
  override readonly name = 'SettingError';
}

/** A failure of one of our own parts: fails the slice, never parks a change. */
export class StepError extends Error {
  override readonly name: string = 'StepError';
  readonly kind: ErrorKind;
  readonly retryAfterMs: number | null;

  constructor(kind: ErrorKind, message: string, retryAfterMs: number | null = null) {
    super(message);
    this.kind = kind;
    this.retryAfterMs = retryAfterMs;
  }
}

/** Another version of Tributary wrote the journal of a source. The object refuses every call that needs the journal. */
export class JournalLayoutError extends StepError {
  override readonly name = 'JournalLayoutError';

  constructor(message: string) {
    super('journal-layout', message);
  }
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Why a change is parked. */
export interface Failure {
  reason: ParkReason;
  detail: string;
  stack?: string | null | undefined;
}
