import about from '../../../package.json' with { type: 'json' };
import { ChangeError } from '../../errors.ts';
import { freshMs, type QuotaHeaders, quotaOf, retryAfterMs } from '../../http-headers.ts';
import type { HostTally } from '../../ports/hosts.ts';
import type { Post, Refusal } from '../source.ts';
import { type Attempt, type AttemptOptions, startAttempt } from './attempt.ts';
import { type Received, readBody, type Upload } from './body.ts';
import { mayName } from './named-hosts.ts';
import { classOf, countQuota, countRefusal, judged } from './tally.ts';

/** The time for a body that is uploaded in parts, counted from the first part: the largest, at 7 MB a second. */
const UPLOAD_MS_MAX = 40_000;

export interface HttpRequest {
  url: string;
  subject: string;
  headers: Record<string, string>;
  /** What is sent; undefined for a GET. */
  post?: Post | undefined;
  /** The name of the document at the URL, where it may be uploaded. */
  name?: string;
  timeoutMs?: number | undefined;
  /** The name of the permits that it takes; the URL's host where it is undefined. */
  permitHost?: string | undefined;
  /** Decoded bytes of the answer at most; null of a document, which has limits of its own. */
  bytesMax: number | null;
  /** Decoded bytes that a document may have in this call; null where it may have all that are parsed. */
  sharedBytesMax?: number | null;
  /** How many redirects may still be followed. */
  redirects: number;
  /** Throws for an answer of status 4xx whose body or headers say more than its status does. */
  checkRefusal?: ((refusal: Refusal) => void) | undefined;
}

export interface HttpOptions extends Omit<AttemptOptions, 'subject' | 'timeoutMs'> {
  /** Where an upstream can write to the operator. */
  contact: string;
  /** Starts the upload of a document too large to be parsed, by its name; without this such a document is only refused. */
  openUpload?: (name: string) => Promise<Upload>;
  /** Whether the source has a pace for a host, so that a redirect to it may be followed; true by default. */
  isPaced?: ((host: string) => boolean) | undefined;
  fetch?: typeof fetch;
  /** The headers in which the host says how many requests are left. */
  quota?: QuotaHeaders | undefined;
}

/** An answer that names another URL to ask. */
export class Redirect extends Error {
  override readonly name = 'Redirect';
  readonly url: string;

  constructor(url: string) {
    super('expected an answer, got a redirect');
    this.url = url;
  }
}

/** The request that a redirect asks for. Another host has no permits under the name of the request's host. */
export function redirected<R extends Omit<HttpRequest, 'redirects'>>(request: R, { url }: Redirect): R {
  const isSameHost = new URL(url).host === new URL(request.url).host;
  return { ...request, url, permitHost: isSameHost ? request.permitHost : undefined };
}

/** The name of the permits that a request takes. */
export function permitHostOf({ url, permitHost }: Pick<HttpRequest, 'url' | 'permitHost'>): string {
  return permitHost ?? new URL(url).host;
}

/**
 * One try of a request over HTTP. Throws `Redirect`, `ChangeError`, `LargeDocument`, and `StepError` of kind `deadline`.
 */
export async function sendRequest(request: HttpRequest, options: HttpOptions): Promise<Received> {
  const { subject, name, timeoutMs, bytesMax, sharedBytesMax = null } = request;
  const { openUpload, now } = options;
  // Start the time of the try.
  const attempt = startAttempt({ ...options, subject, timeoutMs });
  const { countFault, received } = attempt;
  try {
    // Send the request and judge the status.
    const response = await openAnswer(request, options, attempt);
    // Read the body within its limits. An upload gets more time.
    const startUpload = async () => {
      attempt.allow(UPLOAD_MS_MAX);
      return openUpload!(name!);
    };
    const body = await readBody(response, {
      bytesMax,
      sharedBytesMax,
      received,
      subject,
      countFault,
      openUpload: openUpload && name !== undefined ? startUpload : null,
      checkTime: timeCheck(attempt),
    });
    return { ...body, freshMs: freshMs(response.headers, now()) };
  } finally {
    attempt.stop();
  }
}

/** Sends a request and judges the status of its answer. Returns an answer of status 200, with its body unread. */
export async function openAnswer(
  { url, subject, headers, post, redirects, checkRefusal, bytesMax, sharedBytesMax = null }: HttpRequest,
  { contact, tally, now, isPaced = () => true, fetch: send = fetch, quota }: HttpOptions,
  attempt: Attempt,
): Promise<Response> {
  const { signal, countFault, received } = attempt;
  // Send the request.
  tally.requests += 1;
  const response = await send(url, {
    ...(post ? { method: 'POST', body: post.body } : {}),
    headers: { ...headers, ...(post ? { 'content-type': post.contentType } : {}), 'user-agent': userAgent(contact) },
    // Without `no-store` the platform's edge caches by extension, and many packages have a name such as `chart.js`.
    cache: 'no-store',
    // The runtime would follow up to 20 redirects, wherever they lead, without a permit.
    redirect: 'manual',
    signal,
  }).catch(error => {
    tally.statuses.none += 1;
    throw countFault('unreachable', error);
  });
  attempt.watchBody();
  // Judge the status.
  tally.statuses[classOf(response.status)] += 1;
  countQuota(tally, quota, response.headers, now());
  await checkRedirect(response, { url, subject, post, redirects, isPaced });
  if (response.status === 200) return response;
  // Some hosts answer 404 to whatever they are asked, or say in the body why they forbid: let the source judge it.
  if (checkRefusal && classOf(response.status) === '4xx') {
    const limits = { bytesMax, sharedBytesMax, received, subject, countFault };
    const body = await readBody(response, { ...limits, openUpload: null, checkTime: timeCheck(attempt) });
    judged(tally, () => checkRefusal({ ...body, status: response.status }));
  }
  throw await statusError(response, { subject, tally, nowMs: now(), quota });
}

/** Throws once the time of the try is up. */
function timeCheck({ signal, countFault }: Attempt): () => void {
  return () => {
    if (signal.aborted) throw countFault('truncated', null);
  };
}

/** Throws `Redirect` where the answer names another URL that may be asked; `ChangeError` where it may not be. */
async function checkRedirect(
  { status, headers, body }: Response,
  {
    url,
    subject,
    post,
    redirects,
    isPaced,
  }: Pick<HttpRequest, 'url' | 'subject' | 'post' | 'redirects'> & { isPaced: Paced },
): Promise<void> {
  const location = headers.get('location');
  if (![301, 302, 303, 307, 308].includes(status) || location === null) return;
  // Only these two ask for the same method (RFC 9110, 15.4); a GET in place of a POST would ask for something else.
  if (post && status !== 307 && status !== 308) return;
  await body?.cancel().catch(() => {});
  const target = URL.canParse(location, url) ? new URL(location, url) : null;
  if (redirects > 0 && target && mayName(url, target.href) && isPaced(target.host)) throw new Redirect(target.href);
  const expected = redirects > 0 ? 'a redirect to a public host that the source may ask' : 'an answer';
  const actual = redirects > 0 ? 'one to another' : 'one redirect too many';
  throw new ChangeError(`http-${status}`, `${subject}: expected ${expected}, got ${actual}`, { status });
}

type Paced = NonNullable<HttpOptions['isPaced']>;

/** Counts an answer other than 200 and returns its error. */
async function statusError(
  { status, headers, body }: Response,
  {
    subject,
    tally,
    nowMs,
    quota,
  }: { subject: string; tally: HostTally; nowMs: number; quota: QuotaHeaders | undefined },
): Promise<ChangeError> {
  await body?.cancel().catch(() => {});
  const askedMs = retryAfterMs(headers.get('retry-after'), nowMs);
  // A host that forbids because its quota is used up says "too many", as GitHub does.
  const spent = status === 403 && quota ? quotaOf(headers, quota, nowMs) : null;
  const isSpent = spent?.remaining === 0;
  const refusal = isSpent ? { status: 429, retryAfterMs: askedMs ?? spent.resetMs } : { status, retryAfterMs: askedMs };
  countRefusal(tally, refusal);
  return new ChangeError(`http-${status}`, `${subject}: expected status 200, got ${status}`, refusal);
}

function userAgent(contact: string): string {
  return `Tributary/${about.version} (+${contact.replace(/[^\x20-\x7e]/g, '?')})`;
}
