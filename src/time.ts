/** A time in milliseconds since 1970 as ISO 8601 in UTC, `2026-11-25T12:00:00.000Z`; null stays null. */
export function isoTime(ms: number): string;
export function isoTime(ms: number | null): string | null;
export function isoTime(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}

/** The day of a time in UTC, `2026-11-25`. */
export function isoDay(ms: number): string {
  return isoTime(ms).slice(0, 10);
}
