import { z } from 'zod';
import { DeployStepError, type Steps } from './steps.ts';

/** How long a queue holds a ticket: Cloudflare's maximum, because a broken worker may be repaired late. */
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
  '"npm run deploy -- --dry-run" shows the steps without a login.';

/**
 * Checks that wrangler is logged in and chooses the account: `accountId`, or the only one. Gives the login's name. It
 * is the first step, because without a login every other one would fail with a less clear error.
 */
export async function findLogin(steps: Steps, accountId: string | undefined): Promise<string> {
  const words = ['whoami', '--json'];
  const outcome = await steps.tryRun(words);
  if (/"loggedIn":\s*false/.test(outcome.output)) {
    throw new DeployStepError('Cloudflare: expected wrangler to be logged in, got no login', LOGIN_HINT);
  }
  if (outcome.code !== 0) {
    const failure = steps.failure(words, outcome);
    throw new DeployStepError(failure.message, failure.hint ?? LOGIN_HINT);
  }
  const { email, accounts } = loginShape.parse(jsonOf(outcome.output, '{'));
  const matching = accounts.filter(({ id }) => accountId === undefined || id === accountId);
  if (accounts.length > 0 && matching.length !== 1) {
    const list = accounts.map(({ id, name }) => `${id} (${name})`).join(', ');
    throw new DeployStepError(
      `CLOUDFLARE_ACCOUNT_ID: expected the id of one of the login's accounts, got ${accountId ?? 'null'}`,
      `Set it to one of ${list}.`,
    );
  }
  // A token that may not list its accounts gives none; then CLOUDFLARE_ACCOUNT_ID names it.
  const account = matching[0];
  if (account !== undefined) steps.choose(account.id);
  return [email, account?.name].filter(Boolean).join(', ') || 'logged in';
}

/** Creates the bucket unless the account has it. */
export async function makeBucket(steps: Steps, bucket: string): Promise<string> {
  // This command also reads the bucket's size. A token that may not do so fails here, and the create finds the bucket.
  const { code } = await steps.tryRun(['r2', 'bucket', 'info', bucket, '--json']);
  return code === 0 ? 'found' : steps.make(['r2', 'bucket', 'create', bucket, '--update-config=false']);
}

/** Creates the database unless the account has it; gives its id, and whether it was found or created. */
export async function makeDatabase(steps: Steps, database: string): Promise<{ id: string; result: string }> {
  const find = async () => {
    const databases = databasesShape.parse(jsonOf(await steps.run(['d1', 'list', '--json']), '['));
    return databases.find(({ name }) => name === database)?.uuid;
  };
  const before = await find();
  if (before !== undefined) return { id: before, result: 'found' };
  const result = await steps.make(['d1', 'create', database, '--update-config=false']);
  const id = await find();
  if (id === undefined)
    throw new DeployStepError(`d1 list: expected ${database} to be listed, got none of that name`, null);
  return { id, result };
}

/** Creates a queue that holds messages for 14 days, unless the account has it; an existing queue's settings stay. */
export async function makeQueue(steps: Steps, queue: string): Promise<string> {
  const { code, output } = await steps.tryRun(['queues', 'info', queue]);
  // Compare the whole line, because another queue's name may begin with this one.
  if (code === 0 && new RegExp(`^Queue Name: ${queue}\\s*$`, 'm').test(output)) return 'found';
  const retention = ['--message-retention-period-secs', String(QUEUE_RETENTION_SECONDS)];
  return steps.make(['queues', 'create', queue, ...retention]);
}

/** Whether the deployed worker has a secret already. */
export async function hasSecret(steps: Steps, name: string, flags: readonly string[]): Promise<boolean> {
  const output = await steps.run(['secret', 'list', ...flags]);
  return secretsShape.parse(jsonOf(output, '[')).some(secret => secret.name === name);
}

/** The JSON of an output that may begin with a warning. */
function jsonOf(output: string, first: '[' | '{'): unknown {
  const start = output.search(first === '[' ? /^\[/m : /^\{/m);
  try {
    return JSON.parse(output.slice(Math.max(0, start)));
  } catch {
    throw new DeployStepError(`wrangler: expected JSON, got ${JSON.stringify(output.slice(0, 100))}`, null);
  }
}
