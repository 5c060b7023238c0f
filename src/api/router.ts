import { type IRequest, Router } from 'itty-router';
import type { ControlAction, RangeAction } from '../contract/controls.ts';
import { messageOf } from '../errors.ts';
import { ApiError, errorAnswer, settingMessage } from './answer.ts';
import { showAudit, startAudit } from './audit.ts';
import type { ApiEnv, Known } from './env.ts';
import { dismissFailed, listFailed, replayFailed, showFailed } from './failed.ts';
import { showHealth } from './health.ts';
import { showCatalog } from './iceberg.ts';
import { showMetrics } from './metrics.ts';
import { controlRange, showRange, startRange } from './ranges.ts';
import { pushRecords } from './records.ts';
import { controlSource, listSources, showSource } from './sources.ts';
import { askSql } from './sql.ts';
import { listTables, showTable } from './tables.ts';
import { requireToken, withoutSecrets } from './token.ts';
import { addKeys, listKeys, removeKey, removeKeys, showKey } from './watched-keys.ts';

type Handler = (request: IRequest, env: ApiEnv, known: Known) => Promise<Response>;

type Route = readonly [method: 'GET' | 'POST' | 'DELETE', path: string, handler: Handler];

/** Every route. Those that change something need the token; reading is open. */
const ROUTES: readonly Route[] = [
  ['GET', '/healthz', (_, env, known) => showHealth(env, known)],
  ['GET', '/metrics', (_, env, known) => showMetrics(env, known)],
  ['GET', '/v1/sources', (_, env, known) => listSources(env, known)],
  ['GET', '/v1/sources/:id', (request, env, known) => showSource(env, known, param(request, 'id'))],
  ['POST', '/v1/sources/:id/start', control('start')],
  ['POST', '/v1/sources/:id/pause', control('pause')],
  ['POST', '/v1/sources/:id/flush', control('flush')],
  [
    'POST',
    '/v1/sources/:id/records',
    withToken((request, env, known) => pushRecords(env, known, { id: param(request, 'id'), request })),
  ],
  [
    'GET',
    '/v1/sources/:id/keys',
    (request, env, known) => listKeys(env, known, { id: param(request, 'id'), query: request.query }),
  ],
  [
    'POST',
    '/v1/sources/:id/keys',
    withToken((request, env, known) => addKeys(env, known, { id: param(request, 'id'), request })),
  ],
  [
    'DELETE',
    '/v1/sources/:id/keys',
    withToken((request, env, known) => removeKeys(env, known, { id: param(request, 'id'), request })),
  ],
  [
    'GET',
    '/v1/sources/:id/keys/:key',
    (request, env, known) => showKey(env, known, { id: param(request, 'id'), name: param(request, 'key') }),
  ],
  [
    'DELETE',
    '/v1/sources/:id/keys/:key',
    withToken((request, env, known) =>
      removeKey(env, known, { id: param(request, 'id'), name: param(request, 'key') }),
    ),
  ],
  ...rangeRoutes('backfill'),
  ...rangeRoutes('rewind'),
  ['GET', '/v1/sources/:id/audit', (request, env, known) => showAudit(env, known, param(request, 'id'))],
  [
    'POST',
    '/v1/sources/:id/audit',
    withToken(async (request, env, known) =>
      startAudit(env, known, { id: param(request, 'id'), text: await request.text() }),
    ),
  ],
  ['GET', '/v1/failed', (request, env, known) => listFailed(env, known, request.query)],
  [
    'POST',
    '/v1/failed/replay',
    withToken(async (request, env, known) => replayFailed(env, known, await request.text())),
  ],
  ['GET', '/v1/failed/:id', (request, env, known) => showFailed(env, known, param(request, 'id'))],
  [
    'POST',
    '/v1/failed/:id/dismiss',
    withToken(async (request, env, known) =>
      dismissFailed(env, known, { id: param(request, 'id'), text: await request.text() }),
    ),
  ],
  ['POST', '/v1/sql', withToken((request, env, known) => askSql(env, known, request))],
  ['GET', '/v1/catalog', (_, env) => showCatalog(env)],
  ['GET', '/v1/tables', (_, env, known) => listTables(env, known)],
  [
    'GET',
    '/v1/tables/:table',
    (request, env, known) => showTable(env, known, { name: param(request, 'table'), query: request.query }),
  ],
];

/** The HTTP API: answers every request, with JSON but for the metrics, and never throws. */
export function createApi(known: Known): { fetch(request: Request, env: ApiEnv): Promise<Response> } {
  const router = Router<IRequest, [ApiEnv], Response>({
    catch: (error: unknown, request, env) => errorAnswer(apiErrorOf(error, { request, env, known })),
  });
  for (const [method, path, handler] of ROUTES) {
    const add = { GET: router.get, POST: router.post, DELETE: router.delete }[method];
    add(path, (request, env) => handler(request, env, known));
  }
  // Behind all routes: what comes this far has the path of one, and another method.
  for (const path of new Set(ROUTES.map(route => route[1]))) router.all(path, () => refuseMethod(path));
  router.all('*', refusePath);
  return { fetch: (request, env) => router.fetch(request, env) };
}

function rangeRoutes(lane: 'backfill' | 'rewind'): Route[] {
  const path = `/v1/sources/:id/${lane}`;
  const act = (action: RangeAction): Route => [
    'POST',
    `${path}/${action}`,
    withToken(async (request, env, known) =>
      controlRange(env, known, { id: param(request, 'id'), lane, action, text: await request.text() }),
    ),
  ];
  return [
    ['GET', path, (request, env, known) => showRange(env, known, { id: param(request, 'id'), lane })],
    [
      'POST',
      path,
      withToken(async (request, env, known) =>
        startRange(env, known, { id: param(request, 'id'), lane, text: await request.text() }),
      ),
    ],
    ...(['pause', 'resume', 'cancel'] as const).map(act),
  ];
}

function control(action: ControlAction): Handler {
  return withToken((request, env, known) => controlSource(env, known, { id: param(request, 'id'), action, request }));
}

function withToken(handler: Handler): Handler {
  return async (request, env, known) => {
    await requireToken(request, env);
    return handler(request, env, known);
  };
}

/** A path's parameter, decoded; what cannot be decoded names nothing. */
function param(request: IRequest, name: string): string {
  try {
    return decodeURIComponent(request.params[name] ?? '');
  } catch {
    return '';
  }
}

function refuseMethod(path: string): never {
  const allow = ROUTES.filter(route => route[1] === path).map(route => route[0]);
  const message = 'This path does not take this method.';
  throw new ApiError('method_not_allowed', message, `Use ${allow.join(', ')}.`, { allow: allow.join(', ') });
}

function refusePath(): never {
  const paths = [...new Set(ROUTES.map(route => route[1]))];
  throw new ApiError('not_found', 'There is nothing at this path.', `Known paths: ${paths.join(', ')}.`);
}

function apiErrorOf(
  error: unknown,
  { request, env, known }: { request: IRequest; env: ApiEnv; known: Known },
): ApiError {
  if (error instanceof ApiError) return error;
  const setting = settingMessage(error);
  if (setting !== null) {
    return new ApiError('invalid_setting', setting, 'Correct this setting of the worker; nothing runs until then.');
  }
  const { method, route } = request;
  known.log('request_failed', {
    method,
    path: route ?? null,
    status: 500,
    message: withoutSecrets(messageOf(error), env),
  });
  // The log has the message; who asks may be anyone.
  return new ApiError(
    'internal',
    'The request could not be answered.',
    'The log of the worker says why: request_failed.',
  );
}
