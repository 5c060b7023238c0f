import { z } from 'zod';
import { integerSetting, parseSettings, rateSetting, urlSetting } from '../../config.ts';
import type { HostPace } from '../../ports/hosts.ts';
import { type CursorForm, countCursor } from '../count-cursor.ts';

/** ClickHouse's public copy of the index's download counts, with the user that it is open to. */
const DOWNLOADS_URL = 'https://sql-clickhouse.clickhouse.com/?user=demo';

/** Rows of a full page. A page with fewer is at the head. */
const PAGE_ROWS = 50_000;

/**
 * The feed takes about one call a second from one address, and answers any more with a fault. What is left of its quota is
 * in a header of each answer.
 */
const FEED_PACE: HostPace = { requestsPerSecond: 1, burst: 2, quota: { field: 'RateLimit' } };

/** One query a slice. The quotas of the public user are not published. */
const DOWNLOADS_PACE: HostPace = { requestsPerSecond: 1, burst: 2 };

/** Hosts that only a redirect names. The index's own answers come without one. */
const OTHERS_PACE: HostPace = { requestsPerSecond: 1, burst: 1 };

const shape = z.object({
  // No default, because pip's configuration names the index.
  PYPI_URL: urlSetting().describe(
    "the http or https URL of an index without /simple; local programs take it from pip's configuration (PIP_INDEX_URL)",
  ),
  PYPI_FEED_URL: urlSetting().optional().describe('an http or https URL'),
  // A new lake begins at the head, because reading the whole feed takes weeks at a polite pace.
  PYPI_START: z
    .string()
    .regex(/^(head|\d{1,15})$/)
    .default('head')
    .describe('"head" or a serial of the feed'),
  // The index publishes no limit for documents and asks for fewer than thousands in minutes. Following needs about one in
  // three seconds.
  PYPI_REQUESTS_PER_SECOND: rateSetting(5),
  // The feed's limit is about 3,600 calls an hour for an address that many share.
  PYPI_POLL_MS: integerSetting(60_000, 100, 3_600_000),
  // Right after a change the index's cache serves the document before it for some seconds.
  PYPI_SETTLE_MS: integerSetting(10_000, 0, 600_000),
  PYPI_DOWNLOADS_URL: urlSetting(DOWNLOADS_URL),
  // For tests: an index cuts pages at 50,000 rows, which are slow to make.
  PYPI_PAGE_ROWS: integerSetting(PAGE_ROWS, 1, PAGE_ROWS),
});

export interface PypiSettings {
  indexUrl: string;
  feedUrl: string;
  downloadsUrl: string;
  start: string;
  requestsPerSecond: number;
  pollMs: number;
  settleMs: number;
  pageRows: number;
}

export const SETTING_NAMES = Object.keys(shape.shape);

export const SERIAL: CursorForm = countCursor({ subject: 'pypi cursor', expected: 'a serial of the feed' });

/** Reads the settings. Throws `SettingError`. */
export function readPypiSettings(env: Record<string, unknown>): PypiSettings {
  const read = parseSettings(shape, env);
  return {
    indexUrl: read.PYPI_URL,
    feedUrl: read.PYPI_FEED_URL ?? `${read.PYPI_URL}/pypi`,
    downloadsUrl: read.PYPI_DOWNLOADS_URL,
    start: read.PYPI_START === 'head' ? 'head' : SERIAL.parse(read.PYPI_START),
    requestsPerSecond: read.PYPI_REQUESTS_PER_SECOND,
    pollMs: read.PYPI_POLL_MS,
    settleMs: read.PYPI_SETTLE_MS,
    pageRows: read.PYPI_PAGE_ROWS,
  };
}

/** Pace and times of the source. Where one host serves documents and counts, as the stand-in does, the setting counts. */
export function paceOf(settings: PypiSettings) {
  const { requestsPerSecond, pollMs, settleMs } = settings;
  const hosts: Record<string, HostPace> = {
    [hostOf(settings.downloadsUrl)]: DOWNLOADS_PACE,
    [hostOf(settings.indexUrl)]: { requestsPerSecond, burst: Math.max(2, Math.ceil(requestsPerSecond)) },
    [feedHostOf(settings)]: FEED_PACE,
  };
  return { pollMs, settleMs, hosts, others: OTHERS_PACE };
}

/** The name of the feed's permits, because it has a limit of its own on the index's host. */
export function feedHostOf({ feedUrl }: Pick<PypiSettings, 'feedUrl'>): string {
  return `${hostOf(feedUrl)}/feed`;
}

export function hostOf(url: string): string {
  return new URL(url).host;
}
