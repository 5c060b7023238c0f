/** The index's default limit of its feed, for each client address. */
const REQUESTS_MAX = 3600;
const WINDOW_SECONDS = 3600;

/** Counts the requests of the last hour, refused ones too. */
export interface RateLimit {
  /** Counts a request: the headers of its answer, and the seconds until the limit resets where it is over. */
  hit(nowMs: number): { headers: Record<string, string>; retrySeconds: number | null };
}

/** The limit of the feed: a window that moves with the clock. */
export function makeRateLimit(requestsMax: number = REQUESTS_MAX): RateLimit {
  let hits: number[] = [];
  return {
    hit(nowMs) {
      hits = hits.filter(at => at > nowMs - WINDOW_SECONDS * 1000);
      hits.push(nowMs);
      const remaining = Math.max(0, requestsMax - hits.length);
      const resetSeconds = Math.max(1, Math.ceil((hits[0]! + WINDOW_SECONDS * 1000 - nowMs) / 1000));
      const headers = {
        'ratelimit-policy': `"xmlrpc.client";q=${requestsMax};w=${WINDOW_SECONDS};pk=:ip:`,
        ratelimit: `"xmlrpc.client";r=${remaining};t=${resetSeconds}`,
      };
      return { headers, retrySeconds: hits.length > requestsMax ? resetSeconds : null };
    },
  };
}
