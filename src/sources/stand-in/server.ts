import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { constants, gzipSync } from 'node:zlib';
import type { Answer } from './faults.ts';

/** Limits of the request log, because a stand-in may run for days: recent requests, and different paths. */
const RECENT_MAX = 10_000;
const PATHS_MAX = 200_000;
/** Smaller bodies are not worth compressing. */
const GZIP_BYTES_MIN = 1024;

/** One request to a stand-in: its path as sent, its query without `?`, and the status of the answer. */
export interface StandInRequest {
  method: string;
  path: string;
  query: string;
  userAgent: string | null;
  ifNoneMatch: string | null;
  atMs: number;
  /** 0 before the answer, and for a connection that was cut or got no answer. */
  status: number;
}

/** The requests to a stand-in so far. */
export interface RequestLog {
  /** The newest 10,000, oldest first. */
  recent: StandInRequest[];
  total: number;
  /** The number of requests for a path. */
  count(path: string): number;
  /** Answers by status; cut connections under 0. */
  statuses: Map<number, number>;
}

/** What a stand-in may read of a request besides its URL. */
export interface Sent {
  method: string;
  headers: IncomingHttpHeaders;
  /** Empty for a GET. */
  body: Buffer;
}

/** Starts a server on the loopback interface; port 0 is any free one. `answerTo` returns the answer to each request. */
export async function startServer(
  { port, gzip }: { port: number; gzip: boolean },
  answerTo: (url: URL, sent: Sent) => Answer,
): Promise<{ server: Server; origin: string; requests: RequestLog }> {
  const paths = new Map<string, number>();
  const requests: RequestLog = { recent: [], total: 0, count: path => paths.get(path) ?? 0, statuses: new Map() };
  const server = createServer(async (incoming, response) => {
    const request = logRequest(incoming, requests, paths);
    try {
      const url = new URL(`http://127.0.0.1${incoming.url}`);
      const sent = { method: request.method, headers: incoming.headers, body: await buffer(incoming) };
      request.status = await sendAnswer(incoming, response, answerTo(url, sent), gzip);
    } catch (error) {
      response.destroy(error instanceof Error ? error : undefined);
    }
    requests.statuses.set(request.status, (requests.statuses.get(request.status) ?? 0) + 1);
  });
  // Keep connections open for long: a client that reuses one just as it closes would see a fault that no test asked for.
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return { server, origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests };
}

function logRequest(incoming: IncomingMessage, requests: RequestLog, paths: Map<string, number>): StandInRequest {
  const [path = '/', query = ''] = (incoming.url ?? '/').split('?', 2);
  const request: StandInRequest = {
    method: incoming.method ?? 'GET',
    path,
    query,
    userAgent: incoming.headers['user-agent'] ?? null,
    ifNoneMatch: incoming.headers['if-none-match'] ?? null,
    atMs: Date.now(),
    status: 0,
  };
  requests.total += 1;
  requests.recent.push(request);
  if (requests.recent.length > RECENT_MAX) requests.recent.shift();
  if (paths.has(path) || paths.size < PATHS_MAX) paths.set(path, (paths.get(path) ?? 0) + 1);
  return request;
}

/** Sends one answer and returns its status, 0 for a connection that was cut or got no answer. */
async function sendAnswer(
  incoming: IncomingMessage,
  response: ServerResponse,
  answer: Answer,
  gzip: boolean,
): Promise<number> {
  const { status = 200, headers = {}, body: text, cut = false, hold = false, truncateTo, delayMs = 0 } = answer;
  if (hold) {
    if (!response.destroyed) await once(response, 'close');
    return 0;
  }
  if (delayMs > 0) await sleep(delayMs);
  let body = toBytes(text);
  const etag = status === 200 ? (headers.etag ?? `"${createHash('sha1').update(body).digest('hex')}"`) : null;
  const sent: Record<string, string | number> = { 'content-type': 'application/json', ...headers };
  if (etag !== null) sent.etag = etag;
  if (etag !== null && !cut && incoming.headers['if-none-match'] === etag) {
    response.writeHead(304, sent).end();
    return 304;
  }
  const accepted = gzip && body.length >= GZIP_BYTES_MIN && /\bgzip\b/.test(incoming.headers['accept-encoding'] ?? '');
  if (answer.gzip || accepted) {
    body = gzipSync(body, { level: constants.Z_BEST_SPEED });
    sent['content-encoding'] = 'gzip';
  }
  body = body.subarray(0, truncateTo ?? body.length);
  sent['content-length'] = body.length;
  if (cut) {
    response.writeHead(status, sent);
    const half = body.subarray(0, body.length >> 1);
    // Wait until the half is sent before the connection closes; otherwise the client sees no answer at all.
    if (half.length > 0) await new Promise<void>(resolve => response.write(half, () => resolve()));
    response.destroy();
    return 0;
  }
  response.writeHead(status, sent).end(incoming.method === 'HEAD' ? undefined : body);
  return status;
}

/** The bytes of a body given as text or bytes. */
export function toBytes(body: string | Uint8Array | undefined): Uint8Array {
  return typeof body === 'string' ? new TextEncoder().encode(body) : (body ?? new Uint8Array());
}
