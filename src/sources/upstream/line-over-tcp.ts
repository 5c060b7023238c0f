import { joinBytes } from '../../bytes.ts';
import { ChangeError, type Reading } from '../../errors.ts';
import { type Attempt, type AttemptOptions, startAttempt } from './attempt.ts';
import { countReading, countThrown } from './tally.ts';

/** The largest answer to one line. The longest WHOIS answers known have some 20 KiB. */
const ANSWER_BYTES_MAX = 256 * 1024;

/** The port of WHOIS servers (RFC 3912, 2). */
const WHOIS_PORT = 43;

/** A TCP connection of the runtime. */
export interface Socket {
  /** Rejects when the connection cannot be opened. */
  readonly opened: Promise<unknown>;
  readonly closed?: Promise<unknown>;
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  close(): Promise<unknown>;
}

/** Opens a TCP connection; may throw for an address that the runtime refuses. */
export type Connect = (address: { hostname: string; port: number }) => Socket;

export interface ServerQuestion {
  /** A host's name, with its port where that is not 43: `whois.example`, `127.0.0.1:4343`. */
  server: string;
  /** One line, without the line break. */
  query: string;
}

export interface ServerOptions extends AttemptOptions {
  connect: Connect;
  /** Throws for an answer that only refuses the caller; an error with status 429 counts as throttled. */
  check?: ((bytes: Uint8Array) => void) | undefined;
  /** What the source makes of an answer that `check` accepts. Without it nothing is counted for the server. */
  readingOf?: ((bytes: Uint8Array) => Reading) | undefined;
}

/**
 * One try: sends one line to a server and returns the whole answer, which is all bytes until the server ends the
 * connection (RFC 3912). An answer that ends too early looks like a whole one unless the connection was reset. Throws
 * `ChangeError` (`unreachable`, `timeout`, `too-large`, and `truncated`, also for an empty answer, because some servers
 * refuse a caller that way), `StepError` of kind `deadline`, and what `check` throws. The tally counts an answer as 2xx,
 * one that `check` refused as 4xx, and no answer as none.
 */
export async function askServer(question: ServerQuestion, options: ServerOptions): Promise<Uint8Array> {
  const { subject, tally, check = () => {}, readingOf } = options;
  if (/[\r\n\0]/.test(question.query)) throw new Error(`${subject}: expected a query of one line, got more`);
  // Start the time of the try, send the line and read the answer within its limit.
  const attempt = startAttempt(options);
  tally.requests += 1;
  const bytes = await exchange(question, { subject, attempt, connect: options.connect })
    .catch(error => {
      tally.statuses[error instanceof ChangeError && error.reason === 'too-large' ? '2xx' : 'none'] += 1;
      throw error;
    })
    .finally(() => attempt.stop());
  // Judge the answer.
  try {
    check(bytes);
    if (readingOf) countReading(tally, question.server, readingOf(bytes));
  } catch (error) {
    tally.statuses['4xx'] += 1;
    const isRefusal = error instanceof ChangeError && error.status === 429;
    if (readingOf) countReading(tally, question.server, isRefusal ? 'refused' : 'unknown');
    countThrown(tally, error);
    throw error;
  }
  tally.statuses['2xx'] += 1;
  return bytes;
}

async function exchange(
  { server, query }: ServerQuestion,
  { subject, attempt, connect }: { subject: string; attempt: Attempt; connect: Connect },
): Promise<Uint8Array> {
  let socket: Socket | null = null;
  let isOpen = false;
  try {
    socket = connect(addressOf(server));
    // Both reject when the connection breaks, also while nothing waits for them.
    for (const promise of [socket.opened, socket.closed]) promise?.catch(() => {});
    await withinTime(socket.opened, attempt);
    isOpen = true;
    // The writable stays open until the answer is read, because ending it ends the connection both ways.
    await withinTime(socket.writable.getWriter().write(new TextEncoder().encode(`${query}\r\n`)), attempt);
    const bytes = await readToEnd(socket.readable, { subject, attempt });
    if (bytes.length === 0) throw new Error('the connection ended without an answer');
    return bytes;
  } catch (error) {
    throw error instanceof ChangeError ? error : attempt.countFault(isOpen ? 'truncated' : 'unreachable', error);
  } finally {
    // Not awaited, because the server may never answer the close.
    void (async () => socket?.close())().catch(() => {});
  }
}

function addressOf(server: string): { hostname: string; port: number } {
  const [, hostname = server, port = String(WHOIS_PORT)] = /^(.+):(\d{1,5})$/.exec(server) ?? [];
  return { hostname, port: Number(port) };
}

async function readToEnd(
  readable: ReadableStream<Uint8Array>,
  { subject, attempt }: { subject: string; attempt: Attempt },
): Promise<Uint8Array> {
  const reader = readable.getReader();
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for (;;) {
      const { done, value } = await withinTime(reader.read(), attempt);
      if (done) return joinBytes(chunks);
      bytes += value.length;
      if (bytes > ANSWER_BYTES_MAX)
        throw new ChangeError('too-large', `${subject}: expected at most ${ANSWER_BYTES_MAX} bytes, got more`);
      chunks.push(value);
    }
  } catch (error) {
    void reader.cancel().catch(() => {});
    throw error;
  }
}

/** The result of a promise; rejects when the time of the attempt is up first, because a socket's calls take no signal. */
async function withinTime<T>(promise: Promise<T>, { signal }: Attempt): Promise<T> {
  const { promise: timeUp, reject } = Promise.withResolvers<never>();
  const expire = () => reject(new Error('the time is up'));
  if (signal.aborted) expire();
  signal.addEventListener('abort', expire);
  try {
    return await Promise.race([promise, timeUp]);
  } finally {
    signal.removeEventListener('abort', expire);
  }
}
