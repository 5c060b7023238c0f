import type { ZodType } from 'zod';
import type { Row, Table } from '../../schemas/table.ts';
import type { SkipReason } from '../errors.ts';

/** One upstream item to load. `place` is its own resume point in the feed, as text. */
export interface Change {
  key: string;
  place: string;
  /** The feed says the item was deleted. */
  deleted: boolean;
  /** The revision the feed announced, as a count that rises; null where the feed has none. */
  revision: number | null;
  /** The change is known to carry nothing to load. */
  skip: SkipReason | null;
  /** Where the upstream serves this key, when that differs from key to key: what `Agenda.serverOf` said. */
  server?: string | null;
  /** A second host that the last visit of this key had to ask. */
  alsoHost?: string | null;
}

/** One answer of a source: changes and the cursor after them, in feed order. */
export interface Page {
  changes: Change[];
  /** The cursor after the last change; a page without changes may move it too. */
  cursor: string;
  /** The upstream's newest cursor, where it tells; else null. */
  head: string | null;
  /** The page came back short of its limit: nothing more to read now. */
  atHead: boolean;
  /** The upstream's newest cursor lies below ours by more than its usual jitter. */
  belowCursor: boolean;
}

/** What a source is asked for a page with. `poll` counts the pulls of this lane, so that two need not look alike. */
export interface PullRequest {
  cursor: string;
  poll: number;
}

/** One answer of a listing: keys the upstream holds now, in its own order, and the key to go on after; null at the end. */
export interface KeyPage {
  keys: string[];
  next: string | null;
}

/** The raw JSON (or text) of a change, as upstream sent it. */
export interface Document {
  /** The item's name; the lake's key is made of it. */
  name: string;
  bytes: Uint8Array;
  revision: number | null;
  /** The file's name in the lake; `latest.json` unless there are several documents of one item, or it is no JSON. */
  file?: string;
}

export interface LoadedRow {
  table: string;
  op: 'upsert' | 'delete';
  row: Row;
}

/** What a change came to. `revision` is that of the document; below the change's own it is lagging. */
export interface Loaded {
  documents: Document[];
  rows: LoadedRow[];
  revision: number | null;
  /** Only of a source with an agenda. */
  seen?: Seen;
}

/** What a visit found, apart from its rows. */
export interface Seen {
  found: boolean;
  /** Of all that counts as a change of the key: a visit that finds the same gives no row, unless `always`. */
  digest: string;
  always: boolean;
  /** A part of what the upstream has did not come this time: then only the digest of the main part is compared. */
  partial: boolean;
  mainDigest: string;
  /** A host that had to be asked as well: the next visit takes a permit for it from the start. */
  alsoHost: string | null;
  /** What `Agenda.next` is told of it, now and at later visits that fail: plain JSON, small. */
  facts: Record<string, unknown>;
}

/** What came of a visit, for the rule that says when the next one is. Times are milliseconds since 1970. */
export interface Visit {
  key: string;
  nowMs: number;
  /**
   * `partial`: found, but a part of it did not come. `failed`: neither an answer nor a clear no; the visit is parked
   * meanwhile, and looked at again by itself.
   */
  outcome: 'found' | 'partial' | 'gone' | 'failed';
  /** Visits in a row with this outcome, this one included. */
  times: number;
  /** It found something else than the last one that found anything. */
  changed: boolean;
  /** What the last visit that came to something has seen; null before the first. */
  facts: Record<string, unknown> | null;
  /** The upstream asked not to be asked again before. */
  notBeforeMs: number | null;
}

/** Where keys are served, as the upstream tells it. `etag` as it came, `freshUntilMs` when to ask again. */
export interface Servers {
  servers: Record<string, string>;
  etag: string | null;
  freshUntilMs: number;
}

/**
 * For an upstream that tells nothing of changes: the object keeps keys with due times and visits them. All but
 * `servers` is pure.
 */
export interface Agenda<S> {
  /** A key in its one form and the name space it belongs to, among which visits are spread; or why it is none. */
  read(text: string): { key: string; space: string } | { rejected: string };
  next(visit: Visit): { atMs: number; reason: string };
  /** Which server the keys of a name space are asked of; null where none is known. */
  serverOf(space: string, servers: Record<string, string>): string | null;
  /** The servers; those known already while they have not changed. */
  servers(known: Servers | null, ctx: SourceContext<S>): Promise<Servers>;
}

/** The raw answer to a fetch that ended with status 200. */
export interface Fetched {
  bytes: Uint8Array;
  etag: string | null;
  /** How long its upstream calls it fresh; null where it does not say (RFC 9111, 5.2 and 5.3). */
  freshMs: number | null;
}

/** The same, and what the bytes say; `json` is what the shape made of it. */
export interface FetchedJson<T> extends Fetched {
  json: T;
}

/**
 * `timeoutMs` is the time a whole answer may take, `redirects` how many are followed, each with a permit of its own;
 * without it the runtime follows them by itself.
 */
export interface FetchLimits {
  timeoutMs?: number;
  redirects?: number;
}

/**
 * How a source reaches its upstream. All throw `UpstreamError`; `subject` names the thing asked for in messages.
 */
export interface SourceContext<S> {
  settings: S;
  nowMs: number;
  fetchJson<T>(
    url: string,
    options: { subject: string; shape: ZodType<T>; headers?: Record<string, string> } & FetchLimits,
  ): Promise<FetchedJson<T>>;
  fetchRaw(url: string, options: { subject: string; headers?: Record<string, string> } & FetchLimits): Promise<Fetched>;
  /**
   * The JSON of a change, which may be large. Over `LIMITS.documentBytesLarge` the lists and objects in its map
   * `unread` (`versions`) come as `Unread`; over `LIMITS.documentBytesParsedMax` the document is stored as it is under
   * its name, and then refused as `too-large`.
   */
  fetchDocument(
    url: string,
    options: { subject: string; name: string; unread: string; headers?: Record<string, string> },
  ): Promise<FetchedJson<unknown>>;
  /**
   * The answer to one line over TCP, as WHOIS servers give it: `server` is `whois.example`, or with a port other than 43
   * `127.0.0.1:4343`. It takes a permit of `permitHost`. `check` throws for an answer that only turns the caller away:
   * with status 429 it counts as throttled.
   */
  askText(
    server: string,
    query: string,
    options: { subject: string; permitHost: string; check?: (bytes: Uint8Array) => void },
  ): Promise<Uint8Array>;
}

/** Extra facts for `load`. `afresh`: not the tail's first look, so deletions are fetched as well. */
export interface LoadContext<S, P> extends SourceContext<S> {
  prepared: P | null;
  afresh: boolean;
}

/** Which hosts a step will ask, and how often at most: what permits are taken for. */
export type HostRequests = Record<string, number>;

/** How fast a host may be asked: requests a second, and how many at once after a pause. */
export interface HostPace {
  requestsPerSecond: number;
  burst: number;
  /** The pace of a host nothing is known of; clean answers raise it. */
  startRequestsPerSecond?: number;
}

/**
 * One upstream: where to begin, what changed, and what a change says. Holds no retry, clock, bucket, log or cursor
 * saving; `parse…` and `compare` are pure. `S` is its settings, `P` what `prepare` hands to `load` (plain JSON).
 */
export interface Source<S = unknown, P = unknown> {
  id: string;
  /** The first segment of its keys in the lake. */
  prefix: string;
  tables: Table[];
  /** Names of its settings: what a local program hands on from its environment. */
  settingNames: string[];
  /** Reads the source's settings; throws `SettingError`. */
  settings(env: Record<string, unknown>): S;
  /**
   * The time between two pulls at the head, and how long a change settles before its document is asked for. `others`:
   * the pace of hosts that only the upstream names.
   */
  pace(settings: S): { pollMs: number; settleMs: number; hosts: Record<string, HostPace>; others?: HostPace };
  /** What a document of this source weighs as a rule, in bytes, where that is known before the first one came. */
  documentBytes?: number;
  /** Whether each change's place is a place to resume from. */
  resumable: boolean;
  /** The first cursor; that of an agenda counts visits, from 0. */
  start(ctx: SourceContext<S>): Promise<string>;
  /** Order of two cursors; negative when `a` is earlier. */
  compare(a: string, b: string): number;
  /** The cursor in its one form; throws `CursorError` when it is none. */
  parse(cursor: string): string;
  /** Absent where there is no feed: a source has this or an agenda. */
  pull?(request: PullRequest, ctx: SourceContext<S>): Promise<Page>;
  agenda?: Agenda<S>;
  /** Step `pull` of a source with an agenda asks where keys are served. */
  requests(step: 'pull' | 'prepare' | 'load' | 'list', changes: Change[], settings: S): HostRequests;
  /** What is fetched in bulk for a slice; must be plain JSON. Its failure fails no row. */
  prepare?(changes: Change[], ctx: SourceContext<S>): Promise<P>;
  load(change: Change, ctx: LoadContext<S, P>): Promise<Loaded>;
  /** Keys that a row of this source has for the agendas of others, by source: pure, and in whatever form those read. */
  feeds?: Record<string, (row: LoadedRow) => string[]>;
  /** Every key the upstream holds, page by page: those after a key, or from the first one. For sweeps. */
  list?(after: string | null, ctx: SourceContext<S>): Promise<KeyPage>;
}
