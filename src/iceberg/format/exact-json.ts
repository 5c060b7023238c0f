/** `JSON.rawJSON` and a reviver's third argument (ECMAScript 2026) are not in the compiler's library yet. */
const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };
type Reviver = (key: string, value: unknown) => unknown;

/** A number from 2^53 on has these digits; where there are none, the parser alone is ten times as fast. */
const MAYBE_ROUNDED = /(?:^|[\s:,[])-?(\d{17}|9\d{15})/;

/**
 * Parses JSON, whole numbers past 2^53 as bigints: snapshot ids are 63-bit longs, and one rounded on its way in would
 * never match its table again. Throws `SyntaxError`.
 */
export function parseExactJson(text: string): unknown {
  if (!MAYBE_ROUNDED.test(text)) return JSON.parse(text);
  const exact = (_key: string, value: unknown, context: { source?: string }) => {
    const isRounded = typeof value === 'number' && !Number.isSafeInteger(value);
    return isRounded && /^-?\d+$/.test(context.source ?? '') ? BigInt(context.source!) : value;
  };
  return JSON.parse(text, exact as Reviver);
}

/** The JSON of a value; bigints are written as the whole numbers they are. */
export function exactJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => (typeof inner === 'bigint' ? rawJSON(String(inner)) : inner));
}
