import { readFileSync } from 'node:fs';
import path from 'node:path';
import { dryAccount, openAccount } from './deploy/account.ts';
import { catalogSteps } from './deploy/catalog-steps.ts';
import { configText, deployedConfig, queuesOf, readConfig, type WorkerConfig, writeConfig } from './deploy/config.ts';
import { findLogin, hasSecret, makeBucket, makeDatabase, makeQueue } from './deploy/resources.ts';
import { type DeploySettings, readDeploySettings } from './deploy/settings.ts';
import { type StepReporter, Steps } from './deploy/steps.ts';
import { runProgram } from './program.ts';
import { PROJECT } from './runtime/wrangler.ts';
import type { Environment } from './settings.ts';

/** The deployed configuration, below the project's folder. Git ignores it: the database's id belongs to one account. */
const CONFIG_FILE = '.wrangler/deploy.jsonc';
const FLAGS = ['--config', CONFIG_FILE];
/** The worker also runs without this secret, but then refuses its controls. */
const TOKEN = 'ADMIN_TOKEN';

export interface DeployOptions {
  write(line: string): void;
  /** Shows the steps and does none of them. */
  dryRun?: boolean;
  /** The folder with the worker's `wrangler.jsonc`. */
  project?: string;
  /** The program that Node runs in place of wrangler. */
  program?: string;
  signal?: AbortSignal;
}

/**
 * Deploys the worker with its bucket, database and queues to the account of wrangler's login. What the account has
 * already is left unchanged. Gives the program's exit code. Throws `SettingError` before the first command; later an
 * error names the step that failed and the steps done before it.
 */
export async function runDeploy(env: Environment, options: DeployOptions): Promise<number> {
  const { write, dryRun = false, project = PROJECT, program, signal } = options;
  const settings = await readDeploySettings(env);
  const config = readConfig(readFileSync(path.join(project, 'wrangler.jsonc'), 'utf8'));
  const file = path.join(project, CONFIG_FILE);
  const secrets = Object.values(settings.secrets);
  const wrangler = { env, project, secrets, stateDir: path.dirname(file), ...(program && { program }) };
  const account = dryRun ? dryAccount(write) : openAccount({ ...wrangler, ...(signal && { signal }) });
  for (const line of [...(dryRun ? DRY_RUN_LINES : [`Deploying ${config.name} …`]), ...settings.notes]) write(line);
  const { url, notes } = await deploy(new Steps(account, dryRun ? commandReporter(write) : resultReporter(write)), {
    config,
    settings,
    accountId: env.CLOUDFLARE_ACCOUNT_ID || config.account_id,
    save: derived => (dryRun ? write(configText(derived).trimEnd()) : writeConfig(file, derived)),
  });
  for (const line of dryRun ? notes : [...deployedLines(url), ...notes]) write(`\n${line}`);
  write('');
  for (const line of catalogSteps(config.r2_buckets[0].bucket_name)) write(line);
  return 0;
}

interface DeployStepsOptions {
  config: WorkerConfig;
  settings: DeploySettings;
  accountId: string | undefined;
  /** Writes the derived configuration where the commands read it. */
  save(derived: Record<string, unknown>): void;
}

/** Does the steps in an order in which each finds what it needs. Gives the worker's URL and notes for the person. */
async function deploy(
  steps: Steps,
  { config, settings, accountId, save }: DeployStepsOptions,
): Promise<{ url: string | null; notes: string[] }> {
  const { name, r2_buckets: buckets, d1_databases: databases } = config;
  const [{ binding, database_name: database }] = databases;
  const { vars, secrets } = settings;
  let databaseId = '';
  let url: string | null = null;
  const notes: string[] = [];
  await steps.step('login', '"Account Settings Read"', () => findLogin(steps, accountId));
  for (const { bucket_name: bucket } of buckets) {
    await steps.step(`bucket ${bucket}`, '"Workers R2 Storage Write"', () => makeBucket(steps, bucket));
  }
  await steps.step(`database ${database}`, '"D1 Write"', async () => {
    const made = await makeDatabase(steps, database);
    databaseId = made.id;
    return made.result;
  });
  await steps.step(`configuration ${CONFIG_FILE}`, null, () => {
    save(deployedConfig(config, { databaseId, vars, depth: 1 }));
    return 'written';
  });
  // Migrate before the deployment: the new worker needs the tables, and the one before it ignores them.
  await steps.step('migrations', '"D1 Write"', async () => {
    const output = await steps.run(['d1', 'migrations', 'apply', binding, '--remote', ...FLAGS]);
    return /No migrations to apply/.test(output) ? 'none to apply' : 'applied';
  });
  for (const queue of queuesOf(config)) {
    await steps.step(`queue ${queue}`, '"Queues Write"', () => makeQueue(steps, queue));
  }
  await steps.step(`worker ${name}`, '"Workers Scripts Write"', async () => {
    url = /https:\/\/\S+\.workers\.dev/.exec(await steps.run(['deploy', ...FLAGS]))?.[0] ?? null;
    return 'deployed';
  });
  // Set secrets after the deployment: a secret of a missing worker would create an empty worker.
  for (const [secret, value] of Object.entries(secrets)) {
    await steps.step(`secret ${secret}`, '"Workers Scripts Write"', async () => {
      await steps.run(['secret', 'put', secret, ...FLAGS], { input: value });
      return 'set';
    });
  }
  if (secrets[TOKEN] === undefined) {
    await steps.step(`secret ${TOKEN}`, '"Workers Scripts Write"', async () => {
      if (await hasSecret(steps, TOKEN, FLAGS)) return 'left unchanged';
      notes.push(`${TOKEN} is not set: the worker refuses its controls. Set it and run this again.`);
      return 'not set';
    });
  }
  return { url, notes };
}

const DRY_RUN_LINES = [
  'A dry run: it sends nothing to Cloudflare and writes no file. These are the commands of a first deployment, in order.',
  'A real run leaves what the account has already and skips the command that would create it.',
];

/** Writes a heading over the commands of each step, for a dry run. */
function commandReporter(write: (line: string) => void): StepReporter {
  return { begin: name => write(`\n# ${name}`), end: () => {} };
}

/** Writes a line for each step when it is done. */
function resultReporter(write: (line: string) => void): StepReporter {
  return { begin: () => {}, end: (name, result) => write(`  ${name}: ${result}`) };
}

function deployedLines(url: string | null): string[] {
  if (url === null) return ['Deployed. The worker has no address under workers.dev; the dashboard shows its routes.'];
  return [`Deployed: ${url}\n  status  ${url}/v1/sources\n  Its sources start within a minute.`];
}

if (import.meta.main) {
  const words = process.argv.slice(2);
  await runProgram(signal => {
    const unknown = words.find(word => word !== '--dry-run');
    if (unknown !== undefined) throw new Error(`deploy: expected --dry-run or nothing, got ${JSON.stringify(unknown)}`);
    const write = (line: string) => void process.stdout.write(`${line}\n`);
    return runDeploy(process.env, { dryRun: words.length > 0, write, signal });
  });
}
