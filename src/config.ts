import { z } from 'zod';
import { SettingError } from './errors.ts';
import { LIMITS, MINUTE, MiB, SECOND } from './limits.ts';

export { LIMITS };

/** The variable that a worker of this machine has and a deployed one has not. */
export const LOCAL_MARK = 'LOCAL_RUNTIME';

/** A setting that is a whole number from `min` to `max`. */
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

/** A setting that is an http or https URL; trailing slashes are removed. */
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
  // None by default, because each key that a table gives to an agenda costs requests to that source's upstream.
  FEEDS: z
    .string()
    .regex(/^([a-z0-9-]+>[a-z0-9-]+(,|$))*$/)
    .default('')
    .describe('<source>><source whose agenda reads its tables>, separated by commas, as npm>whois'),
  // None by default, because a stream is a binding of the worker that the user has to create.
  STREAMS: z
    .string()
    .regex(/^([a-z0-9_]+=[A-Za-z_][A-Za-z0-9_]*(,|$))*$/)
    .default('')
    .describe('<table>=<binding of its stream>, separated by commas, as npm_package=NPM_STREAM'),
  FLUSH_AGE_MS: integerSetting(30 * SECOND, 100, 60 * MINUTE),
  FLUSH_BYTES_MAX: integerSetting(16 * MiB, 1, 64 * MiB),
  // With the defaults a change is attempted for half a day before it is a dead letter.
  RETRY_WAIT_MS: integerSetting(LIMITS.parkedMsMin, 10, LIMITS.parkedMsMax),
  RETRY_ATTEMPTS_MAX: integerSetting(20, 1, 1_000),
  // Longer than a load and the queue's own redelivery take.
  RETRY_LEASE_MS: integerSetting(5 * MINUTE, 1 * SECOND, 60 * MINUTE),
  // How often an inlet asks for new files once it has read all: about as often as a table gets one.
  INLET_POLL_MS: integerSetting(60 * SECOND, 100, 24 * 60 * MINUTE),
  // Time between two comparisons of the lake with the journal: two R2 Class B operations for each live file.
  SELF_CHECK_MS: integerSetting(6 * 60 * MINUTE, 1 * MINUTE, 30 * 24 * 60 * MINUTE),
  STALLED_AFTER_MS: integerSetting(15 * MINUTE, 1 * SECOND, 24 * 60 * MINUTE),
  // For demonstrations and tests: how far the worker's clock is ahead of the machine's.
  CLOCK_AHEAD_MS: integerSetting(0, 0, 10 * 365 * 24 * 60 * MINUTE),
  CONTACT: z
    .string()
    .min(1)
    .max(200)
    .default('unset')
    .describe('a URL or an address under which an upstream reaches the operator, of 1 to 200 characters'),
  // The Iceberg catalog: URI, warehouse and token are set together, or none of them is.
  CATALOG_URI: urlSetting().optional().describe('an http or https URL'),
  CATALOG_WAREHOUSE: z.string().min(1).max(200).optional().describe('a warehouse of 1 to 200 characters'),
  CATALOG_NAMESPACE: z
    .string()
    .regex(/^(?!(system|examples|information_schema)$)[a-z][a-z0-9_]{0,99}$/)
    .default('tributary')
    .describe('1 to 100 characters of a-z, 0-9 and _, and none of system, examples and information_schema'),
  CATALOG_TOKEN: z
    .string()
    .regex(/^[\x21-\x7e]{1,2000}$/)
    .optional()
    .describe('a secret of visible ASCII characters'),
  CATALOG_BUCKET: z
    .string()
    .regex(/^[a-z0-9.-]{3,63}$/)
    .default('data-ingestion')
    .describe('the name of the bucket the worker is bound to'),
  // Each commit adds a snapshot to the table's metadata, so commits are rare.
  CATALOG_COMMIT_MS: integerSetting(15 * MINUTE, 1 * SECOND, 24 * 60 * MINUTE),
  CATALOG_COMMIT_FILES: integerSetting(64, 1, 500),
  ADMIN_TOKEN: tokenSetting(),
  READ_TOKEN: tokenSetting(),
});

function tokenSetting() {
  return z.string().min(1).max(500).optional().describe('a secret of 1 to 500 characters');
}

/** When a parked change is attempted again. */
export interface RetryPace {
  /** The first wait; it doubles with each attempt, up to `LIMITS.parkedMsMax`. */
  waitMs: number;
  /** After this many attempts the change is a dead letter. */
  attemptsMax: number;
  /** A ticket that did not come back within this time is sent again. */
  leaseMs: number;
}

/** Where the Iceberg catalog is, and when the committer commits files to it. */
export interface CatalogSettings {
  uri: string;
  warehouse: string;
  namespace: string;
  token: string;
  /** The name of the bucket, which is part of the tables' locations. */
  bucket: string;
  /** A commit is due when the oldest file has waited `commitMs`, or `commitFiles` files wait. */
  pace: { commitMs: number; commitFiles: number };
}

/** The settings that all sources share. */
export interface Settings {
  sources: string[];
  /** By source, the sources whose tables its agenda reads. */
  feeds: Record<string, string[]>;
  /** By table, the binding of the stream that gets its rows. */
  streams: Record<string, string>;
  flushAgeMs: number;
  flushBytesMax: number;
  retry: RetryPace;
  inletPollMs: number;
  selfCheckMs: number;
  stalledAfterMs: number;
  clockAheadMs: number;
  contact: string;
  /** Null when no Iceberg catalog is set. */
  catalog: CatalogSettings | null;
}

/** Reads the settings that all sources share from the worker's environment. Throws `SettingError`. */
export function readSettings(env: Record<string, unknown>): Settings {
  const read = parseSettings(common, env);
  return {
    sources: read.SOURCES,
    feeds: feedsOf(read.FEEDS),
    streams: streamsOf(read.STREAMS),
    retry: { waitMs: read.RETRY_WAIT_MS, attemptsMax: read.RETRY_ATTEMPTS_MAX, leaseMs: read.RETRY_LEASE_MS },
    flushAgeMs: read.FLUSH_AGE_MS,
    flushBytesMax: read.FLUSH_BYTES_MAX,
    inletPollMs: read.INLET_POLL_MS,
    selfCheckMs: read.SELF_CHECK_MS,
    stalledAfterMs: read.STALLED_AFTER_MS,
    clockAheadMs: read.CLOCK_AHEAD_MS,
    contact: read.CONTACT,
    catalog: catalogOf(read),
  };
}

/** The tokens of the API, whatever the other settings are. Throws `SettingError`. */
export function readTokens(env: Record<string, unknown>): { adminToken: string | null; readToken: string | null } {
  const read = parseSettings(common.pick({ ADMIN_TOKEN: true, READ_TOKEN: true }), env);
  return { adminToken: read.ADMIN_TOKEN ?? null, readToken: read.READ_TOKEN ?? null };
}

function catalogOf(read: z.output<typeof common>): CatalogSettings | null {
  const names = ['CATALOG_URI', 'CATALOG_WAREHOUSE', 'CATALOG_TOKEN'] as const;
  const missing = names.filter(name => read[name] === undefined);
  if (missing.length === names.length) return null;
  if (missing.length > 0)
    throw new SettingError(`${missing[0]}: expected a value because another CATALOG_ setting has one, got none`);
  return {
    uri: read.CATALOG_URI!,
    warehouse: read.CATALOG_WAREHOUSE!,
    namespace: read.CATALOG_NAMESPACE,
    token: read.CATALOG_TOKEN!,
    bucket: read.CATALOG_BUCKET,
    pace: { commitMs: read.CATALOG_COMMIT_MS, commitFiles: read.CATALOG_COMMIT_FILES },
  };
}

function feedsOf(text: string): Record<string, string[]> {
  const pairs = text
    .split(',')
    .filter(Boolean)
    .map(pair => pair.split('>') as [string, string]);
  const feeds = Map.groupBy(pairs, ([, target]) => target);
  return Object.fromEntries([...feeds].map(([target, group]) => [target, group.map(([source]) => source)]));
}

function streamsOf(text: string): Record<string, string> {
  const pairs = text
    .split(',')
    .filter(Boolean)
    .map(pair => pair.split('=') as [string, string]);
  for (const [index, part] of ['table', 'binding'].entries()) {
    const names = pairs.map(pair => pair[index]!);
    const repeated = names.find((name, position) => names.indexOf(name) !== position);
    if (repeated !== undefined) throw new SettingError(`STREAMS: expected each ${part} once, got ${repeated} twice`);
  }
  return Object.fromEntries(pairs);
}

/** The worker's clock: milliseconds since 1970, `CLOCK_AHEAD_MS` ahead of the machine's. Throws `SettingError`. */
export function clockOf(env: Record<string, unknown>): () => number {
  const { clockAheadMs } = readSettings(env);
  return () => Date.now() + clockAheadMs;
}

/**
 * Reads the settings that a shape names. Throws `SettingError` with the name of the first wrong one and what it
 * expects.
 */
export function parseSettings<S extends z.ZodRawShape>(
  shape: z.ZodObject<S>,
  env: Record<string, unknown>,
): z.output<z.ZodObject<S>> {
  const given = Object.fromEntries(
    Object.keys(shape.shape).map(name => [name, env[name] === '' ? undefined : env[name]]),
  );
  for (const [name, value] of Object.entries(given)) refuseCredentials(name, value);
  const read = shape.safeParse(given);
  if (read.success) return read.data;
  const name = String(read.error.issues[0]?.path[0]);
  const expected = (shape.shape[name] as z.ZodType | undefined)?.description ?? 'another value';
  const actual = isSecretSetting(name) ? '(hidden)' : JSON.stringify(given[name] ?? null);
  throw new SettingError(`${name}: expected ${expected}, got ${actual}`);
}

/**
 * Throws `SettingError` for a setting that is, or lists, a URL with a user or a password in it: configuration and
 * errors show settings, and a request to such a URL fails.
 */
export function refuseCredentials(name: string, value: unknown): void {
  if (typeof value !== 'string' || isSecretSetting(name)) return;
  const { username = '', password = '' } = URL.parse(value) ?? {};
  // A value that is no URL as a whole may list several, or be one with a mistake in it.
  if (username === '' && password === '' && !/\/\/[^/?#\s,]*@/.test(value)) return;
  throw new SettingError(`${name}: expected a URL without user and password, got (hidden)`);
}

/** Whether a setting is a secret, which its name says: no message shows its value. */
export function isSecretSetting(name: string): boolean {
  return /(TOKEN|SECRET|KEY_ID)$/.test(name);
}

/**
 * Replaces secrets in a text by `mask`. A secret of fewer than `LIMITS.tokenLengthMin` characters may also be a word,
 * or a part of one, so it is replaced only where no letter or digit adjoins it.
 */
export function withoutSecrets(text: string, secrets: readonly string[], mask: string): string {
  // The longest first, because one secret can be a part of another.
  const ordered = secrets.filter(secret => secret !== '').sort((a, b) => b.length - a.length);
  if (ordered.length === 0) return text;
  const patterns = ordered.map(secret => {
    const literal = secret.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
    return secret.length < LIMITS.tokenLengthMin ? `(?<![\\p{L}\\p{N}])${literal}(?![\\p{L}\\p{N}])` : literal;
  });
  // One pass over the text, so that no mask is masked again.
  return text.replace(new RegExp(patterns.join('|'), 'gu'), () => mask);
}

/** The message of a `SettingError` without the setting's value, for an answer that anyone can get. */
export function withoutValue(message: string): string {
  return message.replace(/, got (?!(?:null|none|\(hidden\))$).*$/s, ', got another value');
}

/** Names of the settings that all sources share. */
export const COMMON_SETTINGS = Object.keys(common.shape);
