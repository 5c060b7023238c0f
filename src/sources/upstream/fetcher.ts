import pRetry from 'p-retry';
import about from '../../../package.json' with { type: 'json' };
import { LIMITS } from '../../config.ts';
import { ChangeError, StepError } from '../../errors.ts';
import { freshMs, retryAfterMs } from '../../http-headers.ts';
import type { HostTally, Permit, StatusClass } from '../../ports/hosts.ts';
import type { Fetched, SourceContext } from '../source.ts';
import { startAttempt } from './attempt.ts';
import { LargeDocument, type Received, readBody, type Upload } from './body.ts';
import { checkShape, parseJson } from './json.ts';
import { parseLarge } from './json-large.ts';
import { askServer, type Connect } from './line-over-tcp.ts';
import { createPacer } from './pacer.ts';

export { LargeDocument };

/** A body that is stored in parts has this long from the first on: the largest, at 7 MB a second. */
const STORE_MS_MAX = 40_000;

/** A fault of the connection is tried again at once; whatever lasts longer is the object's to wait for. */
const RETRIES_MAX = 2;
const RETRY_MS_MIN = 250;

export interface FetcherOptions {
  /** Who an upstream can write to. */
  contact: string;
  permits: Permit[];
  /** Gets a slot for a host that is not among the permits; null when it has none in time. */
  permit?: ((host: string) => Promise<Permit | null>) | undefined;
  /** Nothing is begun or waited for past this. */
  deadlineAtMs: number;
  /** Whether an answer over `LIMITS.documentBytesLarge` may be read. */
  large?: boolean;
  /** Opens the place for a document too large to be parsed, by its name; without this such a one is only refused. */
  store?: (name: string) => Promise<Upload>;
  retryMsMin?: number;
  fetch?: typeof fetch;
  /** Opens TCP connections; without this, no server is asked for text. */
  connect?: Connect | undefined;
  now?: () => number;
  sleep?: (ms: number) => Promise<void>;
  /** Calls `due` after `ms` and gives what calls it off. */
  timer?: (ms: number, due: () => void) => () => void;
}

export interface Fetcher extends Pick<SourceContext<unknown>, 'fetchJson' | 'fetchRaw' | 'fetchDocument' | 'askText'> {
  /** What was asked of each host so far, retries included. */
  tallies(): HostTally[];
}

interface Asked {
  url: string;
  subject: string;
  headers: Record<string, string>;
  /** The name of the document asked for, where it is one. */
  name?: string;
  timeoutMs?: number | undefined;
  /** Redirects that may still be followed; undefined leaves them to the runtime. */
  redirects?: number | undefined;
}

/** An answer that says to ask elsewhere. */
class Redirect extends Error {
  readonly url: string;

  constructor(url: string) {
    super('redirect');
    this.url = url;
  }
}

/**
 * The only way to an upstream, for the length of one call. Throws `ChangeError` for what the upstream did,
 * `LargeDocument`, `StepError` of kind `deadline` when the call's own time is up, and a plain Error for a request nobody
 * took a permit for.
 */
export function createFetcher(options: FetcherOptions): Fetcher {
  const { deadlineAtMs, now = Date.now, sleep = pause, retryMsMin = RETRY_MS_MIN } = options;
  const tallies = new Map<string, HostTally>();
  const waitForSlot = createPacer({ ...options, now, sleep });

  /** One request in its slot of a host's permits, tried again where the connection was at fault. */
  async function tryInSlot<T>(host: string, subject: string, send: (tally: HostTally) => Promise<T>): Promise<T> {
    await waitForSlot(host, subject);
    const tally = tallyOf(tallies, host);
    let fault: ChangeError | null = null;
    const attempt = async () => {
      try {
        return await send(tally);
      } catch (error) {
        // A try that our deadline cut short says nothing: what the upstream did before is the reason to give.
        if (fault && error instanceof StepError && error.kind === 'deadline') throw fault;
        if (isConnectionFault(error)) fault = error;
        throw error;
      }
    };
    return pRetry(attempt, {
      retries: RETRIES_MAX,
      minTimeout: retryMsMin,
      randomize: true,
      maxRetryTime: Math.max(0, deadlineAtMs - now()),
      shouldRetry: ({ error }) => isConnectionFault(error),
    });
  }

  /** `read` belongs to each try, so that a body that only looks whole is asked for again. */
  async function ask<T>(asked: Asked, read: (received: Received) => T): Promise<T> {
    try {
      return await tryInSlot(new URL(asked.url).host, asked.subject, async tally =>
        read(await request(asked, { ...options, now, tally })),
      );
    } catch (error) {
      if (!(error instanceof Redirect)) throw error;
      return ask({ ...asked, url: error.url, redirects: asked.redirects! - 1 }, read);
    }
  }

  return {
    async fetchRaw(url, { subject, headers = {}, timeoutMs, redirects }) {
      return ask({ url, subject, headers, timeoutMs, redirects }, factsOf);
    },
    async fetchJson(url, { subject, shape, headers, timeoutMs, redirects }) {
      const asked = { url, subject, headers: { accept: 'application/json', ...headers }, timeoutMs, redirects };
      const answer = await ask(asked, received => ({ ...received, json: parseJson(subject, received) }));
      return { ...factsOf(answer), json: checkShape(subject, shape, answer.json) };
    },
    async fetchDocument(url, { subject, name, unread, headers }) {
      const parse = (received: Received) =>
        received.bytes.length > LIMITS.documentBytesLarge
          ? parseLarge(subject, received, unread)
          : parseJson(subject, received);
      const asked = { url, subject, name, headers: { accept: 'application/json', ...headers } };
      const answer = await ask(asked, received => ({ ...received, json: parse(received) }));
      return { ...factsOf(answer), json: answer.json };
    },
    async askText(server, query, { subject, permitHost, check }) {
      const { connect, timer } = options;
      if (!connect) throw new Error(`${subject}: expected a way to open connections, got none`);
      return tryInSlot(permitHost, subject, tally =>
        askServer({ server, query }, { subject, deadlineAtMs, now, tally, timer, connect, check }),
      );
    },
    tallies: () => structuredClone([...tallies.values()]),
  };
}

function factsOf({ bytes, etag, freshMs }: Received): Fetched {
  return { bytes, etag, freshMs };
}

/** One try: status, headers and body, within the request's time and the call's deadline. */
async function request(
  { url, subject, headers, name, timeoutMs, redirects }: Asked,
  {
    contact,
    deadlineAtMs,
    large = true,
    store,
    now,
    tally,
    ...ports
  }: FetcherOptions & { now: () => number; tally: HostTally },
): Promise<Received> {
  const { fetch: send = fetch, timer } = ports;
  const attempt = startAttempt({ subject, deadlineAtMs, now, tally, timer, timeoutMs });
  const { signal, failed } = attempt;
  const openStore = async (document: string) => {
    attempt.allow(STORE_MS_MAX);
    return store!(document);
  };
  try {
    tally.requests += 1;
    // Without `no-store` the platform's edge caches by extension, which is how many packages are named (`chart.js`).
    const init = {
      headers: { ...headers, 'user-agent': userAgent(contact) },
      cache: 'no-store' as const,
      redirect: redirects === undefined ? ('follow' as const) : ('manual' as const),
      signal,
    };
    const response = await send(url, init).catch(error => {
      tally.statuses.none += 1;
      throw failed('unreachable', error);
    });
    tally.statuses[statusClass(response.status)] += 1;
    if (redirects !== undefined && redirects > 0) await checkRedirect(response, url);
    if (response.status !== 200) throw await statusError(response, { subject, tally, nowMs: now() });
    const received = await readBody(response, {
      subject,
      large,
      failed,
      store: store && name !== undefined ? () => openStore(name) : null,
      checkTime: () => {
        if (signal.aborted) throw failed('truncated', null);
      },
    });
    return { ...received, freshMs: freshMs(response.headers, now()) };
  } finally {
    attempt.stop();
  }
}

/** Throws where to ask instead, when the answer names a place that can be asked. */
async function checkRedirect({ status, headers, body }: Response, url: string): Promise<void> {
  const location = headers.get('location');
  if (![301, 302, 303, 307, 308].includes(status) || location === null || !URL.canParse(location, url)) return;
  const target = new URL(location, url);
  if (!/^https?:$/.test(target.protocol)) return;
  await body?.cancel().catch(() => {});
  throw new Redirect(target.href);
}

/** Counts an answer that is not 200 and makes its error. 429, and 503 with a time to wait, are throttling; a 404 is an answer. */
async function statusError(
  response: Response,
  { subject, tally, nowMs }: { subject: string; tally: HostTally; nowMs: number },
): Promise<ChangeError> {
  await response.body?.cancel().catch(() => {});
  const { status } = response;
  const waitMs = retryAfterMs(response.headers.get('retry-after'), nowMs);
  if (waitMs !== null) tally.retryAfterMs = Math.max(tally.retryAfterMs ?? 0, waitMs);
  if (status === 304) tally.notModified += 1;
  else if (status === 429 || (status === 503 && waitMs !== null)) tally.throttled += 1;
  else if (status === 403) tally.refused += 1;
  else if (status >= 500) tally.errors += 1;
  return new ChangeError(`http-${status}`, `${subject}: expected status 200, got ${status}`, {
    status,
    retryAfterMs: waitMs,
  });
}

/** Whether asking again at once may help: no connection, or one that broke. */
function isConnectionFault(error: unknown): error is ChangeError {
  return error instanceof ChangeError && ['unreachable', 'truncated', 'timeout'].includes(error.reason);
}

function userAgent(contact: string): string {
  return `Tributary/${about.version} (+${contact.replace(/[^\x20-\x7e]/g, '?')})`;
}

function tallyOf(tallies: Map<string, HostTally>, host: string): HostTally {
  const known = tallies.get(host);
  if (known) return known;
  const statuses = { '2xx': 0, '3xx': 0, '4xx': 0, '5xx': 0, none: 0 };
  const counts = { requests: 0, notModified: 0, throttled: 0, errors: 0, refused: 0 };
  const tally = { host, ...counts, statuses, retryAfterMs: null };
  tallies.set(host, tally);
  return tally;
}

function statusClass(status: number): Exclude<StatusClass, 'none'> {
  return status >= 500 ? '5xx' : status >= 400 ? '4xx' : status >= 300 ? '3xx' : '2xx';
}

function pause(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms));
}
