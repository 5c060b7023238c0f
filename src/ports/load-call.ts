import { LIMITS } from '../config.ts';
import { messageOf } from '../errors.ts';
import type { Change } from './change.ts';
import type { Permit } from './hosts.ts';
import type { Answer, LoadOutcome, LoadPort, LoadRequest } from './loader.ts';
import type { ClockPort } from './platform.ts';

interface LoadCallOptions {
  changes: Change[];
  /** Size of each change's last document, where it is known. */
  knownBytes: (number | null)[];
  prepared: unknown;
  permits: Permit[];
  afresh: boolean;
  /** The call has one change, and the whole budget. */
  alone: boolean;
  /** Calls that share the budget. */
  callsAtOnce: number;
  deadlineAtMs: number;
}

/** The request of one load call, with its share of the budgets. */
export function loadRequest({ alone, callsAtOnce, ...rest }: LoadCallOptions): LoadRequest {
  return {
    ...rest,
    large: alone,
    budgetBytes: alone ? LIMITS.loadBytesMax : LIMITS.loadBytesMax / callsAtOnce,
    rowBytesMax: LIMITS.sliceRowBytesMax / callsAtOnce,
  };
}

/**
 * How a load call ended: answered, or died because of its `document` or because of the `loader`. Only a call that loads
 * one document alone can blame it, and only while other Loaders answer.
 */
export type LoadCall = Answer<LoadOutcome[]> | { died: 'document' | 'loader'; message: string };

/** Makes a load call and judges its death. `call` has a deadline of its own. */
export async function callLoader(
  call: () => Promise<Answer<LoadOutcome[]>>,
  { alone, load, clock }: { alone: boolean; load: Pick<LoadPort, 'ping'>; clock: Pick<ClockPort, 'within'> },
): Promise<LoadCall> {
  try {
    return await call();
  } catch (error) {
    const message = messageOf(error);
    if (!alone) return { died: 'loader', message };
    // Ask whether Loaders run at all.
    const dead = await clock.within(load.ping(), LIMITS.pullMsMax, 'Loader').then(() => null, messageOf);
    return dead === null ? { died: 'document', message } : { died: 'loader', message: dead };
  }
}
