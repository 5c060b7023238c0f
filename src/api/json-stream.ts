import { LIMITS } from '../config.ts';

/** One value of a body: its line (from 1; of an array its place), and its bytes, or null where they are over the limit. */
export interface Piece {
  line: number;
  bytes: Uint8Array | null;
}

const [NEWLINE, QUOTE, BACKSLASH, COMMA] = [0x0a, 0x22, 0x5c, 0x2c];
const [OPEN_LIST, CLOSE_LIST, OPEN_MAP, CLOSE_MAP] = [0x5b, 0x5d, 0x7b, 0x7d];

/** The lines of a body of newline-delimited JSON; empty ones count, and are left out. */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Piece> {
  const gathered = new Gathered();
  let line = 1;
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      gathered.add(chunk.subarray(start, end));
      const bytes = gathered.take();
      if (bytes === null || !isBlank(bytes)) yield { line, bytes };
      line += 1;
      start = end + 1;
    }
    gathered.add(chunk.subarray(start));
  }
  const bytes = gathered.take();
  if (bytes === null || !isBlank(bytes)) yield { line, bytes };
}

/** The elements of a body that is a JSON list, or the body itself. What is no JSON is for who parses the pieces to see. */
export async function* elementsOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Piece> {
  const gathered = new Gathered();
  const scan = new Scan();
  let line = 1;
  for await (const chunk of chunks) {
    let start = 0;
    for (let at = 0; at < chunk.length; at++) {
      const cut = scan.next(chunk[at]!);
      if (cut === null) continue;
      gathered.add(chunk.subarray(start, at));
      start = at + 1;
      if (cut === 'begin') gathered.take();
      else {
        const bytes = gathered.take();
        // A list without elements has one empty piece.
        if (cut === 'element' || bytes === null || !isBlank(bytes)) yield { line, bytes };
        line += 1;
      }
    }
    gathered.add(chunk.subarray(start));
  }
  const bytes = gathered.take();
  if (bytes === null || !isBlank(bytes)) yield { line, bytes };
}

/** Follows a body byte by byte, only as far as to know where elements end: quotes, and how deep brackets stand. */
class Scan {
  #depth = 0;
  #isList: boolean | null = null;
  #isText = false;
  #isEscaped = false;

  /** What this byte does not belong to any more: an element's end, or the brackets of the list. */
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
      // Whatever follows the list is a piece of its own, and no JSON.
      this.#isList = false;
      return 'end';
    } else if (byte === CLOSE_LIST || byte === CLOSE_MAP) this.#depth -= 1;
    return null;
  }
}

/** Bytes of one piece, as they come; those over the limit are let go, and so is the piece. */
class Gathered {
  #parts: Uint8Array[] = [];
  #bytes = 0;

  add(part: Uint8Array): void {
    this.#bytes += part.length;
    if (this.#bytes > LIMITS.pushLineBytesMax) this.#parts = [];
    // Copied: whoever gave the chunk may use its memory again.
    else if (part.length > 0) this.#parts.push(part.slice());
  }

  take(): Uint8Array | null {
    const isWhole = this.#bytes <= LIMITS.pushLineBytesMax;
    const bytes = new Uint8Array(isWhole ? this.#bytes : 0);
    let end = 0;
    for (const part of this.#parts) {
      bytes.set(part, end);
      end += part.length;
    }
    this.#parts = [];
    this.#bytes = 0;
    return isWhole ? bytes : null;
  }
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === NEWLINE || byte === 0x0d || byte === 0x09;
}

function isBlank(bytes: Uint8Array): boolean {
  return bytes.every(isSpace);
}
