import type { components } from '@octokit/openapi-types';
import type { Answer } from '../../stand-in/faults.ts';
import type { Repository } from './world.ts';

type BasicError = components['schemas']['basic-error'];

const DOCUMENTATION = 'https://docs.github.com/rest';
const SECONDARY_TEXT =
  'You have exceeded a secondary rate limit. Please wait a few minutes before you try again. If you reach out to ' +
  'GitHub Support for help, please include the request ID STAND:IN.';
const PRIMARY_TEXT = 'API rate limit exceeded for user ID 1.';
const TIMEOUT_TEXT =
  'Something went wrong while executing your query. This may be the result of a timeout, or it could be a GitHub bug. ' +
  'Please include `STAND:IN` when reporting this issue.';

/** An answer with GitHub's body of an error. */
export function refuse(status: number, message: string, more: BasicError = {}): Answer {
  const body: BasicError = { message, documentation_url: DOCUMENTATION, status: String(status), ...more };
  return { status, body: JSON.stringify(body) };
}

export function notFound(): Answer {
  return refuse(404, 'Not Found');
}

export function moved(location: string): Answer {
  const url = 'https://docs.github.com/v3/#http-redirects';
  const body: BasicError = { message: 'Moved Permanently', url: location, documentation_url: url };
  return { status: 301, headers: { location }, body: JSON.stringify(body) };
}

/** GitHub does not declare this answer. */
export function blocked({ reason, status, createdAt }: NonNullable<Repository['block']>): Answer {
  const block = { reason, created_at: createdAt, html_url: 'https://github.com/github/dmca/blob/master/notice.md' };
  return { status, body: JSON.stringify({ message: 'Repository access blocked', block }) };
}

/** The refusals of a rate limit. Which headers come with them is the quota's. */
export const primaryLimit = (): Answer => refuse(403, PRIMARY_TEXT);
export const secondaryLimit = (): Answer => refuse(403, SECONDARY_TEXT);

/** The same of GraphQL, with status 200. It has two wordings: the second one since January 2026. */
export const GRAPHQL_LIMITS: readonly Answer[] = [
  { body: JSON.stringify({ errors: [{ type: 'RATE_LIMITED', message: PRIMARY_TEXT }] }) },
  { body: JSON.stringify({ errors: [{ type: 'RATE_LIMIT', code: 'graphql_rate_limit', message: PRIMARY_TEXT }] }) },
];

export const graphqlSecondaryLimit = (): Answer => ({ body: JSON.stringify({ message: SECONDARY_TEXT }) });

/** What a test may give in place of an answer, by name: all of them pass. */
export const FAULTS = {
  serverError: { status: 500, body: '{"message":"Server Error"}' },
  badGateway: { status: 502, headers: { 'content-type': 'text/html' }, body: '<html>Unicorn!</html>' },
  timeout: { status: 504, body: JSON.stringify({ message: "We couldn't respond to your request in time." }) },
  cut: { cut: true },
  /** Only of GraphQL: an error in place of all data. */
  graphqlTimeout: { body: JSON.stringify({ data: null, errors: [{ message: TIMEOUT_TEXT }] }) },
  graphqlTimeout502: { status: 502, body: JSON.stringify({ data: null, errors: [{ message: TIMEOUT_TEXT }] }) },
} satisfies Record<string, Answer>;
