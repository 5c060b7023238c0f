import { joinBytes } from '../../bytes.ts';
import { parseExactJson } from '../../exact-json.ts';
import { retryAfterMs } from '../../http-headers.ts';
import { CatalogError, type CatalogErrorKind, NOT_A_CATALOG_HINT } from '../errors.ts';

/** A table's metadata grows by some 700 bytes a snapshot: this is eight months of a commit every 15 minutes. */
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;
/** Error messages quote at most so many characters of an answer. */
const QUOTE_LENGTH_MAX = 200;

/** A request that changes the catalog. */
export interface CatalogWrite {
  operation: 'namespace' | 'create' | 'commit';
  /** Empty for a namespace. */
  table: string;
}

/** What the reader of an answer must know of the request. */
export interface CatalogRequest {
  /** The subject of error messages, for example `catalog commit npm_package`. */
  subject: string;
  /** Null for a request that only reads. */
  write: CatalogWrite | null;
  /** It asks for the catalog's configuration. */
  isConfig?: boolean;
}

interface ErrorModel {
  type: string;
  message: string;
}

const HINTS: Partial<Record<CatalogErrorKind, string>> = {
  unauthorized: 'Set a valid Cloudflare API token for the catalog.',
  forbidden: 'The token needs Workers R2 Data Catalog Write and Workers R2 Storage Bucket Item Write.',
  throttled: 'The catalog limits writes: wait as long as it asks for.',
  unanswered: 'Try again; after a write, load the table first to see whether it was carried out.',
  'not-a-catalog': NOT_A_CATALOG_HINT,
};
const OTHER_HINT = 'Load the table to see what it holds now.';

/** The kinds of failures that the status decides, unless the answer is a page. */
const KINDS_BY_STATUS: Partial<Record<number, CatalogErrorKind>> = {
  401: 'unauthorized',
  403: 'forbidden',
  419: 'unauthorized',
  429: 'throttled',
};

/** What status 409 means. */
const CONFLICT_KINDS: Record<CatalogWrite['operation'], CatalogErrorKind> = {
  namespace: 'already-exists',
  create: 'already-exists',
  commit: 'conflict',
};

/**
 * The JSON of an answer; null when it is empty. Throws `CatalogError`, whose kind, status and `Retry-After` decide what
 * to do next. The message quotes the answer, but never the token.
 */
export async function readAnswer(
  response: Response,
  request: CatalogRequest,
  { token, nowMs }: { token: string; nowMs: number },
): Promise<unknown> {
  const { status } = response;
  const text = await readText(response, request);
  const json = jsonOf(text);
  if (status >= 200 && status < 300) {
    if (text === '') return null;
    if (json !== undefined) return json;
  }
  const model = errorModel(json);
  const got = quote(model ? `${model.type}: ${model.message}` : describeText(text), token);
  const facts = { status, got, retryAfterMs: retryAfterMs(response.headers.get('retry-after'), nowMs) };
  const outcome = outcomeOf(request, { status, model, isPage: isPage(text) });
  throw failure(request, outcome, facts);
}

/** The failure of a request without a readable answer. `got` must not quote an error, which may hold the headers. */
export function unanswered(request: CatalogRequest, got: string): CatalogError {
  return failure(request, { kind: 'unanswered', outcomeUnknown: request.write !== null }, { got });
}

interface Outcome {
  kind: CatalogErrorKind;
  /** The catalog may have carried out the request. */
  outcomeUnknown: boolean;
}

function outcomeOf(
  { write }: CatalogRequest,
  { status, model, isPage }: { status: number; model: ErrorModel | null; isPage: boolean },
): Outcome {
  const isWrite = write !== null;
  const kind = KINDS_BY_STATUS[status];
  // A page that denies access is a gateway's: no catalog answers so, and it says nothing of the token.
  if (kind && !(isPage && status !== 429)) return { kind, outcomeUnknown: false };
  // REST spec, updateTable: after 500, 502 and 504 the state of a commit is unknown. Treat every 5xx the same.
  if (status >= 500) return { kind: 'unanswered', outcomeUnknown: isWrite };
  // Without Iceberg's error JSON a proxy, or a server that is no catalog, answered: the answer says nothing of a table.
  if (model === null) return { kind: 'not-a-catalog', outcomeUnknown: isWrite && status < 400 };
  if (status === 404) return { kind: 'not-found', outcomeUnknown: false };
  if (status === 409) return { kind: CONFLICT_KINDS[write?.operation ?? 'commit'], outcomeUnknown: false };
  // Basin Catalog tries a commit several times when other commits interfere. This answer is that of its last try, so an
  // earlier try may have succeeded.
  if (status === 400 && /ConcurrentUpdateError/.test(`${model.type} ${model.message}`)) {
    return { kind: 'conflict', outcomeUnknown: isWrite };
  }
  return { kind: 'refused', outcomeUnknown: false };
}

function failure(
  { subject, isConfig = false }: CatalogRequest,
  { kind, outcomeUnknown }: Outcome,
  { got, status = null, retryAfterMs = null }: { got: string; status?: number | null; retryAfterMs?: number | null },
): CatalogError {
  const message = `${subject}: expected an answer, got ${status === null ? got : `${status} ${got}`}`;
  const hint = HINTS[kind] ?? OTHER_HINT;
  return new CatalogError(kind, message, { hint, status, retryAfterMs, outcomeUnknown, isConfig });
}

/** Iceberg's error JSON (REST spec, IcebergErrorResponse); null of anything else. */
function errorModel(json: unknown): ErrorModel | null {
  const error = (json as { error?: Partial<ErrorModel> } | null | undefined)?.error;
  if (typeof error !== 'object' || error === null) return null;
  return { type: String(error.type ?? 'error'), message: String(error.message ?? '') };
}

function jsonOf(text: string): unknown {
  try {
    return parseExactJson(text);
  } catch {
    return undefined;
  }
}

function describeText(text: string): string {
  if (text === '') return 'nothing';
  return isPage(text) ? 'HTML' : `text: ${text}`;
}

function isPage(text: string): boolean {
  return /^\s*<(!doctype|html|\?xml)/i.test(text);
}

function quote(text: string, token: string): string {
  const line = text.replaceAll(token, '…').replace(/\s+/g, ' ');
  return line.length <= QUOTE_LENGTH_MAX ? line : `${line.slice(0, QUOTE_LENGTH_MAX)}…`;
}

async function readText(response: Response, request: CatalogRequest): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    if (bytes > ANSWER_BYTES_MAX) throw unanswered(request, `more than ${ANSWER_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  return new TextDecoder().decode(joinBytes(chunks));
}
