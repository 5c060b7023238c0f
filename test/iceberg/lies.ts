/** What a request asks of the catalog. */
export type Operation = 'config' | 'namespace' | 'create-namespace' | 'load' | 'create' | 'commit';

/** How the catalog deals with one request instead of doing what the specification says. */
export interface Lie {
  on: Operation;
  /** Whether what was asked for happens: at once, never, or when the test lets it arrive. */
  happens: 'now' | 'never' | 'late';
  /** `true`: as the request deserves. `lost`: the connection breaks. `hangs`: nothing ever comes. */
  answer: 'true' | 'lost' | 'hangs' | LiedAnswer;
}

export interface LiedAnswer {
  status: number;
  body: string;
  headers?: Record<string, string>;
}

const JSON_TYPE = { 'content-type': 'application/json' };
const HTML = '<!DOCTYPE html><html><body><h1>Bad gateway</h1></body></html>';

/** The error body of the specification (REST spec, ErrorModel). */
export function errorAnswer(status: number, type: string, message: string): LiedAnswer {
  return { status, body: JSON.stringify({ error: { message, type, code: status } }), headers: JSON_TYPE };
}

/** The ways the catalog lies, by name. */
export const lie = {
  lostRequest: (on: Operation): Lie => ({ on, happens: 'never', answer: 'lost' }),
  lostAnswer: (on: Operation): Lie => ({ on, happens: 'now', answer: 'lost' }),
  hangs: (on: Operation): Lie => ({ on, happens: 'now', answer: 'hangs' }),
  late: (on: Operation): Lie => ({ on, happens: 'late', answer: 'lost' }),
  /** Basin Catalog, limits: over the rate it answers 429 with `Retry-After: 60`. */
  throttled: (on: Operation, retryAfter: string | null = '60'): Lie => ({
    on,
    happens: 'never',
    answer: {
      ...errorAnswer(429, 'TooManyRequestsException', 'too many commits to this table'),
      headers: retryAfter === null ? JSON_TYPE : { ...JSON_TYPE, 'retry-after': retryAfter },
    },
  }),
  /** Basin Catalog, commit errors: a lost race within the catalog, after its own retries. */
  concurrentUpdate: (happens: Lie['happens'] = 'never'): Lie => ({
    on: 'commit',
    happens,
    answer: errorAnswer(400, 'ConcurrentUpdateError', 'the table was changed by another request'),
  }),
  /** REST spec, updateTable, 500, 502 and 504: the commit state is unknown. */
  serverError: (on: Operation, { status = 500, happens = 'now' as Lie['happens'] } = {}): Lie => ({
    on,
    happens,
    answer: errorAnswer(status, 'CommitStateUnknownException', 'Internal Server Error'),
  }),
  html: (on: Operation, { status = 502, happens = 'now' as Lie['happens'] } = {}): Lie => ({
    on,
    happens,
    answer: { status, body: HTML, headers: { 'content-type': 'text/html' } },
  }),
  plainText: (on: Operation, { status = 403, body = 'Forbidden' } = {}): Lie => ({
    on,
    happens: 'never',
    answer: { status, body, headers: { 'content-type': 'text/plain' } },
  }),
};
