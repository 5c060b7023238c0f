/** `JSON.rawJSON` and a reviver's third argument (ECMAScript 2026) are not in the compiler's library yet. */
const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };
type Reviver = (key: string, value: unknown) => unknown;

/** Matches every number from 2^53 on. Without a match the parser needs no reviver, which is ten times as fast. */
const MAYBE_ROUNDED = /(?:^|[\s:,[])-?(\d{17}|9\d{15})/;

/**
 * Parses JSON without rounding: a whole number past 2^53 becomes what `exact` makes of its digits, a bigint by default.
 * Snapshot ids of Iceberg are 63-bit longs, and a rounded one would never match its table again. Throws `SyntaxError`.
 */
export function parseExactJson(text: string, exact: (digits: string) => unknown = BigInt): unknown {
  if (!MAYBE_ROUNDED.test(text)) return JSON.parse(text);
  const revive = (_key: string, value: unknown, { source = '' }: { source?: string }) => {
    const isRounded = typeof value === 'number' && !Number.isSafeInteger(value);
    return isRounded && /^-?\d+$/.test(source) ? exact(source) : value;
  };
  return JSON.parse(text, revive as Reviver);
}

/** The JSON of a value; bigints become whole numbers. */
export function exactJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => (typeof inner === 'bigint' ? rawJSON(String(inner)) : inner));
}
