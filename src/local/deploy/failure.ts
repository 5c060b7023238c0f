import { stripVTControlCharacters } from 'node:util';
import type { Outcome } from '../runtime/wrangler.ts';

/** Errors of Cloudflare's that a person can do something about, by what wrangler writes of them. */
const HINTS: { seen: RegExp; hint: string }[] = [
  {
    seen: /resolve Cloudflare's API hostname|fetch failed|ENOTFOUND|ECONNREFUSED|ETIMEDOUT/i,
    hint: "Cloudflare's API cannot be reached from here: look at the network, then run it again.",
  },
  {
    seen: /More than one account|retrieve account IDs/i,
    hint: 'Set CLOUDFLARE_ACCOUNT_ID to the id of the account to deploy to.',
  },
  {
    seen: /\[code: 10042\]|enable R2/i,
    hint: 'R2 has to be switched on for the account once, in the dashboard under R2.',
  },
  {
    seen: /\[code: 100328\]|\[code: 100128\]|queue settings are invalid|free (plan|tier)|Workers Paid/i,
    hint: 'The worker wants the Workers Paid plan: CPU time over the free limit, and queues that keep messages for 14 days.',
  },
  {
    seen: /\[code: 10063\]|register a workers\.dev subdomain/i,
    hint: 'The account has no workers.dev name yet: open Workers in the dashboard once and choose one.',
  },
];

const DENIED = /\[code: (10000|9106|9109|10001|1000|1001)\]|Authentication error|Unauthorized|not authorized/i;

/** Cloudflare's ways to say that a bucket (10004), queue (11009) or database (7502) of that name is there. */
const EXISTS = /\[code: (10004|10073|11009|7502)\]|already (exists|taken)/i;

/** Whether a create failed because what it makes is there. */
export function saysExists({ output, errors }: Outcome): boolean {
  return EXISTS.test(output + errors);
}

/** What a failed command said, without marks, logs and advice for terminals; never empty. */
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

/** What to do about a failure; null when nothing is known. `permission` is what the step wants of a token. */
export function hintFor(reason: string, permission: string | null): string | null {
  const known = HINTS.find(({ seen }) => seen.test(reason));
  if (known !== undefined) return known.hint;
  if (permission === null || !DENIED.test(reason)) return null;
  return `The login may not do this. Its API token wants the permission ${permission} on the account.`;
}
