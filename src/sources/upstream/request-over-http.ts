import about from '../../../package.json' with { type: 'json' };
import { ChangeError } from '../../errors.ts';
import { freshMs, type QuotaHeaders, quotaOf, retryAfterMs } from '../../http-headers.ts';
import type { HostTally } from '../../ports/hosts.ts';
import { type AttemptOptions, startAttempt } from './attempt.ts';
import { type Received, readBody, type Upload } from './body.ts';
import type { JsonAnswer } from './json.ts';
import { classOf, countQuota, countRefusal, countThrown } from './tally.ts';

/** The time for a body that is uploaded in parts, counted from the first part: the largest, at 7 MB a second. */
const UPLOAD_MS_MAX = 40_000;

export interface HttpRequest {
  url: string;
  subject: string;
  headers: Record<string, string>;
  /** The name of the document at the URL, where it may be uploaded. */
  name?: string;
  timeoutMs?: number | undefined;
  /** The name of the permits that it takes; the URL's host where it is undefined. */
  permitHost?: string | undefined;
  /** How many redirects may still be followed; undefined leaves them to the runtime. */
  redirects?: number | undefined;
  /** Throws where the body of an answer with status 404 does not say that the item is missing. */
  checkMissing?: ((answer: JsonAnswer) => void) | undefined;
}

export interface HttpOptions extends Omit<AttemptOptions, 'subject' | 'timeoutMs'> {
  /** Where an upstream can write to the operator. */
  contact: string;
  /** Whether a body over `LIMITS.documentBytesLarge` may be read. */
  large?: boolean;
  /** Starts the upload of a document too large to be parsed, by its name; without this such a document is only refused. */
  openUpload?: (name: string) => Promise<Upload>;
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

/**
 * One try of a request over HTTP. Throws `Redirect`, `ChangeError`, `LargeDocument`, and `StepError` of kind `deadline`.
 */
export async function sendRequest(request: HttpRequest, options: HttpOptions): Promise<Received> {
  const { url, subject, headers, name, timeoutMs, redirects, checkMissing } = request;
  const { contact, large = true, openUpload, tally, now, fetch: send = fetch } = options;
  // Start the time of the try.
  const attempt = startAttempt({ ...options, subject, timeoutMs });
  const { signal, countFault } = attempt;
  try {
    // Send the request.
    tally.requests += 1;
    const response = await send(url, {
      headers: { ...headers, 'user-agent': userAgent(contact) },
      // Without `no-store` the platform's edge caches by extension, and many packages have a name such as `chart.js`.
      cache: 'no-store',
      redirect: redirects === undefined ? 'follow' : 'manual',
      signal,
    }).catch(error => {
      tally.statuses.none += 1;
      throw countFault('unreachable', error);
    });
    // Judge the status.
    tally.statuses[classOf(response.status)] += 1;
    countQuota(tally, options.quota, response.headers, now());
    if (redirects !== undefined && redirects > 0) await checkRedirect(response, url);
    const checkTime = () => {
      if (signal.aborted) throw countFault('truncated', null);
    };
    if (response.status === 404 && checkMissing) {
      // Some hosts answer a page of theirs with 404 for whatever they are asked, so the body decides.
      const body = await readBody(response, { subject, large: false, countFault, openUpload: null, checkTime });
      try {
        checkMissing(body);
      } catch (error) {
        countThrown(tally, error);
        throw error;
      }
    }
    if (response.status !== 200)
      throw await statusError(response, { subject, tally, nowMs: now(), quota: options.quota });
    // Read the body within its limits. An upload gets more time.
    const startUpload = async () => {
      attempt.allow(UPLOAD_MS_MAX);
      return openUpload!(name!);
    };
    const received = await readBody(response, {
      subject,
      large,
      countFault,
      openUpload: openUpload && name !== undefined ? startUpload : null,
      checkTime,
    });
    return { ...received, freshMs: freshMs(response.headers, now()) };
  } finally {
    attempt.stop();
  }
}

/** Throws `Redirect` when the answer names an HTTP URL to ask instead. */
async function checkRedirect({ status, headers, body }: Response, url: string): Promise<void> {
  const location = headers.get('location');
  if (![301, 302, 303, 307, 308].includes(status) || location === null || !URL.canParse(location, url)) return;
  const target = new URL(location, url);
  if (!/^https?:$/.test(target.protocol)) return;
  await body?.cancel().catch(() => {});
  throw new Redirect(target.href);
}

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
