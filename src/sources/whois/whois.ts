import { z } from 'zod';
import { whoisRecord } from '../../../schemas/whois_record.ts';
import { shortDigest } from '../../digest.ts';
import { ChangeError, type Reading, StepError } from '../../errors.ts';
import { isNestedTooDeep, JSON_DEPTH_MAX, TOO_DEEP } from '../../json-depth.ts';
import type { Change, Loaded, Seen } from '../../ports/change.ts';
import type { AskedStep, HostRequests } from '../../ports/hosts.ts';
import { isoTime } from '../../time.ts';
import { readDomain } from '../names/domain.ts';
import type { Source, SourceContext } from '../source.ts';
import { isPublicName, mayName } from '../upstream/named-hosts.ts';
import { NO_FACTS, type WhoisFacts } from './facts.ts';
import { WHOIS_INLETS } from './inlets.ts';
import { nextVisit } from './next-visit.ts';
import { mergeAnswers, type RdapAnswer, readRdap } from './rdap/answer.ts';
import { fetchServers, longestMatch } from './rdap/bootstrap.ts';
import { checkRdapError, checkRdapRefusal } from './rdap/error.ts';
import { readWhoisSettings, WHOIS_SETTINGS, type WhoisSettings } from './settings.ts';
import { readWhoisText, refusalOf, unreadLines } from './text/answer.ts';
import { decodeText } from './text/lines.ts';
import { queryFor, serverOf } from './text/server.ts';

/** A registry answers within a second. After this long a second attempt still ends within the visit. */
const ANSWER_MS_MAX = 9_000;

/** WHOIS servers move once in years, so an isolate asks IANA for one again only after this. */
const SERVER_CACHE_MS = 24 * 3_600_000;

/** A registry's answer has about 5 KiB, a registrar's 10, and a text 20 at most. */
const ANSWER_BYTES_MAX = 256 * 1024;

/** A visit asks a registry and a registrar. */
const DOCUMENT_BYTES = 2 * ANSWER_BYTES_MAX;

/** Lines that were not understood, in `data`. The fixtures' records have at most eight; the whole text is in `raw_whois`. */
const UNREAD_LINES_MAX = 20;

/** UTF-16 units of one such line: longer than any field of the fixtures' records. */
const UNREAD_LENGTH_MAX = 200;

type Context = SourceContext<WhoisSettings>;

/** The facts of a domain that `agenda.next` has from its last visit. */
interface VisitFacts {
  expiry: string | null;
  statuses: string[];
}

/**
 * Registrations of domains. No feed has their changes, so the agenda visits each watched domain when it is due: over RDAP
 * if its registry has a server, else over WHOIS.
 */
export const whois: Source<WhoisSettings, null> = {
  id: 'whois',
  prefix: 'whois',
  tables: [whoisRecord],
  settingNames: WHOIS_SETTINGS,
  settings: readWhoisSettings,
  pace: ({ pollMs, requestsPerSecond, requestsPerSecondMax, bootstrapUrl, ianaServer }) => ({
    pollMs,
    settleMs: 0,
    hosts: {
      [new URL(bootstrapUrl).host]: { requestsPerSecond: 1, burst: 2 },
      [ianaServer]: { requestsPerSecond: 1, burst: 1 },
    },
    others: {
      requestsPerSecond: Math.max(requestsPerSecond, requestsPerSecondMax),
      startRequestsPerSecond: requestsPerSecond,
      burst: 1,
    },
  }),
  documentBytes: DOCUMENT_BYTES,
  requests,
  agenda: {
    inlets: WHOIS_INLETS,
    read(text) {
      const read = readDomain(text);
      if ('rejected' in read) return read;
      return { key: read.domain, space: read.domain.slice(read.domain.indexOf('.') + 1) };
    },
    next({ key, nowMs, outcome, times, changed, facts, notBeforeMs }) {
      const { expiry = null, statuses = [] } = (facts ?? {}) as Partial<VisitFacts>;
      return nextVisit({
        domain: key,
        nowMs,
        changed,
        statuses,
        notBeforeMs,
        expiryMs: expiry === null ? null : Date.parse(expiry),
        outcome: outcome === 'partial' ? 'found' : outcome,
        misses: outcome === 'gone' ? times : 0,
        failures: outcome === 'failed' ? times : 0,
        partials: outcome === 'partial' ? times : 0,
      });
    },
    directory: {
      // Each top-level domain without RDAP has its own WHOIS server, and so its own pace.
      serverOf: (space, servers) =>
        longestMatch(space, servers) ?? `whois://${space.slice(space.lastIndexOf('.') + 1)}`,
      read: (known, ctx) => fetchServers(known, ctx.settings.bootstrapUrl, ctx),
    },
  },

  async load(change, ctx) {
    const server = change.server ?? `whois://${change.key.slice(change.key.lastIndexOf('.') + 1)}`;
    const { protocol, host } = new URL(server);
    return protocol === 'whois:' ? loadWhois(change.key, host, ctx) : loadRdap(change.key, server, ctx);
  },
};

function requests(step: AskedStep, changes: Change[], settings: WhoisSettings): HostRequests {
  if (step === 'pull') return { [new URL(settings.bootstrapUrl).host]: 1 };
  const hosts = step === 'load' ? changes.flatMap(hostsOf) : [];
  const counts: HostRequests = {};
  for (const host of hosts) counts[host] = (counts[host] ?? 0) + 1;
  return counts;
}

/** The registry's host, then the registrar's if the last visit found one. */
function hostsOf({ server, moreHosts = [] }: Change): string[] {
  return server ? [new URL(server).host, ...moreHosts] : moreHosts;
}

async function loadRdap(domain: string, server: string, ctx: Context): Promise<Loaded> {
  // Ask the registry; 404 in RDAP's form means that the domain is not registered.
  const registry = await fetchRdap(`${server}domain/${domain}`, domain, ctx).catch(error => {
    if (error instanceof ChangeError && error.status === 404) return null;
    throw error;
  });
  if (registry === null) return deletionOf(domain, ctx);

  // Ask the registrar, if the registry names one, and merge the two answers.
  const { stable, relatedUrl: named } = registry.answer;
  const relatedUrl = usableUrl(named, server);
  const related = relatedUrl === null ? null : await fetchRegistrar(relatedUrl, domain, ctx);
  const registrar = related !== null && 'answer' in related ? related : null;
  const missing = related !== null && 'missing' in related ? related.missing : null;
  const { facts, redacted } = mergeAnswers(registry.answer, registrar?.answer ?? null);
  const data = { registry: registry.json, registrar: registrar?.json ?? null, redacted, registrar_missing: missing };
  const mainDigest = shortDigest(stable);
  return {
    documents: [
      { name: domain, bytes: registry.bytes, revision: null },
      ...(registrar ? [{ name: domain, bytes: registrar.bytes, revision: null, file: 'registrar.json' }] : []),
    ],
    rows: [{ table: whoisRecord.name, op: 'upsert', row: rowOf(domain, { facts, data, raw: null }, ctx) }],
    revision: null,
    seen: {
      ...seenOf(facts, ctx),
      mainDigest,
      partial: missing !== null,
      digests: {
        [whoisRecord.name]: registrar ? shortDigest(`${stable}\n${registrar.answer.stable}`) : mainDigest,
      },
      moreHosts: relatedUrl === null ? [] : [new URL(relatedUrl).host],
    },
  };
}

/** A registry's link to its registrar, unless it leads to a host that no registry may name. */
function usableUrl(url: string | null, server: string): string | null {
  return url !== null && mayName(server, url) ? url : null;
}

interface RdapDocument {
  bytes: Uint8Array;
  json: unknown;
  answer: RdapAnswer;
}

async function fetchRdap(url: string, domain: string, ctx: Context): Promise<RdapDocument> {
  const { bytes, json } = await ctx.fetchJson(url, {
    subject: 'rdap domain',
    shape: z.unknown(),
    headers: { accept: 'application/rdap+json, application/json;q=0.5' },
    timeoutMs: ANSWER_MS_MAX,
    bytesMax: ANSWER_BYTES_MAX,
    check: checkRdapError,
    checkRefusal: checkRdapRefusal,
  });
  // The row's `data` holds the answer two deep in its own; a deeper one could not even be written as JSON.
  const isDeep = isNestedTooDeep(new TextDecoder().decode(bytes), JSON_DEPTH_MAX - 2);
  return { bytes, json: isDeep ? JSON.parse(TOO_DEEP) : json, answer: readRdap(json, domain) };
}

/** The registrar's answer, or the reason why it is missing, because the registry's answer counts without it. */
async function fetchRegistrar(url: string, domain: string, ctx: Context): Promise<RdapDocument | { missing: string }> {
  try {
    return await fetchRdap(url, domain, ctx);
  } catch (error) {
    if (error instanceof ChangeError) return { missing: error.reason };
    if (error instanceof StepError && error.kind === 'deadline') return { missing: 'no time left' };
    throw error;
  }
}

const serverCache = new Map<string, { server: string; untilMs: number }>();

/** The WHOIS server of a top-level domain, from the settings or from IANA. Throws `ChangeError` if there is none. */
async function findServer(tld: string, ctx: Context): Promise<string> {
  const { ianaServer, servers } = ctx.settings;
  if (Object.hasOwn(servers, tld)) return servers[tld]!;
  const cacheKey = `${tld} at ${ianaServer}`;
  const cached = serverCache.get(cacheKey);
  if (cached && cached.untilMs > ctx.nowMs) return cached.server;
  const bytes = await ctx.askText(ianaServer, tld, {
    subject: 'whois server',
    permitHost: ianaServer,
    check(answer) {
      const refusal = refusalOf(decodeText(answer));
      if (refusal) throw refusal;
    },
  });
  const server = serverOf(decodeText(bytes));
  // IANA names public servers, unless a local server plays it.
  if (server === null || !(isPublicName(hostnameOf(server)) || !isPublicName(hostnameOf(ianaServer))))
    throw new ChangeError('no-server', `whois: expected a server of .${tld} from IANA, got none`);
  serverCache.set(cacheKey, { server, untilMs: ctx.nowMs + SERVER_CACHE_MS });
  return server;
}

/** The name of a server without its port. */
function hostnameOf(server: string): string {
  return server.replace(/:\d+$/, '');
}

async function loadWhois(domain: string, tld: string, ctx: Context): Promise<Loaded> {
  const server = await findServer(tld, ctx);
  const bytes = await ctx.askText(server, queryFor(server, domain), {
    subject: 'whois domain',
    permitHost: tld,
    check: answer => void readWhoisText(decodeText(answer), domain),
    readingOf: answer => readingOf(decodeText(answer), domain),
  });
  const text = decodeText(bytes);
  const { found, facts, redacted, stable } = readWhoisText(text, domain);
  if (!found) return deletionOf(domain, ctx);
  // Say what the registry's form lost, within a bound, because a text may have any number of lines.
  const lines = unreadLines(text, domain);
  const unread = lines.slice(0, UNREAD_LINES_MAX).map(line => line.slice(0, UNREAD_LENGTH_MAX).toWellFormed());
  const total = lines.length;
  const digest = shortDigest(stable);
  return {
    documents: [{ name: domain, bytes, revision: null, file: 'latest.txt' }],
    rows: [
      {
        table: whoisRecord.name,
        op: 'upsert',
        row: rowOf(domain, { facts, data: { server, redacted, unread, unread_total: total }, raw: text }, ctx),
      },
    ],
    revision: null,
    seen: { ...seenOf(facts, ctx), digests: { [whoisRecord.name]: digest }, mainDigest: digest },
  };
}

/** What was made of a text: read whole, read in part, or a domain that is not registered. Throws `ChangeError`. */
function readingOf(text: string, domain: string): Reading {
  if (!readWhoisText(text, domain).found) return 'absent';
  return unreadLines(text, domain).length > 0 ? 'part' : 'whole';
}

function seenOf({ expiry_date, status_codes }: WhoisFacts, ctx: Context): Omit<Seen, 'digests' | 'mainDigest'> {
  const facts: VisitFacts = { expiry: expiry_date, statuses: status_codes?.split(',') ?? [] };
  return { found: true, partial: false, always: ctx.settings.everyCheck, moreHosts: [], facts: { ...facts } };
}

/** The deletion of a domain that is not registered. */
function deletionOf(domain: string, ctx: Context): Loaded {
  const row = rowOf(domain, { facts: NO_FACTS, data: null, raw: null }, ctx);
  return {
    documents: [],
    rows: [{ table: whoisRecord.name, op: 'delete', row }],
    revision: null,
    seen: { ...seenOf(NO_FACTS, ctx), digests: { [whoisRecord.name]: 'gone' }, mainDigest: 'gone', found: false },
  };
}

function rowOf(
  domain: string,
  { facts, data, raw }: { facts: WhoisFacts; data: unknown; raw: string | null },
  { nowMs }: Context,
) {
  return {
    domain,
    ...facts,
    raw_whois: raw,
    data: data === null ? null : JSON.stringify(data),
    last_checked_at: isoTime(nowMs),
    created_at: facts.created_date,
    updated_at: null,
  };
}
