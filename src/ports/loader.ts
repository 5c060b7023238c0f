import type { Failure, SkipReason } from '../errors.ts';
import type {
  Change,
  KeyPage,
  LoadedRow,
  Page,
  ProbeAnswer,
  PullRequest,
  RoundAnswer,
  Seen,
  Servers,
} from './change.ts';
import type { HostTally, Permit } from './hosts.ts';
import type { FeedingFile, InletAnswer } from './inlet.ts';

/** Asks for the documents and rows of changes. */
export interface LoadRequest {
  changes: Change[];
  /** The answer of the step `prepare`; null without one. */
  prepared: unknown;
  permits: Permit[];
  /** Decoded bytes of documents that this call may hold at once. */
  budgetBytes: number;
  /** Bytes of each change's last document; null where none is known. */
  knownBytes: (number | null)[];
  /** The call defers the other changes when its rows exceed this. */
  rowBytesMax: number;
  /** Milliseconds since 1970. */
  deadlineAtMs: number;
  /** The call may load a document over `LIMITS.documentBytesLarge`. */
  large: boolean;
  /** This is not the tail's first attempt, so the documents of deletions are fetched as well. */
  afresh: boolean;
}

/** The outcome of one change of a Loader call. */
export type LoadOutcome =
  | { kind: 'rows'; rows: LoadedRow[]; documentBytes: number; revision: number | null; seen?: Seen | undefined }
  | { kind: 'skip'; reason: SkipReason }
  | ({ kind: 'park'; retryAfterMs: number | null } & Failure)
  /** No answer, or a status of 5xx. The document is the cause only if its host answers others. */
  | ({ kind: 'unanswered'; retryAfterMs: number | null } & Failure)
  /** Not attempted, or not to the end: the engine loads the change again. */
  | { kind: 'deferred'; reason: 'throttled' | 'deadline' | 'full' | 'large' };

/** The answer of a Loader step. After a `failure` nothing of the step counts. */
export type Answer<T> =
  | { ok: true; value: T; hosts: HostTally[] }
  | { ok: false; failure: LoadFailure; hosts: HostTally[] };

/** Why a Loader step failed: `own` is a failure of one of our own parts, the others are the upstream's. */
export interface LoadFailure {
  kind: 'unreachable' | 'throttled' | 'status' | 'shape' | 'cursor' | 'own';
  message: string;
  retryAfterMs: number | null;
}

/** The steps of a Loader: the request of each, and the value of its answer. */
export interface LoaderSteps {
  /** The first cursor of a source. */
  start: { request: { permits: Permit[] }; value: string };
  /** One page of the feed. */
  pull: { request: PullRequest & { permits: Permit[] }; value: Page };
  /** Which server has which keys. For a source whose agenda has a directory of servers only. */
  servers: { request: { known: Servers | null; permits: Permit[] }; value: Servers };
  /** What the loads of a slice share, as plain JSON. For a source that `prepares` only. */
  prepare: { request: { changes: Change[]; permits: Permit[] }; value: unknown };
  /** What the probe says of each key, in order; null of a key that there was no time or no permit to ask for. */
  probe: { request: { changes: Change[]; permits: Permit[] }; value: (ProbeAnswer | null)[] };
  /**
   * Keys that the upstream holds: those after a key, or the first ones. For a source that `lists` only. `listing`: the
   * stored listing that the sweep began with; null where it begins. The value is null where that one is gone.
   */
  list: { request: { after: string | null; listing: string | null; permits: Permit[] }; value: KeyPage | null };
  /** What the round's check says of each key, in order; null of a key that there was no time or no permit to ask for. */
  round: { request: { changes: Change[]; permits: Permit[] }; value: (RoundAnswer | null)[] };
  /** Puts the documents of changes into the bucket and returns their rows: one outcome for each change, in order. */
  load: { request: LoadRequest; value: LoadOutcome[] };
  /** What the next rows of a feeding table's file say: those after an LSN, at most to the end of their row group. */
  inlet: { request: { table: string; file: FeedingFile; afterLsn: number; permits: Permit[] }; value: InletAnswer };
}

/**
 * The stateless Loader of one source. A failure of the upstream is an answer; a call that rejects means that the Loader
 * died.
 */
export interface LoadPort {
  run<S extends keyof LoaderSteps>(
    step: S,
    request: LoaderSteps[S]['request'],
  ): Promise<Answer<LoaderSteps[S]['value']>>;
  /** Resolves when Loaders can run. */
  ping(): Promise<void>;
}
