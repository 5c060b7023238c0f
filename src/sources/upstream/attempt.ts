import { ChangeError, messageOf, StepError } from '../../errors.ts';
import { KiB } from '../../limits.ts';
import type { HostTally } from '../../ports/hosts.ts';

/** One request with its answer, from sending to the last byte: the largest packument known takes 8 s at 5 Mbit/s. */
const REQUEST_MS_MAX = 20_000;

/** An upstream whose answer was cut off after this long is late, also when our own deadline cut it off. */
const LATE_MS = 5_000;

/** A body that brings less than this in such a time is late, because an endless one would hold its slice and the tail. */
const SLOW_MS = 10_000;
const SLOW_BYTES = 10 * KiB;

/** A body came too slowly. Another try at once would be as slow. */
export class SlowBody extends ChangeError {
  constructor(subject: string) {
    super('timeout', `${subject}: expected at least ${SLOW_BYTES} bytes of the body in ${SLOW_MS} ms, got fewer`);
  }
}

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
  /** Begins to watch how fast the body comes. */
  watchBody(): void;
  /** Notes bytes of the body. */
  received(bytes: number): void;
  /** Sets the time to `ms` from now without watching the body, because our own upload may slow it down, within the deadline of the call. */
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
  let windowBytes = 0;
  let isSlow = false;
  let stop = timer(Math.min(allowedMs, leftMs), expire);
  const startedAtMs = now();
  /** One timer is enough: it ends the next stretch of the body, or the whole time where less of that is left. */
  const watch = () => {
    stop();
    windowBytes = 0;
    const restMs = Math.max(0, Math.min(startedAtMs + allowedMs, deadlineAtMs) - now());
    stop = timer(Math.min(SLOW_MS, restMs), () => {
      isSlow = restMs > SLOW_MS && windowBytes < SLOW_BYTES;
      if (isSlow || restMs <= SLOW_MS) expire();
      else watch();
    });
  };
  return {
    signal: controller.signal,
    watchBody: watch,
    received(bytes) {
      windowBytes += bytes;
    },
    allow(ms) {
      stop();
      allowedMs = ms;
      stop = timer(Math.min(ms, deadlineAtMs - now()), expire);
    },
    countFault(reason, error) {
      const isTimeUp = controller.signal.aborted;
      if (isTimeUp && Math.min(allowedMs, leftMs) >= LATE_MS) tally.refused += 1;
      if (isTimeUp && isSlow) {
        tally.errors += 1;
        return new SlowBody(subject);
      }
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
