import type { StreamRecord } from '../../schemas/stream.ts';
import type { Table } from '../../schemas/table.ts';
import type { Failure, Ticket } from '../engine/journal/parked.ts';
import type { SkipReason } from '../errors.ts';
import type { LogFields } from '../log.ts';
import type {
  Agenda,
  Change,
  HostPace,
  KeyPage,
  LoadedRow,
  Page,
  PullRequest,
  Seen,
  Servers,
} from '../sources/source.ts';
import type { EncodePort } from './data-file.ts';

export type { DataFileEncoder, DataFileFooter, DataFileReader, EncodePort, StoredFile } from './data-file.ts';

/** What SQLite is given and gives back. Numbers are safe integers or floats; larger integers are text. */
export type SqlValue = null | number | string | Uint8Array;

/** The object's own SQLite. Every statement is read to its end at once. */
export interface SqlPort {
  /** Runs one statement and returns all its rows. Throws `RangeError` on a value over 2 MB or an unsafe integer. */
  exec<R = Record<string, SqlValue>>(statement: string, ...params: SqlValue[]): R[];
  /** Runs `work` in one transaction: all of it or, when it throws, nothing. Refuses a promise. */
  transaction<T>(work: () => T): T;
}

export interface ObjectHead {
  key: string;
  bytes: number;
  etag: string;
  metadata: Record<string, string>;
}

/** Put only when the object is absent, or still has this etag. */
export type PutCondition = { absent: true } | { etag: string };

export interface ByteRange {
  offset: number;
  bytes: number;
}

export interface BucketPort {
  head(key: string): Promise<ObjectHead | null>;
  /** Null when the condition does not hold. The chunks are the body, in order. */
  put(
    key: string,
    chunks: Uint8Array[],
    options: { onlyIf: PutCondition; metadata: Record<string, string>; contentType: string },
  ): Promise<ObjectHead | null>;
  /** The last bytes of an object, all of it where it has no more; null when there is none. */
  tail(key: string, bytes: number): Promise<Uint8Array | null>;
  /** Bytes of the object that has this etag, fewer where it ends before; null when there is none. */
  range(key: string, range: ByteRange & { etag: string }): Promise<Uint8Array | null>;
  /** The first keys under a prefix, in order; those after a key, when one is given. */
  list(prefix: string, options: { limit: number; after?: string | undefined }): Promise<string[]>;
  /** Removes objects, at most 1,000; those that are not there are none the worse. */
  remove(keys: string[]): Promise<void>;
}

/** The operational database: statements run as one transaction. Gives each one's rows. */
export interface D1Port {
  batch(statements: { sql: string; params: SqlValue[] }[]): Promise<Record<string, SqlValue>[][]>;
}

/** Slots on a host's timeline: request `i` goes out no earlier than `startAtMs + i * intervalMs`. */
export interface Permit {
  host: string;
  count: number;
  startAtMs: number;
  intervalMs: number;
}

/** How a request was answered: the first digit of its status, or not at all. */
export type StatusClass = '2xx' | '3xx' | '4xx' | '5xx' | 'none';

/**
 * What was asked of one host during a call, and in `statuses` how it was answered. `retryAfterMs` is the longest wait it
 * asked for, null when it did not.
 */
export interface HostTally {
  host: string;
  requests: number;
  statuses: Record<StatusClass, number>;
  notModified: number;
  throttled: number;
  errors: number;
  /** Requests that were forbidden or not answered in time: their host may mean "too many". */
  refused: number;
  retryAfterMs: number | null;
}

export interface LoadRequest {
  changes: Change[];
  prepared: unknown;
  permits: Permit[];
  /** Decoded bytes of documents this call may hold at once. */
  budgetBytes: number;
  /** Size of each change's last document, where one is known. */
  knownBytes: (number | null)[];
  /** The call hands changes back once its rows exceed this. */
  rowBytesMax: number;
  deadlineAtMs: number;
  /** A document over the size that needs a call of its own may be loaded. */
  large: boolean;
  afresh: boolean;
}

/** What came of one change of a Loader call. */
export type LoadOutcome =
  | { kind: 'rows'; rows: LoadedRow[]; documentBytes: number; revision: number | null; seen?: Seen | undefined }
  | { kind: 'skip'; reason: SkipReason }
  | ({ kind: 'park'; retryAfterMs: number | null } & Failure)
  /** No answer, or none worth the name (5xx): the document's doing only if its host answers others. */
  | ({ kind: 'unanswered'; retryAfterMs: number | null } & Failure)
  | { kind: 'deferred'; reason: 'throttled' | 'deadline' | 'full' | 'large' };

/** A look that the object grants to whoever brought its ticket. `lastLsn`: the key's newest row at that moment. */
export interface Grant {
  ticket: Ticket;
  change: Change;
  lastLsn: number;
  documentBytes: number | null;
}

/** Grants that are loaded in one call. */
export interface AdmittedCall {
  alone: boolean;
  grants: Grant[];
  permits: Permit[];
}

export interface Admitted {
  calls: AdmittedCall[];
  /** Permits for what is fetched in bulk. */
  prepare: Permit[];
}

/** What came of one grant. `died`: the call ended without an answer. */
export interface TicketResult extends Ticket {
  lastLsn: number;
  outcome: LoadOutcome | { kind: 'deferred'; reason: 'died' };
}

/** What came of one call of grants. `loadMs`: how long it took, null when it ended without an answer. */
export interface HandedBack {
  results: TicketResult[];
  hosts: HostTally[];
  loadMs: number | null;
}

/** Takes tickets to where somebody brings them back from, perhaps. */
export interface TicketPort {
  send(tickets: Ticket[]): Promise<void>;
}

/** Answer of a Loader step. `failure` is one of our own parts failing: nothing of the step counts then. */
export type Answer<T> =
  | { ok: true; value: T; hosts: HostTally[] }
  | { ok: false; failure: LoadFailure; hosts: HostTally[] };

/** `upstream` failures are the upstream's; `own` ones ours. */
export interface LoadFailure {
  kind: 'unreachable' | 'throttled' | 'status' | 'shape' | 'cursor' | 'own';
  message: string;
  retryAfterMs: number | null;
}

/** The stateless Loader, bound to one source. A call that rejects has died; the upstream's failures are answers. */
export interface LoadPort {
  start(permits: Permit[]): Promise<Answer<string>>;
  pull(request: PullRequest, permits: Permit[]): Promise<Answer<Page>>;
  /** Where keys are served. Only of a source with an agenda. */
  servers(known: Servers | null, permits: Permit[]): Promise<Answer<Servers>>;
  prepare(changes: Change[], permits: Permit[]): Promise<Answer<unknown>>;
  /** Keys the upstream holds, after a key or from the first one. Only of a source that `lists`. */
  list(after: string | null, permits: Permit[]): Promise<Answer<KeyPage>>;
  load(request: LoadRequest): Promise<Answer<LoadOutcome[]>>;
  /** Answers when Loaders run at all. */
  ping(): Promise<void>;
}

export interface ClockPort {
  now(): number;
  /** The promise's outcome, or an `OwnError` of kind `deadline` after `ms`; what was begun may still end later. */
  within<T>(work: Promise<T>, ms: number, subject: string): Promise<T>;
  /** Lets whoever waits for this object have a turn. */
  turn(): Promise<void>;
}

/** The object's one alarm. */
export interface WakePort {
  get(): Promise<number | null>;
  /** Null takes the alarm away. */
  set(atMs: number | null): Promise<void>;
}

/** Takes keys to another source's agenda, perhaps. */
export interface FeedPort {
  send(target: string, keys: { id: number; key: string }[]): Promise<void>;
}

/**
 * The streams that tables are sent to, by the name of their binding. Throws `OwnError`: `stream-refused` where the stream
 * takes no such record, `stream-failed` for anything else, with the wait it asked for.
 */
export interface StreamPort {
  /** Ends when the stream has the records. */
  send(binding: string, records: StreamRecord[]): Promise<void>;
}

export type LogPort = (event: string, fields: LogFields) => void;

export interface Ports {
  sql: SqlPort;
  bucket: BucketPort;
  d1: D1Port;
  load: LoadPort;
  encode: EncodePort;
  clock: ClockPort;
  wake: WakePort;
  tickets: TicketPort;
  feeds: FeedPort;
  streams: StreamPort;
  log: LogPort;
}

/** The pure part of a source's agenda. */
export type AgendaRules = Pick<Agenda<unknown>, 'read' | 'next' | 'serverOf'>;

/** What the engine knows of its source: the pure parts, and its pace. */
export interface EngineSource {
  id: string;
  tables: Table[];
  resumable: boolean;
  pollMs: number;
  settleMs: number;
  hosts: Record<string, HostPace>;
  /** The pace of hosts that only the upstream names; null where it names none. */
  others: HostPace | null;
  /** Of a source that visits keys because it has no feed. */
  agenda: AgendaRules | null;
  compare(a: string, b: string): number;
  /** The cursor in its one form; throws `CursorError` when it is none. */
  parse(cursor: string): string;
  requests(step: 'pull' | 'prepare' | 'load' | 'list', changes: Change[]): Record<string, number>;
  /** The agendas it sends keys to, and which of a row. */
  feeds: Record<string, (row: LoadedRow) => string[]>;
  /** What a document weighs as a rule; null where that is not known. */
  documentBytes: number | null;
  prepares: boolean;
  lists: boolean;
}
