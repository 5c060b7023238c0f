import { LIMITS } from '../config.ts';
import { ApiError } from './answer.ts';
import { elementsOf, linesOf, type Piece } from './json-stream.ts';

/** A request whose body is read as it comes. */
export interface StreamedRequest {
  headers: Headers;
  body: ReadableStream<Uint8Array> | null;
}

/** The values of a body by its content type: the elements of a JSON list, or lines. Throws `invalid_body`, `too_large`. */
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

/** The chunks of a body, up to what a request may have; whoever sends it may break off. */
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
