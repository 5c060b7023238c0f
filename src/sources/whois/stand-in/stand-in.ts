import { existsSync, readFileSync } from 'node:fs';
import type { Server } from 'node:http';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { type Answer, type Faults, makeFaults } from '../../stand-in/faults.ts';
import { type RequestLog, startServer } from '../../stand-in/server.ts';
import {
  daysBetween,
  RDAP_SERVERS,
  type RdapServer,
  type RecordedDomain,
  type RecordedDomains,
  type RecordedStep,
  readRecordedDomains,
  readTexts,
  shiftEvents,
  topLevelOf,
  WHOIS_RECORDINGS,
} from './registrations.ts';
import { startTextServer } from './text-server.ts';

export interface RdapReplayOptions {
  /** A folder of made-up registrations. */
  folder?: string;
  /** The day its dates are moved to, `YYYY-MM-DD`; the folder's own if not given. */
  day?: string;
  /** Told of each question that gets no answer, when it is there. */
  onHold?: () => void;
}

/** A running world of registries and registrars. */
export interface RdapReplay {
  /** The source's settings, by name, with which all of its questions come here. */
  settings: Record<'WHOIS_BOOTSTRAP_URL' | 'WHOIS_IANA_SERVER' | 'WHOIS_SERVERS', string>;
  /** Base URLs by server, without a slash at the end. */
  origins: Record<RdapServer, string>;
  /** What each server was asked so far; `bootstrap` is IANA's. */
  requests: Record<RdapServer | 'bootstrap', RequestLog>;
  /** Lines that were sent to the WHOIS server. */
  questions: string[];
  /** Every domain it knows something of, over RDAP or WHOIS, in order. */
  domains: string[];
  /** Moves the world on: from the folder's later date on, it answers otherwise for some domains. */
  goTo(daysOn: number): void;
  /** Gives these answers first, to a domain or to every path that begins with a `/<server>/…`; the last one for ever if told to. */
  fault(target: string, answers: Answer[], options?: { repeat?: boolean }): void;
  clearFaults(): void;
  close(): Promise<void>;
}

/** IANA's own word on how long its list is fresh. */
const BOOTSTRAP_HEADERS = { 'cache-control': 'max-age=86400' };

/** What is not in the folder. */
const NOT_FOUND: RecordedStep = { status: 404, file: 'errors/not-found.json' };

/** A question for a domain, below whatever path: `/v2/domain/example.com`. */
const QUESTION = /^(.*)\/domain\/([^/]+)$/;

/** Stands in for IANA, registries and a registrar on this machine: RDAP over HTTP, WHOIS over TCP. */
export async function startRdapReplay(options: RdapReplayOptions = {}): Promise<RdapReplay> {
  const { folder = WHOIS_RECORDINGS, day, onHold = () => {} } = options;
  const index = readRecordedDomains(folder);
  const texts = readTexts(folder);
  const days = daysBetween(index.baseDate, day ?? index.baseDate);
  const faults = makeFaults({});
  const origins = {} as Record<RdapServer, string>;
  const fill = (text: string) => text.replace(/\{\{([a-z-]+)\}\}/g, (_, server: RdapServer) => origins[server]);
  const textOf = (file: string) => fill(shiftEvents(readFileSync(path.join(folder, file), 'utf8'), days));
  const steps = makeSteps(index);
  const servers: Server[] = [];
  const requests = {} as RdapReplay['requests'];

  const told = (answer: Answer): Answer => {
    if (answer.hold) onHold();
    return answer;
  };
  const start = async (name: RdapServer | 'bootstrap', usual: (pathname: string) => Answer): Promise<string> => {
    const started = await startServer({ port: 0, gzip: true }, url => told(faulty(faults, { name, url, usual })));
    servers.push(started.server);
    requests[name] = started.requests;
    return started.origin;
  };
  for (const name of RDAP_SERVERS)
    origins[name] = await start(name, url => rdapAnswer(name, url, { steps, fill, textOf }));
  const bootstrap = await start('bootstrap', () => ({ headers: BOOTSTRAP_HEADERS, body: textOf('bootstrap.json') }));
  const whois = await startTextServer({ port: 0 }, question => {
    const usual = { body: texts.get(question) ?? otherText(folder, question) };
    return told({ ...usual, ...faults.next({ path: `/whois/${question}`, name: question }) });
  });

  const served = [...new Set([...texts.keys()].map(topLevelOf))];
  return {
    settings: {
      WHOIS_BOOTSTRAP_URL: `${bootstrap}/dns.json`,
      WHOIS_IANA_SERVER: whois.address,
      WHOIS_SERVERS: served.map(zone => `${zone}=${whois.address}`).join(','),
    },
    origins,
    requests,
    questions: whois.questions,
    domains: [...index.domains.map(({ domain }) => domain), ...texts.keys()],
    goTo: steps.goTo,
    fault: faults.add,
    clearFaults: faults.clear,
    async close() {
      const closed = servers.map(server => new Promise<unknown>(resolve => server.close(resolve)));
      for (const server of servers) server.closeAllConnections();
      await Promise.all([...closed, whois.close()]);
    },
  };
}

/** A registry does not know the domain; IANA names no server for a top-level domain, unless the folder has its answer. */
function otherText(folder: string, question: string): Uint8Array {
  const textFile = (name: string) => path.join(folder, 'text', `${name}.txt`);
  if (question.includes('.')) return readFileSync(textFile('not-found-afnic'));
  const known = textFile(`iana-${question}`);
  return readFileSync(/^[a-z0-9-]+$/.test(question) && existsSync(known) ? known : textFile('iana-no-server'));
}

interface Steps {
  /** The answer to the next question for a domain at a place: `registry-a`, `registry-a/v2`. */
  next(domain: string, place: string): RecordedStep | null;
  goTo(daysOn: number): void;
}

function makeSteps({ baseDate, domains, laterDate, later }: RecordedDomains): Steps {
  const laterDays = daysBetween(baseDate, laterDate);
  const before = new Map<string, RecordedDomain>(domains.map(recorded => [recorded.domain, recorded]));
  const after = new Map(later.map(recorded => [recorded.domain, recorded]));
  const asked = new Map<string, number>();
  let isLater = false;
  return {
    next(domain, place) {
      const recorded = (isLater && after.get(domain)) || before.get(domain);
      const answers = recorded?.answers[place];
      if (!answers) return null;
      const question = `${recorded === before.get(domain)} ${place} ${domain}`;
      const times = asked.get(question) ?? 0;
      asked.set(question, times + 1);
      return answers[Math.min(times, answers.length - 1)] ?? null;
    },
    goTo(daysOn) {
      isLater = daysOn >= laterDays;
    },
  };
}

/** The fault that is next for a request, laid over its usual answer where it says nothing of its own. */
function faulty(
  faults: Faults,
  { name, url, usual }: { name: string; url: URL; usual: (pathname: string) => Answer },
): Answer {
  const domain = QUESTION.exec(url.pathname)?.[2]?.toLowerCase() ?? null;
  const fault = faults.next({ path: `/${name}${url.pathname}`, name: domain });
  return fault?.status !== undefined ? fault : { ...usual(url.pathname), ...fault };
}

function rdapAnswer(
  name: RdapServer,
  pathname: string,
  { steps, fill, textOf }: { steps: Steps; fill(text: string): string; textOf(file: string): string },
): Answer {
  const [, below = '', domain = ''] = QUESTION.exec(pathname) ?? [];
  const step = steps.next(domain.toLowerCase(), `${name}${below}`) ?? NOT_FOUND;
  if (step.timeout) return { hold: true };
  const { status = 200, file, headers = {} } = step;
  const type = file === undefined ? {} : { 'content-type': 'application/rdap+json' };
  const given = Object.entries(headers).map(([header, value]) => [header, fill(value)]);
  const body = file === undefined ? '' : textOf(`answers/${file}`);
  return { status, headers: { ...type, ...Object.fromEntries(given) }, body };
}

/** Reads the command line, starts a replay and prints the settings that lead to it. */
async function main(): Promise<void> {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({ options: { folder: text, day: text, 'days-on': text } });
  const replay = await startRdapReplay({ folder: values.folder, day: values.day });
  replay.goTo(Number(values['days-on'] ?? 0));
  for (const [name, value] of Object.entries(replay.settings)) process.stdout.write(`${name}=${value}\n`);
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => replay.close());
}

if (import.meta.main) await main();
