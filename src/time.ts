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

/** Waits at most `ms` for a result. Rejects with its error, or with the one that `late` makes. */
export function within<T>(result: Promise<T>, ms: number, late: () => Error): Promise<T> {
  let timer: ReturnType<typeof setTimeout>;
  const end = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late()), ms);
  });
  return Promise.race([result, end]).finally(() => clearTimeout(timer));
}
