import { LIMITS } from './limits.ts';

/** The wait of a `Retry-After`, seconds or an HTTP date, at most a day; null when it is absent or neither (RFC 9110, 10.2.3). */
export function retryAfterMs(header: string | null, nowMs: number): number | null {
  const text = header?.trim() ?? '';
  const waitMs = /^\d+$/.test(text) ? Number(text) * 1000 : (dateMs(text) ?? Number.NaN) - nowMs;
  return Number.isNaN(waitMs) ? null : Math.min(Math.max(0, waitMs), LIMITS.retryAfterMsMax);
}

/** How long an answer is fresh by its headers, less its `Age`; null where they do not say (RFC 9111, 4.2.1). */
export function freshMs(headers: Headers, nowMs: number): number | null {
  const control = headers.get('cache-control') ?? '';
  if (/\bno-(store|cache)\b/i.test(control)) return 0;
  const maxAge = /\b(?:s-maxage|max-age)\s*=\s*"?(\d{1,10})/i.exec(control)?.[1];
  const expiresMs = dateMs(headers.get('expires')?.trim() ?? '');
  if (maxAge === undefined) return expiresMs === null ? null : Math.max(0, expiresMs - nowMs);
  const age = Number(/^\d{1,10}$/.exec(headers.get('age')?.trim() ?? '')?.[0] ?? 0);
  return Math.max(0, Number(maxAge) - age) * 1000;
}

/** The time of an HTTP date in any of its three forms (RFC 9110, 5.6.7). `Date.parse` alone would accept nearly any text. */
function dateMs(text: string): number | null {
  const ms = /^[a-z]{3,9},? /i.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(ms) ? null : ms;
}
