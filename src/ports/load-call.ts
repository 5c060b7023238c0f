import { messageOf } from '../errors.ts';
import { LIMITS, MiB } from '../limits.ts';
import type { Change } from './change.ts';
import type { Permit } from './hosts.ts';
import type { Answer, LoadOutcome, LoadPort, LoadRequest } from './loader.ts';
import type { ClockPort } from './platform.ts';

/** JSON of the rows of one slice, which is one append: what one transaction writes, and what a crash loses at most. */
export const SLICE_ROW_BYTES_MAX = 8 * MiB;
/** Documents that all running loads hold together. With rows and copies that is under half of a 128 MB isolate. */
export const LOAD_BYTES_MAX = 48 * MiB;

interface LoadCallOptions {
  changes: Change[];
  /** Bytes of each change's last document; null where none is known. */
  knownBytes: (number | null)[];
  prepared: unknown;
  permits: Permit[];
  afresh: boolean;
  /** The call has one change and the whole byte budget. */
  alone: boolean;
  /** How many calls share the byte budget. */
  callsAtOnce: number;
  /** Milliseconds since 1970. */
  deadlineAtMs: number;
}

/** The request of one load call, with the call's share of the budgets. */
export function loadRequest({ alone, callsAtOnce, ...rest }: LoadCallOptions): LoadRequest {
  return {
    ...rest,
    large: alone,
    budgetBytes: alone ? LOAD_BYTES_MAX : LOAD_BYTES_MAX / callsAtOnce,
    rowBytesMax: SLICE_ROW_BYTES_MAX / callsAtOnce,
  };
}

/**
 * How a load call ended: with an answer, or the Loader died because of a `document` or for another reason (`loader`).
 * The document is the cause only if it had the call to itself and other Loaders answer.
 */
export type LoadCall = Answer<LoadOutcome[]> | { died: 'document' | 'loader'; message: string };

/** Makes a load call and finds out why the Loader died, if it did. `call` has its own deadline. Never throws. */
export async function callLoader(
  call: () => Promise<Answer<LoadOutcome[]>>,
  { alone, load, clock }: { alone: boolean; load: Pick<LoadPort, 'ping'>; clock: Pick<ClockPort, 'within'> },
): Promise<LoadCall> {
  try {
    return await call();
  } catch (error) {
    const message = messageOf(error);
    if (!alone) return { died: 'loader', message };
    // Check whether Loaders can run at all.
    const dead = await clock.within(load.ping(), LIMITS.pullMsMax, 'Loader').then(() => null, messageOf);
    return dead === null ? { died: 'document', message } : { died: 'loader', message: dead };
  }
}
