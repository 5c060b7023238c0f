import { ChangeError, messageOf, StepError } from '../../errors.ts';
import type { HostTally } from '../../ports/hosts.ts';

/** One request with its answer, from sending to the last byte: the largest packument known takes 8 s at 5 Mbit/s. */
const REQUEST_MS_MAX = 20_000;

/** An upstream whose answer was cut off after this long is late, also when our own deadline cut it off. */
const LATE_MS = 5_000;

export interface AttemptOptions {
  subject: string;
  /** No request starts or waits past this. */
  deadlineAtMs: number;
  now: () => number;
  /** Counts the faults of the attempt. */
  tally: HostTally;
  /** The time for the whole answer; `REQUEST_MS_MAX` by default. */
  timeoutMs?: number | undefined;
  /** Calls `expire` after `ms`; the returned function cancels the call. */
  timer?: Timer | undefined;
}

export type Timer = (ms: number, expire: () => void) => () => void;

/** The time of one try of a request, and the error of a try that ends without an answer. */
export interface Attempt {
  /** Aborted when the time is up. */
  signal: AbortSignal;
  /** Sets the time to `ms` from now, within the deadline of the call. */
  allow(ms: number): void;
  /** Counts a connection that did not open, or broke before the end of the answer, and returns its error. */
  countFault(reason: 'unreachable' | 'truncated', error: unknown): Error;
  stop(): void;
}

/** Starts the time of one try. Throws `StepError` of kind `deadline` when the deadline of the call has passed. */
export function startAttempt(options: AttemptOptions): Attempt {
  const { subject, deadlineAtMs, now, tally, timeoutMs = REQUEST_MS_MAX, timer = startTimer } = options;
  const leftMs = deadlineAtMs - now();
  if (leftMs <= 0) throw deadlineError(subject);
  const controller = new AbortController();
  const expire = () => controller.abort();
  let allowedMs = timeoutMs;
  let stop = timer(Math.min(allowedMs, leftMs), expire);
  return {
    signal: controller.signal,
    allow(ms) {
      stop();
      allowedMs = ms;
      stop = timer(Math.min(ms, deadlineAtMs - now()), expire);
    },
    countFault(reason, error) {
      const isTimeUp = controller.signal.aborted;
      if (isTimeUp && Math.min(allowedMs, leftMs) >= LATE_MS) tally.refused += 1;
      if (isTimeUp && leftMs < timeoutMs) return deadlineError(subject);
      tally.errors += 1;
      return isTimeUp
        ? new ChangeError('timeout', `${subject}: expected a whole answer within ${allowedMs} ms`)
        : connectionError(subject, reason, error);
    },
    stop: () => stop(),
  };
}

/** The deadline of the call has passed, which says nothing about the upstream. */
export function deadlineError(subject: string): StepError {
  return new StepError('deadline', `${subject}: expected an answer before the deadline of the call, got none`);
}

/** Puts a runtime's error for a broken connection into a `ChangeError`, because p-retry does not retry its `TypeError`. */
function connectionError(subject: string, reason: 'unreachable' | 'truncated', error: unknown): Error {
  const text = messageOf(error);
  // The platform's limit on requests is our fault and says nothing about the upstream.
  if (/too many subrequests/i.test(text)) return new StepError('loader-failed', `${subject}: ${text}`);
  const code = error instanceof Error ? (error.cause as { code?: unknown } | undefined)?.code : undefined;
  const detail = typeof code === 'string' ? `${text} (${code})` : text;
  return new ChangeError(
    reason,
    reason === 'unreachable'
      ? `${subject}: expected an answer, got no connection: ${detail}`
      : `${subject}: expected a whole body, got a part of it: ${detail}`,
  );
}

function startTimer(ms: number, expire: () => void): () => void {
  const timer = setTimeout(expire, ms);
  return () => clearTimeout(timer);
}
