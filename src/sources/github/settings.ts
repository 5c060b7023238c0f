import { z } from 'zod';
import { integerSetting, parseSettings, rateSetting, urlSetting } from '../../config.ts';
import { shortDigest } from '../../digest.ts';
import type { HostPace } from '../../ports/hosts.ts';

const API_URL = 'https://api.github.com';

/** Commits of a repository that are read at first sight: ten pages, which is one visit. */
const HISTORY = '1000';

const settingsShape = z.object({
  GITHUB_API_URL: urlSetting(API_URL),
  GITHUB_TOKEN: z
    .string()
    .regex(/^[\x21-\x7e]{1,500}$/)
    .describe(
      'a token, because GraphQL refuses requests without one; a fine-grained personal access token without any ' +
        'permission suffices (GitHub: Settings, Developer settings, Personal access tokens)',
    ),
  GITHUB_HISTORY: z
    .string()
    .or(z.number().transform(String))
    .default(HISTORY)
    .pipe(z.string().regex(/^(all|[1-9]\d{0,8})$/))
    .describe('a number of commits from 1 to 999999999, or all'),
  GITHUB_AUTHORS: z.enum(['true', 'false']).default('false').describe('true or false'),
  GITHUB_WEBHOOK_SECRET: z
    .string()
    .regex(/^\P{Cc}{1,500}$/u)
    .optional()
    .describe('a secret of 1 to 500 characters'),
  // GitHub allows 5,000 an hour; the rest is for people who use the same account.
  GITHUB_REQUESTS_PER_SECOND: rateSetting(1.25),
  // 5,000 points an hour as well, one for each request of the probe; the limit on computing time allows one at a time.
  GITHUB_GRAPHQL_REQUESTS_PER_SECOND: rateSetting(1),
  // How often the agenda checks for due keys; a check costs no request.
  GITHUB_POLL_MS: integerSetting(60_000, 100, 3_600_000),
});

export const GITHUB_SETTINGS = Object.keys(settingsShape.shape);

export interface GithubSettings {
  /** The base of REST, without a slash at its end. */
  url: string;
  token: string;
  /** Commits of a repository at first sight; null for all. */
  historyMax: number | null;
  /** Whether the accounts of commit authors are watched. */
  authors: boolean;
  /** Null where no webhook is taken. */
  webhookSecret: string | null;
  requestsPerSecond: number;
  graphqlRequestsPerSecond: number;
  pollMs: number;
}

export function readGithubSettings(env: Record<string, unknown>): GithubSettings {
  const read = parseSettings(settingsShape, env);
  return {
    url: read.GITHUB_API_URL,
    token: read.GITHUB_TOKEN,
    historyMax: read.GITHUB_HISTORY === 'all' ? null : Number(read.GITHUB_HISTORY),
    authors: read.GITHUB_AUTHORS === 'true',
    webhookSecret: read.GITHUB_WEBHOOK_SECRET ?? null,
    requestsPerSecond: read.GITHUB_REQUESTS_PER_SECOND,
    graphqlRequestsPerSecond: read.GITHUB_GRAPHQL_REQUESTS_PER_SECOND,
    pollMs: read.GITHUB_POLL_MS,
  };
}

/** The permits of REST. */
export function restHost({ url }: GithubSettings): string {
  return new URL(url).host;
}

/** The permits of GraphQL, which has limits of its own. */
export function graphqlHost(settings: GithubSettings): string {
  return `${restHost(settings)}/graphql`;
}

/** The headers in which each answer says what is left of its limit. */
export const QUOTA_HEADERS = {
  remaining: 'x-ratelimit-remaining',
  reset: 'x-ratelimit-reset',
  resetIs: 'seconds-since-1970',
} as const;

export function hostPaces(settings: GithubSettings): Record<string, HostPace> {
  return {
    [restHost(settings)]: { requestsPerSecond: settings.requestsPerSecond, burst: 5, quota: QUOTA_HEADERS },
    [graphqlHost(settings)]: {
      requestsPerSecond: settings.graphqlRequestsPerSecond,
      burst: 1,
      quota: QUOTA_HEADERS,
    },
  };
}

/** What facts say of the token that got an ETag: GitHub's ETags are of one token (facts never hold a secret). */
export function tokenMark({ token }: GithubSettings): string {
  return shortDigest(`token ${token}`).slice(0, 8);
}
