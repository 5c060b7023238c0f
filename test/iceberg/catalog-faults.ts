/** What a request does. */
export type Operation = 'config' | 'namespace' | 'create-namespace' | 'load' | 'create' | 'commit';

/** How the catalog treats one request instead of following the specification. */
export interface CatalogFault {
  on: Operation;
  /** When the catalog carries out the request. `late`: when the test calls `deliverLate`. */
  effect: 'now' | 'never' | 'late';
  /** `lost`: the connection breaks. `hangs`: no answer ever comes. */
  answer: 'lost' | 'hangs' | CatalogAnswer;
}

export interface CatalogAnswer {
  status: number;
  body: string;
  headers?: Record<string, string>;
}

const JSON_TYPE = { 'content-type': 'application/json' };
const HTML = '<!DOCTYPE html><html><body><h1>Bad gateway</h1></body></html>';

/** The error body of the specification (REST spec, ErrorModel). */
export function errorAnswer(status: number, type: string, message: string): CatalogAnswer {
  return { status, body: JSON.stringify({ error: { message, type, code: status } }), headers: JSON_TYPE };
}

export const catalogFault = {
  lostRequest: (on: Operation): CatalogFault => ({ on, effect: 'never', answer: 'lost' }),
  lostAnswer: (on: Operation): CatalogFault => ({ on, effect: 'now', answer: 'lost' }),
  hangs: (on: Operation): CatalogFault => ({ on, effect: 'now', answer: 'hangs' }),
  late: (on: Operation): CatalogFault => ({ on, effect: 'late', answer: 'lost' }),
  /** Basin Catalog, limits: above the rate it answers 429 with `Retry-After: 60`. */
  throttled: (on: Operation, retryAfter: string | null = '60'): CatalogFault => ({
    on,
    effect: 'never',
    answer: {
      ...errorAnswer(429, 'TooManyRequestsException', 'too many commits to this table'),
      headers: retryAfter === null ? JSON_TYPE : { ...JSON_TYPE, 'retry-after': retryAfter },
    },
  }),
  /** Basin Catalog, commit errors: other commits interfered with each of its own retries. */
  concurrentUpdate: (effect: CatalogFault['effect'] = 'never'): CatalogFault => ({
    on: 'commit',
    effect,
    answer: errorAnswer(400, 'ConcurrentUpdateError', 'the table was changed by another request'),
  }),
  /** REST spec, updateTable, 409: a requirement does not hold. `now`: an earlier copy of the same request succeeded. */
  conflict: (effect: CatalogFault['effect'] = 'never'): CatalogFault => ({
    on: 'commit',
    effect,
    answer: errorAnswer(409, 'CommitFailedException', 'Requirement failed: branch has changed'),
  }),
  /** REST spec, updateTable, 500, 502 and 504: the commit state is unknown. */
  serverError: (on: Operation, { status = 500, effect = 'now' as CatalogFault['effect'] } = {}): CatalogFault => ({
    on,
    effect,
    answer: errorAnswer(status, 'CommitStateUnknownException', 'Internal Server Error'),
  }),
  html: (on: Operation, { status = 502, effect = 'now' as CatalogFault['effect'] } = {}): CatalogFault => ({
    on,
    effect,
    answer: { status, body: HTML, headers: { 'content-type': 'text/html' } },
  }),
  plainText: (on: Operation, { status = 403, body = 'Forbidden' } = {}): CatalogFault => ({
    on,
    effect: 'never',
    answer: { status, body, headers: { 'content-type': 'text/plain' } },
  }),
};
