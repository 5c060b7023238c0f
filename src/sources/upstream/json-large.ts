import { isObject, type JsonAnswer, jsonFault, parseJson, TooManyValues, Unread } from './json.ts';
import { endOfText, hasMoreValues } from './json-values.ts';

const [QUOTE, OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = new TextEncoder().encode('"[]{}');

/** Replaces each skipped member in the outline. The shortest member is as long. */
const PLACEHOLDER = new TextEncoder().encode('[]');

/** The members of one map that are skipped, and where their bytes are. */
interface Skipped {
  /** By key; of a key that occurs twice, the last one. */
  members: Map<string, Span>;
  /** All of them, in order; a key that occurs twice has two. */
  spans: Span[];
}

interface Span {
  start: number;
  end: number;
}

/**
 * Parses a large answer that should be JSON. The result is that of `JSON.parse`, except that each list and object in the
 * document's map `unread` (`versions`) is an `Unread`. The members of the map are parsed one by one, to see that they are
 * JSON, and the text around them is parsed with placeholders for them, so that memory never holds the whole tree. Neither
 * a member nor the text around them may have more than `valuesMax` values. Throws `ChangeError`, and `TooManyValues`.
 */
export function parseLarge(
  subject: string,
  answer: JsonAnswer,
  { unread, valuesMax }: { unread: string; valuesMax: number },
): unknown {
  const { bytes } = answer;
  // Find the members of the map, and parse each.
  const { members, spans } = skipMembers(subject, answer, { field: unread, valuesMax });
  // Parse the text around them.
  const document = parseJson(subject, { ...answer, bytes: outlineOf(bytes, spans) }, valuesMax);
  const map = isObject(document) && Object.hasOwn(document, unread) ? document[unread] : null;
  if (!isObject(map)) return document;
  // Put an `Unread` in place of each placeholder.
  for (const [key, { start, end }] of members) {
    // Of two members with one key the last one counts, which may be a text. A plain assignment fails for `__proto__`.
    if (Array.isArray(map[key]) && Object.hasOwn(map, key))
      Object.defineProperty(map, key, { ...OWN, value: new Unread(bytes, start, end) });
  }
  return document;
}

const OWN = { writable: true, enumerable: true, configurable: true };

function skipMembers(subject: string, answer: JsonAnswer, map: { field: string; valuesMax: number }): Skipped {
  try {
    return findMembers(subject, answer.bytes, map);
  } catch (error) {
    if (error instanceof TooManyValues) throw error;
    throw jsonFault(subject, answer, error instanceof SyntaxError ? 'syntax' : 'bytes');
  }
}

/**
 * Finds the lists and objects in the map `field` of the document, and parses each. It only counts brackets: parsing the
 * members and the outline shows whether each bracket is where JSON allows it. Throws `SyntaxError`, and `TypeError` for
 * bytes that are not UTF-8.
 */
function findMembers(
  subject: string,
  bytes: Uint8Array,
  { field, valuesMax }: { field: string; valuesMax: number },
): Skipped {
  const spans: Span[] = [];
  const members = new Map<string, Span>();
  let name: Span = { start: 0, end: 0 };
  let depth = 0;
  let isInField = false;
  let start = 0;
  const root = bytes.find(byte => byte === OPEN_LIST || byte === OPEN_OBJECT);
  for (let at = root === OPEN_OBJECT ? 0 : bytes.length; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === QUOTE) {
      const end = endOfText(bytes, at);
      if (depth <= 2) name = { start: at, end };
      at = end - 1;
    } else if (byte === OPEN_OBJECT || byte === OPEN_LIST) {
      depth += 1;
      if (depth === 2) isInField = byte === OPEN_OBJECT && parseSpan(bytes, name) === field;
      if (depth === 3) start = at;
    } else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) {
      depth -= 1;
      if (depth !== 2 || !isInField) continue;
      const span = { start, end: at + 1 };
      if (hasMoreValues(bytes.subarray(span.start, span.end), valuesMax)) throw new TooManyValues(subject, valuesMax);
      parseSpan(bytes, span);
      members.set(String(parseSpan(bytes, name)), span);
      spans.push(span);
    }
  }
  return { members, spans };
}

function parseSpan(bytes: Uint8Array, { start, end }: Span): unknown {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  return JSON.parse(decoder.decode(bytes.subarray(start, end)));
}

/** The bytes with a placeholder for each span. A loop, because a view for each of a million spans would fill memory. */
function outlineOf(bytes: Uint8Array, spans: Span[]): Uint8Array {
  if (spans.length === 0) return bytes;
  const size = spans.reduce((left, { start, end }) => left - (end - start) + PLACEHOLDER.length, bytes.length);
  const outline = new Uint8Array(size);
  let to = 0;
  let from = 0;
  for (const { start, end } of spans) {
    outline.set(bytes.subarray(from, start), to);
    outline.set(PLACEHOLDER, to + start - from);
    to += start - from + PLACEHOLDER.length;
    from = end;
  }
  outline.set(bytes.subarray(from), to);
  return outline;
}
