import { ChangeError, messageOf, StepError } from '../../errors.ts';
import type { HostTally } from '../../ports/hosts.ts';

/** One request with its answer, from sending to the last byte: the largest packument known takes 8 s at 5 Mbit/s. */
const REQUEST_MS_MAX = 20_000;

/** An answer that was cut off after this long was late, whoever cut it off. */
const LATE_MS = 5_000;

export interface AttemptOptions {
  subject: string;
  /** Nothing is begun or waited for past this. */
  deadlineAtMs: number;
  now: () => number;
  /** Where what fails is counted. */
  tally: HostTally;
  /** What the whole answer may take; as long as any known takes, where nothing is said. */
  timeoutMs?: number | undefined;
  /** Calls `due` after `ms` and gives what calls it off. */
  timer?: ((ms: number, due: () => void) => () => void) | undefined;
}

/** The time of one try of a request, and what is said when it ends without an answer. */
export interface Attempt {
  /** Aborted when the time is up. */
  signal: AbortSignal;
  /** Gives the try so long from now on, within the deadline of the call. */
  allow(ms: number): void;
  /** Makes, and counts, the error of a connection that did not come about or broke on the way. */
  failed(reason: 'unreachable' | 'truncated', error: unknown): Error;
  stop(): void;
}

/** Starts the time of one try. Throws `StepError` of kind `deadline` when the call's own time is up already. */
export function startAttempt(options: AttemptOptions): Attempt {
  const { subject, deadlineAtMs, now, tally, timeoutMs = REQUEST_MS_MAX, timer = startTimer } = options;
  const leftMs = deadlineAtMs - now();
  if (leftMs <= 0) throw pastDeadline(subject);
  const cut = new AbortController();
  let allowedMs = timeoutMs;
  let stop = timer(Math.min(allowedMs, leftMs), () => cut.abort());
  return {
    signal: cut.signal,
    allow(ms) {
      stop();
      allowedMs = ms;
      stop = timer(Math.min(ms, deadlineAtMs - now()), () => cut.abort());
    },
    failed(reason, error) {
      if (cut.signal.aborted && Math.min(allowedMs, leftMs) >= LATE_MS) tally.refused += 1;
      if (cut.signal.aborted && leftMs < timeoutMs) return pastDeadline(subject);
      tally.errors += 1;
      if (cut.signal.aborted)
        return new ChangeError('timeout', `${subject}: expected a whole answer within ${allowedMs} ms`);
      return connectionError(subject, reason, error);
    },
    stop: () => stop(),
  };
}

/** The call's own time is up: no news about the upstream. */
export function pastDeadline(subject: string): StepError {
  return new StepError('deadline', `${subject}: expected to be answered before the deadline of the call`);
}

/** What a runtime throws for a broken connection, in our own words; p-retry would not retry its `TypeError`. */
function connectionError(subject: string, reason: 'unreachable' | 'truncated', error: unknown): Error {
  const text = messageOf(error);
  // The platform's limit on requests is a limit of ours, and no news about the upstream.
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

function startTimer(ms: number, due: () => void): () => void {
  const timer = setTimeout(due, ms);
  return () => clearTimeout(timer);
}
