import { existsSync, readFileSync } from 'node:fs';
import type { Server } from 'node:http';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { type Answer, type Faults, makeFaults } from '../../stand-in/faults.ts';
import { type RequestLog, startServer } from '../../stand-in/server.ts';
import { runStandIn, type StandIn, type StandInOptions } from '../../stand-in/stand-in.ts';
import {
  daysBetween,
  RDAP_SERVERS,
  type RdapServer,
  type RecordedAnswer,
  type RecordedDomain,
  type RecordedDomains,
  readRecordedDomains,
  readTexts,
  shiftEvents,
  tldOf,
  WHOIS_RECORDINGS,
} from './registrations.ts';
import { startTextServer } from './text-server.ts';

export interface WhoisStandInOptions extends StandInOptions {
  /** Moves the dates of the answers to this day, `YYYY-MM-DD`; the folder's own day by default. */
  day?: string;
  /** Called when a request arrives that gets no answer. */
  onHold?: () => void;
}

/** Running servers of IANA, registries and registrars. */
export interface WhoisStandIn extends StandIn {
  settings: StandIn['settings'] & Record<'WHOIS_BOOTSTRAP_URL' | 'WHOIS_IANA_SERVER' | 'WHOIS_SERVERS', string>;
  /** Base URLs by server, without a slash at their end. */
  origins: Record<RdapServer, string>;
  /** The requests to each server; `bootstrap` is IANA's. */
  requests: Record<RdapServer | 'bootstrap', RequestLog>;
  /** The lines that the WHOIS server received. */
  queries: string[];
  /** Every domain with an answer over RDAP or WHOIS, in order. */
  domains: string[];
  /** Sets the days since the folder's day: from its later date on, some domains have other answers. */
  goTo(daysOn: number): void;
  /** Gives these answers first, to a domain or to all paths that begin with `/<server>/…`; with `repeat` the last one for ever. */
  fault(target: string, answers: Answer[], options?: { repeat?: boolean }): void;
  clearFaults(): void;
}

/** Settings that make the source visit without pauses. */
const FAST = {
  WHOIS_REQUESTS_PER_SECOND: '1000',
  WHOIS_REQUESTS_PER_SECOND_MAX: '1000',
  WHOIS_POLL_MS: '200',
};

/** As IANA sends it. */
const BOOTSTRAP_HEADERS = { 'cache-control': 'max-age=86400' };

/** The answer to a domain that the folder does not have. */
const NOT_FOUND: RecordedAnswer = { status: 404, file: 'errors/not-found.json' };

/** A request for a domain below any path: `/v2/domain/example.com`. */
const DOMAIN_PATH = /^(.*)\/domain\/([^/]+)$/;

/** Starts servers of IANA, registries and registrars on this machine: RDAP over HTTP, WHOIS over TCP. */
export async function startStandIn(options: WhoisStandInOptions = {}): Promise<WhoisStandIn> {
  const { folder = WHOIS_RECORDINGS, port = 0, fast = false, day, onHold = () => {} } = options;
  const index = readRecordedDomains(folder);
  const texts = readTexts(folder);
  const days = daysBetween(index.baseDate, day ?? index.baseDate);
  const faults = makeFaults({});
  const origins = {} as Record<RdapServer, string>;
  const fill = (text: string) => text.replace(/\{\{([a-z-]+)\}\}/g, (_, server: RdapServer) => origins[server]);
  const textOf = (file: string) => fill(shiftEvents(readFileSync(path.join(folder, file), 'utf8'), days));
  const recorded = makeRecordedAnswers(index);
  const servers: Server[] = [];
  let ports = 0;
  const nextPort = () => (port === 0 ? 0 : port + ports++);
  const requests = {} as WhoisStandIn['requests'];

  const reportHold = (answer: Answer): Answer => {
    if (answer.hold) onHold();
    return answer;
  };
  const start = async (name: RdapServer | 'bootstrap', usual: (pathname: string) => Answer): Promise<string> => {
    const started = await startServer({ port: nextPort(), gzip: true }, url =>
      reportHold(withFault(faults, { name, url, usual })),
    );
    servers.push(started.server);
    requests[name] = started.requests;
    return started.origin;
  };
  for (const name of RDAP_SERVERS)
    origins[name] = await start(name, pathname => rdapAnswer(name, pathname, { recorded, fill, textOf }));
  const bootstrap = await start('bootstrap', () => ({ headers: BOOTSTRAP_HEADERS, body: textOf('bootstrap.json') }));
  const whois = await startTextServer({ port: nextPort() }, query => {
    const usual = { body: texts.get(query) ?? fallbackText(folder, query) };
    return reportHold({ ...usual, ...faults.next({ path: `/whois/${query}`, name: query }) });
  });

  const tlds = [...new Set([...texts.keys()].map(tldOf))];
  return {
    settings: {
      WHOIS_BOOTSTRAP_URL: `${bootstrap}/dns.json`,
      WHOIS_IANA_SERVER: whois.address,
      WHOIS_SERVERS: tlds.map(tld => `${tld}=${whois.address}`).join(','),
      ...(fast ? FAST : {}),
    },
    origins,
    requests,
    queries: whois.queries,
    domains: [...index.domains.map(({ domain }) => domain), ...texts.keys()],
    goTo: recorded.goTo,
    fault: faults.add,
    clearFaults: faults.clear,
    async stop() {
      const closed = servers.map(server => new Promise<unknown>(resolve => server.close(resolve)));
      for (const server of servers) server.closeAllConnections();
      await Promise.all([...closed, whois.close()]);
    },
  };
}

/** "Not found" to a domain; to a top-level domain IANA's answer, which names no server unless the folder has one. */
function fallbackText(folder: string, query: string): Uint8Array {
  const textFile = (name: string) => path.join(folder, 'text', `${name}.txt`);
  if (query.includes('.')) return readFileSync(textFile('not-found-afnic'));
  const recorded = textFile(`iana-${query}`);
  return readFileSync(/^[a-z0-9-]+$/.test(query) && existsSync(recorded) ? recorded : textFile('iana-no-server'));
}

interface RecordedAnswers {
  /** The next answer of a server, which may have a path: `registry-a`, `registry-a/v2`. */
  next(domain: string, server: string): RecordedAnswer | null;
  goTo(daysOn: number): void;
}

function makeRecordedAnswers({ baseDate, domains, laterDate, later }: RecordedDomains): RecordedAnswers {
  const laterDays = daysBetween(baseDate, laterDate);
  const before = new Map<string, RecordedDomain>(domains.map(recorded => [recorded.domain, recorded]));
  const after = new Map(later.map(recorded => [recorded.domain, recorded]));
  const requestCounts = new Map<string, number>();
  let isLater = false;
  return {
    next(domain, server) {
      const recorded = (isLater && after.get(domain)) || before.get(domain);
      const answers = recorded?.answers[server];
      if (!answers) return null;
      const request = `${recorded === before.get(domain)} ${server} ${domain}`;
      const count = requestCounts.get(request) ?? 0;
      requestCounts.set(request, count + 1);
      return answers[Math.min(count, answers.length - 1)] ?? null;
    },
    goTo(daysOn) {
      isLater = daysOn >= laterDays;
    },
  };
}

/** The next fault of a request; a fault without a status changes only its own fields of the usual answer. */
function withFault(
  faults: Faults,
  { name, url, usual }: { name: string; url: URL; usual: (pathname: string) => Answer },
): Answer {
  const domain = DOMAIN_PATH.exec(url.pathname)?.[2]?.toLowerCase() ?? null;
  const fault = faults.next({ path: `/${name}${url.pathname}`, name: domain });
  return fault?.status !== undefined ? fault : { ...usual(url.pathname), ...fault };
}

function rdapAnswer(
  name: RdapServer,
  pathname: string,
  { recorded, fill, textOf }: { recorded: RecordedAnswers; fill(text: string): string; textOf(file: string): string },
): Answer {
  const [, prefix = '', domain = ''] = DOMAIN_PATH.exec(pathname) ?? [];
  const answer = recorded.next(domain.toLowerCase(), `${name}${prefix}`) ?? NOT_FOUND;
  if (answer.timeout) return { hold: true };
  const { status = 200, file, headers = {} } = answer;
  const type = file === undefined ? {} : { 'content-type': 'application/rdap+json' };
  const filled = Object.entries(headers).map(([header, value]) => [header, fill(value)]);
  const body = file === undefined ? '' : textOf(`answers/${file}`);
  return { status, headers: { ...type, ...Object.fromEntries(filled) }, body };
}

/** Reads the command line and starts the servers. */
async function main(): Promise<void> {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    options: { folder: text, port: text, day: text, 'days-on': text, fast: { type: 'boolean', default: false } },
  });
  const { folder, day, fast } = values;
  const standIn = await startStandIn({ folder, port: Number(values.port ?? 0), day, fast });
  standIn.goTo(Number(values['days-on'] ?? 0));
  runStandIn(standIn);
}

if (import.meta.main) await main();
