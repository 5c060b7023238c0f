import type { Failure, SkipReason } from '../errors.ts';
import type { Change, KeyPage, LoadedRow, Page, PullRequest, Seen, Servers } from './change.ts';
import type { HostTally, Permit } from './hosts.ts';

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

/** The steps of a Loader: what each is asked, and what its answer holds. */
export interface LoaderSteps {
  /** The first cursor of a source. */
  start: { request: { permits: Permit[] }; value: string };
  /** One page of the feed. */
  pull: { request: PullRequest & { permits: Permit[] }; value: Page };
  /** Where keys are served. Only of a source whose agenda has a directory of servers. */
  servers: { request: { known: Servers | null; permits: Permit[] }; value: Servers };
  /** What the loads of a slice share; plain JSON. */
  prepare: { request: { changes: Change[]; permits: Permit[] }; value: unknown };
  /** Keys that the upstream holds, after a key or from the first one. Only of a source that `lists`. */
  list: { request: { after: string | null; permits: Permit[] }; value: KeyPage };
  /** Documents into the bucket, rows back. */
  load: { request: LoadRequest; value: LoadOutcome[] };
}

/** The stateless Loader, bound to one source. A call that rejects has died; the upstream's failures are answers. */
export interface LoadPort {
  run<S extends keyof LoaderSteps>(
    step: S,
    request: LoaderSteps[S]['request'],
  ): Promise<Answer<LoaderSteps[S]['value']>>;
  /** Answers when Loaders run at all. */
  ping(): Promise<void>;
}
