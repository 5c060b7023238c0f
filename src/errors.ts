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
  | 'lagging-revision';

/** Why an accepted change gave no row and never will. */
export type SkipReason =
  | 'internal-document'
  | 'no-rows'
  | 'superseded'
  | 'unchanged'
  | 'revision-never-served'
  | 'dismissed'
  | 'unwatched';

/** Kinds of failure of a whole run; each has one line in `hintFor`. */
export type ErrorKind =
  | 'upstream-unreachable'
  | 'upstream-throttled'
  | 'upstream-status'
  | 'upstream-shape'
  | 'cursor-refused'
  | 'sequence-reset'
  | 'foreign-object'
  | 'lake-not-empty'
  | 'loader-failed'
  | 'bucket-failed'
  | 'database-failed'
  | 'journal-full'
  | 'flush-failed'
  | 'deadline'
  | 'internal';

/**
 * What an upstream did instead of answering: the reason a change is parked under, or a page is asked for again.
 * `retryAfterMs` is the upstream's own floor for the next attempt. Carries no value of any row.
 */
export class UpstreamError extends Error {
  override readonly name = 'UpstreamError';
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
export class OwnError extends Error {
  override readonly name = 'OwnError';
  readonly kind: ErrorKind;
  readonly retryAfterMs: number | null;

  constructor(kind: ErrorKind, message: string, retryAfterMs: number | null = null) {
    super(message);
    this.kind = kind;
    this.retryAfterMs = retryAfterMs;
  }
}

/** What a person can do about an error of this kind: one sentence, the same wherever it is shown. */
export function hintFor(kind: ErrorKind): string {
  return HINTS[kind];
}

const HINTS: Record<ErrorKind, string> = {
  'upstream-unreachable':
    'Check the network and the URL in the settings; the source goes on by itself once it answers.',
  'upstream-throttled':
    'Nothing to do: the source waits as long as the upstream asked for. Lower its requests per second if it repeats.',
  'upstream-status': 'Nothing to do if it passes; if it stays, look at the upstream in a browser.',
  'upstream-shape': 'The upstream changed the form of its answers; the source file that reads it must follow.',
  'cursor-refused': 'The upstream no longer takes the stored place; see whether its feed was rebuilt.',
  'sequence-reset': 'The upstream counts from a lower number again; re-seed the source from a new start.',
  'foreign-object': 'Another object stands where a data file belongs; find out who wrote it before removing it.',
  'lake-not-empty':
    'Data files of this table exist but the source has no journal of them; rebuild the source from the lake.',
  'loader-failed': 'Nothing to do if it passes; if it stays, look at the logs of the Loader.',
  'bucket-failed': 'Nothing to do if it passes; if it stays, look at the bucket and its binding.',
  'database-failed': 'Nothing is lost: the projection is repeated until it lands. Look at the database if it stays.',
  'journal-full': 'Pulling stopped until flushes have emptied the journal; look at why they do not.',
  'flush-failed': 'The file is tried again every 5 minutes; the message says what an attempt cost.',
  deadline: 'A call did not end in time; the run starts again by itself.',
  internal: 'This is a fault of Tributary; please report it with the message.',
};

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
