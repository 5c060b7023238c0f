import { createHash } from 'node:crypto';
import { type Answer, makeFaults } from '../../stand-in/faults.ts';
import { type RequestLog, type Sent, startServer } from '../../stand-in/server.ts';
import { runStandIn, type StandIn, type StandInOptions } from '../../stand-in/stand-in.ts';
import { answerGraphql, type PartialAnswer, RESOURCE_LIMITS } from './graphql.ts';
import { Items } from './items.ts';
import { type LimitOptions, Quota, type Resource } from './quota.ts';
import { refuse } from './refusals.ts';
import { answerRest } from './rest.ts';
import { type Delivery, type DeliveryOptions, delivery, Webhooks } from './webhooks.ts';
import type { World } from './world.ts';
import { GITHUB_RECORDINGS, readWorld } from './world-file.ts';

export interface GithubStandInOptions extends StandInOptions {
  /** The world to serve; that of the folder if not given. */
  world?: World;
  /** The share of requests that fail, and what decides which ones. */
  failShare?: number;
  seed?: number;
}

/** GitHub without a server: a function from requests to answers, and what a test sets. */
export interface Github {
  world: World;
  answerTo(url: URL, sent: Sent): Answer;
  /** Tokens that GitHub accepts. */
  tokens: Set<string>;
  /** Gives these answers first: to a path prefix such as `/repos/a/b` or `/graphql`, or to `owner/name` or a login in lower case. */
  fault(target: string, answers: Answer[], options?: { repeat?: boolean }): void;
  clearFaults(): void;
  /** Sets how many requests are left of a limit, and how it refuses then. */
  limit(resource: Resource, options: LimitOptions): void;
  /** The next GraphQL answers have null and an error for these nodes, as when a query takes too much. */
  losePart(
    isLost: (nodeId: string) => boolean,
    options?: { times?: number; type?: string | null; message?: string },
  ): void;
  /** A signed request to a webhook, of an event with its payload; `webhooks` makes payloads. */
  deliver(event: string, payload: unknown, options: DeliveryOptions): Delivery;
  webhooks: Webhooks;
}

export interface GithubStandIn extends StandIn, Github {
  settings: StandIn['settings'] & Record<'GITHUB_API_URL' | 'GITHUB_TOKEN', string>;
  origin: string;
  requests: RequestLog;
}

const TOKEN = 'token-of-the-stand-in';
const WEB = 'https://github.example';

/** Settings that make the source ask without pauses. */
const FAST = { GITHUB_REQUESTS_PER_SECOND: '1000', GITHUB_GRAPHQL_REQUESTS_PER_SECOND: '1000' };

/** API versions; another one is refused. */
const VERSIONS = ['2022-11-28', '2026-03-10'];

/** As GitHub sends them with every answer. */
const HEADERS = {
  'content-type': 'application/json; charset=utf-8',
  'cache-control': 'private, max-age=60, s-maxage=60',
  vary: 'Accept, Authorization, Cookie, X-GitHub-OTP',
  'x-github-media-type': 'github.v3; format=json',
  'x-github-request-id': 'STAND:IN',
};

/** Makes GitHub of a world. `origin` is a function, because a server knows its address only when it has started. */
export function makeGithub(
  world: World,
  { origin, failShare = 0, seed = 1 }: { origin: () => string; failShare?: number; seed?: number },
): Github {
  const faults = makeFaults({ failShare, seed });
  const quota = new Quota(() => world.nowMs);
  const tokens = new Set([TOKEN]);
  let partial: { answer: PartialAnswer; times: number } | null = null;
  const nextPartial = (): PartialAnswer | null => {
    const answer = partial?.answer ?? null;
    if (partial && --partial.times <= 0) partial = null;
    return answer;
  };
  const graphql = (body: Uint8Array): Answer => {
    const headers = quota.headers('graphql');
    const [limit, remaining, used] = ['limit', 'remaining', 'used'].map(name => Number(headers[`x-ratelimit-${name}`]));
    const resetAt = new Date(Number(headers['x-ratelimit-reset']) * 1000).toISOString();
    const rateLimit = { limit: limit!, remaining: remaining!, used: used!, resetAt };
    return answerGraphql(body, { world, web: WEB, partial: nextPartial(), rateLimit });
  };
  const usual = (url: URL, sent: Sent, token: string): Answer => {
    if (url.pathname === '/graphql') return sent.method === 'POST' ? graphql(sent.body) : refuse(404, 'Not Found');
    if (sent.method !== 'GET') return refuse(404, 'Not Found');
    const items = new Items(world, { api: origin(), web: WEB });
    return withEtag(answerRest(url, { world, items, origin: origin() }), sent, token);
  };

  return {
    world,
    tokens,
    answerTo(url, sent) {
      const fault = faults.next({ path: url.pathname, name: nameOf(url, world) });
      if (fault?.status !== undefined || fault?.hold || (fault && fault.body !== undefined)) return fault;
      const resource = url.pathname === '/graphql' ? 'graphql' : 'core';
      const token = /^bearer (.+)$/i.exec(sent.headers.authorization ?? '')?.[1] ?? '';
      const refused = refusalOf(sent, tokens.has(token)) ?? quota.refusal(resource);
      const answer = refused ?? usual(url, sent, token);
      if (!refused && answer.status !== 304) quota.count(resource);
      return { ...answer, ...fault, headers: { ...HEADERS, ...quota.headers(resource), ...answer.headers } };
    },
    fault: faults.add,
    clearFaults() {
      faults.clear();
      quota.clear();
      partial = null;
    },
    limit: (resource, options) => quota.limit(resource, options),
    losePart(isLost, { times = 1, type = RESOURCE_LIMITS.type, message = RESOURCE_LIMITS.message } = {}) {
      partial = { answer: { isLost, type, message }, times };
    },
    deliver: delivery,
    webhooks: new Webhooks(world, { api: 'https://api.github.example', web: WEB }),
  };
}

/** Starts GitHub on this machine: REST and GraphQL over one world. */
export async function startStandIn(options: GithubStandInOptions = {}): Promise<GithubStandIn> {
  const { folder = GITHUB_RECORDINGS, port = 0, fast = false, world = readWorld(folder), failShare, seed } = options;
  let origin = '';
  const github = makeGithub(world, { origin: () => origin, failShare, seed });
  const started = await startServer({ port, gzip: true }, github.answerTo);
  origin = started.origin;
  return {
    ...github,
    origin,
    requests: started.requests,
    settings: { GITHUB_API_URL: origin, GITHUB_TOKEN: TOKEN, ...(fast ? FAST : {}) },
    stop: () => new Promise(resolve => void started.server.close(() => resolve()).closeAllConnections()),
  };
}

/** What GitHub refuses before it reads the path; null for a sound request. */
function refusalOf({ headers }: Sent, isKnown: boolean): Answer | null {
  if (!headers['user-agent']) return refuse(403, 'Request forbidden by administrative rules. User-Agent is missing.');
  if (headers.authorization === undefined) return refuse(401, 'Requires authentication');
  if (!isKnown) return refuse(401, 'Bad credentials');
  const version = headers['x-github-api-version'];
  if (version !== undefined && !VERSIONS.includes(String(version)))
    return refuse(400, `Version "${version}" is not supported.`);
  return null;
}

/** An ETag that only the same token may use again, and 304 where it does. */
function withEtag(answer: Answer, { headers }: Sent, token: string): Answer {
  if ((answer.status ?? 200) !== 200) return answer;
  const digest = createHash('sha256')
    .update(token)
    .update(answer.body ?? '')
    .digest('hex');
  const etag = `W/"${digest}"`;
  if (headers['if-none-match'] === etag) return { status: 304, headers: { ...answer.headers, etag } };
  return { ...answer, headers: { ...answer.headers, etag } };
}

/** `owner/name` or the login that a request is about, in lower case. */
function nameOf({ pathname }: URL, world: World): string | null {
  const [room, first = '', second = ''] = pathname.slice(1).split('/').map(decodeURIComponent);
  if (room === 'repos') return `${first}/${second}`.toLowerCase();
  if (room === 'users' || room === 'orgs') return first.toLowerCase();
  const node = world.ids.get(Number(first));
  if (!node || room === 'graphql') return null;
  return ('branches' in node ? node.fullName : node.login).toLowerCase();
}

if (import.meta.main) runStandIn(await startStandIn({ fast: process.argv.includes('--fast') }));
