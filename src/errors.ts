/** The closed list of reasons why a change is parked; an HTTP status is `http-` and its number. */
export const PARK_REASONS = [
  'http-<status>',
  'timeout',
  'truncated',
  'malformed-json',
  'not-json',
  'too-large',
  'row-too-large',
  'key-too-long',
  'name-mismatch',
  'wrong-shape',
  'document-kills-loader',
  'lagging-revision',
  'no-server',
  'dns-error',
  'missed',
  'recheck',
] as const;

/** Why a change is parked: its upstream answered with an error, or its document cannot be used. */
export type ParkReason = Exclude<(typeof PARK_REASONS)[number], 'http-<status>'> | `http-${number}`;

/** The closed list of reasons why an accepted change has no row and never gets one. */
export const SKIP_REASONS = [
  'internal-document',
  'no-rows',
  'superseded',
  'unchanged',
  'revision-never-served',
  'dismissed',
  'unwatched',
  'coalesced',
] as const;

export type SkipReason = (typeof SKIP_REASONS)[number];

/**
 * The closed list of what a source makes of a server's text. `whole`: every line was understood. `part`: some lines were
 * not. `absent`: the server has nothing under the key. `refused`: it takes no queries now. `unknown`: the source does not
 * know the form.
 */
export const READINGS = ['whole', 'part', 'absent', 'refused', 'unknown'] as const;

export type Reading = (typeof READINGS)[number];

/**
 * The closed list of reasons why a finding of an inlet is passed over, besides the reasons for which its source takes a
 * text for no key.
 */
export const FINDING_REFUSALS = [
  'key-too-long',
  'control-character',
  'facts-too-large',
  'item-too-long',
  'too-many-findings',
  'row-unreadable',
  'removed',
] as const;

export type FindingRefusal = (typeof FINDING_REFUSALS)[number];

/** UTF-16 units of an error's message. Some runtimes quote what an upstream wrote, and SQLite and D1 refuse values over 2 MB. */
export const MESSAGE_LENGTH_MAX = 2_000;

/** An address in a message. The scheme's length is limited, so that a long run of letters is searched once. */
const ADDRESS = /\b([a-z][a-z0-9+.-]{0,20}:\/\/)([^\s"'<>]*)/gi;

/**
 * A text as a message may have it: addresses without login, query and fragment, because those hold secrets, in
 * well-formed Unicode, cut at `MESSAGE_LENGTH_MAX`.
 */
function messageText(text: string): string {
  const plain = text.replace(ADDRESS, (_, scheme: string, rest: string) => {
    const authority = rest.split(/[/\\?#]/, 1)[0]!;
    const path = rest.slice(authority.length).replace(/[?#].*$/, '');
    return scheme + authority.slice(authority.lastIndexOf('@') + 1) + path;
  });
  const cut = plain.length > MESSAGE_LENGTH_MAX ? `${plain.slice(0, MESSAGE_LENGTH_MAX - 1)}…` : plain;
  return cut.toWellFormed();
}

/** What failed in a step of a run, or in the whole run. */
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
  | 'database-full'
  | 'journal-layout'
  | 'flush-failed'
  | 'lake-damaged'
  | 'feed-damaged'
  | 'deadline'
  | 'internal';

/**
 * The upstream did not answer, or its answer cannot be used. The engine parks the change under `reason`, or pulls the
 * page again. `retryAfterMs`: the upstream asks for at least this wait. The message holds no value of a row.
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
    super(messageText(message));
    this.reason = reason;
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }
}

/** Whether the connection was at fault: there was none, or it broke. A retry at once may help. */
export function isConnectionFault({ reason }: ChangeError): boolean {
  return reason === 'unreachable' || reason === 'truncated' || reason === 'timeout';
}

/** Whether an answer asks to slow down: 429, or 503 with a time to wait. */
export function isThrottled({ status, retryAfterMs }: Pick<ChangeError, 'status' | 'retryAfterMs'>): boolean {
  return status === 429 || (status === 503 && retryAfterMs !== null);
}

/** The upstream rejects a cursor, or restarted its numbering. The lane stops until the cause is gone. */
export class CursorError extends Error {
  override readonly name = 'CursorError';
}

/**
 * A setting is missing or wrong. The message names the setting and what was expected. Nothing starts until it is right.
 */
export class SettingError extends Error {
  override readonly name = 'SettingError';
}

/** Ends a step of a run, for example when the bucket does not answer. Never parks a change. */
export class StepError extends Error {
  override readonly name: string = 'StepError';
  readonly kind: ErrorKind;
  readonly retryAfterMs: number | null;

  constructor(kind: ErrorKind, message: string, retryAfterMs: number | null = null) {
    super(messageText(message));
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

/** The message of any thrown value, cut and without secrets of addresses. */
export function messageOf(error: unknown): string {
  return messageText(error instanceof Error ? error.message : String(error));
}

/** Why a change is parked, with a detail for the person who reads it. Both hold no value of a row. */
export interface Failure {
  reason: ParkReason;
  detail: string;
}
