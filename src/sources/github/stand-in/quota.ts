import type { Answer } from '../../stand-in/faults.ts';
import { GRAPHQL_LIMITS, graphqlSecondaryLimit, primaryLimit, secondaryLimit } from './refusals.ts';

export type Resource = 'core' | 'graphql';

/** What is left of a limit, and how the stand-in refuses when nothing is. */
export interface LimitOptions {
  /** Requests until it refuses; 304s are free. */
  left: number;
  /** The time until it answers again, by the world's clock. */
  resetMs: number;
  /** `secondary`: headers still say that requests are left. */
  as: 'primary' | 'secondary';
  /** Whether a secondary refusal says how long to wait; GitHub leaves it out at times. */
  retryAfter?: boolean;
  /** After the reset as many are left again, for as long. Otherwise the limit is gone. */
  repeat?: boolean;
}

/** What GitHub grants a user in an hour. */
const PER_HOUR = 5_000;
const HOUR_MS = 3_600_000;
/** A secondary refusal's `x-ratelimit-remaining`. */
const REMAINING_OF_SECONDARY = 14;

interface Limit extends LimitOptions {
  used: number;
  resetAtMs: number;
}

/** The rate limits of one token. Without a limit every request is answered. */
export class Quota {
  readonly #now: () => number;
  readonly #limits = new Map<Resource, Limit>();
  #refusals = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  limit(resource: Resource, options: LimitOptions): void {
    this.#limits.set(resource, { ...options, used: 0, resetAtMs: this.#now() + options.resetMs });
  }

  clear(): void {
    this.#limits.clear();
  }

  /** The refusal of a request; null when it is answered. */
  refusal(resource: Resource): Answer | null {
    const limit = this.#current(resource);
    if (!limit || limit.used < limit.left) return null;
    const answer = this.#textOf(resource, limit);
    const seconds = Math.max(1, Math.ceil((limit.resetAtMs - this.#now()) / 1000));
    const retryAfter: Record<string, string> =
      limit.as === 'secondary' && limit.retryAfter ? { 'retry-after': String(seconds) } : {};
    return { ...answer, headers: { ...answer.headers, ...retryAfter } };
  }

  /** Counts an answered request. */
  count(resource: Resource): void {
    const limit = this.#current(resource);
    if (limit) limit.used += 1;
  }

  /** The headers of every answer. */
  headers(resource: Resource): Record<string, string> {
    const limit = this.#current(resource);
    const remaining = limit ? Math.max(0, limit.left - limit.used) : PER_HOUR - 1;
    const isHidden = limit?.as === 'secondary' && remaining === 0;
    const shown = isHidden ? REMAINING_OF_SECONDARY : remaining;
    return {
      'x-ratelimit-limit': String(PER_HOUR),
      'x-ratelimit-remaining': String(shown),
      'x-ratelimit-used': String(PER_HOUR - shown),
      'x-ratelimit-reset': String(Math.ceil((limit?.resetAtMs ?? this.#now() + HOUR_MS) / 1000)),
      'x-ratelimit-resource': resource,
    };
  }

  #current(resource: Resource): Limit | null {
    const limit = this.#limits.get(resource);
    if (!limit) return null;
    if (this.#now() < limit.resetAtMs) return limit;
    this.#limits.delete(resource);
    if (limit.repeat) this.limit(resource, limit);
    return this.#limits.get(resource) ?? null;
  }

  #textOf(resource: Resource, { as }: Limit): Answer {
    if (resource === 'core') return as === 'primary' ? primaryLimit() : secondaryLimit();
    if (as === 'secondary') return graphqlSecondaryLimit();
    return GRAPHQL_LIMITS[this.#refusals++ % GRAPHQL_LIMITS.length]!;
  }
}
