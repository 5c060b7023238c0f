import { type IRequest, Router } from 'itty-router';
import { withoutValue } from '../config.ts';
import { messageOf } from '../errors.ts';
import { policyOf } from '../failure-policy.ts';
import { ApiError, errorAnswer, messageOfNamed, settingMessage } from './answer.ts';
import { showAudit, startAudit } from './audit.ts';
import type { ApiEnv, Handler, Known } from './env.ts';
import { dismissFailed, listFailed, replayFailed, showFailed } from './failed.ts';
import { showHealth } from './health.ts';
import { showCatalog } from './iceberg.ts';
import { showMetrics } from './metrics.ts';
import { controlRange, showRange, startRange } from './ranges.ts';
import { pushRecords } from './records.ts';
import { takeSignal } from './signals.ts';
import { controlSource, listSources, showSource } from './sources.ts';
import { querySql } from './sql.ts';
import { listTables, showTable } from './tables.ts';
import { type Access, requireLoopback, requireToken, withoutSecrets } from './token.ts';
import { addKeys, listKeys, removeKey, removeKeys, showKey } from './watched-keys.ts';

/** One route. */
export type Route = readonly [
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  access: Access,
  does: string,
  handler: Handler,
];

/**
 * Every route of the API. Whatever changes something, or runs a query, needs the token, or a signature that its source
 * checks; reading is open without READ_TOKEN.
 */
export const ROUTES: readonly Route[] = [
  ['GET', '/healthz', 'open', 'Shows whether every enabled source is healthy.', showHealth],
  ['GET', '/metrics', 'open', 'Shows all metrics in the text format of Prometheus.', showMetrics],
  ['GET', '/v1/sources', 'open', 'Shows the status of every source.', listSources],
  ['GET', '/v1/sources/:id', 'open', 'Shows the status of one source.', showSource],
  ['POST', '/v1/sources/:id/start', 'token', 'Starts pulling.', controlSource('start')],
  ['POST', '/v1/sources/:id/pause', 'token', 'Pauses pulling; flushes go on.', controlSource('pause')],
  ['POST', '/v1/sources/:id/flush', 'token', 'Flushes all accepted rows now.', controlSource('flush')],
  ['POST', '/v1/sources/:id/records', 'token', 'Appends rows that the client sends.', pushRecords],
  ['GET', '/v1/sources/:id/keys', 'open', 'Lists watched keys.', listKeys],
  ['POST', '/v1/sources/:id/keys', 'token', 'Adds watched keys.', addKeys],
  ['DELETE', '/v1/sources/:id/keys', 'token', 'Removes watched keys.', removeKeys],
  ['GET', '/v1/sources/:id/keys/:key', 'open', 'Shows one watched key.', showKey],
  ['DELETE', '/v1/sources/:id/keys/:key', 'token', 'Removes one watched key.', removeKey],
  ['POST', '/v1/sources/:id/signals', 'signed', 'Takes a hint that watched keys changed.', takeSignal],
  ['GET', '/v1/sources/:id/backfill', 'open', 'Shows the last backfill.', showRange('backfill')],
  ['POST', '/v1/sources/:id/backfill', 'token', 'Starts a backfill.', startRange('backfill')],
  ['POST', '/v1/sources/:id/backfill/pause', 'token', 'Pauses the backfill.', controlRange('backfill', 'pause')],
  ['POST', '/v1/sources/:id/backfill/resume', 'token', 'Resumes the backfill.', controlRange('backfill', 'resume')],
  ['POST', '/v1/sources/:id/backfill/cancel', 'token', 'Cancels the backfill.', controlRange('backfill', 'cancel')],
  ['GET', '/v1/sources/:id/rewind', 'open', 'Shows the last rewind.', showRange('rewind')],
  ['POST', '/v1/sources/:id/rewind', 'token', 'Starts a rewind.', startRange('rewind')],
  ['POST', '/v1/sources/:id/rewind/pause', 'token', 'Pauses the rewind.', controlRange('rewind', 'pause')],
  ['POST', '/v1/sources/:id/rewind/resume', 'token', 'Resumes the rewind.', controlRange('rewind', 'resume')],
  ['POST', '/v1/sources/:id/rewind/cancel', 'token', 'Cancels the rewind.', controlRange('rewind', 'cancel')],
  ['GET', '/v1/sources/:id/audit', 'open', 'Shows the last sweep and the last self-check.', showAudit],
  ['POST', '/v1/sources/:id/audit', 'token', 'Starts a sweep or a self-check.', startAudit],
  ['GET', '/v1/failed', 'open', 'Lists failed changes.', listFailed],
  ['POST', '/v1/failed/replay', 'token', 'Replays dead letters.', replayFailed],
  ['GET', '/v1/failed/:id', 'open', 'Shows one failed change.', showFailed],
  ['POST', '/v1/failed/:id/dismiss', 'token', 'Dismisses a dead letter.', dismissFailed],
  ['POST', '/v1/sql', 'token', 'Answers one query that only reads.', querySql],
  ['GET', '/v1/catalog', 'open', 'Shows how far each table is in the Iceberg catalog.', showCatalog],
  ['GET', '/v1/tables', 'open', 'Shows the facts of every table.', listTables],
  ['GET', '/v1/tables/:table', 'open', 'Shows one table with its columns and live files.', showTable],
];

/** Creates the HTTP API: it answers every request and never throws. */
export function createApi(known: Known): { fetch(request: Request, env: ApiEnv): Promise<Response> } {
  const router = Router<IRequest, [ApiEnv], Response>({
    before: [(request, env) => requireLoopback(request, env)],
    catch: (error: unknown, request, env) => errorAnswer(apiErrorOf(error, { request, env, known })),
  });
  for (const [method, path, access, , handler] of ROUTES) {
    const add = { GET: router.get, POST: router.post, DELETE: router.delete }[method];
    add(path, async (request, env) => {
      // Check the token first, so that a client without it learns nothing about a source.
      requireToken(request, env, access);
      return handler({ env, known, request, param: name => decoded(request.params[name]) });
    });
  }
  // Add these after all routes: a request that matches here has the path of a route and another method.
  for (const path of new Set(ROUTES.map(([, path]) => path))) router.all(path, () => refuseMethod(path));
  router.all('*', refusePath);
  return { fetch: (request, env) => router.fetch(request, env) };
}

/** A parameter that cannot be decoded becomes empty, which names nothing. */
function decoded(param = ''): string {
  try {
    return decodeURIComponent(param);
  } catch {
    return '';
  }
}

function refuseMethod(path: string): never {
  const allow = ROUTES.filter(route => route[1] === path).map(([method]) => method);
  const message = 'This path does not take this method.';
  throw new ApiError('method_not_allowed', message, `Use ${allow.join(', ')}.`, { allow: allow.join(', ') });
}

function refusePath(): never {
  const paths = [...new Set(ROUTES.map(([, path]) => path))];
  throw new ApiError('not_found', 'There is nothing at this path.', `Known paths: ${paths.join(', ')}.`);
}

function apiErrorOf(
  error: unknown,
  { request, env, known }: { request: IRequest; env: ApiEnv; known: Known },
): ApiError {
  if (error instanceof ApiError) return error;
  const setting = settingMessage(error);
  if (setting !== null) {
    // Only who has ADMIN_TOKEN learns the value. A token that is wrong itself is never shown.
    const isOpen = !ROUTES.some(([method, path, access]) => {
      return method === request.method && path === request.route && access === 'token';
    });
    const message = isOpen ? withoutValue(setting) : setting;
    return new ApiError('invalid_setting', message, 'Correct this setting of the worker; nothing runs until then.');
  }
  const layout = messageOfNamed(error, 'JournalLayoutError');
  if (layout !== null) return new ApiError('conflict', layout, policyOf('journal-layout').hint);
  const { method, route } = request;
  known.log('request_failed', {
    method,
    path: route ?? null,
    status: 500,
    message: withoutSecrets(messageOf(error), env),
  });
  // Anyone may have sent the request, so only the log gets the message.
  return new ApiError(
    'internal',
    'The request could not be answered.',
    'The log of the worker says why: request_failed.',
  );
}
