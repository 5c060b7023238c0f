import { z } from 'zod';
import { integerSetting, parseSettings, rateSetting, urlSetting } from '../../config.ts';
import { DAY, MINUTE } from '../../limits.ts';

/** Cloudflare's resolver, by name, because a Worker cannot check the certificate of an address. */
const RESOLVER_URL = 'https://cloudflare-dns.com/dns-query';
/** Google's. */
const FALLBACK_URL = 'https://dns.google/dns-query';

const settingsShape = z.object({
  ZONES_RESOLVER_URL: urlSetting(RESOLVER_URL),
  ZONES_FALLBACK_URL: urlSetting(FALLBACK_URL),
  // Google allows 1,000 a second and Cloudflare names no limit, but other customers send from the same addresses.
  ZONES_REQUESTS_PER_SECOND: rateSetting(10),
  ZONES_EVERY_MS: integerSetting(DAY, MINUTE, 30 * DAY),
  // How often the agenda checks for due domains; a check costs no request.
  ZONES_POLL_MS: integerSetting(60_000, 100, 3_600_000),
});

export interface ZonesSettings {
  resolverUrl: string;
  fallbackUrl: string;
  /** Of each resolver. */
  requestsPerSecond: number;
  everyMs: number;
  pollMs: number;
}

export const ZONES_SETTINGS = Object.keys(settingsShape.shape);

/** Reads the settings from the worker's environment. Throws `SettingError`. */
export function readZonesSettings(env: Record<string, unknown>): ZonesSettings {
  const read = parseSettings(settingsShape, env);
  return {
    resolverUrl: read.ZONES_RESOLVER_URL,
    fallbackUrl: read.ZONES_FALLBACK_URL,
    requestsPerSecond: read.ZONES_REQUESTS_PER_SECOND,
    everyMs: read.ZONES_EVERY_MS,
    pollMs: read.ZONES_POLL_MS,
  };
}
