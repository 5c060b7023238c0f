import pRetry from 'p-retry';
import { LIMITS } from '../../config.ts';
import { ChangeError, StepError } from '../../errors.ts';
import type { HostPace, HostTally } from '../../ports/hosts.ts';
import type { Fetched, FetchLimits, SourceContext } from '../source.ts';
import type { Timer } from './attempt.ts';
import { LargeDocument, type Received } from './body.ts';
import { checkShape, parseJson } from './json.ts';
import { parseLarge } from './json-large.ts';
import { askServer, type Connect } from './line-over-tcp.ts';
import { createPacer, type PacerOptions } from './pacer.ts';
import { type HttpOptions, type HttpRequest, Redirect, sendRequest } from './request-over-http.ts';
import { countThrown, createTally } from './tally.ts';

export { LargeDocument };

/** A fault of the connection is retried at once; the object waits for anything that lasts longer. */
export const RETRIES_MAX = 2;
const RETRY_MS_MIN = 250;

export interface FetcherOptions
  extends Omit<PacerOptions, 'now' | 'sleep'>,
    Omit<HttpOptions, 'now' | 'tally' | 'quota'> {
  /** The paces of the source's hosts, which say how their answers tell what is left. */
  hosts?: Record<string, HostPace> | undefined;
  retryMsMin?: number;
  /** Opens TCP connections; without this the fetcher cannot ask a server for text. */
  connect?: Connect | undefined;
  now?: () => number;
  sleep?: (ms: number) => Promise<void>;
  timer?: Timer | undefined;
}

export interface Fetcher extends Pick<SourceContext<unknown>, 'fetchJson' | 'fetchRaw' | 'fetchDocument' | 'askText'> {
  /** The requests to each host so far, retries included. */
  tallies(): HostTally[];
}

/**
 * The only way to an upstream, for the length of one call. Its functions throw `ChangeError` for what the upstream did,
 * `LargeDocument`, `StepError` of kind `deadline` when the deadline of the call has passed, and a plain Error for a host
 * without a permit.
 */
export function createFetcher(options: FetcherOptions): Fetcher {
  const { deadlineAtMs, now = Date.now, sleep = pause, retryMsMin = RETRY_MS_MIN } = options;
  const tallies = new Map<string, HostTally>();
  const waitForSlot = createPacer({ ...options, now, sleep });

  function tallyOf(host: string): HostTally {
    const tally = tallies.get(host) ?? createTally(host);
    tallies.set(host, tally);
    return tally;
  }

  /** Makes one request of a host; `send` is one try of it. */
  async function requestInSlot<T>(host: string, subject: string, send: (tally: HostTally) => Promise<T>): Promise<T> {
    // Find a permit for the host, or ask for one, and wait for its next slot.
    await waitForSlot(host, subject);
    // Try. Retry within the same slot when the connection was at fault.
    const tally = tallyOf(host);
    return retryConnection(() => send(tally), { msMin: retryMsMin, msMax: Math.max(0, deadlineAtMs - now()) });
  }

  /** Gets a URL. `read` judges the body within each try, so that a body that ends early without an error is fetched again. */
  async function get<T>(request: HttpRequest, read: (received: Received, tally: HostTally) => T): Promise<T> {
    const permitHost = request.permitHost ?? new URL(request.url).host;
    const quota = options.hosts?.[permitHost]?.quota;
    try {
      return await requestInSlot(permitHost, request.subject, async tally =>
        read(await sendRequest(request, { ...options, now, tally, quota }), tally),
      );
    } catch (error) {
      // Follow a redirect with a permit for the host that it names.
      if (!(error instanceof Redirect)) throw error;
      return get(redirected(request, error), read);
    }
  }

  return {
    async fetchRaw(url, { subject, headers = {}, ...limits }) {
      return get({ ...limitsOf(limits), url, subject, headers }, factsOf);
    },
    async fetchJson(url, { subject, shape, headers, check = () => {}, checkMissing, ...limits }) {
      const asked = { url, subject, checkMissing, headers: { ...ACCEPT_JSON, ...headers } };
      const request = { ...limitsOf(limits), ...asked };
      const answer = await get(request, (received, tally) => {
        const json = parseJson(subject, received);
        judge(json, { check, tally });
        return { ...factsOf(received), json };
      });
      return { ...answer, json: checkShape(subject, shape, answer.json) };
    },
    async fetchDocument(url, { subject, name, unread, headers, permitHost }) {
      const parse = (received: Received) =>
        received.bytes.length > LIMITS.documentBytesLarge
          ? parseLarge(subject, received, unread)
          : parseJson(subject, received);
      const request = { url, subject, name, permitHost, headers: { ...ACCEPT_JSON, ...headers } };
      return get(request, received => ({ ...factsOf(received), json: parse(received) }));
    },
    async askText(server, query, { subject, permitHost, check, readingOf }) {
      const { connect, timer } = options;
      if (!connect) throw new Error(`${subject}: expected a function that opens connections, got none`);
      return requestInSlot(permitHost, subject, tally =>
        askServer({ server, query }, { subject, deadlineAtMs, now, tally, timer, connect, check, readingOf }),
      );
    },
    tallies: () => structuredClone([...tallies.values()]),
  };
}

/** The limits alone: a name that came along would let the body be uploaded. */
function limitsOf({ timeoutMs, permitHost, redirects }: FetchLimits): Pick<HttpRequest, keyof FetchLimits> {
  return { timeoutMs, permitHost, redirects };
}

/** The request that a redirect asks for. Another host than that of the request has no permits under the request's name. */
function redirected({ permitHost, ...request }: HttpRequest, { url }: Redirect): HttpRequest {
  const isSameHost = new URL(url).host === new URL(request.url).host;
  return { ...request, url, permitHost: isSameHost ? permitHost : undefined, redirects: request.redirects! - 1 };
}

/** Lets the source judge an answer. Where it throws because the host refuses the caller, the host's tally says so. */
function judge(json: unknown, { check, tally }: { check: (json: unknown) => void; tally: HostTally }): void {
  try {
    check(json);
  } catch (error) {
    countThrown(tally, error);
    throw error;
  }
}

const ACCEPT_JSON = { accept: 'application/json' };

function factsOf({ bytes, etag, freshMs }: Received): Fetched {
  return { bytes, etag, freshMs };
}

/** Retries while the connection is at fault, after at least `msMin`, for at most `msMax`. */
async function retryConnection<T>(
  attempt: () => Promise<T>,
  { msMin, msMax }: { msMin: number; msMax: number },
): Promise<T> {
  let fault: ChangeError | null = null;
  const attemptOnce = async () => {
    try {
      return await attempt();
    } catch (error) {
      // A try that our deadline cut short says nothing about the upstream, so the fault of the try before is the reason.
      if (fault && error instanceof StepError && error.kind === 'deadline') throw fault;
      if (error instanceof ChangeError && isConnectionFault(error)) fault = error;
      throw error;
    }
  };
  return pRetry(attemptOnce, {
    retries: RETRIES_MAX,
    minTimeout: msMin,
    randomize: true,
    maxRetryTime: msMax,
    shouldRetry: ({ error }) => error instanceof ChangeError && isConnectionFault(error),
  });
}

/** Whether the connection was at fault: there was none, or it broke. A retry at once may help. */
export function isConnectionFault({ reason }: ChangeError): boolean {
  return reason === 'unreachable' || reason === 'truncated' || reason === 'timeout';
}

function pause(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms));
}
