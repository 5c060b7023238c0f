import { z } from 'zod';
import { integerSetting, parseSettings, rateSetting, urlSetting } from '../../config.ts';

/** IANA's list of RDAP servers (RFC 9224). */
const BOOTSTRAP_URL = 'https://data.iana.org/rdap/dns.json';
const IANA_SERVER = 'whois.iana.org';

const settingsShape = z.object({
  WHOIS_BOOTSTRAP_URL: urlSetting(BOOTSTRAP_URL),
  WHOIS_IANA_SERVER: z
    .string()
    .regex(/^[a-z0-9.-]+(:\d{1,5})?$/i)
    .default(IANA_SERVER)
    .describe('a host, and its port where that is not 43'),
  // IANA knows the servers of all top-level domains; one that it does not, or a mirror, is named here.
  WHOIS_SERVERS: z
    .string()
    .regex(/^([a-z0-9-]+=[a-z0-9.-]+(:\d{1,5})?(,|$))*$/i)
    .default('')
    .describe('<top-level domain>=<host or host:port>, separated by commas'),
  // No registry publishes its limit; some registrars refuse the first question. One a second is what they all bear.
  WHOIS_REQUESTS_PER_SECOND: rateSetting(1),
  WHOIS_REQUESTS_PER_SECOND_MAX: rateSetting(5),
  // A domain that comes due waits at most this long to be noticed; nothing is asked of anybody for it.
  WHOIS_POLL_MS: integerSetting(60_000, 100, 3_600_000),
  WHOIS_EVERY_CHECK: z
    .enum(['true', 'false'])
    .default('false')
    .describe('"true" for a row at each look, "false" for one where something changed'),
});

export interface WhoisSettings {
  bootstrapUrl: string;
  ianaServer: string;
  /** Servers by top-level domain that IANA is not asked for. */
  servers: Record<string, string>;
  requestsPerSecond: number;
  requestsPerSecondMax: number;
  pollMs: number;
  everyCheck: boolean;
}

/** Names of the source's settings. */
export const WHOIS_SETTINGS = Object.keys(settingsShape.shape);

/** Reads them from the worker's environment. Throws `SettingError`. */
export function readWhoisSettings(env: Record<string, unknown>): WhoisSettings {
  const read = parseSettings(settingsShape, env);
  return {
    bootstrapUrl: read.WHOIS_BOOTSTRAP_URL,
    ianaServer: read.WHOIS_IANA_SERVER.toLowerCase(),
    servers: Object.fromEntries(
      read.WHOIS_SERVERS.toLowerCase()
        .split(',')
        .filter(Boolean)
        .map(one => one.split('=')),
    ),
    requestsPerSecond: read.WHOIS_REQUESTS_PER_SECOND,
    requestsPerSecondMax: read.WHOIS_REQUESTS_PER_SECOND_MAX,
    pollMs: read.WHOIS_POLL_MS,
    everyCheck: read.WHOIS_EVERY_CHECK === 'true',
  };
}
