import { joinBytes } from '../../bytes.ts';
import { ChangeError } from '../../errors.ts';
import { LIMITS, MiB } from '../../limits.ts';
import type { Fetched } from '../source.ts';
import { type JsonAnswer, notJsonFault } from './json.ts';

/** Documents that are stored unparsed are put in parts of this size. R2 requires at least 5 MiB, and equal parts except the last. */
export const DOCUMENT_PART_BYTES = 8 * MiB;

/** A document that needs more memory than it has in this call; another call loads its change. */
export class LargeDocument extends Error {
  override readonly name = 'LargeDocument';
}

/** An upload of an object in parts. The object exists after `complete`; after `abort` nothing of it is left. */
export interface Upload {
  /** Puts the next part. The caller may overwrite the bytes afterwards. */
  part(bytes: Uint8Array): Promise<void>;
  complete(): Promise<'put' | 'newer-exists'>;
  abort(): Promise<void>;
}

export interface BodyOptions {
  subject: string;
  /** A longer body is `too-large`; where null, what is stored is the limit. */
  bytesMax: number | null;
  /** A longer document belongs into another call; null where this call may read any. */
  sharedBytesMax: number | null;
  /** Starts the upload of a body too large for memory; null where such a body is only refused. */
  openUpload: (() => Promise<Upload>) | null;
  /** Notes bytes that were read. */
  received(bytes: number): void;
  /** Returns the error of a connection that broke before the end of the body. */
  countFault(reason: 'truncated', error: unknown): Error;
  /** Throws when the time for the answer is up. */
  checkTime(): void;
}

export type Received = JsonAnswer & Fetched & { headers: Headers };

/** The last bytes of a document that are checked for a closing bracket: JSON does not end with more white space. */
const TAIL_BYTES = 1024;

/**
 * Reads a body to its end, within the size limits, and returns its bytes. Throws `ChangeError`, and `LargeDocument` for a
 * body that this call may not read. A body too large to be parsed is `too-large`, also after it was uploaded.
 */
export async function readBody(response: Response, options: BodyOptions): Promise<Omit<Received, 'freshMs'>> {
  const { headers } = response;
  const contentType = headers.get('content-type');
  const encoded = isEncoded(headers);
  const expectedBytes = announcedLength(headers);
  const reader = response.body?.getReader();
  const body = new Body(options, { contentType, encoded });
  try {
    // Refuse a body that announces too many bytes before reading it.
    body.checkSize(expectedBytes ?? 0);
    // Read chunk by chunk, so that a body of unknown length is refused as soon as it is too large.
    while (reader) {
      const { done, value } = await reader
        .read()
        .catch(error => Promise.reject(options.countFault('truncated', error)));
      if (done) break;
      options.received(value.length);
      await body.add(value);
    }
    // Compare the length with the announced one: some runtimes end a broken body like a whole one.
    if (expectedBytes !== null && body.bytes !== expectedBytes)
      throw options.countFault('truncated', `${body.bytes} of ${expectedBytes} bytes`);
    return { bytes: await body.end(), etag: headers.get('etag'), contentType, encoded, headers };
  } catch (error) {
    await body.abandon();
    await reader?.cancel().catch(() => {});
    throw error;
  }
}

/** The announced length in bytes; null where there is none. It counts encoded bytes, so it is of no use for an encoded body. */
export function announcedLength(headers: Headers): number | null {
  const length = isEncoded(headers) ? null : headers.get('content-length');
  return length !== null && /^\d+$/.test(length) ? Number(length) : null;
}

function isEncoded(headers: Headers): boolean {
  const encoding = headers.get('content-encoding');
  return encoding !== null && encoding !== 'identity';
}

/**
 * The bytes of a body so far. A small body stays in the received chunks. A large one is copied into one buffer that
 * holds the largest document that is parsed, so that memory never has the body twice. Whenever the buffer is full and
 * more bytes come, its bytes are uploaded part by part and it is filled again.
 */
class Body {
  /** Bytes read so far. */
  bytes = 0;
  readonly #options: BodyOptions;
  readonly #headers: Omit<JsonAnswer, 'bytes'>;
  #chunks: Uint8Array[] = [];
  #buffer: Uint8Array | null = null;
  #filledBytes = 0;
  #upload: Upload | null = null;

  constructor(options: BodyOptions, headers: Omit<JsonAnswer, 'bytes'>) {
    this.#options = options;
    this.#headers = headers;
  }

  /** Throws when a body of so many bytes may not be read. */
  checkSize(bytes: number): void {
    const { subject, bytesMax, sharedBytesMax, openUpload } = this.#options;
    if (bytesMax !== null && bytes > bytesMax)
      throw new ChangeError('too-large', `${subject}: expected at most ${bytesMax} bytes, got more`);
    if (sharedBytesMax !== null && bytes > sharedBytesMax)
      throw new LargeDocument(`${subject}: expected at most ${sharedBytesMax} bytes in this call, got more`);
    if (bytes > (openUpload ? LIMITS.documentBytesStoredMax : LIMITS.documentBytesParsedMax))
      throw tooLarge(subject, 'got more than is stored');
  }

  async add(chunk: Uint8Array): Promise<void> {
    this.bytes += chunk.length;
    this.checkSize(this.bytes);
    if (this.#buffer) return this.#fill(chunk);
    this.#chunks.push(chunk);
    if (this.bytes <= LIMITS.documentBytesLarge) return;
    this.#buffer = new Uint8Array(LIMITS.documentBytesParsedMax);
    for (const earlier of this.#chunks.splice(0)) await this.#fill(earlier);
  }

  /** Returns all bytes, or completes the upload and throws `too-large`. */
  async end(): Promise<Uint8Array> {
    if (!this.#upload) return this.#buffer ? this.#filled() : joinBytes(this.#chunks);
    const { subject, checkTime } = this.#options;
    this.#checkTail();
    await this.#uploadBuffer();
    // Never complete late: after this call was given up, another one may have put a newer document.
    checkTime();
    const done = await this.#upload.complete();
    this.#upload = null;
    throw tooLarge(
      subject,
      `got ${this.bytes}, ${done === 'put' ? 'stored as they are' : 'older than the stored ones'}`,
    );
  }

  /** Aborts the upload. The bucket itself drops within a week what cannot be aborted now. */
  async abandon(): Promise<void> {
    const upload = this.#upload;
    this.#upload = null;
    this.#buffer = null;
    await upload?.abort().catch(() => {});
  }

  async #fill(chunk: Uint8Array): Promise<void> {
    const buffer = this.#buffer!;
    for (let from = 0; from < chunk.length; ) {
      // Upload a full buffer only when more bytes come: then each of its parts is a whole one.
      if (this.#filledBytes === buffer.length) await this.#uploadBuffer();
      const piece = chunk.subarray(from, from + buffer.length - this.#filledBytes);
      buffer.set(piece, this.#filledBytes);
      this.#filledBytes += piece.length;
      from += piece.length;
    }
  }

  async #uploadBuffer(): Promise<void> {
    const bytes = this.#filled();
    if (!this.#upload) {
      const { subject, openUpload } = this.#options;
      const notJson = notJsonFault(subject, { bytes, contentType: this.#headers.contentType });
      if (notJson) throw notJson;
      this.#upload = await openUpload!();
    }
    for (let from = 0; from < bytes.length; from += DOCUMENT_PART_BYTES)
      await this.#upload.part(bytes.subarray(from, from + DOCUMENT_PART_BYTES));
    this.#filledBytes = 0;
  }

  /** Checks that an uploaded document ends like JSON of its size, with a bracket, because nothing parses it. */
  #checkTail(): void {
    const { subject } = this.#options;
    const tail = new TextDecoder().decode(this.#filled().subarray(-TAIL_BYTES)).trimEnd();
    if (/[}\]]$/.test(tail)) return;
    throw this.#headers.encoded
      ? new ChangeError('truncated', `${subject}: expected JSON, got its beginning`)
      : new ChangeError('malformed-json', `${subject}: expected JSON, got a syntax error at its end`);
  }

  #filled(): Uint8Array {
    return this.#buffer!.subarray(0, this.#filledBytes);
  }
}

function tooLarge(subject: string, actual: string): ChangeError {
  return new ChangeError('too-large', `${subject}: expected at most ${LIMITS.documentBytesParsedMax} bytes, ${actual}`);
}
