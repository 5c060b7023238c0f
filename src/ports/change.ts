import type { Row } from '../../schemas/table.ts';
import type { SkipReason } from '../errors.ts';

/** One upstream item to load. */
export interface Change {
  key: string;
  /** The cursor after this change, as text. A `resumable` source can continue from it. */
  cursor: string;
  /** The feed says that the item was deleted, or a listing lacks it. */
  deleted: boolean;
  /** The revision that the feed announced, a number that only rises; null where the feed has none. */
  revision: number | null;
  /** Why there is nothing to load for this change; null when there may be. */
  skip: SkipReason | null;
  /** The server that the source's directory names for this key; null when it names none, or there is no directory. */
  server?: string | null;
  /** Hosts that the last visit of this key asked besides the key's server. */
  moreHosts?: string[];
  /**
   * `Seen.facts` of the key's last visit that did not fail, or what the feed's round found of the key; null before the
   * first.
   */
  facts?: Record<string, unknown> | null;
  /** What the probe answered of this key, where it did; small plain JSON. */
  probed?: unknown;
  /** What inlets have found about this key. Only where the source has inlets. */
  evidence?: Evidence;
}

/** What the rows of other tables say of a key, at the time of its visit. */
export interface Evidence {
  /** Another number whenever the evidence is another one. */
  version: number;
  /** How many items there are in all; `items` may have fewer. */
  total: number;
  /** The newest items first. Empty where the source asks for counts. */
  items: EvidenceItem[];
  /** Null unless the source asks for counts. */
  counts: EvidenceCounts | null;
}

/** One item of evidence. */
export interface EvidenceItem {
  /** The table whose row says it. */
  table: string;
  /** The key of that row; null where rows of the table never change. */
  row: string | null;
  item: string;
  facts: Record<string, unknown>;
  sample: string | null;
  /** The LSN of the first row since when it is said so. */
  lsn: number;
}

/** All evidence of a key, counted: how many distinct items have the same facts, over all tables and in each. */
export interface EvidenceCounts {
  /** The most frequent facts first, each with a few samples. */
  facts: { facts: Record<string, unknown>; items: number; samples: string[] }[];
  tables: { facts: Record<string, unknown>; table: string; items: number }[];
}

/** One answer of a source: changes in feed order, and the cursor after them. */
export interface Page {
  changes: Change[];
  /** The cursor after the last change. A page without changes may move the cursor too. */
  cursor: string;
  /** The upstream's newest cursor; null where the upstream does not say. */
  head: string | null;
  /** The page has fewer changes than its limit: there are no more now. */
  atHead: boolean;
  /** The upstream's newest cursor is below ours, by more than its usual jitter. */
  belowCursor: boolean;
}

/**
 * Asks a source for the page after a cursor. `poll` counts the pulls of the lane, so that no two requests are equal.
 */
export interface PullRequest {
  cursor: string;
  poll: number;
}

/**
 * One answer of a listing: keys that the upstream holds now, in its order. `next`: the key to continue after, null at
 * the end.
 */
export interface KeyPage {
  keys: string[];
  next: string | null;
  /** The revision of each key; absent where the listing does not say. */
  revisions?: (number | null)[];
  /** The stored listing that the page is from; absent where each page is asked of the upstream. */
  listing?: string;
}

/** A key of a listing. `revision`: the newest one that the upstream has of it; null where it does not say. */
export interface ListedKey {
  key: string;
  revision: number | null;
}

/** What a round's check says of one key. `failed`: the upstream gave no answer for this key. */
export type RoundAnswer = { kind: 'facts'; facts: Record<string, unknown> | null } | { kind: 'failed'; reason: string };

/** The raw JSON (or text) of a change, as upstream sent it. */
export interface Document {
  /** The item's name; its key in the lake is made of it. */
  name: string;
  bytes: Uint8Array;
  /** The document's own revision; null where the upstream has none. */
  revision: number | null;
  /**
   * The file's name in the lake: `latest.json` by default, another one for several documents of an item or for text.
   */
  file?: string;
  /**
   * The folders of the document under the source's prefix, in place of `raw` and the name. The first one is `raw`, or
   * begins with one of the source's `folders`.
   */
  path?: string[];
  /** Over what counts in the document; kept with the object, where `LoadContext.stored` reads it. */
  digest?: string;
  /** The document's name says all of its contents, so an object that has its key is never replaced. */
  immutable?: boolean;
}

/** One row that a change gave, without lineage. */
export interface LoadedRow {
  table: string;
  op: 'upsert' | 'delete';
  row: Row;
}

/**
 * The result of loading one change. `revision` is the document's; when it is below the change's own, the document lags.
 */
export interface Loaded {
  documents: Document[];
  rows: LoadedRow[];
  revision: number | null;
  /** Set by a source with an agenda only. */
  seen?: Seen;
}

/** The result of a visit, apart from its rows. */
export interface Seen {
  /** The upstream has the key. */
  found: boolean;
  /**
   * What the next visit gets, and `AgendaRules.next`, also after later visits that fail: small plain JSON. The engine takes
   * `etag` out when the next visit has to give a row, whether the upstream's answer changed or not.
   */
  facts: Record<string, unknown>;
  /** The upstream says that nothing changed since the last visit, which therefore has no row. */
  unchanged?: boolean;
  /**
   * By table, over everything that counts as a change. A visit with the digest of the one before gives no row of that
   * table. A table that is not named has a digest over its rows.
   */
  digests?: Record<string, string>;
  /** The visit gives a row even when nothing changed. */
  always?: boolean;
  /** A part of the answer is missing. The engine then compares `mainDigest` only. */
  partial?: boolean;
  /** Over the main part of the answer; null where an answer has no parts. */
  mainDigest?: string | null;
  /** Hosts that this visit asked besides the key's server. The next visit takes permits for them from the start. */
  moreHosts?: string[];
  /** The key has more than one visit's work: the next visit goes on at once. */
  unfinished?: boolean;
  /**
   * Keys that this visit found, in any form that the agenda reads. They are watched from now on. Where the visit has
   * `movedTo` and another thing has taken the old name, list the visit's own key here: it is watched as a new key.
   */
  keys?: string[];
  /** The name that the key has at the upstream now, where it is another one. The watched key moves there. */
  movedTo?: string;
}

/**
 * What a probe says of one key. `changed`: load the key; `answer` goes with it, as small plain JSON. `failed`: the upstream
 * did not answer for this key.
 */
export type ProbeAnswer =
  | { kind: 'unchanged'; facts?: Record<string, unknown> }
  | { kind: 'changed'; answer: unknown }
  | { kind: 'failed'; reason: string };

/**
 * The outcome of a visit, from which `AgendaRules.next` computes the next due time. Times are milliseconds since 1970.
 */
export interface Visit {
  key: string;
  nowMs: number;
  /**
   * `partial`: found, but a part of the answer is missing. `gone`: the upstream says that it has no such key. `failed`:
   * neither an answer nor a clear no; the visit is parked meanwhile and attempted again.
   */
  outcome: 'found' | 'partial' | 'gone' | 'failed';
  /** How many visits in a row had this outcome, this one included. */
  times: number;
  /** The answer differs from the last one in which the key was found. */
  changed: boolean;
  /** `Seen.facts` of the last visit that did not fail; null before the first. */
  facts: Record<string, unknown> | null;
  /** The upstream asks not to be asked again before this time; null when it does not. */
  notBeforeMs: number | null;
}

/** Which server has which keys, as the upstream publishes it. Times are milliseconds since 1970. */
export interface Servers {
  /** The server by name space, in the words of the source. */
  servers: Record<string, string>;
  /** The etag of the list, for a conditional request. */
  etag: string | null;
  /** When the list has to be fetched again. */
  freshUntilMs: number;
}
