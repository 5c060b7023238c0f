import { joinBytes } from '../bytes.ts';
import { LIMITS } from '../config.ts';

/** One value of a body. `line` (in a list, the position) counts from 1; `bytes` is null when it is over the limit. */
export interface Piece {
  line: number;
  bytes: Uint8Array | null;
}

const [NEWLINE, QUOTE, BACKSLASH, COMMA] = [0x0a, 0x22, 0x5c, 0x2c];
const [OPEN_LIST, CLOSE_LIST, OPEN_MAP, CLOSE_MAP] = [0x5b, 0x5d, 0x7b, 0x7d];

/** Cuts a body into its lines. Empty lines are left out, but counted. */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Piece> {
  const pending = new PendingBytes();
  let line = 1;
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      pending.add(chunk.subarray(start, end));
      const bytes = pending.take();
      if (bytes === null || !isBlank(bytes)) yield { line, bytes };
      line += 1;
      start = end + 1;
    }
    pending.add(chunk.subarray(start));
  }
  const bytes = pending.take();
  if (bytes === null || !isBlank(bytes)) yield { line, bytes };
}

/** Cuts a JSON list into its elements; any other body is one piece. Only the caller parses the pieces. */
export async function* elementsOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Piece> {
  const pending = new PendingBytes();
  const scanner = new ListScanner();
  let line = 1;
  for await (const chunk of chunks) {
    let start = 0;
    for (let index = 0; index < chunk.length; index++) {
      const cut = scanner.next(chunk[index]!);
      if (cut === null) continue;
      pending.add(chunk.subarray(start, index));
      start = index + 1;
      if (cut === 'begin') pending.take();
      else {
        const bytes = pending.take();
        // A list without elements has one blank piece.
        if (cut === 'element' || bytes === null || !isBlank(bytes)) yield { line, bytes };
        line += 1;
      }
    }
    pending.add(chunk.subarray(start));
  }
  const bytes = pending.take();
  if (bytes === null || !isBlank(bytes)) yield { line, bytes };
}

/** Finds where the elements of a list end: it follows only quotes and the depth of brackets. */
class ListScanner {
  #depth = 0;
  #isList: boolean | null = null;
  #isText = false;
  #isEscaped = false;

  /** Says whether this byte begins the list, ends an element (its comma) or ends the list; null for all other bytes. */
  next(byte: number): 'begin' | 'element' | 'end' | null {
    if (this.#isText) {
      if (this.#isEscaped) this.#isEscaped = false;
      else if (byte === BACKSLASH) this.#isEscaped = true;
      else if (byte === QUOTE) this.#isText = false;
      return null;
    }
    if (this.#isList === null && !isSpace(byte)) {
      this.#isList = byte === OPEN_LIST;
      if (this.#isList) return 'begin';
    }
    if (byte === QUOTE) this.#isText = true;
    else if (byte === OPEN_LIST || byte === OPEN_MAP) this.#depth += 1;
    else if (this.#isList && this.#depth === 0 && byte === COMMA) return 'element';
    else if (this.#isList && this.#depth === 0 && byte === CLOSE_LIST) {
      // Bytes after the list become one more piece, which does not parse.
      this.#isList = false;
      return 'end';
    } else if (byte === CLOSE_LIST || byte === CLOSE_MAP) this.#depth -= 1;
    return null;
  }
}

/** Gathers the bytes of one piece. Drops them, and gives null, when the piece is over the limit. */
class PendingBytes {
  #parts: Uint8Array[] = [];
  #bytes = 0;

  add(part: Uint8Array): void {
    this.#bytes += part.length;
    if (this.#bytes > LIMITS.pushLineBytesMax) this.#parts = [];
    // Copy, because the stream may use the chunk's memory again.
    else if (part.length > 0) this.#parts.push(part.slice());
  }

  take(): Uint8Array | null {
    const isWhole = this.#bytes <= LIMITS.pushLineBytesMax;
    const bytes = isWhole ? joinBytes(this.#parts) : null;
    this.#parts = [];
    this.#bytes = 0;
    return bytes;
  }
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === NEWLINE || byte === 0x0d || byte === 0x09;
}

function isBlank(bytes: Uint8Array): boolean {
  return bytes.every(isSpace);
}
