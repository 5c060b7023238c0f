import { CatalogError, type CatalogErrorKind } from '../errors.ts';
import { parseExactJson } from '../format/exact-json.ts';

/** A table's metadata grows by some 700 bytes a snapshot: this is eight months of a commit every 15 minutes. */
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;
/** Characters of a catalog's own words that are told. */
const WORDS_MAX = 200;
const SECOND = 1000;

/** What was asked, for the one who reads what came of it. */
export interface Asked {
  /** For example `catalog commit npm_package`. */
  subject: string;
  /** It changes something: without a clear answer its outcome is unknown. */
  changes: boolean;
  /** What 409 means here. */
  onConflict: 'already-exists' | 'conflict';
}

interface ErrorModel {
  type: string;
  message: string;
}

const HINTS: Record<'unauthorized' | 'forbidden' | 'throttled' | 'unanswered' | 'not-a-catalog', string> = {
  unauthorized: 'Set a valid Cloudflare API token for the catalog.',
  forbidden: 'The token needs Workers R2 Data Catalog Write and Workers R2 Storage Bucket Item Write.',
  throttled: 'The catalog limits its writes: wait as long as it asks for.',
  unanswered: 'Try again; after a change, load the table first and see what became of it.',
  'not-a-catalog': 'Check that the URI is that of an Iceberg REST catalog.',
};

/**
 * The JSON of an answer, null of an empty one. Throws `CatalogError`, whose kind, status and `Retry-After` say what to do
 * next; what the catalog says is quoted, the token never.
 */
export async function readAnswer(
  response: Response,
  asked: Asked,
  { token, nowMs }: { token: string; nowMs: number },
): Promise<unknown> {
  const { status } = response;
  const text = await boundedText(response, asked);
  if (status >= 200 && status < 300) {
    if (text === '') return null;
    const answer = jsonOf(text);
    if (answer !== undefined) return answer;
    const got = toldWords(kindOfText(text), token);
    throw failure('not-a-catalog', asked, { status, got, outcomeUnknown: asked.changes });
  }
  const model = errorModel(text);
  const got = model ? `${model.type}: ${model.message}` : kindOfText(text);
  return refuse({ asked, status, model, got: toldWords(got, token), retryAfterMs: retryAfterMs(response, nowMs) });
}

/** The failure of a request that nothing is known of. The error's own words may hold the headers: they stay here. */
export function unanswered(asked: Asked, got: string): CatalogError {
  return failure('unanswered', asked, { got, outcomeUnknown: asked.changes });
}

function refuse({
  asked,
  status,
  model,
  got,
  retryAfterMs,
}: {
  asked: Asked;
  status: number;
  model: ErrorModel | null;
  got: string;
  retryAfterMs: number | null;
}): never {
  const facts = { status, got, retryAfterMs };
  if (status === 401 || status === 419) throw failure('unauthorized', asked, facts);
  if (status === 403) throw failure('forbidden', asked, facts);
  if (status === 429) throw failure('throttled', asked, facts);
  // REST spec, updateTable: after 500, 502 and 504 the state of a commit is unknown. So it is after any other of them.
  if (status >= 500) throw failure('unanswered', asked, { ...facts, outcomeUnknown: asked.changes });
  // Whatever else is no Iceberg error comes from something in between, or from no catalog: it says nothing of a table.
  if (model === null)
    throw failure('not-a-catalog', asked, { ...facts, outcomeUnknown: asked.changes && status < 400 });
  if (status === 404) throw failure('not-found', asked, facts);
  if (status === 409) throw failure(asked.onConflict, asked, facts);
  // Basin Catalog's answer to a commit that lost a race within it: it has tried more than once, and tells of the last.
  if (status === 400 && /ConcurrentUpdateError/.test(`${model.type} ${model.message}`)) {
    throw failure('conflict', asked, { ...facts, outcomeUnknown: asked.changes });
  }
  throw failure('refused', asked, facts);
}

function failure(
  kind: CatalogErrorKind,
  { subject }: Asked,
  {
    got,
    status = null,
    ...facts
  }: { got: string; status?: number | null; retryAfterMs?: number | null; outcomeUnknown?: boolean },
): CatalogError {
  const told = status === null ? got : `${status} ${got}`;
  const hint = HINTS[kind as keyof typeof HINTS] ?? 'Load the table and see what it holds now.';
  return new CatalogError(kind, `${subject}: expected an answer, got ${told}`, { hint, status, ...facts });
}

/** Iceberg's error JSON (REST spec, IcebergErrorResponse); null of anything else. */
function errorModel(text: string): ErrorModel | null {
  const error = (jsonOf(text) as { error?: Partial<ErrorModel> } | null | undefined)?.error;
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

function kindOfText(text: string): string {
  if (text === '') return 'nothing';
  return /^\s*<(!doctype|html|\?xml)/i.test(text) ? 'HTML' : `text: ${text}`;
}

function toldWords(text: string, token: string): string {
  const words = text.replaceAll(token, '…').replace(/\s+/g, ' ');
  return words.length <= WORDS_MAX ? words : `${words.slice(0, WORDS_MAX)}…`;
}

/** `Retry-After` in milliseconds (RFC 9110, 10.2.3: seconds, or a date); null when it says nothing. */
function retryAfterMs({ headers }: Response, nowMs: number): number | null {
  const text = headers.get('retry-after')?.trim() ?? '';
  if (/^\d{1,9}$/.test(text)) return Number(text) * SECOND;
  // A date begins with its day; the parser would make one of nearly anything.
  const atMs = /^[A-Z][a-z]{2},/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(atMs) ? null : Math.max(0, atMs - nowMs);
}

async function boundedText(response: Response, asked: Asked): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    if (bytes > ANSWER_BYTES_MAX) throw unanswered(asked, `more than ${ANSWER_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  return new TextDecoder().decode(Buffer.concat(chunks));
}
