/** What old tools wrote for a field that was not given. */
const UNKNOWN = 'UNKNOWN';

/** Text that UTF-8 can hold; null for blank text, for a field that was not given, and for other values. */
export function textOf(value: unknown): string | null {
  if (typeof value !== 'string') return null;
  const trimmed = value.trim();
  return trimmed === '' || trimmed === UNKNOWN ? null : value.toWellFormed();
}
