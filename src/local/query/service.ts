import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { messageOf } from '../../errors.ts';
import { type ServiceBody, withPosition } from '../../sql/service.ts';
import { positionOf, SqlError } from '../../sql/sql-error.ts';
import { runProgram } from '../program.ts';
import { type Lake, type LakeAddress, openLake } from './lake.ts';
import { type LakeAnswer, queryLake } from './query.ts';

/** The lake that a service answers from, and its clients' token. */
export interface SqlServiceOptions {
  lake: LakeAddress;
  cacheDir: string;
  namespace: string;
  /** The bearer token that each request must have. */
  token: string;
}

/** A running service. */
export interface SqlService {
  /** Without a slash at the end. */
  url: string;
  close(): Promise<void>;
}

const PATH = /^\/api\/v1\/accounts\/[^/]+\/(?:basin|r2)-sql\/query\/([^/]+)$/;
const ROWS_MAX = 10_000;
const BODY_BYTES_MAX = 10_000_000;
/** Codes of R2 SQL: a wrong query, and a failure of the service that may be temporary. */
const INVALID_SQL = 40003;
const SERVICE_FAILED = 80001;

/** Answers R2 SQL's HTTP API on this machine, over the data files that the catalog of a lake names, with DuckDB. */
export async function startSqlService(options: SqlServiceOptions): Promise<SqlService> {
  const lake = openLake(options.lake);
  const server = createServer((request, response) => {
    void respond(request, response, { ...options, open: lake });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

type OpenedService = SqlServiceOptions & { open: Lake };

async function respond(request: IncomingMessage, response: ServerResponse, options: OpenedService): Promise<void> {
  const closed = new AbortController();
  // End the query when the client closes the connection.
  response.once('close', () => closed.abort());
  const { status, body } = await answerTo(request, { ...options, signal: closed.signal }).catch((error: unknown) =>
    failed(500, SERVICE_FAILED, messageOf(error)),
  );
  if (response.destroyed) return;
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

interface ServiceAnswer {
  status: number;
  body: ServiceBody;
}

async function answerTo(
  request: IncomingMessage,
  options: OpenedService & { signal: AbortSignal },
): Promise<ServiceAnswer> {
  const { open, token, cacheDir, namespace, signal } = options;
  const bucket = PATH.exec(new URL(request.url ?? '/', 'http://service').pathname)?.[1];
  if (bucket === undefined || request.method !== 'POST') return failed(404, 7003, 'no route for this request');
  if (request.headers.authorization !== `Bearer ${token}`) return failed(401, 10000, 'Authentication error');
  if (bucket !== open.bucket) return failed(404, 10006, `bucket ${bucket} not found`);
  const query = queryOf(await textOf(request));
  if (query === null) return failed(400, INVALID_SQL, 'invalid request: expected {"query": "…"}');
  try {
    const answer = await queryLake(open, { query, cacheDir, namespace, rowsMax: ROWS_MAX, signal });
    return { status: 200, body: bodyOf(answer) };
  } catch (error) {
    if (!(error instanceof SqlError)) throw error;
    const message = `invalid SQL: ${error.message.replaceAll('\n', ' ')}`;
    return failed(400, INVALID_SQL, error.at === null ? message : withPosition(message, positionOf(query, error.at)));
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
  const service = await startSqlService(JSON.parse(line) as SqlServiceOptions);
  process.stdout.write(`${JSON.stringify({ url: service.url })}\n`);
  await closed;
  await service.close();
  return 0;
}

if (import.meta.main) await runProgram(main);
