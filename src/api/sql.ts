import { messageOf } from '../errors.ts';
import { forR2Sql, type Rewritten } from '../sql/rewrite.ts';
import { isFailure, readPosition, readServiceBody, type ServiceAnswer } from '../sql/service.ts';
import { readSqlSettings, type SqlSettings } from '../sql/settings.ts';
import { explain, SqlError } from '../sql/sql-error.ts';
import { readStatement, type Statement } from '../sql/statement.ts';
import { ApiError, answer } from './answer.ts';
import { readObject, readText } from './body.ts';
import type { ApiCall } from './env.ts';
import { failureAnswer } from './sql-failures.ts';

const QUERY_BYTES_MAX = 100_000;
const BODY_HINT = 'Send {"query": "…"}, one query that reads.';

/** Answers one query that only reads, from R2 SQL (Basin SQL) or its local stand-in. */
export async function querySql({ env, known, request }: ApiCall): Promise<Response> {
  const settings = readSqlSettings({ ...env });
  const query = await readQuery(request.body);
  const names = { bucket: settings.bucket, namespace: settings.namespace, tables: known.tables };
  try {
    const statement = readStatement(query, names);
    if (statement.kind === 'description') {
      const hint = 'GET /v1/tables lists the tables, GET /v1/tables/<table> the columns of one.';
      throw new SqlError('query: expected a SELECT, got a description of tables', { at: 0, hint });
    }
    const { columns, rows, metrics } = await answerOf(query, statement, settings);
    return answer({ columns, rows, row_count: rows.length, metrics });
  } catch (error) {
    if (!(error instanceof SqlError)) throw error;
    throw new ApiError('invalid_query', explain(error, query), error.hint);
  }
}

async function readQuery(body: ReadableStream<Uint8Array> | null): Promise<string> {
  const text = await readText(body, { bytesMax: QUERY_BYTES_MAX, hint: 'Send a shorter query.', rest: 'read' });
  const { query } = readObject(text, { fields: ['query'], hint: BODY_HINT });
  if (typeof query === 'string') return query;
  throw new ApiError(
    'invalid_body',
    `query: expected a text, got ${query === undefined ? 'none' : typeof query}`,
    BODY_HINT,
  );
}

/** Sends the rewritten statement to R2 SQL. Throws `ApiError` when the answer is a failure or over a limit. */
async function answerOf(query: string, statement: Statement, settings: SqlSettings): Promise<ServiceAnswer> {
  const { service, namespace, rowsMax, bytesMax } = settings;
  if (service === null) {
    const hint = 'Set them as secrets of the worker: wrangler secret put R2_SQL_TOKEN. Locally, npm start sets both.';
    throw new ApiError('invalid_setting', 'R2_SQL_ACCOUNT_ID, R2_SQL_TOKEN: expected to be set, got null', hint);
  }
  const rewritten = forR2Sql(statement, { namespace, rowsMax: rowsMax + 1 });
  const { response, text } = await post(rewritten, { ...settings, service });
  if (text === null) {
    const hint = 'Select fewer columns, add a LIMIT, or aggregate. SQL_BYTES_MAX sets the limit.';
    throw new ApiError('too_large', `answer: expected at most ${bytesMax} bytes (SQL_BYTES_MAX), got more`, hint);
  }
  const body = readServiceBody(text);
  if (body === null || isFailure(body) || !response.ok) {
    const failure = body !== null && isFailure(body) ? located(body, { query, statement, rewritten }) : null;
    throw failureAnswer({ status: response.status, headers: response.headers, failure, text });
  }
  if (body.rows.length <= rowsMax) return body;
  const hint = 'Add a LIMIT, or read in pages: ORDER BY the key, and WHERE the key is greater than the last one.';
  throw new ApiError('too_large', `answer: expected at most ${rowsMax} rows (SQL_ROWS_MAX), got more`, hint);
}

/** The service's message with its position translated to the query as the user wrote it. */
function located(
  { code, message }: { code: number | null; message: string },
  { query, statement, rewritten }: { query: string; statement: Statement; rewritten: Rewritten },
) {
  const read = readPosition(message, rewritten.text, []);
  const at = read.at === null ? readPosition(message, query, statement.tokens).at : rewritten.originOf(read.at);
  // The user did not write the LIMIT that the rewriting appends, so do not name it.
  const isAdded = !statement.hasLimit && read.at !== null && rewritten.text.startsWith(' LIMIT', read.at - 1);
  const text = isAdded ? read.message.replace(/"?\bLIMIT\b"?/, 'the end of the query') : read.message;
  return { code, message: explain(new SqlError(text, { at, hint: '' }), query) };
}

/** Posts the query to R2 SQL. `text` is null when the answer is over `bytesMax`. */
async function post(
  { text: query }: Rewritten,
  { service, bytesMax, timeoutMs }: SqlSettings & { service: { url: string; token: string } },
): Promise<{ response: Response; text: string | null }> {
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    const response = await fetch(service.url, {
      method: 'POST',
      headers: { authorization: `Bearer ${service.token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ query }),
      redirect: 'manual',
      signal,
    });
    const text = await readText(response.body, { bytesMax, hint: '', rest: 'cancel' }).catch((error: unknown) => {
      if (error instanceof ApiError && error.code === 'too_large') return null;
      throw error;
    });
    return { response, text };
  } catch (error) {
    if (signal.aborted) {
      const hint = 'Read less: add a WHERE on the key, or select fewer columns. SQL_TIMEOUT_MS sets the limit.';
      throw new ApiError('timeout', `R2 SQL: expected an answer in ${timeoutMs} ms (SQL_TIMEOUT_MS), got none`, hint);
    }
    const { host } = new URL(service.url);
    const hint = 'Try again; locally, npm start says whether its SQL service runs.';
    throw new ApiError('upstream_failed', `R2 SQL at ${host}: cannot be reached (${messageOf(error)})`, hint);
  }
}
