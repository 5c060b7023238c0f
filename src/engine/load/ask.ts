import { type ErrorKind, StepError } from '../../errors.ts';
import type { LoadFailure } from '../../ports/loader.ts';

const KIND_OF_FAILURE: Record<LoadFailure['kind'], ErrorKind> = {
  unreachable: 'upstream-unreachable',
  throttled: 'upstream-throttled',
  status: 'upstream-status',
  shape: 'upstream-shape',
  cursor: 'cursor-refused',
  own: 'loader-failed',
};

/** A Loader step's failure as the error that ends this step of the run. */
export function failureError({ kind, message, retryAfterMs }: LoadFailure): StepError {
  return new StepError(KIND_OF_FAILURE[kind], message, retryAfterMs);
}
