import { joinBytes } from '../../bytes.ts';
import { ChangeError } from '../../errors.ts';
import { type Attempt, type AttemptOptions, startAttempt } from './attempt.ts';

/** What a server may answer to one line. The longest WHOIS answers known are some 20 KiB. */
const ANSWER_BYTES_MAX = 1024 * 1024;

/** Where WHOIS servers listen (RFC 3912, 2). */
const WHOIS_PORT = 43;

/** A TCP connection as the runtime gives it. */
export interface Socket {
  /** Rejects when no connection comes about. */
  readonly opened: Promise<unknown>;
  readonly closed?: Promise<unknown>;
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  close(): Promise<unknown>;
}

/** Opens a TCP connection; may throw for an address it does not take. */
export type Connect = (address: { hostname: string; port: number }) => Socket;

export interface ServerQuestion {
  /** A host's name, and its port where that is not 43: `whois.example`, `127.0.0.1:4343`. */
  server: string;
  /** One line, without its end. */
  query: string;
}

export interface ServerOptions extends AttemptOptions {
  connect: Connect;
  /** Throws for an answer that is none; with status 429 it counts as throttled. */
  check?: ((bytes: Uint8Array) => void) | undefined;
}

/**
 * One line to a server and its whole answer, bytes until the server ends the connection (RFC 3912). An end that comes
 * too early looks like any other: only a reset tells. Throws `ChangeError` (`unreachable`, `timeout`, `too-large`, and
 * `truncated`, also for an empty answer, which is how some servers turn a caller away), `StepError` of kind `deadline`,
 * and what `check` throws. The tally counts an answer as 2xx, one that `check` refused as 4xx, and else none.
 */
export async function askServer(question: ServerQuestion, options: ServerOptions): Promise<Uint8Array> {
  const { subject, tally, check = () => {} } = options;
  if (/[\r\n\0]/.test(question.query)) throw new Error(`${subject}: expected a question of one line, got more`);
  const attempt = startAttempt(options);
  tally.requests += 1;
  const bytes = await exchange(question, { subject, attempt, connect: options.connect })
    .catch(error => {
      tally.statuses[error instanceof ChangeError && error.reason === 'too-large' ? '2xx' : 'none'] += 1;
      throw error;
    })
    .finally(() => attempt.stop());
  try {
    check(bytes);
  } catch (error) {
    tally.statuses['4xx'] += 1;
    if (error instanceof ChangeError && error.status === 429) {
      tally.throttled += 1;
      if (error.retryAfterMs !== null) tally.retryAfterMs = Math.max(tally.retryAfterMs ?? 0, error.retryAfterMs);
    }
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
  let opened = false;
  try {
    socket = connect(addressOf(server));
    // Both reject on their own when the connection breaks, whether somebody waits for them or not.
    for (const promise of [socket.opened, socket.closed]) promise?.catch(() => {});
    await inTime(socket.opened, attempt);
    opened = true;
    // The writable stays open until the answer is read: ending it ends the connection both ways.
    await inTime(socket.writable.getWriter().write(new TextEncoder().encode(`${query}\r\n`)), attempt);
    const bytes = await readToEnd(socket.readable, { subject, attempt });
    if (bytes.length === 0) throw new Error('the connection ended without an answer');
    return bytes;
  } catch (error) {
    throw error instanceof ChangeError ? error : attempt.failed(opened ? 'truncated' : 'unreachable', error);
  } finally {
    // Not waited for: the other end may be silent.
    void (async () => socket?.close())().catch(() => {});
  }
}

/** The address of a server. */
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
  let size = 0;
  try {
    for (;;) {
      const { done, value } = await inTime(reader.read(), attempt);
      if (done) break;
      size += value.length;
      if (size > ANSWER_BYTES_MAX)
        throw new ChangeError('too-large', `${subject}: expected at most ${ANSWER_BYTES_MAX} bytes, got more`);
      chunks.push(value);
    }
  } catch (error) {
    void reader.cancel().catch(() => {});
    throw error;
  }
  return joinBytes(chunks);
}

/** What a promise gives, unless the time is up before: nothing of a socket can be called off. */
async function inTime<T>(promise: Promise<T>, { signal }: Attempt): Promise<T> {
  const { promise: up, reject } = Promise.withResolvers<never>();
  const due = () => reject(new Error('the time is up'));
  if (signal.aborted) due();
  signal.addEventListener('abort', due);
  try {
    return await Promise.race([promise, up]);
  } finally {
    signal.removeEventListener('abort', due);
  }
}
