import { ApiError, type ErrorCode } from './answer.ts';

/** What R2 SQL answered instead of rows. `failure` is null where it is no answer of its own. */
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

const says = (pattern: RegExp) => (failed: FailedAnswer) => pattern.test(failed.failure?.message ?? '');
const RETRY = 'Ask again in a minute.';

/** What each failure of the service means here; the first that fits holds. */
const POLICIES: readonly Policy[] = [
  {
    when: ({ status }) => status === 401 || status === 403,
    code: 'upstream_failed',
    hint: 'R2_SQL_TOKEN wants the permissions Workers R2 SQL Read, Workers R2 Data Catalog Read and Workers R2 Storage Bucket Item Read.',
  },
  { when: ({ status }) => status === 429, code: 'upstream_failed', hint: RETRY },
  {
    when: ({ failure }) => failure === null,
    code: 'upstream_failed',
    hint: 'R2_SQL_URL may name something else than R2 SQL; else ask again.',
  },
  { when: ({ failure, status }) => failure?.code === 80001 || status >= 500, code: 'upstream_failed', hint: RETRY },
  {
    when: says(/memory|too (?:large|much|many)|estimat/i),
    code: 'invalid_query',
    hint: 'Current rows are found by a window over the whole table, for which R2 SQL has only so much memory: ask <table>_history with a WHERE on the key or on updated_at, or npm run sql.',
  },
  {
    when: says(/no field named|column .*not found|unknown column/i),
    code: 'invalid_query',
    hint: 'GET /v1/tables/<table> lists the columns of a table; _lsn, _op and _cursor are in <table>_history.',
  },
  {
    when: says(/table .*(?:not found|does ?n[o']t exist)|no such table/i),
    code: 'invalid_query',
    hint: 'The catalog has this table only after its first commit; npm run sql reads the lake itself.',
  },
  {
    when: () => true,
    code: 'invalid_query',
    hint: 'R2 SQL has its own words for some things: the README lists where they differ.',
  },
];

/** The error that a failed answer of the service becomes; its own words are passed on. */
export function failureAnswer(failed: FailedAnswer): ApiError {
  const { status, headers, failure, text } = failed;
  const { code, hint } = POLICIES.find(({ when }) => when(failed))!;
  const kind = (headers.get('content-type') ?? 'no content type').split(';')[0]!;
  const seen = text.trim().startsWith('<') ? 'a page of HTML' : kind;
  const message =
    failure === null
      ? `R2 SQL: expected its JSON, got status ${status} with ${seen}`
      : `R2 SQL${failure.code === null ? '' : ` ${failure.code}`}: ${failure.message}`;
  const after = headers.get('retry-after');
  return new ApiError(code, message, hint, after === null ? {} : { 'retry-after': after });
}
