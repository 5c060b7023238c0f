import type { Row } from '../../schemas/table.ts';
import type { SkipReason } from '../errors.ts';

/** One upstream item to load. `cursor` is its own place in the feed, as text. */
export interface Change {
  key: string;
  cursor: string;
  /** The feed says the item was deleted. */
  deleted: boolean;
  /** The revision the feed announced, as a count that rises; null where the feed has none. */
  revision: number | null;
  /** The change is known to carry nothing to load. */
  skip: SkipReason | null;
  /** Which server the source's directory names for this key; null where it names none, or there is no directory. */
  server?: string | null;
  /** Hosts that the last visit of this key asked besides its server's. */
  moreHosts?: string[];
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
  /** Hosts that this visit asked besides its server's: the next visit takes permits of them from the start. */
  moreHosts: string[];
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
