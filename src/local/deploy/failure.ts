import { stripVTControlCharacters } from 'node:util';
import type { Outcome } from '../runtime/wrangler.ts';

/** What a person can do about errors of Cloudflare, by the text that wrangler writes for them. */
const HINTS: { pattern: RegExp; hint: string }[] = [
  {
    pattern: /resolve Cloudflare's API hostname|fetch failed|ENOTFOUND|ECONNREFUSED|ETIMEDOUT/i,
    hint: "Cloudflare's API cannot be reached from here: check the network, then run it again.",
  },
  {
    pattern: /More than one account|retrieve account IDs/i,
    hint: 'Set CLOUDFLARE_ACCOUNT_ID to the id of the account to deploy to.',
  },
  {
    pattern: /\[code: 10042\]|enable R2/i,
    hint: 'R2 is not enabled for the account: enable it once, in the dashboard under R2.',
  },
  {
    pattern: /\[code: 100328\]|\[code: 100128\]|queue settings are invalid|free (plan|tier)|Workers Paid/i,
    hint: 'The worker needs the Workers Paid plan: CPU time over the free limit, and queues that hold messages for 14 days.',
  },
  {
    pattern: /\[code: 10063\]|register a workers\.dev subdomain/i,
    hint: 'The account has no workers.dev name yet: open Workers in the dashboard once and choose one.',
  },
];

const DENIED = /\[code: (10000|9106|9109|10001|1000|1001)\]|Authentication error|Unauthorized|not authorized/i;

/** Cloudflare's errors for a bucket (10004), queue (11009) or database (7502) that exists already. */
const EXISTS = /\[code: (10004|10073|11009|7502)\]|already (exists|taken)/i;

/** Whether a create command failed because the thing exists already. */
export function saysExists({ output, errors }: Outcome): boolean {
  return EXISTS.test(output + errors);
}

/** The error text of a failed command, without marks, stack traces and advice for terminals; never empty. */
export function reasonOf({ code, output, errors }: Outcome): string {
  const both = [errors, output].map(text => stripVTControlCharacters(text));
  const text = both.find(one => one.includes('[ERROR]')) ?? both.join('\n');
  const start = text.indexOf('[ERROR]');
  const lines = (start < 0 ? text : text.slice(start))
    .split('\n')
    .map(line => line.replace(/^\W*\[ERROR\]\s*/, '').trim())
    .filter(
      line =>
        line !== '' && !/Logs were written|^at .*:\d+|^If you think this is a bug|^To continue without/.test(line),
    );
  return lines.slice(0, 8).join('\n') || `wrangler ended with ${code === null ? 'a signal' : `code ${code}`}`;
}

/** What a person can do about a failure; null when unknown. `permission` is the one that the step needs. */
export function hintFor(reason: string, permission: string | null): string | null {
  const known = HINTS.find(({ pattern }) => pattern.test(reason));
  if (known !== undefined) return known.hint;
  if (permission === null || !DENIED.test(reason)) return null;
  return `The login may not do this. Its API token needs the permission ${permission} on the account.`;
}
