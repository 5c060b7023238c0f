/** `JSON.rawJSON` and a reviver's third argument (ECMAScript 2026) are not in the compiler's library yet. */
const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };
type Reviver = (key: string, value: unknown) => unknown;

/** Matches every number from 2^53 on. Without a match the parser needs no reviver, which is ten times as fast. */
const MAYBE_ROUNDED = /(?:^|[\s:,[])-?(\d{17}|9\d{15})/;

/**
 * Parses JSON, with whole numbers from 2^53 on as bigints: snapshot ids are 63-bit longs, and a rounded id would match
 * no snapshot of its table. Throws `SyntaxError`.
 */
export function parseExactJson(text: string): unknown {
  if (!MAYBE_ROUNDED.test(text)) return JSON.parse(text);
  const exact = (_key: string, value: unknown, context: { source?: string }) => {
    const isRounded = typeof value === 'number' && !Number.isSafeInteger(value);
    return isRounded && /^-?\d+$/.test(context.source ?? '') ? BigInt(context.source!) : value;
  };
  return JSON.parse(text, exact as Reviver);
}

/** The JSON of a value; bigints become whole numbers. */
export function exactJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => (typeof inner === 'bigint' ? rawJSON(String(inner)) : inner));
}
