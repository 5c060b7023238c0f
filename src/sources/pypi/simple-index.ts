import { joinBytes } from '../../bytes.ts';
import { ChangeError } from '../../errors.ts';
import { KiB } from '../../limits.ts';
import type { ListedKey } from '../../ports/change.ts';
import { isObject, notJsonFault } from '../upstream/json.ts';
import { keyOf } from './project-name.ts';

const SUBJECT = 'pypi index';

/** Bytes of one entry at most: a name, which the index keeps short, and a serial. */
const ENTRY_BYTES_MAX = 64 * KiB;

/** The first bytes of an answer that are checked for its kind. */
const HEAD_BYTES = 512;

/** The member of the index that lists its projects. */
const PROJECTS = 'projects';

const [QUOTE, BACKSLASH, OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT, COMMA] = new TextEncoder().encode(
  '"\\[]{},',
);

/** What JSON allows between its tokens. */
const WHITE_SPACE = new TextEncoder().encode(' \t\n\r');

/**
 * The projects of the simple index, some at a time as its bytes come: 44 MB of JSON, of which memory holds one chunk. It
 * counts brackets to find the list, and parses the entries that a chunk ends. Throws `truncated` for an index that ends
 * early; what was given before says nothing then.
 */
export async function* readSimpleIndex(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<ListedKey[]> {
  const scanner = new Scanner();
  for await (const chunk of chunks) {
    const keys = scanner.add(chunk);
    if (keys.length > 0) yield keys;
  }
  scanner.end();
}

class Scanner {
  // A byte order mark can only stand at the beginning of the answer, and each of these texts is from its middle.
  readonly #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  #depth = 0;
  #isInText = false;
  #isEscaped = false;
  /** The index has begun, and all of it was read. */
  #hasBegun = false;
  #isWhole = false;
  /** The list of projects was found. */
  #hasProjects = false;
  #isInProjects = false;
  /** The last text at depth 1, which is the name of the member that follows it. */
  #name = '';
  /** Entries of the list were read. */
  #hasEntries = false;
  /** Bytes of the list after its last whole entry. */
  #rest: Uint8Array = new Uint8Array();

  /** Takes the next bytes, and returns the projects that they end. */
  add(chunk: Uint8Array): ListedKey[] {
    if (!this.#hasBegun) this.#begin(chunk);
    const keys: ListedKey[] = [];
    // Where the list begins in this chunk, and where its last whole entry ends.
    let from = 0;
    let entriesEnd = -1;
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at]!;
      if (this.#isInText) this.#readText(byte);
      else if (byte === QUOTE) this.#beginText();
      else if (byte === OPEN_LIST || byte === OPEN_OBJECT) {
        this.#depth += 1;
        if (this.#depth === 1 && byte !== OPEN_OBJECT) throw wrong('the answer to be an object', 'a list');
        if (this.#depth !== 2 || byte !== OPEN_LIST || this.#name !== PROJECTS) continue;
        this.#isInProjects = this.#hasProjects = true;
        this.#hasEntries = false;
        from = at + 1;
      } else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) {
        this.#depth -= 1;
        if (this.#depth < 0) throw malformed();
        if (this.#isInProjects && this.#depth === 2) entriesEnd = at + 1;
        if (this.#isInProjects && this.#depth === 1) {
          this.#keep(chunk, { from, to: at, entriesEnd }, keys);
          if (this.#rest.some(rest => !WHITE_SPACE.includes(rest))) throw malformed();
          this.#isInProjects = false;
          this.#rest = new Uint8Array();
        }
        if (this.#depth === 0) this.#isWhole = true;
      }
    }
    if (this.#isInProjects) this.#keep(chunk, { from, to: chunk.length, entriesEnd }, keys);
    return keys;
  }

  /** Throws for an index whose end is missing, or that lists no projects. */
  end(): void {
    if (!this.#hasBegun || !this.#isWhole)
      throw new ChangeError('truncated', `${SUBJECT}: expected JSON, got its beginning`);
    if (!this.#hasProjects) throw wrong('projects to be a list', 'nothing');
  }

  #begin(chunk: Uint8Array): void {
    const head = chunk.subarray(0, HEAD_BYTES);
    if (head.every(byte => WHITE_SPACE.includes(byte))) return;
    this.#hasBegun = true;
    const notJson = notJsonFault(SUBJECT, { bytes: head, contentType: 'text/plain' });
    if (notJson) throw notJson;
  }

  #beginText(): void {
    this.#isInText = true;
    if (this.#depth === 1) this.#name = '';
  }

  #readText(byte: number): void {
    if (this.#isEscaped) this.#isEscaped = false;
    else if (byte === BACKSLASH) this.#isEscaped = true;
    else if (byte === QUOTE) {
      this.#isInText = false;
      return;
    }
    // Only the beginning of a longer text is needed to see that it is another name.
    if (this.#depth === 1 && this.#name.length <= PROJECTS.length) this.#name += String.fromCharCode(byte);
  }

  /** Parses the whole entries up to `entriesEnd`, and keeps what follows them for the next chunk. */
  #keep(
    chunk: Uint8Array,
    { from, to, entriesEnd }: { from: number; to: number; entriesEnd: number },
    keys: ListedKey[],
  ): void {
    const hasEntries = entriesEnd > from;
    if (hasEntries) {
      for (const entry of this.#parse(joinBytes([this.#rest, chunk.subarray(from, entriesEnd)])))
        keys.push(listed(entry));
      // A copy, because the chunk's buffer would stay in memory with its end.
      this.#rest = chunk.slice(entriesEnd, to);
    } else {
      this.#rest = joinBytes([this.#rest, chunk.subarray(from, to)]);
    }
    if (this.#rest.length > ENTRY_BYTES_MAX) throw wrong(`entries of at most ${ENTRY_BYTES_MAX} bytes`, 'a longer one');
  }

  #parse(bytes: Uint8Array): unknown[] {
    // Entries that follow others begin with the comma between them.
    const start = bytes.findIndex(byte => !WHITE_SPACE.includes(byte));
    if (this.#hasEntries && bytes[start] !== COMMA) throw malformed();
    const entries = this.#hasEntries ? bytes.subarray(start + 1) : bytes;
    this.#hasEntries = true;
    try {
      return JSON.parse(`[${this.#decoder.decode(entries)}]`) as unknown[];
    } catch (error) {
      if (!(error instanceof SyntaxError || error instanceof TypeError)) throw error;
      throw malformed();
    }
  }
}

function listed(entry: unknown): ListedKey {
  if (!isObject(entry) || typeof entry.name !== 'string') throw wrong('each project to have the text name', 'another');
  const serial = entry['_last-serial'];
  return { key: keyOf(entry.name), revision: Number.isSafeInteger(serial) ? (serial as number) : null };
}

function wrong(expected: string, actual: string): ChangeError {
  return new ChangeError('wrong-shape', `${SUBJECT}: expected ${expected}, got ${actual}`);
}

function malformed(): ChangeError {
  return new ChangeError('malformed-json', `${SUBJECT}: expected JSON, got a syntax error`);
}
