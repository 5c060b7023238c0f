import { readFileSync } from 'node:fs';
import path from 'node:path';
import { ChangeError } from '../../src/errors.ts';
import type { Change, Loaded } from '../../src/ports/change.ts';
import { type Answer, startStandIn as startNpm } from '../../src/sources/npm/stand-in/stand-in.ts';
import type { Source } from '../../src/sources/source.ts';
import type { FetcherOptions } from '../../src/sources/upstream/fetcher.ts';
import { NO_FACTS, type WhoisFacts } from '../../src/sources/whois/facts.ts';
import { readTexts } from '../../src/sources/whois/stand-in/registrations.ts';
import { startStandIn as startWhois } from '../../src/sources/whois/stand-in/stand-in.ts';
import { load, pullAll, runStep, servers, visitsOf } from './step.ts';
import { readDomains, readRows } from './whois/recordings.ts';

export const FIXTURES = path.resolve(import.meta.dirname, '../fixtures');

/** The outcome of a visit: the columns of its row, that the key is gone, or the reason why the change is parked. */
export type Expected = { row: Record<string, unknown> } | { gone: true } | { parked: string };

/** A local server that plays a source's upstream from its fixture folder. */
export interface StandIn {
  origin: string;
  /** The source's settings; `pageChanges` is the size of a page where the source has a feed. */
  env(pageChanges: number): Record<string, unknown>;
  /** The first word of error messages about its answers. */
  subject: string;
  /** Sets the answer to the next request for a page of the feed, or for the list of servers. */
  failPage(answer: Answer): void;
  /** Sets the answer to the next request for a change's document. */
  failDocument(key: string, answer: Answer): void;
  /** An answer of a wrong shape to a request for a page or the list of servers, and the field that the error must name. */
  wrongPage: { body: string; field: string };
  wrongDocument: { body(key: string): string; field: string };
  /** Keys whose connection breaks, so that their requests are repeated in the same slot. */
  retried: string[];
  /** A timer that expires only when the upstream does not answer; the real timer by default. */
  timer?: FetcherOptions['timer'];
  /** Only of a source with an agenda. */
  agenda?: {
    keys: string[];
    /** Texts that are not keys. */
    invalidKeys: string[];
    /** How many visits a key needs, and the outcome of the last one. */
    expected(key: string): { visits: number; outcome: Expected };
    /** Keys with another registration a month later. */
    changedLater: string[];
    /** Moves the upstream a month ahead. */
    passMonth(): void;
  };
  close(): Promise<void>;
}

/** The stand-in of each source. */
export const STAND_INS: Record<string, (folder: string) => Promise<StandIn>> = {
  async npm(folder) {
    const standIn = await startNpm({ folder });
    return {
      origin: standIn.origin,
      env: pageChanges => ({
        NPM_FEED_URL: standIn.feedUrl,
        NPM_REGISTRY_URL: standIn.registryUrl,
        NPM_DOWNLOADS_URL: standIn.downloadsUrl,
        NPM_START: '0',
        NPM_PAGE_CHANGES: pageChanges,
      }),
      subject: 'npm',
      failPage: answer => standIn.fault(new URL(standIn.feedUrl).pathname, [answer]),
      failDocument: (key, answer) => standIn.fault(key, [answer]),
      wrongPage: { body: '{"results":{},"last_seq":1}', field: 'results' },
      wrongDocument: { body: key => JSON.stringify({ name: key, versions: 7 }), field: 'versions' },
      retried: ['truncated-gzip', 'cut-connection'],
      close: standIn.stop,
    };
  },

  async whois(folder) {
    const expires = new Set<() => void>();
    const standIn = await startWhois({ folder, onHold: () => [...expires].forEach(expire => void expire()) });
    return {
      origin: standIn.origins['registry-a'],
      env: () => standIn.settings,
      subject: 'rdap',
      failPage: answer => standIn.fault('/bootstrap', [answer]),
      failDocument: (key, answer) => standIn.fault(key, [answer]),
      wrongPage: { body: '{"services":{}}', field: 'services' },
      wrongDocument: { body: () => '{"objectClassName":"entity"}', field: 'objectClassName' },
      retried: ['slow-example.com', 'silent-example.com'],
      timer: (_ms, expire) => {
        expires.add(expire);
        return () => expires.delete(expire);
      },
      agenda: {
        keys: standIn.domains,
        invalidKeys: [
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
        changedLater: readDomains().later.map(({ domain }) => domain),
        passMonth: () => standIn.goTo(30),
      },
      close: standIn.stop,
    };
  },
};

/** The expected outcome of each domain of the folder: from `rows.json`, and for WHOIS from `text/rows.json`. */
function expectedRegistrations(folder: string): NonNullable<StandIn['agenda']>['expected'] {
  const { domains } = readDomains();
  const rows = readRows();
  const texts = readTexts(folder);
  const textRows = JSON.parse(readFileSync(path.join(folder, 'text/rows.json'), 'utf8')) as {
    domain: string;
    found?: boolean;
    facts?: Partial<WhoisFacts>;
  }[];
  const reasons: Record<string, string> = { 'redirect-loop': 'http-301', 'no-rdap': 'no-server' };
  return key => {
    if (texts.has(key)) {
      const { found, facts } = textRows.find(({ domain }) => domain === key)!;
      return { visits: 1, outcome: found ? { row: { ...NO_FACTS, ...facts } } : { gone: true } };
    }
    const { outcome, answers } = domains.find(({ domain }) => domain === key)!;
    const visits = Math.max(1, ...Object.values(answers).map(steps => steps.length));
    if (outcome === 'not-found') return { visits, outcome: { gone: true } };
    if (outcome !== 'row') return { visits, outcome: { parked: reasons[outcome] ?? outcome } };
    return { visits, outcome: { row: { ...NO_FACTS, ...rows.domains[key]!.facts } } };
  };
}

/** The changes of a source: those of its feed, or a first visit of each key. */
export async function changesOf(source: Source, settings: unknown, { agenda }: StandIn): Promise<Change[]> {
  if (agenda) return visitsOf(source, agenda.keys, await servers(source, settings));
  const { value } = await runStep(source, { settings, step: 'pull' }, ctx => source.feed!.start(ctx));
  return pullAll(source, settings, value);
}

/** The first changes that load into rows and a document. */
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
  if (found.length < count) throw new Error(`${source.id}: expected ${count} plain changes, got ${found.length}`);
  return found;
}

/** The reason why a change is parked; rethrows an error that is not about the upstream. */
export function parked(error: unknown): { parked: string } {
  if (error instanceof ChangeError) return { parked: error.reason };
  throw error;
}
