import { parseArgs } from 'node:util';
import { type Answer, makeFaults } from '../../stand-in/faults.ts';
import { type RequestLog, startServer } from '../../stand-in/server.ts';
import { runStandIn, type StandIn, type StandInOptions } from '../../stand-in/stand-in.ts';
import { answerTo, DOWNLOADS_PATH, faultTarget, type Index } from './answers.ts';
import { makeDownloads } from './downloads.ts';
import { type Feed, makeFeed } from './feed.ts';
import { makeProjects } from './projects.ts';
import { makeRateLimit } from './rate-limit.ts';
import { type Downloads, type FeedRow, keyOf, PYPI_RECORDINGS, type Recordings, readRecordings } from './recordings.ts';

export type { Answer } from '../../stand-in/faults.ts';
export type { RequestLog, StandInRequest } from '../../stand-in/server.ts';
export type { Downloads, FeedRow } from './recordings.ts';
export { feedFault, tooManyRequests } from './xml-rpc.ts';

export interface PypiStandInOptions extends StandInOptions {
  /** The projects of the fixture that are in the feed, by any spelling; all by default. */
  only?: string[];
  /** How many rows of made-up projects follow the recorded ones. */
  changes?: number;
  /** How many made-up projects those rows are spread over; one for each row by default. */
  names?: number;
  /** How many rows of the feed are released at the start; all by default. */
  rows?: number;
  /** The most rows of a page; 50,000 by default, as the index has it. */
  pageRows?: number;
  /** The share of requests that fail, 0 to 1; `seed` decides which. */
  failShare?: number;
  seed?: number;
  /** Whether bodies are compressed for clients that accept gzip; true by default. */
  gzip?: boolean;
  /** The most requests to the feed in an hour; 3,600 by default, as the index has it. */
  feedRequestsPerHour?: number;
}

/** A running stand-in of the index; its URLs are in `settings` too. */
export interface PypiStandIn extends StandIn {
  origin: string;
  requests: RequestLog;
  /** Releases the next waiting rows of the feed and returns them. */
  release(count?: number): FeedRow[];
  /** How many rows wait. */
  waiting(): number;
  /**
   * Adds a journal row and releases it at once. With a document it replaces the project's JSON from now on: an object is
   * completed and gets its serial, text and bytes are served as they are.
   */
  pushRow(row: { name: string; action: string; version?: string | null; document?: unknown }): FeedRow;
  /**
   * The CDN serves the document before the newest one for the next `times` requests of this project, whether for its
   * document or for its page in the simple index.
   */
  lag(name: string, times: number): void;
  /** Each pushes the journal row of the action. */
  remove(name: string): FeedRow;
  quarantine(name: string): FeedRow;
  clearQuarantine(name: string): FeedRow;
  /** Neither gives a journal row. */
  archive(name: string): void;
  unarchive(name: string): void;
  /** The CDN serves the simple index as it is now, until `cacheIndex(false)`. */
  cacheIndex(isCached: boolean): void;
  /** Numbers the journal again from a serial. */
  renumber(firstSerial: number): void;
  /**
   * The next answers to requests of a project, by any spelling, or to every path that begins with a `/…`; `/pypi` is the
   * feed alone. `repeat` repeats the last answer for ever.
   */
  fault(target: string, answers: Answer[], options?: { repeat?: boolean }): void;
  clearFaults(): void;
  /** How many requests `failShare` made fail. */
  failed(): number;
  /** All released rows, ascending. */
  rows(): FeedRow[];
  lastSerial(): number;
  head(): string;
  /** The bytes of a project's newest document, whatever the CDN serves; null where the index answers with a 404. */
  documentOf(name: string): Uint8Array | null;
  downloadsOf(name: string): Downloads | null;
}

const PAGE_ROWS = 50_000;

/** Settings that make the source ask for the whole feed without pauses. */
const FAST = { PYPI_POLL_MS: '200', PYPI_SETTLE_MS: '0', PYPI_REQUESTS_PER_SECOND: '1000' };

/** Serves the index's feed, documents, simple index, and the downloads data set, on this machine from hand-made answers. */
export async function startStandIn(options: PypiStandInOptions = {}): Promise<PypiStandIn> {
  const { folder = PYPI_RECORDINGS, port = 0, gzip = true, failShare, seed } = options;
  const recordings = readRecordings(folder);
  // Documents contain the server's origin, which is known once it listens. No request comes before.
  let origin = '';
  const projects = makeProjects(recordings, () => origin);
  const feed = makeFeed(recordedRows(recordings, options), recordings.feed[0]!, projects.apply);
  const madeUp = addMadeUp(feed, options);
  feed.release(options.rows ?? Number.POSITIVE_INFINITY);
  const index: Index = {
    feed,
    projects,
    faults: makeFaults({ failShare, seed }),
    limit: makeRateLimit(options.feedRequestsPerHour),
    pageRows: options.pageRows ?? PAGE_ROWS,
    downloads: makeDownloads(recordings.downloads, madeUp),
    cachedIndex: null,
    origin: () => origin,
  };
  const { server, requests, ...started } = await startServer({ port, gzip }, (url, sent) => answerTo(index, url, sent));
  origin = started.origin;
  const stop = () =>
    new Promise<void>(resolve => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return Object.assign(controls(index), { origin, requests, settings: settingsOf(origin, options), stop });
}

function settingsOf(origin: string, { pageRows, fast = false }: PypiStandInOptions): Record<string, string> {
  return {
    PYPI_URL: origin,
    PYPI_DOWNLOADS_URL: `${origin}${DOWNLOADS_PATH}?user=demo`,
    PYPI_START: '0',
    ...(pageRows === undefined ? {} : { PYPI_PAGE_ROWS: String(pageRows) }),
    ...(fast ? FAST : {}),
  };
}

/** What a test or the demo does with the index, apart from requests. */
function controls(index: Index): Omit<PypiStandIn, 'origin' | 'requests' | 'settings' | 'stop'> {
  const { feed, projects, faults, downloads } = index;
  const projectNamed = (name: string) => {
    const project = projects.find(name);
    if (!project) throw new Error(`${name}: expected a project whose row is released, got none`);
    return project;
  };
  const pushAction = (name: string, action: string) =>
    feed.push({ name: projectNamed(name).display, version: null, action });

  return {
    release: (count = Number.POSITIVE_INFINITY) => feed.release(count),
    waiting: feed.waiting,
    pushRow: ({ name, version = null, action, document }) => feed.push({ name, version, action }, document),
    lag(name, times) {
      projectNamed(name).lagging = times;
    },
    remove: name => pushAction(name, 'remove project'),
    quarantine: name => pushAction(name, 'project quarantined'),
    clearQuarantine: name => pushAction(name, 'project quarantine cleared'),
    archive(name) {
      projectNamed(name).archived = true;
    },
    unarchive(name) {
      projectNamed(name).archived = false;
    },
    cacheIndex(isCached) {
      index.cachedIndex = isCached ? new Map() : null;
    },
    renumber: feed.renumber,
    fault: (target, answers, options) => faults.add(faultTarget(target), answers, options),
    clearFaults: faults.clear,
    failed: faults.failed,
    rows: feed.rows,
    lastSerial: feed.lastSerial,
    head: () => String(feed.lastSerial()),
    documentOf(name) {
      const project = projects.find(name);
      return project?.now.presence === 'present' ? projects.body(project, project.now).bytes : null;
    },
    downloadsOf: name => downloads.countsOf(keyOf(name)),
  };
}

function recordedRows({ feed }: Recordings, { only }: PypiStandInOptions): FeedRow[] {
  const keys = only?.map(keyOf);
  return feed.filter(({ name }) => keys === undefined || keys.includes(keyOf(name)));
}

/** Adds the releases of made-up projects, round after round. Returns their names. */
function addMadeUp(feed: Feed, { changes = 0, names = changes }: PypiStandInOptions): Set<string> {
  const madeUp = new Set<string>();
  for (let i = 0; i < changes; i++) {
    const name = `made-up-${String((i % names) + 1).padStart(5, '0')}`;
    madeUp.add(name);
    feed.add({ name, version: `0.${Math.floor(i / names) + 1}`, action: 'new release' });
  }
  return madeUp;
}

/** Reads the command line, starts a stand-in and releases rows at the given pace. */
async function main(): Promise<void> {
  const number = { type: 'string' } as const;
  const { values } = parseArgs({
    options: {
      folder: { type: 'string' },
      port: number,
      changes: number,
      names: number,
      rows: number,
      'page-rows': number,
      'release-per-second': number,
      'fail-share': number,
      seed: number,
      fast: { type: 'boolean', default: false },
    },
  });
  const numberOf = (text: string | undefined) => (text === undefined ? undefined : Number(text));
  const standIn = await startStandIn({
    folder: values.folder,
    port: numberOf(values.port),
    changes: numberOf(values.changes),
    names: numberOf(values.names),
    rows: numberOf(values.rows) ?? (values['release-per-second'] === undefined ? undefined : 0),
    pageRows: numberOf(values['page-rows']),
    failShare: numberOf(values['fail-share']),
    seed: numberOf(values.seed),
    fast: values.fast,
  });
  const perSecond = numberOf(values['release-per-second']);
  if (perSecond !== undefined) setInterval(() => standIn.release(perSecond), 1000).unref();
  runStandIn(standIn);
}

if (import.meta.main) await main();
