const [QUOTE, BACKSLASH, COMMA, OPEN_LIST, OPEN_OBJECT] = new TextEncoder().encode('"\\,[{');

/** The shortest value with its comma: fewer bytes than twice a budget hold no more values than the budget. */
const VALUE_BYTES_MIN = 2;

/**
 * Whether JSON has more values than a budget, because memory grows with values: 4 MiB of `{}` take 40 times as much as
 * 4 MiB of one text. Counts brackets and commas, without parsing, and stops at the budget.
 */
export function hasMoreValues(bytes: Uint8Array, valuesMax: number): boolean {
  if (bytes.length < VALUE_BYTES_MIN * valuesMax) return false;
  let values = 1;
  for (let at = 0; at < bytes.length && values <= valuesMax; at++) {
    const byte = bytes[at];
    if (byte === QUOTE) at = endOfText(bytes, at) - 1;
    else if (byte === COMMA || byte === OPEN_LIST || byte === OPEN_OBJECT) values += 1;
  }
  return values > valuesMax;
}

/** The index after a text's closing quote; the end of the bytes where the text has none. */
export function endOfText(bytes: Uint8Array, start: number): number {
  for (let at = bytes.indexOf(QUOTE!, start + 1); at !== -1; at = bytes.indexOf(QUOTE!, at + 1)) {
    let escapes = 0;
    while (bytes[at - 1 - escapes] === BACKSLASH) escapes += 1;
    if (escapes % 2 === 0) return at + 1;
  }
  return bytes.length;
}
