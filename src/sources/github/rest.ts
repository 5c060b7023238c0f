import type { ZodType } from 'zod';
import { ChangeError, StepError } from '../../errors.ts';
import { quotaOf, retryAfterMs } from '../../http-headers.ts';
import { isNestedTooDeep, JSON_DEPTH_MAX } from '../../json-depth.ts';
import { KiB } from '../../limits.ts';
import type { Refusal, SourceContext } from '../source.ts';
import { isObject } from '../upstream/json.ts';
import { type GithubSettings, QUOTA_HEADERS } from './settings.ts';

/** The version of the API whose shapes this folder reads. GitHub serves it two years after the next one appeared. */
const API_VERSION = '2022-11-28';

/** In GitHub's published shapes a fork's document has 14 KiB, and an account's 1. */
export const DOCUMENT_BYTES_MAX = 256 * KiB;

/** GitHub ends a request of its own after 10 s. */
const ANSWER_MS_MAX = 15_000;

/** How long to wait where GitHub says "secondary rate limit" and not for how long. The engine doubles it while it goes on. */
const SECONDARY_WAIT_MS = 60_000;

/** GitHub renews its limit with the second that it names, so one that begins in it may still be refused. */
const AFTER_RESET_MS = 1_000;

/** GitHub's have 70 characters. A longer one is not worth its room with every key. */
const ETAG_LENGTH_MAX = 200;

export type Context = SourceContext<GithubSettings>;

/** GitHub has blocked a repository or an account for good: a take-down, or terms that were broken. */
export class Blocked extends ChangeError {
  readonly why: string;

  constructor(subject: string, { status, why }: { status: number; why: string }) {
    super(`http-${status}`, `${subject}: expected status 200, got ${status} with a block (${why})`, { status });
    this.why = why;
  }
}

/** An answer of REST. */
export interface RestAnswer<T> {
  json: T;
  bytes: Uint8Array;
  etag: string | null;
  /** The URL of the next page is in it; null where the answer has no such header. */
  link: string | null;
}

/**
 * Gets a path of REST. Throws `ChangeError`, with status 304 where the ETag still holds, `Blocked`, and `StepError` for a
 * token that GitHub refuses.
 */
export async function getRest<T>(
  path: string,
  options: { subject: string; shape: ZodType<T>; etag?: string | null; bytesMax?: number; valuesMax?: number },
  ctx: Context,
): Promise<RestAnswer<T>> {
  const { subject, shape, etag = null, bytesMax = DOCUMENT_BYTES_MAX, valuesMax } = options;
  let link: string | null = null;
  const answer = await ctx.fetchJson(`${ctx.settings.url}${path}`, {
    subject,
    shape,
    bytesMax,
    ...(valuesMax !== undefined && { valuesMax }),
    timeoutMs: ANSWER_MS_MAX,
    headers: { ...headersOf(ctx.settings), ...(etag !== null && { 'if-none-match': etag }) },
    check(_, { headers, bytes }) {
      link = headers.get('link');
      // Refuse what could not even be written as JSON again.
      if (isNestedTooDeep(new TextDecoder().decode(bytes)))
        throw new ChangeError(
          'wrong-shape',
          `${subject}: expected JSON at most ${JSON_DEPTH_MAX} deep, got a deeper one`,
        );
    },
    checkRefusal: refusal => checkRefusal(refusal, { subject, nowMs: ctx.nowMs }),
  });
  const hasEtag = answer.etag !== null && answer.etag.length <= ETAG_LENGTH_MAX;
  return { json: answer.json, bytes: answer.bytes, etag: hasEtag ? answer.etag : null, link };
}

/** The same; null where GitHub has no such thing. Deleted, private and never there look the same. */
export async function findRest<T>(...asked: Parameters<typeof getRest<T>>): Promise<RestAnswer<T> | null> {
  try {
    return await getRest(...asked);
  } catch (error) {
    if (error instanceof ChangeError && error.status === 404) return null;
    throw error;
  }
}

export function headersOf({ token }: GithubSettings): Record<string, string> {
  return {
    accept: 'application/vnd.github+json',
    'x-github-api-version': API_VERSION,
    authorization: `Bearer ${token}`,
  };
}

/**
 * Judges a refusal, in this order: a block is for good; `retry-after` says how long to wait; a limit that is used up ends
 * at its reset; a secondary limit shows in the text alone, whatever is left of the other. Any other keeps its status.
 */
export function checkRefusal(
  { status, bytes, headers }: Refusal,
  { subject, nowMs }: { subject: string; nowMs: number },
): void {
  const { block, message } = refusalBody(bytes);
  if (status === 401)
    throw new StepError('upstream-status', `${subject}: expected GITHUB_TOKEN to be valid, got status 401`);
  if (status === 451 || block)
    throw new Blocked(subject, { status, why: block?.reason ?? 'unavailable for legal reasons' });
  if (status !== 403 && status !== 429) return;
  const waitMs = limitWaitMs(headers, message, nowMs);
  if (waitMs === null) return;
  throw new ChangeError(`http-${status}`, `${subject}: expected an answer, got a rate limit`, {
    status: 429,
    retryAfterMs: waitMs,
  });
}

/** How long a refusal asks to wait; null where it is not about a rate limit. */
export function limitWaitMs(headers: Headers, message: string, nowMs: number): number | null {
  const askedMs = retryAfterMs(headers.get('retry-after'), nowMs);
  if (askedMs !== null) return askedMs;
  const quota = quotaOf(headers, QUOTA_HEADERS, nowMs);
  if (quota?.remaining === 0) return quota.resetMs + AFTER_RESET_MS;
  return isSecondaryLimit(message) ? SECONDARY_WAIT_MS : null;
}

/** Whether a message is that of a secondary limit, which says nothing in its headers. */
export function isSecondaryLimit(message: string): boolean {
  return /\bsecondary rate\b/i.test(message);
}

/** What the body of a refusal says; it may be no JSON at all. */
function refusalBody(bytes: Uint8Array): { block: { reason: string } | null; message: string } {
  const json = jsonOf(bytes);
  if (!isObject(json)) return { block: null, message: '' };
  const block = isObject(json.block)
    ? { reason: /^[\w -]{1,40}$/.exec(String(json.block.reason))?.[0] ?? 'block' }
    : null;
  return { block, message: typeof json.message === 'string' ? json.message : '' };
}

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    // A proxy answers with a page, of which only the status counts.
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
