import { isObject, type JsonAnswer, jsonFault, parseJson, Unread } from './json.ts';

const [QUOTE, BACKSLASH, OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = new TextEncoder().encode('"\\[]{}');

/** What stands in the outline for a member that is passed over: no longer than the shortest of them. */
const STAND_IN = new TextEncoder().encode('[]');

/** The members of one map that are passed over, by key, and where their bytes are. */
interface Skimmed {
  members: Map<string, Span>;
  /** All that was cut out, in order; a key that stands there twice has two. */
  cuts: Span[];
}

interface Span {
  start: number;
  end: number;
}

/**
 * The value of a large answer that should be JSON, as `JSON.parse` gives it, but for the lists and objects in its map
 * `unread` (`versions`): each of those is an `Unread`. They are looked at one by one, and what is around them is parsed
 * as one text with stand-ins for them, so that the tree is never there as a whole. Throws `ChangeError`.
 */
export function parseLarge(subject: string, answer: JsonAnswer, unread: string): unknown {
  const { bytes } = answer;
  const { members, cuts } = skimmed(subject, answer, unread);
  const document = parseJson(subject, { ...answer, bytes: outlineOf(bytes, cuts) });
  const map = isObject(document) && Object.hasOwn(document, unread) ? document[unread] : null;
  if (!isObject(map)) return document;
  for (const [key, { start, end }] of members) {
    // The last of two counts, and may be a text. Assigning would not do: a key may be `__proto__`.
    if (Array.isArray(map[key]) && Object.hasOwn(map, key))
      Object.defineProperty(map, key, { ...OWN, value: new Unread(bytes, start, end) });
  }
  return document;
}

const OWN = { writable: true, enumerable: true, configurable: true };

function skimmed(subject: string, answer: JsonAnswer, field: string): Skimmed {
  try {
    return skim(answer.bytes, field);
  } catch (error) {
    throw jsonFault(subject, answer, error instanceof SyntaxError ? 'syntax' : 'bytes');
  }
}

/**
 * Finds the lists and objects in the map `field` of the document, and parses each to see that it is JSON. Counts
 * brackets only: whether they stand where they may, the parsing of the pieces and of the outline says.
 */
function skim(bytes: Uint8Array, field: string): Skimmed {
  const cuts: Span[] = [];
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
      if (depth === 2) isInField = byte === OPEN_OBJECT && valueAt(bytes, name) === field;
      if (depth === 3) start = at;
    } else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) {
      depth -= 1;
      if (depth !== 2 || !isInField) continue;
      const cut = { start, end: at + 1 };
      valueAt(bytes, cut);
      members.set(String(valueAt(bytes, name)), cut);
      cuts.push(cut);
    }
  }
  return { members, cuts };
}

/** The place after a text's closing quote; the end of all bytes where it has none. */
function endOfText(bytes: Uint8Array, start: number): number {
  for (let at = bytes.indexOf(QUOTE!, start + 1); at !== -1; at = bytes.indexOf(QUOTE!, at + 1)) {
    let escapes = 0;
    while (bytes[at - 1 - escapes] === BACKSLASH) escapes += 1;
    if (escapes % 2 === 0) return at + 1;
  }
  return bytes.length;
}

function valueAt(bytes: Uint8Array, { start, end }: Span): unknown {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  return JSON.parse(decoder.decode(bytes.subarray(start, end)));
}

/** The bytes with a stand-in for each cut. */
function outlineOf(bytes: Uint8Array, cuts: Span[]): Uint8Array {
  if (cuts.length === 0) return bytes;
  const size = cuts.reduce((left, { start, end }) => left - (end - start) + STAND_IN.length, bytes.length);
  const outline = new Uint8Array(size);
  let to = 0;
  let from = 0;
  for (const { start, end } of cuts) {
    outline.set(bytes.subarray(from, start), to);
    outline.set(STAND_IN, to + start - from);
    to += start - from + STAND_IN.length;
    from = end;
  }
  outline.set(bytes.subarray(from), to);
  return outline;
}
