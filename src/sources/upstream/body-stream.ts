import { ChangeError } from '../../errors.ts';
import { startAttempt } from './attempt.ts';
import { announcedLength } from './body.ts';
import type { WaitForSlot } from './pacer.ts';
import {
  type HttpOptions,
  type HttpRequest,
  openAnswer,
  permitHostOf,
  Redirect,
  redirected,
} from './request-over-http.ts';

interface StreamTools {
  waitForSlot: WaitForSlot;
  /** How a host's requests are sent. */
  optionsOf(host: string): HttpOptions;
}

/**
 * The body of an answer, chunk by chunk, for one that is too large for memory. It is requested once, because what a broken
 * body gave is handed on already; a redirect is followed. Throws `ChangeError`: `too-large` as soon as the body is longer
 * than `bytesMax`, `truncated` where it breaks off, `timeout` where it takes too long.
 */
export async function* streamBody(request: HttpRequest, tools: StreamTools): AsyncGenerator<Uint8Array, void> {
  const { subject } = request;
  for (let next = request; ; ) {
    const host = permitHostOf(next);
    await tools.waitForSlot(host, { subject, isRedirect: next !== request });
    try {
      return yield* bodyOf(next, tools.optionsOf(host));
    } catch (error) {
      // Follow a redirect by hand, with a permit for the host that it names.
      if (!(error instanceof Redirect)) throw error;
      next = { ...redirected(next, error), redirects: next.redirects - 1 };
    }
  }
}

/** The body of one request's answer. A caller that stops reading ends the request. */
async function* bodyOf(request: HttpRequest, options: HttpOptions): AsyncGenerator<Uint8Array, void> {
  const { subject, timeoutMs, bytesMax } = request;
  // Start the time of the whole answer.
  const attempt = startAttempt({ ...options, subject, timeoutMs });
  let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  try {
    // Send the request and judge the status.
    const response = await openAnswer(request, options, attempt);
    reader = response.body?.getReader();
    // Refuse a body that announces too many bytes before reading it.
    const expectedBytes = announcedLength(response.headers);
    const check = (bytes: number) => {
      if (bytesMax !== null && bytes > bytesMax)
        throw new ChangeError('too-large', `${subject}: expected at most ${bytesMax} bytes, got more`);
    };
    check(expectedBytes ?? 0);
    // Hand on chunk by chunk.
    let bytes = 0;
    while (reader) {
      const { done, value } = await reader
        .read()
        .catch(error => Promise.reject(attempt.countFault('truncated', error)));
      if (done) break;
      attempt.received(value.length);
      bytes += value.length;
      check(bytes);
      yield value;
    }
    // Compare the length with the announced one: some runtimes end a broken body like a whole one.
    if (expectedBytes !== null && bytes !== expectedBytes)
      throw attempt.countFault('truncated', `${bytes} of ${expectedBytes} bytes`);
  } finally {
    attempt.stop();
    await reader?.cancel().catch(() => {});
  }
}
