import { sha256Hex } from '../../src/digest.ts';
import { documentKey } from '../../src/lake/object-keys.ts';
import { connect } from '../../src/local/probe/connect.ts';
import type { Change, ProbeAnswer, Servers } from '../../src/ports/change.ts';
import type { AskedStep, HostRequests, HostTally } from '../../src/ports/hosts.ts';
import type { ListingContext, LoadContext, Source, StoredDocument } from '../../src/sources/source.ts';
import { createFetcher, type FetcherOptions } from '../../src/sources/upstream/fetcher.ts';

/**
 * Runs one step of a source as the Loader does: over HTTP, with as many permits as the source's `requests` says. A source
 * with an agenda also gets a permit for each further request, as from its object; `granted` counts these.
 */
export async function runStep<S, P, T>(
  source: Source<S, P>,
  {
    settings,
    step,
    changes = [],
    prepared = null,
    afresh = false,
    timer,
    lake = new Map(),
    nowMs = NOW_MS,
  }: {
    settings: S;
    step: AskedStep;
    changes?: Change[];
    prepared?: P | null;
    afresh?: boolean;
    timer?: FetcherOptions['timer'];
    lake?: Lake | undefined;
    nowMs?: number;
  },
  work: (ctx: LoadContext<S, P> & ListingContext<S>) => Promise<T>,
): Promise<{ value: T; tallies: HostTally[]; granted: HostRequests }> {
  const requests = source.requests(step, changes, settings);
  const permits = Object.entries(requests).map(([host, count]) => ({ host, count, startAtMs: 0, intervalMs: 0 }));
  const granted: HostRequests = {};
  const requestPermit = async (host: string) => {
    granted[host] = (granted[host] ?? 0) + 1;
    return { host, count: 1, startAtMs: 0, intervalMs: 0 };
  };
  const { fetchJson, fetchRaw, fetchDocument, fetchStream, askText, tallies } = createFetcher({
    contact: 'tests',
    permits,
    connect,
    timer,
    ...(source.agenda || step === 'prepare' || step === 'load' ? { requestPermit } : {}),
    redirectPermit: requestPermit,
    deadlineAtMs: Date.now() + 60_000,
    retryMsMin: 1,
  });
  const value = await work({
    settings,
    nowMs,
    prepared,
    afresh,
    stored: async document => storedIn(lake, documentKey(source, document)),
    fetchJson,
    fetchRaw,
    fetchDocument,
    fetchStream,
    askText,
  });
  return { value, tallies: tallies(), granted };
}

/** All keys that a source's upstream lists, page by page or in one answer. */
export async function listAll<S, P>(source: Source<S, P>, settings: S): Promise<string[]> {
  const { list, listing } = source.feed!;
  const keys: string[] = [];
  const options = { settings, step: 'list' as const };
  if (listing)
    await runStep(source, options, async ctx => {
      for await (const listed of listing.read(ctx)) keys.push(...listed.map(({ key }) => key));
    });
  for (let after: string | null = null; list; ) {
    const { value } = await runStep(source, options, ctx => list(after, ctx));
    keys.push(...value.keys);
    after = value.next;
    if (after === null) break;
  }
  return keys;
}

/** Pulls one page. */
export async function pull<S, P>(source: Source<S, P>, settings: S, cursor: string, poll = 0) {
  return (await runStep(source, { settings, step: 'pull' }, ctx => source.feed!.pull({ cursor, poll }, ctx))).value;
}

/** Pulls pages from a cursor to the head and returns their changes. */
export async function pullAll<S, P>(source: Source<S, P>, settings: S, cursor: string): Promise<Change[]> {
  const changes: Change[] = [];
  for (let from = cursor; ; ) {
    const page = await pull(source, settings, from);
    changes.push(...page.changes);
    if (page.atHead) return changes;
    from = page.cursor;
  }
}

/** What the documents of loads left, by their keys in the lake. */
export type Lake = Map<string, { bytes: Uint8Array; digest: string | null }>;

/** One time for all loads of a test file, so that two visits differ only in what the upstream says. */
const NOW_MS = Date.now();

function storedIn(lake: Lake, key: string): StoredDocument {
  const found = lake.get(key);
  if (!found) return { key, object: null };
  const { bytes, digest } = found;
  const sha256 = digest && sha256Hex(bytes);
  return { key, object: { bytes: bytes.length, digest, sha256, read: async () => bytes } };
}

/** Loads one change. Its documents stay in the `lake`. */
export async function load<S, P>(
  source: Source<S, P>,
  settings: S,
  change: Change,
  options: {
    prepared?: P | null;
    afresh?: boolean;
    timer?: FetcherOptions['timer'];
    lake?: Lake | undefined;
    nowMs?: number;
  } = {},
) {
  const stepOptions = { ...options, settings, changes: [change], step: 'load' as const };
  const loaded = (await runStep(source, stepOptions, ctx => source.load(change, ctx))).value;
  for (const { bytes, digest = null, ...document } of loaded.documents)
    options.lake?.set(documentKey(source, document), { bytes, digest });
  return loaded;
}

/** Asks the probe of a source with an agenda for some keys, in one request. */
export async function probe<S, P>(source: Source<S, P>, settings: S, changes: Change[]): Promise<ProbeAnswer[]> {
  const options = { settings, step: 'probe' as const, changes };
  return (await runStep(source, options, ctx => source.agenda!.probe!.ask(changes, ctx))).value;
}

/** Fetches the servers of a source whose agenda has a directory of them. */
export async function servers<S, P>(source: Source<S, P>, settings: S, known: Servers | null = null): Promise<Servers> {
  return (await runStep(source, { settings, step: 'pull' }, ctx => source.agenda!.directory!.read(known, ctx))).value;
}

/** The first visit of each key, as the engine makes it. */
export function visitsOf<S, P>(source: Source<S, P>, keys: string[], known: Servers | null): Change[] {
  return keys.map((text, index) => {
    const read = source.agenda!.read(text);
    if ('rejected' in read) throw new Error(`${text}: expected a key, got ${read.rejected}`);
    const server = source.agenda!.directory?.serverOf(read.space, known?.servers ?? {}) ?? null;
    const cursor = String(index + 1);
    return { key: read.key, cursor, deleted: false, revision: null, skip: null, server, moreHosts: [] };
  });
}
