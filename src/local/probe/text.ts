/** A longer key is prose that has a colon. */
const KEY_LENGTH_MAX = 40;
const KEY_WORDS_MAX = 4;

/** `key: value` or `[key] value`, as servers write lines about one thing. */
const KEYED_LINE = /^\s*(?:\[(?<bracketed>[^\]]+)\]|(?<plain>[^:]+?)[\s.]*:(?!\/\/))/;

/** Lines about the answer: comments, and when the server last changed its data. */
const COMMENT = /^\s*(%|#|>>>)/;

/** The keys of a text's lines, in lower case, as an object, so that texts are compared as JSON is. */
export function lineKeys(bytes: Uint8Array): Record<string, string> {
  const keys = new TextDecoder()
    .decode(bytes)
    .split(/\r\n?|\n/)
    .filter(line => !COMMENT.test(line))
    .map(line => KEYED_LINE.exec(line)?.groups)
    .map(groups => (groups?.bracketed ?? groups?.plain ?? '').trim().toLowerCase())
    .filter(key => key !== '' && key.length <= KEY_LENGTH_MAX && key.split(/\s+/).length <= KEY_WORDS_MAX);
  return Object.fromEntries(keys.map(key => [key, 'line']));
}
