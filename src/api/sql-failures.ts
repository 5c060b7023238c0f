import { ApiError, type ErrorCode } from './answer.ts';

/** An answer of R2 SQL without rows. `failure` is null when the body is not R2 SQL's own JSON. */
interface FailedAnswer {
  status: number;
  headers: Headers;
  failure: { code: number | null; message: string } | null;
  text: string;
}

interface Policy {
  when: (failed: FailedAnswer) => boolean;
  code: ErrorCode;
  hint: string;
}

const messageMatches = (pattern: RegExp) => (failed: FailedAnswer) => pattern.test(failed.failure?.message ?? '');
const RETRY = 'Try again in a minute.';

/** The error code and hint for each failure of the service; the first match applies. */
const POLICIES: readonly Policy[] = [
  {
    when: ({ status }) => status === 401 || status === 403,
    code: 'upstream_failed',
    hint: 'R2_SQL_TOKEN needs the permissions Workers R2 SQL Read, Workers R2 Data Catalog Read and Workers R2 Storage Bucket Item Read.',
  },
  { when: ({ status }) => status === 429, code: 'upstream_failed', hint: RETRY },
  {
    when: ({ failure }) => failure === null,
    code: 'upstream_failed',
    hint: 'R2_SQL_URL may not be the address of R2 SQL; otherwise try again.',
  },
  { when: ({ failure, status }) => failure?.code === 80001 || status >= 500, code: 'upstream_failed', hint: RETRY },
  {
    when: messageMatches(/memory|too (?:large|much|many)|estimat/i),
    code: 'invalid_query',
    hint: 'Current rows need a window over the whole table, which can exceed the memory of R2 SQL: query <table>_history with a WHERE on the key or on updated_at, or use npm run sql.',
  },
  {
    when: messageMatches(/no field named|column .*not found|unknown column/i),
    code: 'invalid_query',
    hint: 'GET /v1/tables/<table> lists the columns of a table; _lsn, _op and _cursor are in <table>_history.',
  },
  {
    when: messageMatches(/table .*(?:not found|does ?n[o']t exist)|no such table/i),
    code: 'invalid_query',
    hint: 'The catalog has this table only after its first commit; npm run sql reads the lake itself.',
  },
  {
    when: () => true,
    code: 'invalid_query',
    hint: 'R2 SQL has its own dialect: the README lists where the dialects differ.',
  },
];

/** Turns a failed answer of the service into an error with the service's own message. */
export function failureAnswer(failed: FailedAnswer): ApiError {
  const { status, headers, failure, text } = failed;
  const { code, hint } = POLICIES.find(({ when }) => when(failed))!;
  const kind = (headers.get('content-type') ?? 'no content type').split(';')[0]!;
  const found = text.trim().startsWith('<') ? 'a page of HTML' : kind;
  const message =
    failure === null
      ? `R2 SQL: expected its JSON, got status ${status} with ${found}`
      : `R2 SQL${failure.code === null ? '' : ` ${failure.code}`}: ${failure.message}`;
  const after = headers.get('retry-after');
  return new ApiError(code, message, hint, after === null ? {} : { 'retry-after': after });
}
