import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { messageOf } from '../../errors.ts';
import { type ServiceBody, withPosition } from '../../sql/service.ts';
import { positionOf, SqlError } from '../../sql/sql-error.ts';
import { runProgram } from '../program.ts';
import { type Lake, type LakeAddress, openLake } from './lake.ts';
import { Places } from './places.ts';
import { type LakeAnswer, queryLake } from './query.ts';
import {
  PROCESS_BYTES_MAX,
  QUERIES_AT_ONCE,
  QUERIES_WAITING_MAX,
  SERVICE_BYTES_MAX,
  SERVICE_ROWS_MAX,
  STUCK_MS,
  watchMemory,
} from './resources.ts';

/** The lake that a service answers from, and its clients' token. */
export interface SqlServiceOptions {
  lake: LakeAddress;
  cacheDir: string;
  namespace: string;
  /** The bearer token that each request must have. */
  token: string;
  /** 0 takes a free port. */
  port?: number;
  /** The memory over which the process ends; see `watchMemory`. */
  processBytesMax?: number;
  stuckMs?: number;
}

/** A running service. */
export interface SqlService {
  /** Without a slash at the end. */
  url: string;
  /** How many queries run now, and how many wait for their turn. */
  readonly running: number;
  readonly waiting: number;
  /** Ends the queries that run now, because the process is short of memory. */
  endQueries(): void;
  close(): Promise<void>;
}

const PATH = /^\/api\/v1\/accounts\/[^/]+\/(?:basin|r2)-sql\/query\/([^/]+)$/;
const BODY_BYTES_MAX = 10_000_000;
/** Codes of R2 SQL: a wrong query, and a failure of the service that may be temporary. */
const INVALID_SQL = 40003;
const SERVICE_FAILED = 80001;

/** Answers R2 SQL's HTTP API on this machine, over the data files that the catalog of a lake names, with DuckDB. */
export async function startSqlService(
  options: SqlServiceOptions,
  { onStuck = () => {} }: { onStuck?(): void } = {},
): Promise<SqlService> {
  const opened: OpenedService = {
    ...options,
    onStuck,
    open: openLake(options.lake),
    places: new Places({ places: QUERIES_AT_ONCE, waitingMax: QUERIES_WAITING_MAX }),
    running: new Set(),
  };
  const server = createServer((request, response) => {
    void respond(request, response, opened);
  });
  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get running() {
      return opened.running.size;
    },
    get waiting() {
      return opened.places.waiting;
    },
    endQueries() {
      for (const query of opened.running) query.abort(outOfMemory());
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

interface OpenedService extends SqlServiceOptions {
  open: Lake;
  places: Places;
  /** What ends each of the queries that run now. */
  running: Set<AbortController>;
  /** Called when a query that was ended early goes on. */
  onStuck(): void;
}

function outOfMemory(): SqlError {
  const hint = 'Make shorter texts, or fewer of them.';
  return new SqlError('query: expected to fit into the memory of the service, got more', { at: null, hint });
}

/** Answers one request. Never throws, because that would end the process and all its queries. */
async function respond(request: IncomingMessage, response: ServerResponse, options: OpenedService): Promise<void> {
  const ended = new AbortController();
  // End the query when the client closes the connection.
  response.once('close', () => ended.abort());
  let status = 500;
  let text: string;
  try {
    const answer = await answerTo(request, options, ended);
    text = JSON.stringify(answer.body);
    status = answer.status;
  } catch (error) {
    text = JSON.stringify(failed(status, SERVICE_FAILED, messageOf(error)).body);
  }
  if (response.destroyed) return;
  response.writeHead(status, { 'content-type': 'application/json' }).end(text);
}

interface ServiceAnswer {
  status: number;
  body: ServiceBody;
}

async function answerTo(
  request: IncomingMessage,
  options: OpenedService,
  ended: AbortController,
): Promise<ServiceAnswer> {
  const { open, token, places } = options;
  const bucket = PATH.exec(new URL(request.url ?? '/', 'http://service').pathname)?.[1];
  if (bucket === undefined || request.method !== 'POST') return failed(404, 7003, 'no route for this request');
  if (request.headers.authorization !== `Bearer ${token}`) return failed(401, 10000, 'Authentication error');
  if (bucket !== open.bucket) return failed(404, 10006, `bucket ${bucket} not found`);
  const query = queryOf(await textOf(request));
  if (query === null) return failed(400, INVALID_SQL, 'invalid request: expected {"query": "…"}');
  if (places.isFull) {
    return failed(429, SERVICE_FAILED, `expected at most ${QUERIES_WAITING_MAX} waiting queries, got more`);
  }
  try {
    return { status: 200, body: bodyOf(await places.within(() => run(query, options, ended), ended.signal)) };
  } catch (error) {
    if (!(error instanceof SqlError)) throw error;
    const message = `invalid SQL: ${error.message.replaceAll('\n', ' ')}`;
    return failed(400, INVALID_SQL, error.at === null ? message : withPosition(message, positionOf(query, error.at)));
  }
}

async function run(query: string, options: OpenedService, ended: AbortController): Promise<LakeAnswer> {
  const { open, cacheDir, namespace, running, stuckMs = STUCK_MS, onStuck } = options;
  const limits = { rowsMax: SERVICE_ROWS_MAX, bytesMax: SERVICE_BYTES_MAX };
  let stuck: NodeJS.Timeout | undefined;
  const watch = () => {
    stuck = setTimeout(onStuck, stuckMs);
  };
  ended.signal.addEventListener('abort', watch, { once: true });
  running.add(ended);
  try {
    return await queryLake(open, { query, cacheDir, namespace, ...limits, signal: ended.signal });
  } finally {
    running.delete(ended);
    ended.signal.removeEventListener('abort', watch);
    clearTimeout(stuck);
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes <= BODY_BYTES_MAX) chunks.push(chunk);
  }
  return bytes > BODY_BYTES_MAX ? '' : Buffer.concat(chunks).toString('utf8');
}

function queryOf(text: string): string | null {
  try {
    const { query } = JSON.parse(text) as { query?: unknown };
    return typeof query === 'string' ? query : null;
  } catch {
    return null;
  }
}

/** R2 SQL's names of the column types of the lake; any other type keeps DuckDB's name. */
const TYPES: Record<string, string> = {
  VARCHAR: 'string',
  INTEGER: 'int32',
  BIGINT: 'int64',
  FLOAT: 'float32',
  DOUBLE: 'float64',
  BOOLEAN: 'bool',
  DATE: 'date32',
};

function bodyOf({ columns, types, rows, files, bytes }: LakeAnswer): ServiceBody {
  const schema = columns.map((name, i) => {
    const type = types[i] ?? '';
    return { name, descriptor: { type: { name: TYPES[type] ?? type.toLowerCase() }, nullable: true } };
  });
  const objects = rows.map(row => Object.fromEntries(columns.map((name, i) => [name, row[i]])));
  const metrics = { r2_requests_count: 0, files_scanned: files, bytes_scanned: bytes };
  const result = { request_id: randomUUID(), schema, rows: objects, metrics };
  return { success: true, errors: [], messages: [], result };
}

function failed(status: number, code: number, message: string): ServiceAnswer {
  return { status, body: { success: false, errors: [{ code, message }], messages: [], result: null } };
}

/**
 * Runs the service as a process: the first line of input holds its options as JSON, the first line of output its URL.
 * It ends with its input, so that it never outlives the process that started it.
 */
async function main(signal: AbortSignal): Promise<number> {
  const lines = createInterface({ input: process.stdin });
  const closed = once(lines, 'close', { signal }).catch(() => {});
  const [line] = (await once(lines, 'line', { signal })) as [string];
  const options = JSON.parse(line) as SqlServiceOptions;
  const { processBytesMax: bytesMax = PROCESS_BYTES_MAX, stuckMs = STUCK_MS } = options;
  const service = await startSqlService(options, {
    onStuck: () => end(`query: expected to end within ${stuckMs} ms after it was ended early, got none`),
  });
  const onFull = () => end(`memory: expected at most ${bytesMax} bytes, got more`);
  watchMemory({ bytesMax, onHigh: service.endQueries, onFull });
  process.stdout.write(`${JSON.stringify({ url: service.url })}\n`);
  await closed;
  await service.close();
  return 0;
}

/**
 * Ends the process, whose parent starts it again, because nothing else ends what DuckDB does not interrupt. `exit` would
 * wait for its threads.
 */
function end(reason: string): void {
  writeSync(process.stderr.fd, `${reason}; the service ends\n`);
  process.kill(process.pid, 'SIGKILL');
}

if (import.meta.main) await runProgram(main);
