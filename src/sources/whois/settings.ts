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
    .describe('a host, with its port unless that is 43'),
  // For a server that IANA does not name, and for a mirror.
  WHOIS_SERVERS: z
    .string()
    .regex(/^([a-z0-9-]+=[a-z0-9.-]+(:\d{1,5})?(,|$))*$/i)
    .default('')
    .describe('<top-level domain>=<host or host:port>, separated by commas'),
  // No registry publishes its limit, and some registrars refuse a first query. All accept one a second.
  WHOIS_REQUESTS_PER_SECOND: rateSetting(1),
  WHOIS_REQUESTS_PER_SECOND_MAX: rateSetting(5),
  // How often the agenda checks for due domains; a check costs no request.
  WHOIS_POLL_MS: integerSetting(60_000, 100, 3_600_000),
  WHOIS_EVERY_CHECK: z
    .enum(['true', 'false'])
    .default('false')
    .describe('"true" for a row at each visit, "false" for a row only when something changed'),
});

export interface WhoisSettings {
  bootstrapUrl: string;
  ianaServer: string;
  /** By top-level domain; IANA is asked for the others. */
  servers: Record<string, string>;
  requestsPerSecond: number;
  requestsPerSecondMax: number;
  pollMs: number;
  everyCheck: boolean;
}

export const WHOIS_SETTINGS = Object.keys(settingsShape.shape);

/** Reads the settings from the worker's environment. Throws `SettingError`. */
export function readWhoisSettings(env: Record<string, unknown>): WhoisSettings {
  const read = parseSettings(settingsShape, env);
  return {
    bootstrapUrl: read.WHOIS_BOOTSTRAP_URL,
    ianaServer: read.WHOIS_IANA_SERVER.toLowerCase(),
    servers: Object.fromEntries(
      read.WHOIS_SERVERS.toLowerCase()
        .split(',')
        .filter(Boolean)
        .map(pair => pair.split('=')),
    ),
    requestsPerSecond: read.WHOIS_REQUESTS_PER_SECOND,
    requestsPerSecondMax: read.WHOIS_REQUESTS_PER_SECOND_MAX,
    pollMs: read.WHOIS_POLL_MS,
    everyCheck: read.WHOIS_EVERY_CHECK === 'true',
  };
}
