import { ChangeError, CursorError, isConnectionFault, isThrottled, messageOf, StepError } from '../errors.ts';
import { uploadNewest } from '../lake/newest.ts';
import { documentKey, rawKey } from '../lake/object-keys.ts';
import { LIMITS, MiB } from '../limits.ts';
import type { BucketPort, UploadPort } from '../ports/bucket.ts';
import type { Change, Loaded } from '../ports/change.ts';
import type { EncodePort } from '../ports/data-file.ts';
import type { Permit } from '../ports/hosts.ts';
import type { Answer, LoaderSteps, LoadFailure, LoadOutcome, LoadRequest } from '../ports/loader.ts';
import { storableKey } from '../ports/sql-guard.ts';
import type { Source, SourceContext } from '../sources/source.ts';
import { createFetcher, type Fetcher, type FetcherOptions, LargeDocument } from '../sources/upstream/fetcher.ts';
import { readInlet } from './inlet.ts';
import { listedPage } from './listing.ts';
import { datedRows, JSON_TYPE, type NewObject, ObjectWriter } from './objects.ts';
import { probeKeys } from './probe.ts';
import { checkKeys } from './round.ts';
import { checkRow, digestsOf } from './rows.ts';
import { storedDocument } from './stored.ts';

/** A document may grow to this without being loaded alone, and to twice its last size. */
const DOCUMENT_BYTES_MIN = MiB / 2;

/** What every step of a source's Loader needs. `settings` are the source's own. */
export interface Loading {
  source: Source;
  settings: unknown;
  contact: string;
  /** Without `upload`, a document that is too large to be parsed is not stored. */
  bucket: BucketPort & Partial<UploadPort>;
  /** A permit for a host that only an answer named; null when the host has no room in time. */
  permit?: (host: string) => Promise<Permit | null>;
  /** Opens TCP connections, for a source that asks servers for text. */
  connect?: FetcherOptions['connect'];
  /** Opens data files of other sources; those of Parquet by default. */
  reader?: EncodePort['reader'];
  /** Keys of a page of a stored listing; `LISTING_BLOCK_KEYS` by default. */
  blockKeys?: number;
  now(): number;
}

/** Requests of one call that wait for their answers at once: the platform's limit on open connections. */
const REQUESTS_AT_ONCE = 6;

/** The work of each step, with the time it may take. */
const STEPS: { [S in keyof LoaderSteps]: Step<LoaderSteps[S]> } = {
  start: {
    ms: () => LIMITS.pullMsMax,
    work: ({ source }, _, ctx) => feedOf(source).start(ctx),
  },
  pull: {
    ms: () => LIMITS.pullMsMax,
    async work({ source }, { permits: _, ...request }, ctx) {
      const page = await feedOf(source).pull(request, ctx);
      return { ...page, changes: page.changes.map(change => ({ ...change, key: storableKey(change.key) })) };
    },
  },
  servers: {
    ms: () => LIMITS.pullMsMax,
    async work({ source }, { known }, ctx) {
      if (!source.agenda?.directory) throw new Error(`${source.id}: expected a source with a directory of servers`);
      return source.agenda.directory.read(known, ctx);
    },
  },
  prepare: {
    ms: () => LIMITS.sliceLoadMsMax,
    work: async ({ source }, { changes }, ctx) => source.prepare?.(changes, ctx) ?? null,
  },
  probe: {
    ms: () => LIMITS.visitMsMax,
    async work({ source }, { changes }, ctx) {
      if (!source.agenda?.probe) throw new Error(`${source.id}: expected an agenda with a probe`);
      return probeKeys(source.agenda.probe, changes, ctx);
    },
  },
  list: {
    ms: (_request, _nowMs, { feed }) => (feed?.listing ? LIMITS.listingMsMax : LIMITS.listMsMax),
    async work({ source, bucket, blockKeys, now }, { after, listing: begun }, ctx, { fetchStream }) {
      const { list, listing } = feedOf(source);
      if (listing) {
        const options = { source: source.id, listing, bucket, blockKeys, now };
        return listedPage({ after, listing: begun }, options, { ...ctx, fetchStream });
      }
      if (!list) throw new Error(`${source.id}: expected a feed that lists its keys`);
      return list(after, ctx);
    },
  },
  round: {
    ms: () => LIMITS.pullMsMax,
    async work({ source }, { changes }, ctx) {
      const { round } = feedOf(source);
      if (!round) throw new Error(`${source.id}: expected a feed with a round`);
      return checkKeys(round, changes, ctx);
    },
  },
  load: {
    ms: ({ deadlineAtMs }, nowMs) => deadlineAtMs - nowMs,
    work: (loading, request, _, fetcher) => new Load(loading, request, fetcher).run(),
  },
  inlet: {
    ms: () => LIMITS.bucketCallMsMax,
    work: (loading, request) => readInlet(loading, request),
  },
};

function feedOf({ id, feed }: Source) {
  if (!feed) throw new Error(`${id}: expected a source with a feed`);
  return feed;
}

interface Step<S extends { request: { permits: Permit[] }; value: unknown }> {
  ms: (request: S['request'], nowMs: number, source: Source) => number;
  work: (
    loading: Loading,
    request: S['request'],
    ctx: SourceContext<unknown>,
    fetcher: Fetcher,
  ) => Promise<S['value']> | S['value'];
}

/**
 * Runs one step of a source. What the upstream or one of our own parts did wrong becomes an answer; any other error is
 * thrown.
 */
export async function runStep<S extends keyof LoaderSteps>(
  loading: Loading,
  step: S,
  request: LoaderSteps[S]['request'],
): Promise<Answer<LoaderSteps[S]['value']>> {
  const { ms, work } = STEPS[step] as Step<LoaderSteps[S]>;
  const { source, settings, permit } = loading;
  const { hosts, others } = source.pace(settings);
  const fetcher = createFetcher({
    contact: loading.contact,
    permits: request.permits,
    requestPermit: requestPermitOf(step, loading),
    hosts,
    redirectPermit: permit,
    isPaced: host => others !== undefined || Object.hasOwn(hosts, host),
    deadlineAtMs: loading.now() + ms(request, loading.now(), source),
    // Only a load that shares its call refuses large documents.
    large: 'large' in request ? request.large : true,
    openUpload: storeOf(loading),
    connect: loading.connect,
    now: loading.now,
  });
  try {
    const value = await work(loading, request, contextOf(loading, fetcher), fetcher);
    return { ok: true, value, hosts: fetcher.tallies() };
  } catch (error) {
    const failure = failureOf(error);
    if (!failure) throw error;
    return { ok: false, failure, hosts: fetcher.tallies() };
  }
}

/** How a step gets permits for requests that were not foreseen; undefined where such a request is a fault of ours. */
function requestPermitOf(step: keyof LoaderSteps, { source, permit }: Loading): Loading['permit'] {
  // A round has permits for its keys only; one that asks more for a key ends there, and goes on with it later.
  if (step === 'round') return async () => null;
  // Halves of a bulk request that failed are not foreseen; without a permit for them, what was fetched counts.
  if (step === 'prepare') return permit ?? (async () => null);
  // A load's first answer may make a second request necessary, as one that says that there is no document.
  return source.agenda || step === 'load' ? permit : undefined;
}

function failureOf(error: unknown): LoadFailure | null {
  const message = messageOf(error);
  if (error instanceof CursorError) return { kind: 'cursor', message, retryAfterMs: null };
  // A source has found out that its upstream is down as a whole, so that no change is to blame.
  if (error instanceof StepError) {
    const kind = error.kind === 'upstream-unreachable' ? 'unreachable' : 'own';
    return { kind, message, retryAfterMs: error.retryAfterMs };
  }
  if (!(error instanceof ChangeError)) return null;
  const { retryAfterMs } = error;
  if (isThrottled(error)) return { kind: 'throttled', message, retryAfterMs };
  if (isConnectionFault(error)) return { kind: 'unreachable', message, retryAfterMs };
  return { kind: error.status === null ? 'shape' : 'status', message, retryAfterMs };
}

/** Where documents are stored that are too large to be parsed, and so have no known revision. */
function storeOf({ source, bucket, now }: Loading) {
  const upload = bucket.upload?.bind(bucket);
  if (!upload) return undefined;
  const target = { head: (key: string) => bucket.head(key), upload };
  return (name: string) => {
    const newest = { fetchedAtMs: now(), revision: null, contentType: JSON_TYPE };
    return uploadNewest(target, rawKey(source.prefix, name), newest);
  };
}

function contextOf({ settings, now }: Loading, { fetchJson, fetchRaw, fetchDocument, askText }: Fetcher) {
  return { settings, nowMs: now(), fetchJson, fetchRaw, fetchDocument, askText };
}

/** One load call: shares its byte budget among the changes under way. */
class Load {
  readonly #loading: Loading;
  readonly #request: LoadRequest;
  readonly #fetcher: Fetcher;
  readonly #outcomes: LoadOutcome[];
  readonly #objects: ObjectWriter;
  /** The last change of each key. */
  readonly #lastOfKey: Map<string, Change>;
  readonly #waiting: (() => void)[] = [];
  #freeBytes: number;
  #rowBytes = 0;
  /** Hosts that throttled a change of this call. */
  readonly #throttled = new Set<string>();

  constructor(loading: Loading, request: LoadRequest, fetcher: Fetcher) {
    this.#loading = loading;
    this.#request = request;
    this.#fetcher = fetcher;
    this.#freeBytes = request.budgetBytes;
    this.#objects = new ObjectWriter(loading.bucket);
    this.#lastOfKey = new Map(request.changes.map(change => [change.key, change]));
    this.#outcomes = request.changes.map(() => ({ kind: 'deferred', reason: 'deadline' }));
  }

  async run(): Promise<LoadOutcome[]> {
    const { changes } = this.#request;
    const hosts = Map.groupBy(changes.keys(), index => this.#hostOf(changes[index]!));
    // Give each host its own workers, so that a slow host holds up only its own changes.
    const workers = Math.max(1, Math.floor(REQUESTS_AT_ONCE / hosts.size));
    const work = [...hosts.values()].flatMap(indexes => {
      const next = Map.groupBy(indexes, index => changes[index]!.key).values();
      return Array.from({ length: workers }, async () => {
        for (const chain of next) for (const index of chain) await this.#loadAt(index);
      });
    });
    await Promise.all(work);
    // Put the dated rows of keys whose last change gave none.
    await this.#objects.put(this.#objects.held());
    return this.#outcomes;
  }

  #hostOf(change: Change): string {
    const { source, settings } = this.#loading;
    return Object.keys(source.requests('load', [{ ...change, deleted: false }], settings))[0] ?? '';
  }

  async #loadAt(index: number): Promise<void> {
    const bytes = this.#admittedBytes(index);
    while (this.#freeBytes < bytes) await new Promise<void>(resolve => this.#waiting.push(resolve));
    // Hand the change back untouched when its host has throttled this call, or the call's rows fill a slice.
    if (this.#throttled.has(this.#hostOf(this.#request.changes[index]!))) return;
    if (this.#rowBytes > this.#request.rowBytesMax) {
      this.#outcomes[index] = { kind: 'deferred', reason: 'full' };
      return;
    }
    this.#freeBytes -= bytes;
    try {
      this.#outcomes[index] = await this.#load(this.#request.changes[index]!, bytes);
    } finally {
      this.#freeBytes += bytes;
      for (const resume of this.#waiting.splice(0)) resume();
    }
  }

  /** Bytes that the answers for a change may have in this call: what it takes of the budget is the limit of its reading. */
  #admittedBytes(index: number): number {
    const { large, knownBytes, budgetBytes } = this.#request;
    const known = knownBytes[index] ?? null;
    if (large) return budgetBytes;
    const { documentBytes } = this.#loading.source;
    const bytes =
      documentBytes !== undefined
        ? Math.max(known ?? 0, documentBytes)
        : known === null
          ? LIMITS.documentBytesLarge
          : Math.max(2 * known, DOCUMENT_BYTES_MIN);
    return Math.min(bytes, LIMITS.documentBytesLarge, budgetBytes);
  }

  async #load(change: Change, bytes: number): Promise<LoadOutcome> {
    try {
      const { prepared, afresh } = this.#request;
      const loaded = await this.#loading.source.load(change, {
        ...contextOf(this.#loading, this.#fetcher),
        fetchDocument: (url, options) => this.#fetcher.fetchDocument(url, { ...options, sharedBytesMax: bytes }),
        prepared,
        afresh,
        stored: document => storedDocument(this.#loading.bucket, documentKey(this.#loading.source, document)),
      });
      return await this.#store(loaded, change);
    } catch (error) {
      return this.#refusal(error, change);
    }
  }

  /** Checks the rows, then puts the documents and the dated rows, then returns the rows. */
  async #store({ documents, rows, revision, seen }: Loaded, change: Change): Promise<LoadOutcome> {
    const { source, now } = this.#loading;
    const fetchedAtMs = now();
    const fitted = rows.map(checkRow);
    // The document of an accepted row is the newest one, whatever revision came before it in the feed. One that is older
    // than the feed announced says nothing: its change is loaded again.
    const isLagging = revision !== null && change.revision !== null && revision < change.revision;
    const position = source.feed
      ? { cursor: change.cursor, overrules: !isLagging, compare: source.feed.compare }
      : null;
    // Make every key before the first put, because a name that is too long for a key must leave no document either.
    const raws = documents.map(
      (document): NewObject => ({
        key: documentKey(source, document),
        bytes: document.bytes,
        fetchedAtMs,
        revision,
        position,
        immutable: document.immutable === true,
        digest: document.digest,
      }),
    );
    const dated = source.datedRows ? datedRows(fitted, { fetchedAtMs, revision, position }) : [];
    // Put dated rows once for all changes of a key, because each would replace the one before.
    for (const object of dated) this.#objects.hold(change.key, object);
    const isLast = this.#lastOfKey.get(change.key) === change;
    await this.#objects.put(isLast ? raws.concat(this.#objects.held(change.key)) : raws);
    this.#rowBytes += fitted.reduce((sum, { row }) => sum + JSON.stringify(row).length, 0);
    const documentBytes = documents.reduce((sum, { bytes }) => sum + bytes.length, 0);
    const digests = seen && { ...digestsOf(fitted, source.agenda?.uncounted), ...seen.digests };
    return { kind: 'rows', rows: fitted, documentBytes, revision, seen: seen && { ...seen, digests } };
  }

  #refusal(error: unknown, change: Change): LoadOutcome {
    if (error instanceof LargeDocument) return { kind: 'deferred', reason: 'large' };
    if (error instanceof StepError && error.kind === 'deadline') return { kind: 'deferred', reason: 'deadline' };
    if (!(error instanceof ChangeError)) throw error;
    if (isThrottled(error)) {
      this.#throttled.add(this.#hostOf(change));
      return { kind: 'deferred', reason: 'throttled' };
    }
    const { reason, message: detail, retryAfterMs, status } = error;
    const isUnanswered = (status !== null && status >= 500) || isConnectionFault(error);
    // The closed list of park reasons has none for a failed connection: it counts as a timeout.
    const why = reason === 'unreachable' ? 'timeout' : reason;
    const refusal = { reason: why, detail, retryAfterMs };
    return isUnanswered ? { kind: 'unanswered', ...refusal } : { kind: 'park', ...refusal };
  }
}
