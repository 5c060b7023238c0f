import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { DatabaseSync } from 'node:sqlite';

/** The part of Cloudflare's API that wrangler calls in a deployment, in memory, for one account that begins empty. */
export interface ApiServer {
  url: string;
  /** The account's buckets. */
  buckets: Set<string>;
  databases: Map<string, DatabaseSync>;
  queues: { queue_name: string; queue_id: string; settings: unknown; consumers: unknown[] }[];
  secrets: Map<string, string>;
  /** The metadata of the last upload of a worker. */
  worker: { bindings: { name: string; type: string; [field: string]: unknown }[] } | null;
  crons: unknown;
  /** The requests so far, as `METHOD /path`. */
  requests: string[];
  close(): Promise<void>;
}

const ACCOUNT = { id: 'account-1', name: 'One' };
const PAGE = { page: 1, per_page: 50, count: 1, total_count: 1, total_pages: 1 };

class ApiError extends Error {
  readonly status: number;
  readonly code: number;

  constructor(status: number, code: number, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** Starts the API on a free port. */
export async function startApi(): Promise<ApiServer> {
  const state: ApiServer = {
    url: '',
    buckets: new Set(),
    databases: new Map(),
    queues: [],
    secrets: new Map(),
    worker: null,
    crons: null,
    requests: [],
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
  const server = createServer(async (request, response) => {
    const body = await bodyOf(request);
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://api');
    state.requests.push(`${request.method} ${pathname}`);
    const send = (status: number, answer: unknown) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(answer));
    };
    try {
      const apiPath = pathname.replace(`/accounts/${ACCOUNT.id}`, '');
      const result = answer(state, { method: request.method ?? 'GET', apiPath, query: searchParams, body });
      send(200, { success: true, errors: [], messages: [], result, result_info: PAGE });
    } catch (error) {
      const { status = 500, code = 7000, message } = error as ApiError;
      send(status, { success: false, errors: [{ code, message }], messages: [], result: null });
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  state.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return state;
}

interface ApiRequest {
  method: string;
  apiPath: string;
  query: URLSearchParams;
  body: string;
}

function answer(state: ApiServer, { method, apiPath, query, body }: ApiRequest): unknown {
  const [, first = '', second = '', name = '', last = ''] = apiPath.split('/');
  const call = `${method} ${[first, second].filter(Boolean).join('/')}`;
  if (apiPath === '/user/tokens/verify') return { id: 't', status: 'active' };
  if (apiPath === '/user') return { id: 'u', email: 'me@example.org' };
  if (apiPath === '/accounts') return [ACCOUNT];
  if (apiPath === '/memberships') return [{ id: 'm', account: ACCOUNT }];
  if (first === 'd1') return answerDatabase(state, { method, name, last, body });
  if (first === 'queues') return answerQueue(state, { method, id: second, query, body });
  if (call === 'GET r2/buckets') {
    if (state.buckets.has(name)) return { name, creation_date: '2026-11-25T00:00:00Z' };
    throw new ApiError(404, 10006, 'The specified bucket does not exist.');
  }
  if (call === 'POST r2/buckets') {
    const bucket = JSON.parse(body).name;
    if (state.buckets.has(bucket))
      throw new ApiError(409, 10004, 'The bucket you tried to create already exists, and you own it.');
    state.buckets.add(bucket);
    return { name: bucket };
  }
  if (first === 'workers') return answerWorker(state, { method, apiPath, body });
  throw new ApiError(404, 7003, `no route for ${method} ${apiPath}`);
}

function answerDatabase(
  { databases }: ApiServer,
  { method, name, last, body }: { method: string; name: string; last: string; body: string },
): unknown {
  const found = [...databases.keys()].map(database => ({
    name: database,
    uuid: `id-of-${database}`,
    version: 'production',
  }));
  if (name === '' && method === 'GET') return found;
  if (name === '') {
    const database = JSON.parse(body).name as string;
    if (databases.has(database)) throw new ApiError(409, 7502, 'A database with that name already exists');
    databases.set(database, new DatabaseSync(':memory:'));
    return { name: database, uuid: `id-of-${database}` };
  }
  const database = databases.get(name.replace('id-of-', ''));
  if (database === undefined) throw new ApiError(404, 7404, 'The database could not be found.');
  if (last !== 'query') return found[0];
  const { sql } = JSON.parse(body) as { sql: string };
  const isQuestion = /^\s*SELECT/i.test(sql);
  if (!isQuestion) database.exec(sql);
  const results = isQuestion ? database.prepare(sql).all() : [];
  return [{ results, success: true, meta: { duration: 0 } }];
}

function answerQueue(
  { queues }: ApiServer,
  { method, id, query, body }: { method: string; id: string; query: URLSearchParams; body: string },
): unknown {
  if (id !== '') {
    const queue = queues.find(candidate => candidate.queue_id === id);
    if (method === 'POST') queue?.consumers.push(JSON.parse(body));
    return method === 'GET' ? queue?.consumers : {};
  }
  if (method === 'GET') {
    const name = query.get('name');
    return queues.filter(({ queue_name }) => name === null || queue_name === name);
  }
  const { queue_name, settings } = JSON.parse(body);
  if (queues.some(queue => queue.queue_name === queue_name))
    throw new ApiError(409, 11009, `Queue name '${queue_name}' is already taken.`);
  const made = { queue_name, queue_id: `q${queues.length}`, settings, consumers: [], producers: [] };
  queues.push(made);
  return made;
}

function answerWorker(
  state: ApiServer,
  { method, apiPath, body }: { method: string; apiPath: string; body: string },
): unknown {
  const [, kind = '', , last = ''] = apiPath.split('/').slice(1);
  if (kind === 'subdomain') return { subdomain: 'example' };
  if (kind === 'services') {
    if (state.worker === null) throw new ApiError(404, 10090, 'workers.api.error.service_not_found');
    const script = { id: 'tributary', tag: 'x', tags: [], last_deployed_from: 'wrangler' };
    return { id: 'tributary', default_environment: { environment: 'production', script } };
  }
  if (last === 'secrets' && method === 'PUT') {
    const { name, text } = JSON.parse(body);
    state.secrets.set(name, text);
    return {};
  }
  if (last === 'secrets') return [...state.secrets.keys()].map(name => ({ name, type: 'secret_text' }));
  if (last === 'schedules') {
    state.crons = JSON.parse(body);
    return {};
  }
  if (last === 'deployments') return { deployments: [] };
  if (last === 'subdomain' || kind === 'workers')
    return { subdomain: { enabled: true }, enabled: true, previews_enabled: true };
  if (last === '' && method === 'PUT') {
    state.worker = JSON.parse(/name="metadata"\r\n\r\n(.*)\r\n/.exec(body)![1]!);
    return { id: 'v1', deployment_id: 'd1', startup_time_ms: 1, metadata: {} };
  }
  throw new ApiError(404, 7003, `no route for ${method} ${apiPath}`);
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = '';
  for await (const piece of request.setEncoding('latin1')) body += piece;
  return body;
}
