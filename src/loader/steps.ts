import { keyOf, tableNamed } from '../../schemas/index.ts';
import { LIMITS } from '../config.ts';
import { ChangeError, CursorError, messageOf, StepError } from '../errors.ts';
import { putNewest, uploadNewest } from '../lake/newest.ts';
import { metadataKey, rawKey } from '../lake/object-keys.ts';
import type { BucketPort, UploadPort } from '../ports/bucket.ts';
import type { Change, KeyPage, Loaded, Page, PullRequest, Servers } from '../ports/change.ts';
import type { HostTally, Permit } from '../ports/hosts.ts';
import type { Answer, LoadFailure, LoadOutcome, LoadRequest } from '../ports/loader.ts';
import { storableKey } from '../ports/sql-guard.ts';
import type { Source } from '../sources/source.ts';
import { createFetcher, type Fetcher, type FetcherOptions, LargeDocument } from '../sources/upstream/fetcher.ts';
import { fitRow } from './row-size.ts';

/** One source's Loader: what every step needs. `settings` are the source's own. */
export interface Loading {
  source: Source;
  settings: unknown;
  contact: string;
  /** One without `upload` has no place for what is too large to be parsed. */
  bucket: BucketPort & Partial<UploadPort>;
  /** A slot for a host that nobody could foresee; null when it has none in time. */
  permit?: (host: string) => Promise<Permit | null>;
  /** Opens TCP connections, for a source that asks servers for text. */
  connect?: FetcherOptions['connect'];
  now(): number;
}

/** Requests of one call that wait for an answer at once: the platform's own limit on connections. */
const REQUESTS_AT_ONCE = 6;

/** Of documents and metadata alike. */
const CONTENT_TYPE = 'application/json';

/** The first cursor of a source. */
export function startStep(loading: Loading, permits: Permit[]): Promise<Answer<string>> {
  return step(loading, { permits, ms: LIMITS.pullMsMax }, fetcher => loading.source.start(contextOf(loading, fetcher)));
}

/** One page of the feed. */
export function pullStep(
  loading: Loading,
  { request, permits }: { request: PullRequest; permits: Permit[] },
): Promise<Answer<Page>> {
  return step(loading, { permits, ms: LIMITS.pullMsMax }, async fetcher => {
    if (!loading.source.pull) throw new Error(`${loading.source.id}: expected a source with a feed`);
    const page = await loading.source.pull(request, contextOf(loading, fetcher));
    return { ...page, changes: page.changes.map(change => ({ ...change, key: storableKey(change.key) })) };
  });
}

/** Where the keys of a source without a feed are served. */
export function serversStep(
  loading: Loading,
  { known, permits }: { known: Servers | null; permits: Permit[] },
): Promise<Answer<Servers>> {
  return step(loading, { permits, ms: LIMITS.pullMsMax }, async fetcher => {
    if (!loading.source.agenda) throw new Error(`${loading.source.id}: expected a source with an agenda`);
    return loading.source.agenda.servers(known, contextOf(loading, fetcher));
  });
}

/** What a slice's loads share. */
export function prepareStep(
  loading: Loading,
  { changes, permits }: { changes: Change[]; permits: Permit[] },
): Promise<Answer<unknown>> {
  const { source } = loading;
  const work = async (fetcher: Fetcher) => source.prepare?.(changes, contextOf(loading, fetcher)) ?? null;
  return step(loading, { permits, ms: LIMITS.sliceLoadMsMax }, work);
}

/** One page of all keys the upstream holds. */
export function listStep(
  loading: Loading,
  { after, permits }: { after: string | null; permits: Permit[] },
): Promise<Answer<KeyPage>> {
  return step(loading, { permits, ms: LIMITS.listMsMax }, async fetcher => {
    if (!loading.source.list) throw new Error(`${loading.source.id}: expected a source that lists its keys`);
    return loading.source.list(after, contextOf(loading, fetcher));
  });
}

/** Documents into the bucket and rows back, change by change; the changes of one key in order. */
export function loadStep(loading: Loading, request: LoadRequest): Promise<Answer<LoadOutcome[]>> {
  const { permits, deadlineAtMs, large } = request;
  return step(loading, { permits, ms: deadlineAtMs - loading.now(), large }, fetcher =>
    new Load(loading, request, fetcher).run(),
  );
}

/** Runs one step; what the upstream or one of our parts did wrong becomes an answer, anything else is thrown. */
async function step<T>(
  loading: Loading,
  limits: { permits: Permit[]; ms: number; large?: boolean },
  work: (fetcher: Fetcher) => Promise<T>,
): Promise<Answer<T>> {
  const { permits, ms, large = true } = limits;
  const fetcher = createFetcher({
    contact: loading.contact,
    permits,
    permit: loading.permit,
    deadlineAtMs: loading.now() + ms,
    large,
    store: storeOf(loading),
    connect: loading.connect,
    now: loading.now,
  });
  const hosts = (): HostTally[] => fetcher.tallies();
  try {
    return { ok: true, value: await work(fetcher), hosts: hosts() };
  } catch (error) {
    const failure = failureOf(error);
    if (!failure) throw error;
    return { ok: false, failure, hosts: hosts() };
  }
}

function failureOf(error: unknown): LoadFailure | null {
  const message = messageOf(error);
  if (error instanceof CursorError) return { kind: 'cursor', message, retryAfterMs: null };
  if (error instanceof StepError) return { kind: 'own', message, retryAfterMs: error.retryAfterMs };
  if (!(error instanceof ChangeError)) return null;
  const { reason, retryAfterMs } = error;
  if (isThrottled(error)) return { kind: 'throttled', message, retryAfterMs };
  if (reason === 'unreachable' || reason === 'timeout' || reason === 'truncated')
    return { kind: 'unreachable', message, retryAfterMs };
  return { kind: error.status === null ? 'shape' : 'status', message, retryAfterMs };
}

/** Where documents go that are stored without being parsed; what revision one has, nobody has read. */
function storeOf({ source, bucket, now }: Loading) {
  const upload = bucket.upload?.bind(bucket);
  if (!upload) return undefined;
  const place = { head: (key: string) => bucket.head(key), upload };
  return (name: string) => {
    const newest = { fetchedAtMs: now(), revision: null, contentType: CONTENT_TYPE };
    return uploadNewest(place, rawKey(source.prefix, name), newest);
  };
}

function contextOf({ settings, now }: Loading, { fetchJson, fetchRaw, fetchDocument, askText }: Fetcher) {
  return { settings, nowMs: now(), fetchJson, fetchRaw, fetchDocument, askText };
}

/** One Loader call at work: shares its byte budget among the changes under way. */
class Load {
  readonly #loading: Loading;
  readonly #request: LoadRequest;
  readonly #fetcher: Fetcher;
  readonly #outcomes: LoadOutcome[];
  readonly #waiting: (() => void)[] = [];
  #freeBytes: number;
  #rowBytes = 0;
  /** Hosts that said "wait" to one change of the call. */
  readonly #throttled = new Set<string>();

  constructor(loading: Loading, request: LoadRequest, fetcher: Fetcher) {
    this.#loading = loading;
    this.#request = request;
    this.#fetcher = fetcher;
    this.#freeBytes = request.budgetBytes;
    this.#outcomes = request.changes.map(() => ({ kind: 'deferred', reason: 'deadline' }));
  }

  async run(): Promise<LoadOutcome[]> {
    const { changes } = this.#request;
    const hosts = Map.groupBy(changes.keys(), index => this.#hostOf(changes[index]!));
    // Each host has askers of its own: a slow one holds up only those who wait for it.
    const askers = Math.max(1, Math.floor(REQUESTS_AT_ONCE / hosts.size));
    const work = [...hosts.values()].flatMap(indexes => {
      const next = Map.groupBy(indexes, index => changes[index]!.key).values();
      return Array.from({ length: askers }, async () => {
        for (const chain of next) for (const index of chain) await this.#loadAt(index);
      });
    });
    await Promise.all(work);
    return this.#outcomes;
  }

  #hostOf(change: Change): string {
    const { source, settings } = this.#loading;
    return Object.keys(source.requests('load', [{ ...change, deleted: false }], settings))[0] ?? '';
  }

  async #loadAt(index: number): Promise<void> {
    const known = this.#request.knownBytes[index] ?? null;
    const bytes = Math.min(known ?? LIMITS.documentBytesUnknown, this.#request.budgetBytes);
    while (this.#freeBytes < bytes) await new Promise<void>(resolve => this.#waiting.push(resolve));
    // A change before it said "wait", or the call's rows are enough for one slice: handed back untouched.
    if (this.#throttled.has(this.#hostOf(this.#request.changes[index]!))) return;
    if (this.#rowBytes > this.#request.rowBytesMax) {
      this.#outcomes[index] = { kind: 'deferred', reason: 'full' };
      return;
    }
    this.#freeBytes -= bytes;
    try {
      this.#outcomes[index] = await this.#load(this.#request.changes[index]!);
    } finally {
      this.#freeBytes += bytes;
      for (const resume of this.#waiting.splice(0)) resume();
    }
  }

  async #load(change: Change): Promise<LoadOutcome> {
    try {
      const { prepared, afresh } = this.#request;
      const loaded = await this.#loading.source.load(change, {
        ...contextOf(this.#loading, this.#fetcher),
        prepared,
        afresh,
      });
      return await this.#keep(loaded);
    } catch (error) {
      return this.#refusal(error, change);
    }
  }

  /** Checks the rows, and puts the documents and the day's metadata before the rows are handed over. */
  async #keep({ documents, rows, revision, seen }: Loaded): Promise<LoadOutcome> {
    const { source, bucket, now } = this.#loading;
    const fetchedAtMs = now();
    const fitted = rows.map(({ table, op, row }) => ({
      table,
      op,
      row: fitRow(tableNamed(table), checkRow(table, row)),
    }));
    const put = (key: string, bytes: Uint8Array) => {
      const contentType = key.endsWith('.txt') ? 'text/plain' : CONTENT_TYPE;
      return putNewest(bucket, key, bytes, { fetchedAtMs, revision, contentType });
    };
    // Keys are made before the first put: a name too long for one has no document either.
    const raws = documents.map(({ name, file, bytes }) => ({ key: rawKey(source.prefix, name, file), bytes }));
    const metadata = fitted
      .filter(({ op }) => op === 'upsert')
      .map(({ table, row }) => {
        const { updated_at: _, ...rest } = row;
        const key = metadataKey(tableNamed(table), fetchedAtMs, keyOf(tableNamed(table), row));
        return { key, bytes: new TextEncoder().encode(JSON.stringify(rest)) };
      });
    for (const { key, bytes } of [...raws, ...metadata]) await put(key, bytes);
    this.#rowBytes += fitted.reduce((sum, { row }) => sum + JSON.stringify(row).length, 0);
    const documentBytes = documents.reduce((sum, { bytes }) => sum + bytes.length, 0);
    return { kind: 'rows', rows: fitted, documentBytes, revision, seen };
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
    const isUnanswered = (status !== null && status >= 500) || ['unreachable', 'timeout', 'truncated'].includes(reason);
    // The closed list of reasons has no word for "no connection": what a person sees is that nothing came in time.
    const why = reason === 'unreachable' ? 'timeout' : reason;
    const refusal = { reason: why, detail, retryAfterMs, stack: error.stack ?? null };
    return isUnanswered ? { kind: 'unanswered', ...refusal } : { kind: 'park', ...refusal };
  }
}

function isThrottled({ status, retryAfterMs }: ChangeError): boolean {
  return status === 429 || (status === 503 && retryAfterMs !== null);
}

/** The row as its table wants it, or `wrong-shape` with the column and what was expected of it. */
function checkRow(table: string, row: Loaded['rows'][number]['row']) {
  const checked = tableNamed(table).validator.safeParse(row);
  if (checked.success) return checked.data;
  const [issue] = checked.error.issues;
  throw new ChangeError('wrong-shape', `${table} row: ${issue?.path.join('.')}: ${issue?.message}`);
}
