import { readFileSync } from 'node:fs';
import path from 'node:path';
import { ChangeError } from '../../src/errors.ts';
import type { Change, Loaded } from '../../src/ports/change.ts';
import { type Answer, startNpmStandIn } from '../../src/sources/npm/stand-in/stand-in.ts';
import type { Source } from '../../src/sources/source.ts';
import type { FetcherOptions } from '../../src/sources/upstream/fetcher.ts';
import { NO_FACTS, type WhoisFacts } from '../../src/sources/whois/facts.ts';
import { readTexts } from '../../src/sources/whois/stand-in/registrations.ts';
import { startWhoisStandIn } from '../../src/sources/whois/stand-in/stand-in.ts';
import { load, pullAll, runStep, servers, visitsOf } from './step.ts';
import { readDomains, readRows } from './whois/recordings.ts';

export const FIXTURES = path.resolve(import.meta.dirname, '../fixtures');

/** What a visit comes to: what its row says, that the key is gone, or why there is no answer. */
export type Expected = { row: Record<string, unknown> } | { gone: true } | { parked: string };

/** What stands in for a source's upstream, serving its fixture folder. */
export interface StandIn {
  origin: string;
  /** The source's settings, with pages of so many changes where it has pages. */
  env(pageChanges: number): Record<string, unknown>;
  /** How messages about its answers begin. */
  called: string;
  /** Lets the next request for a page, or for the list of servers, or for a change's document be answered so. */
  failPage(answer: Answer): void;
  failDocument(key: string, answer: Answer): void;
  /** An answer that is not a page, or no list of servers, and the field a person must be told of. */
  wrongPage: { body: string; field: string };
  wrongDocument: { body(key: string): string; field: string };
  /** Items whose connection breaks: their requests are made again in the same slot. */
  retried: string[];
  /** Time that is up when the upstream keeps silent, and never else; the real one where that is short enough. */
  timer?: FetcherOptions['timer'];
  /** Only of a source with an agenda. */
  agenda?: {
    keys: string[];
    /** What no key is made of. */
    noKeys: string[];
    /** What the last of so many visits comes to. */
    expected(key: string): { visits: number; outcome: Expected };
    /** Keys that have no row at all times, and those that are registered otherwise a month on. */
    otherLater: string[];
    monthOn(): void;
  };
  close(): Promise<void>;
}

/** One for each source. */
export const STAND_INS: Record<string, (folder: string) => Promise<StandIn>> = {
  async npm(folder) {
    const replay = await startNpmStandIn({ folder });
    return {
      origin: replay.origin,
      env: pageChanges => ({
        NPM_FEED_URL: replay.feedUrl,
        NPM_REGISTRY_URL: replay.registryUrl,
        NPM_DOWNLOADS_URL: replay.downloadsUrl,
        NPM_START: '0',
        NPM_PAGE_CHANGES: pageChanges,
      }),
      called: 'npm',
      failPage: answer => replay.fault(new URL(replay.feedUrl).pathname, [answer]),
      failDocument: (key, answer) => replay.fault(key, [answer]),
      wrongPage: { body: '{"results":{},"last_seq":1}', field: 'results' },
      wrongDocument: { body: key => JSON.stringify({ name: key, versions: 7 }), field: 'versions' },
      retried: ['truncated-gzip', 'cut-connection'],
      close: replay.close,
    };
  },

  async whois(folder) {
    const due = new Set<() => void>();
    const replay = await startWhoisStandIn({ folder, onHold: () => [...due].forEach(call => void call()) });
    return {
      origin: replay.origins['registry-a'],
      env: () => replay.settings,
      called: 'rdap',
      failPage: answer => replay.fault('/bootstrap', [answer]),
      failDocument: (key, answer) => replay.fault(key, [answer]),
      wrongPage: { body: '{"services":{}}', field: 'services' },
      wrongDocument: { body: () => '{"objectClassName":"entity"}', field: 'objectClassName' },
      retried: ['slow-example.com', 'silent-example.com'],
      timer: (_ms, call) => {
        due.add(call);
        return () => due.delete(call);
      },
      agenda: {
        keys: replay.domains,
        noKeys: [
          '',
          ' ',
          '.',
          'com',
          'co.uk',
          'not a domain.com',
          'a..com',
          '-',
          'x.nosuchzone',
          '\u0007.com',
          '192.0.2.1',
        ],
        expected: expectedRegistrations(folder),
        otherLater: readDomains().later.map(({ domain }) => domain),
        monthOn: () => replay.goTo(30),
      },
      close: replay.close,
    };
  },
};

/** What is expected of each domain of the folder: by `rows.json`, and by `text/rows.json` over WHOIS. */
function expectedRegistrations(folder: string): NonNullable<StandIn['agenda']>['expected'] {
  const { domains } = readDomains();
  const rows = readRows();
  const texts = readTexts(folder);
  const said = JSON.parse(readFileSync(path.join(folder, 'text/rows.json'), 'utf8')) as {
    domain: string;
    found?: boolean;
    facts?: Partial<WhoisFacts>;
  }[];
  const reasons: Record<string, string> = { 'redirect-loop': 'http-301', 'no-rdap': 'no-server' };
  return key => {
    if (texts.has(key)) {
      const { found, facts } = said.find(({ domain }) => domain === key)!;
      return { visits: 1, outcome: found ? { row: { ...NO_FACTS, ...facts } } : { gone: true } };
    }
    const { outcome, answers } = domains.find(({ domain }) => domain === key)!;
    const visits = Math.max(1, ...Object.values(answers).map(steps => steps.length));
    if (outcome === 'not-found') return { visits, outcome: { gone: true } };
    if (outcome !== 'row') return { visits, outcome: { parked: reasons[outcome] ?? outcome } };
    return { visits, outcome: { row: { ...NO_FACTS, ...rows.domains[key]!.facts } } };
  };
}

/** The changes of a source's world: those of its feed, or a first visit of each key. */
export async function changesOf(source: Source, settings: unknown, { agenda }: StandIn): Promise<Change[]> {
  if (agenda) return visitsOf(source, agenda.keys, await servers(source, settings));
  const { value } = await runStep(source, { settings, step: 'pull' }, ctx => source.start(ctx));
  return pullAll(source, settings, value);
}

/** The first changes of plain items: those that load alike twice. */
export async function plainChanges(
  source: Source,
  { settings, changes, timer, count }: { settings: unknown; changes: Change[]; count: number } & Pick<StandIn, 'timer'>,
): Promise<{ change: Change; loaded: Loaded }[]> {
  const found: { change: Change; loaded: Loaded }[] = [];
  for (const change of changes.filter(({ deleted, skip }) => !deleted && skip === null)) {
    if (found.length === count) break;
    const loaded = await load(source, settings, change, { timer }).catch(() => null);
    if (loaded && loaded.documents.length > 0) found.push({ change, loaded });
  }
  if (found.length < count) throw new Error(`${source.id}: expected ${count} plain items, got ${found.length}`);
  return found;
}

/** The reason a change is parked for; throws what is no word of the upstream. */
export function parked(error: unknown): { parked: string } {
  if (error instanceof ChangeError) return { parked: error.reason };
  throw error;
}
