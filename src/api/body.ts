import { joinBytes } from '../bytes.ts';
import { LIMITS } from '../config.ts';
import { ApiError } from './answer.ts';
import { refuseOtherFields } from './fields.ts';
import { elementsOf, linesOf, type Piece } from './json-stream.ts';

/** A body that is read as a whole is a filter, or a list of a thousand ids. */
const BODY_BYTES_MAX = 100_000;

/**
 * Reads a body: an empty one, or a JSON object with no other fields than these. Throws `invalid_body`, or `too_large`
 * for a longer one.
 */
export async function readBody(
  body: ReadableStream<Uint8Array> | null,
  options: { fields: string[]; hint: string },
): Promise<Record<string, unknown>> {
  const { hint } = options;
  return readObject(await readText(body, { bytesMax: BODY_BYTES_MAX, hint, rest: 'read' }), options);
}

/** Reads the text of a body as `readBody` does. Throws `invalid_body`. */
export function readObject(
  text: string,
  { fields, hint }: { fields: string[]; hint: string },
): Record<string, unknown> {
  if (text.trim() === '') return {};
  const body = parsed(text);
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new ApiError('invalid_body', 'body: expected nothing or a JSON object, got something else', hint);
  }
  refuseOtherFields(body, { subject: 'body', fields, hint });
  return body as Record<string, unknown>;
}

/**
 * Reads a body as text. Throws `too_large`, or `invalid_body` for bytes that are not UTF-8. `rest` says what happens to
 * the bytes over the limit: `read` reads them too, because a client that is still sending does not read the answer.
 */
export async function readText(
  body: ReadableStream<Uint8Array> | null,
  { bytesMax, hint, rest }: { bytesMax: number; hint: string; rest: 'read' | 'cancel' },
): Promise<string> {
  if (body === null) return '';
  const reader = body.getReader();
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false });
  let text = '';
  let bytes = 0;
  for (;;) {
    const { done, value: chunk } = await reader.read();
    if (done) break;
    bytes += chunk.length;
    if (bytes <= bytesMax) text += decode(decoder, chunk, hint);
    else if (rest === 'cancel') break;
  }
  if (bytes > bytesMax) {
    void reader.cancel().catch(() => {});
    throw new ApiError('too_large', `body: expected at most ${bytesMax} bytes, got more`, hint);
  }
  return text + decode(decoder, undefined, hint);
}

/**
 * Reads a body as bytes. Throws `too_large` as soon as it is longer, and reads no more then; `invalid_body` when the
 * client breaks off.
 */
export async function readBytes(
  body: ReadableStream<Uint8Array> | null,
  { bytesMax, hint }: { bytesMax: number; hint: string },
): Promise<Uint8Array> {
  if (body === null) return new Uint8Array(0);
  const reader = body.getReader();
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for (;;) {
    const { done, value: chunk } = await reader.read().catch(() => {
      throw new ApiError('invalid_body', 'body: expected its end, got a broken connection', hint);
    });
    if (done) return joinBytes(chunks);
    bytes += chunk.length;
    if (bytes > bytesMax) {
      void reader.cancel().catch(() => {});
      throw new ApiError('too_large', `body: expected at most ${bytesMax} bytes, got more`, hint);
    }
    chunks.push(chunk);
  }
}

function decode(decoder: TextDecoder, chunk: Uint8Array | undefined, hint: string): string {
  try {
    return chunk === undefined ? decoder.decode() : decoder.decode(chunk, { stream: true });
  } catch {
    throw new ApiError('invalid_body', 'body: expected UTF-8, got other bytes', hint);
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A request whose body is read while it arrives. */
export interface StreamedRequest {
  headers: Headers;
  body: ReadableStream<Uint8Array> | null;
}

/** Cuts a body into the elements of a JSON list or into lines, by its content type. Throws `invalid_body`, `too_large`. */
export function piecesOf({ headers, body }: StreamedRequest, hint: string): AsyncIterable<Piece> {
  if (body === null) throw new ApiError('invalid_body', 'body: expected one, got none', hint);
  const type = (headers.get('content-type') ?? '').split(';')[0]!.trim().toLowerCase();
  const chunks = limited(body, hint);
  if (type === 'application/json') return elementsOf(chunks);
  if (['', 'application/x-ndjson', 'application/jsonl', 'application/ndjson', 'text/plain'].includes(type))
    return linesOf(chunks);
  throw new ApiError(
    'invalid_body',
    `content-type: expected JSON or NDJSON, got ${JSON.stringify(type.slice(0, 100))}`,
    hint,
  );
}

/** The chunks of a body up to the limit of a request. Throws `invalid_body` when the client breaks off. */
async function* limited(body: ReadableStream<Uint8Array>, hint: string): AsyncGenerator<Uint8Array> {
  const reader = body.getReader();
  let bytes = 0;
  for (;;) {
    const { done, value: chunk } = await reader.read().catch(() => {
      throw new ApiError('invalid_body', 'body: expected its end, got a broken connection', hint);
    });
    if (done) return;
    bytes += chunk.length;
    if (bytes > LIMITS.pushBytesMax)
      throw new ApiError(
        'too_large',
        `body: expected at most ${LIMITS.pushBytesMax} bytes, got more`,
        'Send it in parts.',
      );
    yield chunk;
  }
}
