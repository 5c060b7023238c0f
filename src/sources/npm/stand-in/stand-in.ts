import { parseArgs } from 'node:util';
import { type Answer, type Faults, makeFaults } from '../../stand-in/faults.ts';
import { type RequestLog, startServer } from '../../stand-in/server.ts';
import { runStandIn, type StandIn, type StandInOptions } from '../../stand-in/stand-in.ts';
import { type Documents, madeUpName, madeUpRev, makeDocuments, templateNames } from './documents.ts';
import { downloadsAnswer } from './downloads.ts';
import { type Feed, feedPage, makeFeed, readFeedQuery } from './feed.ts';
import { listPage, readListQuery } from './list.ts';
import { type Downloads, type FeedRow, NPM_RECORDINGS, type Recordings, readRecordings } from './recordings.ts';

export type { Answer } from '../../stand-in/faults.ts';
export type { RequestLog, StandInRequest } from '../../stand-in/server.ts';
export type { Downloads, FeedRow } from './recordings.ts';

export interface NpmStandInOptions extends StandInOptions {
  /** Whether the hand-made entries are in the feed; their documents are always served. */
  handMade?: boolean;
  /** The recorded ids in the feed; all by default. */
  only?: string[];
  /** How many changes of made-up names follow the recorded ones. */
  changes?: number;
  /** How many made-up names those changes are spread over; one for each change by default. */
  names?: number;
  /** How many rows of the feed are released at the start; all by default. */
  rows?: number;
  /** The share of requests that fail, 0 to 1, with status 500, status 429 or a cut connection; `seed` decides which. */
  failShare?: number;
  seed?: number;
  /** Whether bodies are compressed for clients that accept gzip; true by default. */
  gzip?: boolean;
}

/** A change that a test adds to the feed. */
export interface PushedChange {
  id: string;
  /** The next revision by default. */
  rev?: string;
  deleted?: boolean;
  /** An object gets `_id`, `_rev` and `name` where it has none. */
  document?: string | Uint8Array | Record<string, unknown>;
}

/** A running stand-in of npm; its URLs are in `settings` too. */
export interface NpmStandIn extends StandIn {
  origin: string;
  feedUrl: string;
  registryUrl: string;
  downloadsUrl: string;
  requests: RequestLog;
  /** Releases the next waiting rows of the feed and returns them. */
  release(count?: number): FeedRow[];
  /** How many rows wait. */
  waiting(): number;
  /** Adds a change and releases it at once. */
  pushChange(change: PushedChange): FeedRow;
  /** Numbers the feed again from a number, as after a move of npm's database. */
  renumber(firstSeq: number): void;
  /** The next answers to a package name, or to every path that begins with a `/…`. `repeat` repeats the last one for ever. */
  fault(target: string, answers: Answer[], options?: { repeat?: boolean }): void;
  clearFaults(): void;
  /** How many requests `failShare` made fail. */
  failed(): number;
  /** The released rows that the feed shows, ascending: the newest of each id. */
  rows(): FeedRow[];
  updateSeq(): number;
  head(): string;
  /** The bytes of a name's newest document after its faults; null where the status is not 200. */
  documentOf(name: string): Uint8Array | null;
  downloadsOf(name: string): Downloads | null;
}

/** Settings that make the source ask for the whole feed without pauses. */
const FAST = {
  NPM_POLL_MS: '200',
  NPM_SETTLE_MS: '0',
  NPM_PAGE_CHANGES: '100',
  NPM_REQUESTS_PER_SECOND: '1000',
};

/** Serves npm's feed, registry and downloads API on this machine from recordings. */
export async function startStandIn(options: NpmStandInOptions = {}): Promise<NpmStandIn> {
  const { folder = NPM_RECORDINGS, port = 0, fast = false, gzip = true, failShare, seed } = options;
  const { rows = Number.POSITIVE_INFINITY } = options;
  const recordings = readRecordings(folder);
  const feed = makeFeed(recordedRows(recordings, options), recordings.feed[0]?.seq ?? 0);
  const madeUp = addMadeUp(feed, recordings, options);
  feed.release(rows);
  const faults = makeFaults({ failShare, seed });
  // Documents contain the server's origin, which is known once it listens. No request comes before.
  let documents: Documents;
  const revOf = (name: string) => feed.newest(name)?.changes[0]?.rev;
  const { server, origin, requests } = await startServer({ port, gzip }, (url, { method }) =>
    answerTo({ url, method, feed, documents, faults, revOf }),
  );
  documents = makeDocuments({ recordings, origin, originalOf: name => madeUp.get(name) ?? null });
  const feedUrl = `${origin}/registry`;
  const urls = { NPM_FEED_URL: feedUrl, NPM_REGISTRY_URL: origin, NPM_DOWNLOADS_URL: origin };

  return {
    settings: { ...urls, NPM_START: '0', ...(fast ? FAST : {}) },
    origin,
    feedUrl,
    registryUrl: origin,
    downloadsUrl: origin,
    requests,
    release: (count = Number.POSITIVE_INFINITY) => feed.release(count),
    waiting: feed.waiting,
    pushChange: change => pushChange(change, { feed, documents, recordings }),
    renumber: feed.renumber,
    fault: faults.add,
    clearFaults: faults.clear,
    failed: faults.failed,
    rows: feed.rows,
    updateSeq: feed.updateSeq,
    head: () => String(feed.updateSeq()),
    documentOf: name => documents.newest(name, revOf(name)),
    downloadsOf: name => documents.downloads(name) ?? null,
    stop: () =>
      new Promise(resolve => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function recordedRows(recordings: Recordings, { handMade = true, only }: NpmStandInOptions): FeedRow[] {
  return recordings.feed
    .filter(({ id }) => handMade || !recordings.handMade.has(id))
    .filter(({ id }) => only === undefined || only.includes(id));
}

/** Adds the changes of made-up names, round after round. Returns the recorded name that each is a copy of. */
function addMadeUp(
  feed: Feed,
  recordings: Recordings,
  { changes = 0, names = changes }: NpmStandInOptions,
): Map<string, string> {
  const originals = templateNames(recordings);
  const madeUp = new Map<string, string>();
  for (let i = 0; i < changes; i++) {
    const { name, original } = madeUpName(originals, i % names);
    madeUp.set(name, original);
    feed.add({ id: name, rev: madeUpRev(name, Math.floor(i / names) + 1) });
  }
  return madeUp;
}

function pushChange(
  { id, rev, deleted = false, document }: PushedChange,
  { feed, documents, recordings }: { feed: Feed; documents: Documents; recordings: Recordings },
): FeedRow {
  const before = feed.newest(id)?.changes[0]?.rev ?? recordings.packuments.get(id)?.rev ?? '0-';
  const next = rev ?? madeUpRev(id, Number.parseInt(before, 10) + 1);
  if (deleted) documents.remove(id);
  else if (document === undefined) documents.restore(id);
  else if (typeof document === 'string' || document instanceof Uint8Array) documents.put(id, document);
  else documents.put(id, JSON.stringify({ _id: id, _rev: next, name: id, ...document }));
  return feed.push({ id, rev: next, deleted });
}

/** A request, and what the stand-in answers it from. */
interface StandInCall {
  url: URL;
  method: string;
  feed: Feed;
  documents: Documents;
  faults: Faults;
  revOf(name: string): string | undefined;
}

const FEED_HEADERS = { 'cache-control': 'max-age=14400' };
const DOCUMENT_HEADERS = { 'cache-control': 'public, max-age=300', vary: 'accept-encoding, accept' };
const DOWNLOADS = /^\/downloads\/point\/([^/]+)\/(.+)$/;

function answerTo(call: StandInCall): Answer {
  const { url, method, faults } = call;
  if (method !== 'GET' && method !== 'HEAD') return refusal(405, 'Method Not Allowed');
  const name = nameIn(url.pathname);
  if (name === null) return refusal(400, 'Bad Request');
  const fault = faults.next({ path: url.pathname, name });
  if (fault?.status !== undefined) return fault;
  return { ...usualAnswer(call, name), ...fault };
}

function usualAnswer({ url, feed, documents, revOf }: StandInCall, name: string): Answer {
  if (url.pathname === '/') return { body: rootOf(feed) };
  if (url.pathname === '/registry/_changes') {
    const query = readFeedQuery(url.searchParams);
    if (typeof query === 'string') return refusal(400, query);
    return { headers: FEED_HEADERS, body: feedPage(feed, query) };
  }
  if (url.pathname === '/registry/_all_docs') {
    const query = readListQuery(url.searchParams);
    if (typeof query === 'string') return refusal(400, query);
    return { headers: FEED_HEADERS, body: listPage(feed, query) };
  }
  const [, period, names] = DOWNLOADS.exec(url.pathname) ?? [];
  if (period !== undefined && names !== undefined) {
    return downloadsAnswer(period, decodeURIComponent(names), documents.downloads);
  }
  const answer = documents.answer(name, revOf(name));
  if (answer === null) return refusal(404, 'Not found');
  return answer.status === 200 ? { ...answer, headers: { ...DOCUMENT_HEADERS, ...answer.headers } } : answer;
}

/** The root document: the feed's newest number, and how many names are not deleted. */
function rootOf(feed: Feed): string {
  const doc_count = feed.rows().filter(row => !row.deleted).length;
  return JSON.stringify({ db_name: 'registry', doc_count, update_seq: feed.updateSeq() });
}

/** The package name in a path, decoded once; null when it is badly encoded. */
function nameIn(pathname: string): string | null {
  try {
    return decodeURIComponent(pathname.slice(1));
  } catch {
    return null;
  }
}

function refusal(status: number, error: string): Answer {
  return { status, body: JSON.stringify({ error }) };
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
      'release-per-second': number,
      'fail-share': number,
      seed: number,
      'no-hand-made': { type: 'boolean', default: false },
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
    failShare: numberOf(values['fail-share']),
    seed: numberOf(values.seed),
    handMade: !values['no-hand-made'],
    fast: values.fast,
  });
  const perSecond = numberOf(values['release-per-second']);
  if (perSecond !== undefined) setInterval(() => standIn.release(perSecond), 1000).unref();
  runStandIn(standIn);
}

if (import.meta.main) await main();
