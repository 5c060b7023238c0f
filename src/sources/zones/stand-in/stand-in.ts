import type { Server } from 'node:http';
import { parseArgs } from 'node:util';
import { type Answer, makeFaults } from '../../stand-in/faults.ts';
import { type RequestLog, type Sent, startServer } from '../../stand-in/server.ts';
import { runStandIn, type StandIn, type StandInOptions } from '../../stand-in/stand-in.ts';
import { type Query, RCODES, readQuery, writeAnswer } from './message.ts';
import { type Name, nameText, readName } from './names.ts';
import { octets } from './record.ts';
import { LATER_DAYS, type RecordedDomain, readRecordedZones, ZONES_RECORDINGS, zoneOf } from './recorded.ts';
import { type As, Resolver } from './resolver.ts';
import { type Zone, Zones } from './zones.ts';

export type { As } from './resolver.ts';
export type { Zone } from './zones.ts';

/** The resolver that is asked first, and the one that is asked in its place. */
export const RESOLVERS = ['first', 'fallback'] as const;

export type ResolverName = (typeof RESOLVERS)[number];

export interface ZonesStandInOptions extends StandInOptions {
  /** Called when a request arrives that gets no answer. */
  onHold?: () => void;
}

/** A question that a resolver received. */
export interface ReceivedQuestion extends Omit<Query, 'name' | 'edns'> {
  resolver: ResolverName;
  /** As text, without its last dot. */
  name: string;
}

/** Two running resolvers over invented zones, which speak DNS over HTTPS (RFC 8484). */
export interface ZonesStandIn extends StandIn {
  /** The first resolver's base URL, and the fallback's, without a slash at their end. */
  origin: string;
  fallbackOrigin: string;
  requests: RequestLog;
  fallbackRequests: RequestLog;
  /** The newest questions to both, oldest first. */
  questions: ReceivedQuestion[];
  /** Every domain of the folder, in its order: those with a zone of their own, and those of `plain`. */
  domains: string[];
  plainDomains: string[];
  /** Replaces or adds a zone; null: NXDOMAIN. */
  setZone(domain: string, zone: Zone | null): void;
  /**
   * How one resolver, or both, answers questions about a domain and names below it: with an answer code, an extended
   * error, another flag AD, or these octets, in place of what was set before; null ends it.
   */
  answer(resolver: ResolverName | 'both', domain: string, as: As | null): void;
  /** Gives these answers first, to a domain or to all paths that begin with `/first/…` or `/fallback/…`; with `repeat` the last one for ever. */
  fault(target: string, answers: Answer[], options?: { repeat?: boolean }): void;
  clearFaults(): void;
  /** Moves both on by days: TTLs count down, rotating sets rotate, after 30 days the zones of the next month come. */
  passDays(days: number): void;
}

/** The largest query: of Google's resolver, and one far above any for Cloudflare's. */
const QUERY_OCTETS_MAX: Record<ResolverName, number> = { first: 4096, fallback: 512 };

/** Questions kept, because a stand-in may run for days. */
const QUESTIONS_MAX = 100_000;

const CONTENT_TYPE = 'application/dns-message';

/** Settings that make the source visit without pauses. */
const FAST = { ZONES_REQUESTS_PER_SECOND: '1000', ZONES_POLL_MS: '200' };

/** The first second of the stand-in's clock: signatures count from then on. */
const START_SECONDS = Date.parse('2026-11-25T00:00:00Z') / 1000;

/** Starts both resolvers on this machine. */
export async function startStandIn(options: ZonesStandInOptions = {}): Promise<ZonesStandIn> {
  const { folder = ZONES_RECORDINGS, port = 0, fast = false, onHold = () => {} } = options;
  const { domains, plain, later } = readRecordedZones(folder);
  const zones = new Zones();
  const clock = { day: 0, startSeconds: START_SECONDS };
  const resolvers = { first: new Resolver(zones, clock), fallback: new Resolver(zones, clock) };
  const faults = makeFaults({});
  const questions: ReceivedQuestion[] = [];
  const servers: Server[] = [];

  const answer: ZonesStandIn['answer'] = (resolver, domain, as) => {
    const name = readName(`${domain}.`, []);
    for (const one of resolver === 'both' ? RESOLVERS : [resolver]) resolvers[one].set(name, as);
  };
  const play = (recorded: RecordedDomain) => {
    zones.set(recorded.domain, zoneOf(folder, recorded));
    answer('both', recorded.domain, null);
    for (const { resolver, as } of recorded.answers ?? []) answer(resolver, recorded.domain, as);
  };
  const answerTo = (resolver: ResolverName, url: URL, sent: Sent): Answer => {
    const { query, refused } = queryOf(resolver, url, sent);
    if (query) log(questions, resolver, query);
    // The name that is asked for, then those above it up to the root.
    const labels = query?.name ?? [];
    const names = [...labels.map((_, from) => textOf(labels.slice(from)).toLowerCase()), ''];
    const path = `/${resolver}${url.pathname}`;
    const fault = names.reduce<Answer | null>((found, name) => found ?? faults.next({ path, name }), null);
    if (fault?.hold) onHold();
    if (fault?.status !== undefined) return fault;
    return { ...(query ? answered(resolvers[resolver], query) : refused), ...fault };
  };
  const start = async (name: ResolverName, itsPort: number) => {
    const started = await startServer({ port: itsPort, gzip: false }, (url, sent) => answerTo(name, url, sent));
    servers.push(started.server);
    return started;
  };

  for (const domain of plain) play({ domain, file: 'plain.txt', note: '' });
  domains.forEach(play);
  const first = await start('first', port);
  const fallback = await start('fallback', port === 0 ? 0 : port + 1);
  return {
    settings: {
      ZONES_RESOLVER_URL: `${first.origin}/dns-query`,
      ZONES_FALLBACK_URL: `${fallback.origin}/dns-query`,
      ...(fast ? FAST : {}),
    },
    origin: first.origin,
    fallbackOrigin: fallback.origin,
    requests: first.requests,
    fallbackRequests: fallback.requests,
    questions,
    domains: domains.map(({ domain }) => domain),
    plainDomains: plain,
    setZone: (domain, zone) => zones.set(domain, zone),
    answer,
    fault: faults.add,
    clearFaults: faults.clear,
    passDays(days) {
      const before = clock.day;
      clock.day += days;
      if (before < LATER_DAYS && clock.day >= LATER_DAYS) later.forEach(play);
    },
    async stop() {
      const closed = servers.map(server => new Promise<unknown>(resolve => server.close(resolve)));
      for (const server of servers) server.closeAllConnections();
      await Promise.all(closed);
    },
  };
}

/** The query of a request, or why it is refused: as Cloudflare's and Google's resolvers do, and RFC 8484 demands. */
function queryOf(
  resolver: ResolverName,
  url: URL,
  { method, headers, body }: Sent,
): { query: Query; refused?: never } | { query: null; refused: Answer } {
  const refusal = (status: number, text: string) => ({
    query: null,
    refused: { status, headers: { 'content-type': 'text/plain' }, body: text },
  });
  if (url.pathname !== '/dns-query') return refusal(404, 'Not found');
  if (method !== 'GET' && method !== 'POST') return refusal(501, 'Not implemented');
  if (!(headers.accept ?? '').includes(CONTENT_TYPE)) return refusal(400, `Expected "Accept: ${CONTENT_TYPE}"`);
  if (method === 'POST' && headers['content-type'] !== CONTENT_TYPE) return refusal(415, 'Unsupported content type');
  const text = url.searchParams.get('dns') ?? '';
  // Padding and the other alphabet of base64 are forbidden, so that equal questions have equal URLs.
  if (method === 'GET' && !/^[\w-]*$/.test(text)) return refusal(400, 'Expected base64url without padding');
  const bytes = method === 'GET' ? Buffer.from(text, 'base64url') : body;
  if (bytes.length > QUERY_OCTETS_MAX[resolver]) return refusal(method === 'GET' ? 414 : 413, 'Query too large');
  if (bytes.length < 12) return refusal(400, 'DNS query not specified or too small');
  const query = readQuery(bytes);
  if (query) return { query };
  const message = Buffer.concat([bytes.subarray(0, 2), Buffer.from(octets(0x8080 | RCODES.FORMERR, 2), 'latin1')]);
  return { query: null, refused: messageAnswer(Buffer.concat([message, Buffer.alloc(8)]), null) };
}

function answered(resolver: Resolver, query: Query): Answer {
  const message = resolver.messageTo(query.name);
  if (message) return messageAnswer(message, null);
  const reply = resolver.answerTo(query);
  const ttls = [...reply.answers, ...reply.authorities].map(({ ttl }) => ttl);
  return messageAnswer(writeAnswer(query, reply), ttls.length === 0 ? null : Math.min(...ttls));
}

function messageAnswer(body: Uint8Array, maxAge: number | null): Answer {
  const headers: Record<string, string> = { 'content-type': CONTENT_TYPE };
  if (maxAge !== null) headers['cache-control'] = `max-age=${maxAge}`;
  return { status: 200, headers, body };
}

function log(questions: ReceivedQuestion[], resolver: ResolverName, { name, edns: _, ...query }: Query): void {
  questions.push({ resolver, name: textOf(name), ...query });
  if (questions.length > QUESTIONS_MAX) questions.shift();
}

function textOf(name: Name): string {
  return nameText(name).slice(0, -1);
}

/** Reads the command line and starts the resolvers. */
async function main(): Promise<void> {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    options: { folder: text, port: text, 'days-on': text, fast: { type: 'boolean', default: false } },
  });
  const { folder, fast } = values;
  const standIn = await startStandIn({ folder, port: Number(values.port ?? 0), fast });
  standIn.passDays(Number(values['days-on'] ?? 0));
  runStandIn(standIn);
}

if (import.meta.main) await main();
