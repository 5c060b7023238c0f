import { z } from 'zod';
import { StepError, type Steps } from './steps.ts';

/** How long a queue keeps a ticket: as long as Cloudflare lets it, for a worker that stands still may be mended late. */
const QUEUE_RETENTION_SECONDS = 14 * 24 * 60 * 60;

const loginShape = z.looseObject({
  loggedIn: z.boolean(),
  email: z.string().optional(),
  accounts: z.array(z.looseObject({ id: z.string(), name: z.string() })).default([]),
});

const databasesShape = z.array(z.looseObject({ name: z.string(), uuid: z.string() }));

const secretsShape = z.array(z.looseObject({ name: z.string() }));

const LOGIN_HINT =
  'Log in with "npx wrangler login", or set CLOUDFLARE_API_TOKEN and CLOUDFLARE_ACCOUNT_ID. ' +
  'What would be done is shown without either by "npm run deploy -- --dry-run".';

/**
 * Looks whether wrangler is logged in, and chooses the account: `accountId`, or the only one. Gives who it is. Without,
 * everything else would fail with less to go by.
 */
export async function findLogin(steps: Steps, accountId: string | undefined): Promise<string> {
  const words = ['whoami', '--json'];
  const outcome = await steps.ask(words);
  if (/"loggedIn":\s*false/.test(outcome.output)) {
    throw new StepError('Cloudflare: expected wrangler to be logged in, got no login', LOGIN_HINT);
  }
  if (outcome.code !== 0) {
    const failure = steps.failure(words, outcome);
    throw new StepError(failure.message, failure.hint ?? LOGIN_HINT);
  }
  const { email, accounts } = loginShape.parse(jsonOf(outcome.output, '{'));
  const meant = accounts.filter(({ id }) => accountId === undefined || id === accountId);
  if (accounts.length > 0 && meant.length !== 1) {
    const list = accounts.map(({ id, name }) => `${id} (${name})`).join(', ');
    throw new StepError(
      `CLOUDFLARE_ACCOUNT_ID: expected the id of one of the login's accounts, got ${accountId ?? 'null'}`,
      `Set it to one of ${list}.`,
    );
  }
  // A token that may not list its accounts has the environment say which.
  const account = meant[0];
  if (account !== undefined) steps.choose(account.id);
  return [email, account?.name].filter(Boolean).join(', ') || 'logged in';
}

/** Makes the bucket unless the account has it. */
export async function makeBucket(steps: Steps, bucket: string): Promise<string> {
  // This asks for the bucket's size as well, which a token need not be allowed: then the create says that it is there.
  const { code } = await steps.ask(['r2', 'bucket', 'info', bucket, '--json']);
  return code === 0 ? 'found' : steps.make(['r2', 'bucket', 'create', bucket, '--update-config=false']);
}

/** Makes the database unless the account has it; gives its id, and whether it was there. */
export async function makeDatabase(steps: Steps, database: string): Promise<{ id: string; result: string }> {
  const find = async () => {
    const databases = databasesShape.parse(jsonOf(await steps.run(['d1', 'list', '--json']), '['));
    return databases.find(({ name }) => name === database)?.uuid;
  };
  const before = await find();
  if (before !== undefined) return { id: before, result: 'found' };
  const result = await steps.make(['d1', 'create', database, '--update-config=false']);
  const id = await find();
  if (id === undefined) throw new StepError(`d1 list: expected ${database} to be listed, got none of that name`, null);
  return { id, result };
}

/** Makes a queue that keeps what it holds for 14 days, unless the account has it; one that is there keeps its settings. */
export async function makeQueue(steps: Steps, queue: string): Promise<string> {
  const { code, output } = await steps.ask(['queues', 'info', queue]);
  // The whole line: another queue's name may begin alike.
  if (code === 0 && new RegExp(`^Queue Name: ${queue}\\s*$`, 'm').test(output)) return 'found';
  const retention = ['--message-retention-period-secs', String(QUEUE_RETENTION_SECONDS)];
  return steps.make(['queues', 'create', queue, ...retention]);
}

/** Whether a deployed worker has a secret from before. */
export async function hasSecret(steps: Steps, name: string, flags: readonly string[]): Promise<boolean> {
  const output = await steps.run(['secret', 'list', ...flags]);
  return secretsShape.parse(jsonOf(output, '[')).some(secret => secret.name === name);
}

/** JSON that wrangler may have put a warning before. */
function jsonOf(output: string, first: '[' | '{'): unknown {
  const start = output.search(first === '[' ? /^\[/m : /^\{/m);
  try {
    return JSON.parse(output.slice(Math.max(0, start)));
  } catch {
    throw new StepError(`wrangler: expected JSON, got ${JSON.stringify(output.slice(0, 100))}`, null);
  }
}
