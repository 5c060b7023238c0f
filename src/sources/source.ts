import type { ZodType } from 'zod';
import type { Table } from '../../schemas/table.ts';
import type { Reading } from '../errors.ts';
import type {
  Change,
  Document,
  KeyPage,
  ListedKey,
  Loaded,
  Page,
  ProbeAnswer,
  PullRequest,
  Servers,
  Visit,
} from '../ports/change.ts';
import type { AskedStep, HostPace, HostRequests } from '../ports/hosts.ts';
import type { InletRules } from '../ports/inlet.ts';
import type { AgendaRules } from '../ports/source.ts';
import type { CursorForm } from './count-cursor.ts';

/**
 * For an upstream without a feed: the object keeps watched keys with due times and visits them. All but
 * `directory.read` is pure.
 */
export interface Agenda<S> extends Omit<AgendaRules, 'next'> {
  /** When the next visit is due, in milliseconds since 1970, and why then. */
  next(visit: Visit, settings: S): ReturnType<AgendaRules['next']>;
  /** Only where keys have servers of their own. `read` gives the servers, or those known while they have not changed. */
  directory?: NonNullable<AgendaRules['directory']> & {
    read(known: Servers | null, ctx: SourceContext<S>): Promise<Servers>;
  };
  /** Tables of other sources whose rows name keys. The setting FEEDS turns on those of one source together. */
  inlets?: InletRules[];
  /** Only where one request says of many keys whether they changed. First visits and unfinished ones go without it. */
  probe?: Probe<S>;
  /** Only where the upstream can say which keys changed. */
  signals?: Signals<S>;
  /** By table, the columns in which a difference alone gives no row. */
  uncounted?: Record<string, string[]>;
}

/** Requests to `POST /v1/sources/<id>/signals`: hints that watched keys changed, as a webhook gives them. */
export interface Signals<S> {
  /**
   * Checks who sent a request, and reads it. Pure, but that a digest may take a promise. Anyone can send any bytes: it
   * never throws. `id`: of the delivery, the same when that is repeated. `keys`: in any form that the agenda reads.
   * `unsigned`: the request does not prove that it is the upstream's; `message` says what was expected.
   */
  verify(request: SignalRequest, settings: S): SignalReading | Promise<SignalReading>;
}

export interface SignalRequest {
  headers: Headers;
  body: Uint8Array;
}

export type SignalReading = { id: string; keys: string[] } | { refused: 'unsigned' | 'unreadable'; message: string };

/** One request for many keys. */
export interface Probe<S> {
  /** Keys in one request. */
  keysMax: number;
  /**
   * An answer for each key, in order. When it throws `ChangeError`, the keys are asked for again in two halves, so that a
   * key which fails does not fail the others.
   */
  ask(changes: Change[], ctx: SourceContext<S>): Promise<ProbeAnswer[]>;
}

/** The raw answer to a fetch that ended with status 200. */
export interface Fetched {
  bytes: Uint8Array;
  etag: string | null;
  /** For how long the upstream calls the answer fresh; null where it does not say (RFC 9111, 5.2 and 5.3). */
  freshMs: number | null;
}

/** A raw answer with its JSON, as the shape parsed it. */
export interface FetchedJson<T> extends Fetched {
  json: T;
}

/** What is sent in a POST. A GET has none. */
export interface Post {
  body: string | Uint8Array;
  contentType: string;
}

/**
 * What a request asks and how its refusals are read, whatever the form of its answer. `timeoutMs`: the time a whole answer
 * may take. `bytesMax`: its decoded bytes, checked while it is read; 1 MiB by default. A longer answer is `too-large`.
 * `permitHost`: the name of the permits that the request takes, where that is not the URL's host: a host may have several
 * limits, each with a pace of its own. `checkRefusal` throws for an answer of status 4xx whose body or headers say more
 * than its status does; an error with status 429 counts as throttled.
 */
export interface FetchOptions {
  subject: string;
  headers?: Record<string, string>;
  post?: Post;
  timeoutMs?: number;
  bytesMax?: number;
  permitHost?: string;
  checkRefusal?: (refusal: Refusal) => void;
}

/** The body of an answer, before it is parsed. */
export interface Body {
  bytes: Uint8Array;
  contentType: string | null;
  headers: Headers;
}

/** An answer of status 4xx. */
export interface Refusal extends Body {
  status: number;
}

/**
 * How a source reaches its upstream. All throw `ChangeError`; `subject` names the thing asked for in messages.
 */
export interface SourceContext<S> {
  settings: S;
  nowMs: number;
  fetchJson<T>(
    url: string,
    options: FetchOptions & {
      shape: ZodType<T>;
      valuesMax?: number;
      /** Throws for JSON that is no answer: an error with status 429 counts as throttled. */
      check?: (json: unknown, body: Body) => void;
    },
  ): Promise<FetchedJson<T>>;
  /**
   * An answer in any other form, such as XML or a DNS message. `read` makes its value of the body, and throws for one that
   * is no answer: an error with status 429 counts as throttled, and after `truncated` the request is repeated.
   */
  fetchRaw<T>(url: string, options: FetchOptions & { read: (body: Body) => T }): Promise<Fetched & { value: T }>;
  /**
   * The JSON of a change, which may be large. Over `LIMITS.documentBytesLarge` the lists and objects in its map
   * `unread` (`versions`) come as `Unread`; over `LIMITS.documentBytesParsedMax` the document is stored as it is under
   * its name, and then refused as `too-large`.
   */
  fetchDocument(
    url: string,
    options: {
      subject: string;
      name: string;
      unread: string;
      headers?: Record<string, string>;
      permitHost?: string;
      /** Set by the Loader: a longer document is loaded in a call of its own. */
      sharedBytesMax?: number;
    },
  ): Promise<FetchedJson<unknown>>;
  /**
   * The answer to one line over TCP, as WHOIS servers give it: `server` is `whois.example`, or with a port other than 43
   * `127.0.0.1:4343`. It takes a permit of `permitHost`. `check` throws for an answer that only turns the caller away:
   * with status 429 it counts as throttled. `readingOf` says what the source makes of any other answer; both are then
   * counted for the server.
   */
  askText(
    server: string,
    query: string,
    options: {
      subject: string;
      permitHost: string;
      check?: (bytes: Uint8Array) => void;
      readingOf?: (bytes: Uint8Array) => Reading;
    },
  ): Promise<Uint8Array>;
}

/** What the reading of a listing gets besides. */
export interface ListingContext<S> extends SourceContext<S> {
  /**
   * The body of one GET, chunk by chunk as it comes, for an answer that is too large for memory. `bytesMax`: its decoded
   * bytes, `LIMITS.listingBytesMax` by default; `timeoutMs`: the time for all of it, `LIMITS.listingMsMax` by default.
   * Both are checked while it is read. It is not asked for again within the step: a body that breaks off throws
   * `truncated`, and the whole step runs again later.
   */
  fetchStream(url: string, options: StreamOptions): AsyncIterable<Uint8Array>;
}

/** What a request for a body in chunks asks; as `FetchOptions`, but that it is always a GET. */
export type StreamOptions = Omit<FetchOptions, 'post'>;

/** The place of a document in the lake, and what lies there; null where nothing does. */
export interface StoredDocument {
  key: string;
  object: StoredObject | null;
}

/** An object in the place of a document. */
export interface StoredObject {
  bytes: number;
  /** `Document.digest` of it, and the SHA-256 of its bytes in hexadecimal digits; null where it was put without a digest. */
  digest: string | null;
  sha256: string | null;
  /** Its bytes; null where another object has taken its place meanwhile, or it is over `LIMITS.documentBytesLarge`. */
  read(): Promise<Uint8Array | null>;
}

/**
 * What `load` gets besides. `afresh`: not the first load of the tail, so deleted items are fetched as well. `stored`: what
 * lies in the lake now in the place of a document, so that a source can leave it there when its digest says that nothing
 * changed.
 */
export interface LoadContext<S, P> extends SourceContext<S> {
  prepared: P | null;
  afresh: boolean;
  stored(document: Pick<Document, 'name' | 'path' | 'file'>): Promise<StoredDocument>;
}

/** For an upstream that tells what changed, page by page. */
export interface Feed<S> extends CursorForm {
  /** Whether the source can resume at the cursor of each change. */
  resumable: boolean;
  /** The first cursor. */
  start(ctx: SourceContext<S>): Promise<string>;
  /** One page of the feed. */
  pull(request: PullRequest, ctx: SourceContext<S>): Promise<Page>;
  /** One page of all keys that the upstream holds: those after a key, or from the first one. For sweeps. */
  list?(after: string | null, ctx: SourceContext<S>): Promise<KeyPage>;
  /** In place of `list`, where the upstream gives all its keys in one answer only. For sweeps. */
  listing?: Listing<S>;
  /** Only where an item has small facts that may change without a change in the feed. */
  round?: Round<S>;
}

/**
 * All keys that the upstream holds, in one answer that is too large for memory. A sweep reads it once into an object of
 * the bucket, sorts it by key, and goes on page by page from there. Keys that are here and not in it are loaded afresh.
 */
export interface Listing<S> {
  /** A listing that was read less than this time ago is used again. */
  freshMs: number;
  /**
   * The keys in any order, some at a time, each once or more: the highest revision counts. Throws `ChangeError` for an
   * answer that cannot be read, and `truncated` for one whose end is missing: none of it counts then.
   */
  read(ctx: ListingContext<S>): AsyncIterable<ListedKey[]>;
}

/**
 * Asks for facts of every present key in turn, evenly over `everyMs`, in steps `round` of up to
 * `LIMITS.roundKeysMax` keys.
 */
export interface Round<S> {
  everyMs: number;
  /**
   * The key's facts as the upstream has them now: small plain JSON, or null where there is nothing to say. Where they
   * differ from `change.facts`, the key is loaded afresh, and every later load of it gets them as `change.facts`. Throws
   * `ChangeError` where the upstream gives no answer: the facts then stay as they are until the next round.
   */
  check(change: Change, ctx: SourceContext<S>): Promise<Record<string, unknown> | null>;
}

interface SourceParts<S, P> {
  id: string;
  /** The first segment of its keys in the lake. */
  prefix: string;
  tables: Table[];
  /** Names of its settings: the environment variables that a local program hands on. */
  settingNames: string[];
  /** Reads the source's settings; throws `SettingError`. */
  settings(env: Record<string, unknown>): S;
  /**
   * `pollMs`: the time between two pulls at the head. `settleMs`: how long a change waits before its document is loaded.
   * `hosts`: the pace of each host, by the name of its permits. `others`: the pace of hosts that only the upstream names.
   */
  pace(settings: S): { pollMs: number; settleMs: number; hosts: Record<string, HostPace>; others?: HostPace };
  /** Bytes of all answers of one load at most, where limits of the source ensure that. */
  documentBytes?: number;
  /** Its rows are also put as JSON of the day of their load: `<table's prefix>/YYYY/MM/DD/<key>.json`. */
  datedRows?: true;
  /** Folders of documents under its prefix besides `raw`, by their first characters, as `tld=`. */
  folders?: string[];
  /** The requests of a step, by host, at most. Step `pull` of a source with an agenda reads its directory. */
  requests(step: AskedStep, changes: Change[], settings: S): HostRequests;
  /** Fetches in bulk what the loads of a slice share; plain JSON. A slice is loaded without it when it fails. */
  prepare?(changes: Change[], ctx: SourceContext<S>): Promise<P>;
  load(change: Change, ctx: LoadContext<S, P>): Promise<Loaded>;
}

/**
 * One upstream: where to begin, what changed, and what a change says. It has a feed or an agenda. It holds no retry,
 * clock, bucket, log or cursor saving. `S` are its settings, `P` is what `prepare` hands to `load` (plain JSON).
 */
export type Source<S = unknown, P = unknown> = SourceParts<S, P> &
  ({ feed: Feed<S>; agenda?: undefined } | { agenda: Agenda<S>; feed?: undefined });
