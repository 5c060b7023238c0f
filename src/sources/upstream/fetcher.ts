import pRetry from 'p-retry';
import { LIMITS } from '../../config.ts';
import { ChangeError, isConnectionFault, StepError } from '../../errors.ts';
import { MiB } from '../../limits.ts';
import type { HostPace, HostTally } from '../../ports/hosts.ts';
import type { Fetched, ListingContext, SourceContext } from '../source.ts';
import { SlowBody, type Timer } from './attempt.ts';
import { LargeDocument, type Received } from './body.ts';
import { streamBody } from './body-stream.ts';
import { createConnections } from './connections.ts';
import { checkShape, parseJson, TooManyValues } from './json.ts';
import { parseLarge } from './json-large.ts';
import { hasMoreValues } from './json-values.ts';
import { askServer, type Connect } from './line-over-tcp.ts';
import { createPacer, type PacerOptions, type Slot } from './pacer.ts';
import {
  type HttpOptions,
  type HttpRequest,
  permitHostOf,
  Redirect,
  redirected,
  sendRequest,
} from './request-over-http.ts';
import { createTally, judged } from './tally.ts';

export { LargeDocument };

/** A fault of the connection is retried at once; the object waits for anything that lasts longer. */
export const RETRIES_MAX = 2;
const RETRY_MS_MIN = 250;

/** Registries redirect to a server of a part of their zone, and from http to https: more than three are a loop. */
const REDIRECTS_MAX = 3;

/**
 * Values (objects, lists, texts, numbers) of one parsed answer: in a call that loads several documents, and in a call with
 * one document. Such trees take 10 and 50 MB of heap at most.
 */
const SHARED_VALUES_MAX = 50_000;
const VALUES_MAX = 250_000;

/** An answer of whose kind the source sets no limit. */
const ANSWER_BYTES_MAX = 1 * MiB;

/** Limits of a streamed answer whose source sets none. */
const STREAM_LIMITS = { headers: {}, bytesMax: LIMITS.listingBytesMax, timeoutMs: LIMITS.listingMsMax };

export interface FetcherOptions
  extends Omit<PacerOptions, 'now' | 'sleep'>,
    Omit<HttpOptions, 'now' | 'tally' | 'quota'> {
  /** The paces of the source's hosts, which say how their answers tell what is left. */
  hosts?: Record<string, HostPace> | undefined;
  /** Whether a document over `LIMITS.documentBytesLarge` may be read; true by default. */
  large?: boolean;
  retryMsMin?: number;
  /** Opens TCP connections; without this the fetcher cannot ask a server for text. */
  connect?: Connect | undefined;
  now?: () => number;
  sleep?: (ms: number) => Promise<void>;
  timer?: Timer | undefined;
}

export interface Fetcher
  extends Pick<SourceContext<unknown>, 'fetchJson' | 'fetchRaw' | 'fetchDocument' | 'askText'>,
    Pick<ListingContext<unknown>, 'fetchStream'> {
  /** The requests to each host so far, retries included. */
  tallies(): HostTally[];
}

/**
 * The only way to an upstream, for the length of one call. Its functions throw `ChangeError` for what the upstream did,
 * `LargeDocument`, `StepError` of kind `deadline` when the deadline of the call has passed, and a plain Error for a host
 * without a permit.
 */
export function createFetcher(options: FetcherOptions): Fetcher {
  const { deadlineAtMs, now = Date.now, sleep = pause, retryMsMin = RETRY_MS_MIN, large = true } = options;
  const tallies = new Map<string, HostTally>();
  const waitForSlot = createPacer({ ...options, now, sleep });
  const withConnection = createConnections();

  /** How the requests of a host are sent. */
  const optionsOf = (host: string) => httpOptionsOf(host, { ...options, now, tally: tallyOf(tallies, host) });

  /** Makes one request of a host; `send` is one try of it. */
  async function requestInSlot<T>(host: string, slot: Slot, send: (tally: HostTally) => Promise<T>): Promise<T> {
    // Find a permit for the host, or ask for one, and wait for its next slot.
    await waitForSlot(host, slot);
    // Try, over one of the connections. Retry within the same slot when the connection was at fault.
    return withConnection(() => retryConnection(() => send(tallyOf(tallies, host)), { retryMsMin, deadlineAtMs, now }));
  }

  /** Gets a URL. `read` judges the body within each try, so that a body that ends early without an error is fetched again. */
  async function get<T>(
    request: Omit<HttpRequest, 'redirects'>,
    read: (received: Received, tally: HostTally) => T,
    redirects = REDIRECTS_MAX,
  ): Promise<T> {
    const permitHost = permitHostOf(request);
    try {
      const slot = { subject: request.subject, isRedirect: redirects < REDIRECTS_MAX };
      return await requestInSlot(permitHost, slot, async tally =>
        read(await sendRequest({ ...request, redirects }, optionsOf(permitHost)), tally),
      );
    } catch (error) {
      // Follow a redirect by hand, with a permit for the host that it names.
      if (!(error instanceof Redirect)) throw error;
      return get(redirected(request, error), read, redirects - 1);
    }
  }

  return {
    fetchStream: (url, limits) =>
      streamBody({ ...STREAM_LIMITS, ...limits, url, redirects: REDIRECTS_MAX }, { waitForSlot, optionsOf }),
    async fetchRaw(url, { read, ...options }) {
      const request = { headers: {}, bytesMax: ANSWER_BYTES_MAX, ...options, url };
      return get(request, (received, tally) => ({ ...factsOf(received), value: judged(tally, () => read(received)) }));
    },
    async fetchJson(url, { subject, shape, check = () => {}, ...limits }) {
      const request = { bytesMax: ANSWER_BYTES_MAX, ...limits, url, subject, headers: acceptJson(limits.headers) };
      const answer = await get(request, (received, tally) => {
        const json = parseJson(subject, received, limits.valuesMax ?? SHARED_VALUES_MAX);
        judged(tally, () => check(json, received));
        return { ...factsOf(received), json };
      });
      return { ...answer, json: checkShape(subject, shape, answer.json) };
    },
    async fetchDocument(url, { subject, unread, sharedBytesMax = LIMITS.documentBytesLarge, ...asked }) {
      const limits = { bytesMax: null, sharedBytesMax: large ? null : sharedBytesMax };
      const request = { ...asked, ...limits, url, subject, headers: acceptJson(asked.headers) };
      return get(request, received => ({
        ...factsOf(received),
        json: parseDocument(subject, received, { unread, large }),
      }));
    },
    async askText(server, query, { subject, permitHost, check, readingOf }) {
      const { connect, timer } = options;
      if (!connect) throw new Error(`${subject}: expected a function that opens connections, got none`);
      return requestInSlot(permitHost, { subject }, tally =>
        askServer({ server, query }, { subject, deadlineAtMs, now, tally, timer, connect, check, readingOf }),
      );
    },
    tallies: () => structuredClone([...tallies.values()]),
  };
}

function httpOptionsOf(host: string, options: HttpOptions & Pick<FetcherOptions, 'hosts'>): HttpOptions {
  return { ...options, quota: options.hosts?.[host]?.quota };
}

/** The tally of a host, which is made with the host's first request. */
function tallyOf(tallies: Map<string, HostTally>, host: string): HostTally {
  const tally = tallies.get(host) ?? createTally(host);
  tallies.set(host, tally);
  return tally;
}

/** Parses a document whole where its tree is small, else with the map `unread` left as bytes. */
function parseDocument(
  subject: string,
  received: Received,
  { unread, large }: { unread: string; large: boolean },
): unknown {
  const isSmall =
    received.bytes.length <= LIMITS.documentBytesLarge && !hasMoreValues(received.bytes, SHARED_VALUES_MAX);
  if (isSmall) return parseJson(subject, received, SHARED_VALUES_MAX);
  try {
    return parseLarge(subject, received, { unread, valuesMax: large ? VALUES_MAX : SHARED_VALUES_MAX });
  } catch (error) {
    throw error instanceof TooManyValues && !large ? new LargeDocument(error.message) : error;
  }
}

function acceptJson(headers: Record<string, string> = {}): Record<string, string> {
  return { accept: 'application/json', ...headers };
}

function factsOf({ bytes, etag, freshMs }: Received): Fetched {
  return { bytes, etag, freshMs };
}

/** Retries while the connection is at fault, after at least `retryMsMin`, until the deadline. */
async function retryConnection<T>(
  attempt: () => Promise<T>,
  { retryMsMin, deadlineAtMs, now }: { retryMsMin: number; deadlineAtMs: number; now: () => number },
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
    minTimeout: retryMsMin,
    randomize: true,
    maxRetryTime: Math.max(0, deadlineAtMs - now()),
    shouldRetry: ({ error }) =>
      error instanceof ChangeError && isConnectionFault(error) && !(error instanceof SlowBody),
  });
}

function pause(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms));
}
