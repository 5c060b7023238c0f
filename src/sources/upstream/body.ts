import { LIMITS } from '../../config.ts';
import { ChangeError } from '../../errors.ts';
import type { Fetched } from '../source.ts';
import { type JsonAnswer, notJsonFault } from './json.ts';

/** The document is over `LIMITS.documentBytesLarge` and this call may not load such: hand its change back. */
export class LargeDocument extends Error {
  override readonly name = 'LargeDocument';
}

/** An object that is put in parts; it is there when it is completed, and nothing is when it is aborted. */
export interface Upload {
  /** Puts the next part; the bytes may be used again afterwards. */
  part(bytes: Uint8Array): Promise<void>;
  complete(): Promise<'put' | 'newer-exists'>;
  abort(): Promise<void>;
}

export interface BodyReading {
  subject: string;
  /** Whether a body over `LIMITS.documentBytesLarge` may be read. */
  large: boolean;
  /** Opens the place for a body too large to be held; null where such is only refused. */
  store: (() => Promise<Upload>) | null;
  /** Makes the error of a connection that broke on the way. */
  failed(reason: 'truncated', error: unknown): Error;
  /** Throws when the time for the answer is over. */
  checkTime(): void;
}

export type Received = JsonAnswer & Fetched;

/**
 * Reads a body to its end and gives its bytes. Throws `ChangeError`, and `LargeDocument`; a body too large to be held
 * is `too-large` in any case, also when it was stored.
 */
export async function readBody(response: Response, reading: BodyReading): Promise<Omit<Received, 'freshMs'>> {
  const { headers } = response;
  const encoding = headers.get('content-encoding');
  const encoded = encoding !== null && encoding !== 'identity';
  // The length is that of the bytes on the wire, so it says something about an answer that was not encoded.
  const length = headers.get('content-length');
  const expected = !encoded && length !== null && /^\d+$/.test(length) ? Number(length) : null;
  const contentType = headers.get('content-type');
  const reader = response.body?.getReader();
  const body = new Body(reading, { contentType, encoded });
  try {
    body.check(expected ?? 0);
    while (reader) {
      const { done, value } = await reader.read().catch(error => Promise.reject(reading.failed('truncated', error)));
      if (done) break;
      await body.add(value);
    }
    if (expected !== null && body.size !== expected)
      throw reading.failed('truncated', `${body.size} of ${expected} bytes`);
    return { bytes: await body.end(), etag: headers.get('etag'), contentType, encoded };
  } catch (error) {
    await body.abandon();
    await reader?.cancel().catch(() => {});
    throw error;
  }
}

/**
 * The bytes of a body so far: small ones as they came, large ones in one buffer for the largest that is parsed, so that
 * they are never there twice. Whenever that buffer overflows, it goes into the upload part by part and is filled again.
 */
class Body {
  size = 0;
  readonly #reading: BodyReading;
  readonly #headers: Omit<JsonAnswer, 'bytes'>;
  #chunks: Uint8Array[] = [];
  #buffer: Uint8Array | null = null;
  #filled = 0;
  #upload: Upload | null = null;

  constructor(reading: BodyReading, headers: Omit<JsonAnswer, 'bytes'>) {
    this.#reading = reading;
    this.#headers = headers;
  }

  /** Throws when a body of so many bytes is not to be read on. */
  check(size: number): void {
    const { subject, large, store } = this.#reading;
    if (!large && size > LIMITS.documentBytesLarge)
      throw new LargeDocument(`${subject}: expected at most ${LIMITS.documentBytesLarge} bytes in this call, got more`);
    if (size > (store ? LIMITS.documentBytesStoredMax : LIMITS.documentBytesParsedMax))
      throw tooLarge(subject, 'got more than is stored');
  }

  async add(chunk: Uint8Array): Promise<void> {
    this.size += chunk.length;
    this.check(this.size);
    if (this.#buffer) return this.#hold(chunk);
    this.#chunks.push(chunk);
    if (this.size <= LIMITS.documentBytesLarge) return;
    this.#buffer = new Uint8Array(LIMITS.documentBytesParsedMax);
    for (const held of this.#chunks.splice(0)) await this.#hold(held);
  }

  /** All bytes, or `too-large` when they were stored instead. */
  async end(): Promise<Uint8Array> {
    if (!this.#upload) return this.#buffer ? this.#buffer.subarray(0, this.#filled) : join(this.#chunks, this.size);
    const { subject } = this.#reading;
    this.#checkEnd();
    await this.#flush();
    // Not completed late: who took this call for dead may have put a newer one since.
    this.#reading.checkTime();
    const done = await this.#upload.complete();
    this.#upload = null;
    throw tooLarge(subject, `got ${this.size}, ${done === 'put' ? 'stored as they are' : 'older than what is stored'}`);
  }

  /** Leaves nothing behind. What cannot be taken back now the bucket drops by itself, within a week. */
  async abandon(): Promise<void> {
    const upload = this.#upload;
    this.#upload = null;
    this.#buffer = null;
    await upload?.abort().catch(() => {});
  }

  async #hold(chunk: Uint8Array): Promise<void> {
    const buffer = this.#buffer!;
    for (let at = 0; at < chunk.length; ) {
      // More is to come, so all parts of a full buffer are whole ones.
      if (this.#filled === buffer.length) await this.#flush();
      const piece = chunk.subarray(at, at + buffer.length - this.#filled);
      buffer.set(piece, this.#filled);
      this.#filled += piece.length;
      at += piece.length;
    }
  }

  async #flush(): Promise<void> {
    const held = this.#buffer!.subarray(0, this.#filled);
    if (!this.#upload) {
      const { subject, store } = this.#reading;
      const notJson = notJsonFault(subject, { bytes: held, contentType: this.#headers.contentType });
      if (notJson) throw notJson;
      this.#upload = await store!();
    }
    for (let from = 0; from < held.length; from += LIMITS.documentPartBytes)
      await this.#upload.part(held.subarray(from, from + LIMITS.documentPartBytes));
    this.#filled = 0;
  }

  /** What is not parsed is at least looked at: JSON of this size ends with a bracket. */
  #checkEnd(): void {
    const { subject } = this.#reading;
    const tail = new TextDecoder().decode(this.#buffer!.subarray(0, this.#filled).subarray(-TAIL_BYTES)).trimEnd();
    if (/[}\]]$/.test(tail)) return;
    throw this.#headers.encoded
      ? new ChangeError('truncated', `${subject}: expected JSON, got its beginning`)
      : new ChangeError('malformed-json', `${subject}: expected JSON, got a syntax error at its end`);
  }
}

/** As much of an end as has its last bracket in it. */
const TAIL_BYTES = 1024;

function tooLarge(subject: string, actual: string): ChangeError {
  return new ChangeError('too-large', `${subject}: expected at most ${LIMITS.documentBytesParsedMax} bytes, ${actual}`);
}

function join(chunks: Uint8Array[], size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
