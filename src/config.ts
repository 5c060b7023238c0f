import { z } from 'zod';
import { SettingError } from './errors.ts';
import { LIMITS } from './limits.ts';

export { LIMITS };

const MiB = 1024 * 1024;
const SECOND = 1000;
const MINUTE = 60 * SECOND;

/** A setting that is a whole number between two bounds, with a default. */
export function integerSetting(fallback: number, min: number, max: number) {
  return z
    .union([z.string().regex(/^\d+$/), z.number().int()])
    .default(fallback)
    .transform(Number)
    .pipe(z.number().int().min(min).max(max))
    .describe(`a whole number from ${min} to ${max}`);
}

/** A setting that is a number of requests a second. */
export function rateSetting(fallback: number) {
  return z
    .union([z.string().regex(/^\d+(\.\d+)?$/), z.number()])
    .default(fallback)
    .transform(Number)
    .pipe(z.number().min(0.01).max(1000))
    .describe('a number from 0.01 to 1000');
}

/** A setting that is an http(s) URL; given without a trailing slash. */
export function urlSetting(fallback?: string) {
  const url = z.url({ protocol: /^https?$/ }).transform(text => text.replace(/\/+$/, ''));
  return (fallback === undefined ? url : url.default(fallback)).describe('an http or https URL');
}

const common = z.object({
  SOURCES: z
    .string()
    .default('npm')
    .transform(text =>
      text
        .split(',')
        .map(id => id.trim())
        .filter(Boolean),
    )
    .describe('source ids separated by commas'),
  // A source that feeds another asks more of that one's upstream: it is for the user to want.
  FEEDS: z
    .string()
    .regex(/^([a-z0-9-]+>[a-z0-9-]+(,|$))*$/)
    .default('')
    .describe('<source>><source whose agenda gets its keys>, separated by commas, as npm>whois'),
  FLUSH_AGE_MS: integerSetting(30 * SECOND, 100, 60 * MINUTE),
  FLUSH_BYTES_MAX: integerSetting(16 * MiB, 1, 64 * MiB),
  // With these, half a day of looks; then a change is a dead letter.
  RETRY_WAIT_MS: integerSetting(LIMITS.parkedMsMin, 10, LIMITS.parkedMsMax),
  RETRY_ATTEMPTS_MAX: integerSetting(20, 1, 1_000),
  // Loads, and a queue's own redelivery, are over by then.
  RETRY_LEASE_MS: integerSetting(5 * MINUTE, 1 * SECOND, 60 * MINUTE),
  // The lake is compared with the journal so often: two R2 Class B operations for each live file.
  SELF_CHECK_MS: integerSetting(6 * 60 * MINUTE, 1 * MINUTE, 30 * 24 * 60 * MINUTE),
  STALLED_AFTER_MS: integerSetting(15 * MINUTE, 1 * SECOND, 24 * 60 * MINUTE),
  // For demonstrations and tests: the worker's clock runs so far ahead of the machine's.
  CLOCK_AHEAD_MS: integerSetting(0, 0, 10 * 365 * 24 * 60 * MINUTE),
  CONTACT: z.string().min(1).max(200).default('unset').describe('who an upstream can write to: a URL or an address'),
  ADMIN_TOKEN: z.string().min(1).max(500).optional().describe('a secret of 1 to 500 characters'),
});

/** How a parked change is looked at again. */
export interface RetryPace {
  /** The first wait; doubled with each look. */
  waitMs: number;
  attemptsMax: number;
  /** A ticket that nothing was heard of for so long is sent again. */
  leaseMs: number;
}

export interface Settings {
  sources: string[];
  /** By source, those it sends keys to. */
  feeds: Record<string, string[]>;
  flushAgeMs: number;
  flushBytesMax: number;
  retry: RetryPace;
  selfCheckMs: number;
  stalledAfterMs: number;
  clockAheadMs: number;
  contact: string;
  adminToken: string | null;
}

/** The settings all sources share, from the worker's environment. Throws `SettingError`. */
export function readSettings(env: Record<string, unknown>): Settings {
  const read = parseSettings(common, env);
  return {
    sources: read.SOURCES,
    feeds: feedsOf(read.FEEDS),
    retry: { waitMs: read.RETRY_WAIT_MS, attemptsMax: read.RETRY_ATTEMPTS_MAX, leaseMs: read.RETRY_LEASE_MS },
    flushAgeMs: read.FLUSH_AGE_MS,
    flushBytesMax: read.FLUSH_BYTES_MAX,
    selfCheckMs: read.SELF_CHECK_MS,
    stalledAfterMs: read.STALLED_AFTER_MS,
    clockAheadMs: read.CLOCK_AHEAD_MS,
    contact: read.CONTACT,
    adminToken: read.ADMIN_TOKEN ?? null,
  };
}

function feedsOf(text: string): Record<string, string[]> {
  const pairs = text
    .split(',')
    .filter(Boolean)
    .map(pair => pair.split('>') as [string, string]);
  const feeds = Map.groupBy(pairs, ([source]) => source);
  return Object.fromEntries([...feeds].map(([source, group]) => [source, group.map(([, target]) => target)]));
}

/** The worker's clock. */
export function clockOf(env: Record<string, unknown>): () => number {
  const { clockAheadMs } = readSettings(env);
  return () => Date.now() + clockAheadMs;
}

/** Reads the settings a shape names; the first wrong one is a `SettingError` with its name and what was expected. */
export function parseSettings<S extends z.ZodRawShape>(
  shape: z.ZodObject<S>,
  env: Record<string, unknown>,
): z.output<z.ZodObject<S>> {
  const given = Object.fromEntries(
    Object.keys(shape.shape).map(name => [name, env[name] === '' ? undefined : env[name]]),
  );
  const read = shape.safeParse(given);
  if (read.success) return read.data;
  const name = String(read.error.issues[0]?.path[0]);
  const expected = (shape.shape[name] as z.ZodType | undefined)?.description ?? 'another value';
  const actual = isSecretSetting(name) ? '(hidden)' : JSON.stringify(given[name] ?? null);
  throw new SettingError(`${name}: expected ${expected}, got ${actual}`);
}

/** Whether a setting's value is never shown; its name says so. */
export function isSecretSetting(name: string): boolean {
  return /(TOKEN|SECRET|KEY_ID)$/.test(name);
}

/** Names of the settings all sources share. */
export const COMMON_SETTINGS = Object.keys(common.shape);
