import { LIMITS } from './limits.ts';

/** The wait of a `Retry-After`, seconds or an HTTP date, at most a day; null when it is absent or neither (RFC 9110, 10.2.3). */
export function retryAfterMs(header: string | null, nowMs: number): number | null {
  const text = header?.trim() ?? '';
  const waitMs = /^\d+$/.test(text) ? Number(text) * 1000 : (dateMs(text) ?? Number.NaN) - nowMs;
  return Number.isNaN(waitMs) ? null : Math.min(Math.max(0, waitMs), LIMITS.retryAfterMsMax);
}

/**
 * The headers in which a host's answers say how many requests are left. Either one header each, where `reset` is a time in
 * seconds since 1970 or a wait in seconds; or one header `field` with both, as `"name";r=<remaining>;t=<seconds>`
 * (draft-ietf-httpapi-ratelimit-headers).
 */
export type QuotaHeaders =
  | { remaining: string; reset: string; resetIs: 'seconds-since-1970' | 'seconds' }
  | { field: string };

/** How many requests a host allows before it renews its quota, in `resetMs` milliseconds. */
export interface Quota {
  remaining: number;
  resetMs: number;
}

/**
 * How many requests are left, and for how many milliseconds until more are, at most a day; null where the headers do not
 * say both. Of several quotas the one with the least left counts; of equal ones that with the longest wait.
 */
export function quotaOf(headers: Headers, names: QuotaHeaders, nowMs: number): Quota | null {
  const found = 'field' in names ? quotasIn(headers.get(names.field) ?? '') : [quotaIn(headers, names, nowMs)];
  const read = found.flatMap(({ remaining, resetMs }) =>
    Number.isNaN(remaining) || Number.isNaN(resetMs)
      ? []
      : [{ remaining, resetMs: Math.min(Math.max(0, resetMs), LIMITS.retryAfterMsMax) }],
  );
  return read.sort((a, b) => a.remaining - b.remaining || b.resetMs - a.resetMs)[0] ?? null;
}

function quotaIn(headers: Headers, names: Exclude<QuotaHeaders, { field: string }>, nowMs: number) {
  const resetMs = wholeNumber(headers.get(names.reset)) * 1000;
  const remaining = wholeNumber(headers.get(names.remaining));
  return { remaining, resetMs: names.resetIs === 'seconds' ? resetMs : resetMs - nowMs };
}

/** The quotas of `"name";r=12;t=30, "other";r=3;t=5`; parameters may be in any order. */
function quotasIn(field: string) {
  // Take texts in quotes out first, because they may have commas and semicolons.
  const items = field.replace(/"(?:[^"\\]|\\.)*"/g, '').split(',');
  return items.map(item => {
    const parameter = (name: string) => wholeNumber(new RegExp(`;\\s*${name}\\s*=\\s*([^;]*)`).exec(item)?.[1] ?? null);
    return { remaining: parameter('r'), resetMs: parameter('t') * 1000 };
  });
}

/** A number without sign and fraction; NaN for any other text. */
function wholeNumber(text: string | null): number {
  return /^\d{1,15}$/.test(text?.trim() ?? '') ? Number(text) : Number.NaN;
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
