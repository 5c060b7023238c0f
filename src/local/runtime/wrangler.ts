import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Environment } from '../settings.ts';

/** The folder of this project: the worker's configuration and its packages are there. */
export const PROJECT = path.resolve(import.meta.dirname, '../../..');

/** Applies migrations that the state folder does not have; a file with their names saves a start of wrangler. */
export async function applyMigrations(options: {
  stateDir: string;
  project: string;
  signal?: AbortSignal;
}): Promise<void> {
  const { stateDir, project } = options;
  const appliedFile = path.join(stateDir, 'migrations.json');
  const names = JSON.stringify(readdirSync(path.join(project, 'migrations')).sort());
  const isApplied = existsSync(appliedFile) && readFileSync(appliedFile, 'utf8') === names;
  if (isApplied && existsSync(path.join(stateDir, 'v3/d1'))) return;
  await runWrangler(['d1', 'migrations', 'apply', 'DB', '--local', '--persist-to', stateDir], options);
  writeFileSync(appliedFile, names);
}

/** Runs one wrangler command to its end and gives its output. Throws with all output when it fails. */
async function runWrangler(
  words: string[],
  { stateDir, project, signal }: { stateDir: string; project: string; signal?: AbortSignal },
): Promise<string> {
  const env = wranglerEnv(stateDir);
  const { code, output, errors } = await callWrangler(words, { env, folder: project, ...(signal && { signal }) });
  if (code !== 0) throw new Error(`wrangler ${words.slice(0, 3).join(' ')} failed:\n${output}${errors}`.trimEnd());
  return output;
}

/** The outcome of a wrangler command. The code is null when a signal ended it. */
export interface Outcome {
  code: number | null;
  output: string;
  errors: string;
}

/**
 * Runs one wrangler command to its end in a folder, with `input` as its standard input. `CI` in its environment keeps
 * it from asking questions.
 */
export async function callWrangler(
  words: readonly string[],
  options: { env: NodeJS.ProcessEnv; folder: string; input?: string; program?: string; signal?: AbortSignal },
): Promise<Outcome> {
  const { env, folder, input = '', program = wranglerProgram(), signal } = options;
  const child = spawn(process.execPath, [program, ...words], {
    cwd: folder,
    env: { ...env, CI: 'true' },
    stdio: ['pipe', 'pipe', 'pipe'],
    ...(signal && { signal }),
  });
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', text => {
    output += text;
  });
  child.stderr.setEncoding('utf8').on('data', text => {
    errors += text;
  });
  // A command that ends before it reads its input is no error here: its code says whether it failed.
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output, errors };
}

/** Wrangler's program, which Node runs. */
export function wranglerProgram(): string {
  return path.join(PROJECT, 'node_modules/wrangler/bin/wrangler.js');
}

/** Variables of wrangler's login and account. */
const LOGIN_VARIABLES = /^CLOUDFLARE_(?:API_TOKEN|API_KEY|EMAIL|ACCOUNT_ID|API_BASE_URL|COMPLIANCE_REGION)$/;

/**
 * The environment of a wrangler command: without variables that would change what it does, and without its telemetry.
 * `login`: with the login's variables, for commands that call Cloudflare.
 */
export function wranglerEnv(
  stateDir: string,
  { env = process.env, login = false }: { env?: Environment; login?: boolean } = {},
): NodeJS.ProcessEnv {
  const foreign = /^(?:CLOUDFLARE_|CF_|WRANGLER_|MINIFLARE_|X_LOCAL_|VITEST|NODE_ENV$|NODE_OPTIONS$|npm_)/;
  const passedOn = Object.entries(env).filter(([name]) => !foreign.test(name) || (login && LOGIN_VARIABLES.test(name)));
  return {
    ...Object.fromEntries(passedOn),
    NO_COLOR: '1',
    CLOUDFLARE_CF_FETCH_ENABLED: 'false',
    WRANGLER_SEND_METRICS: 'false',
    WRANGLER_SEND_ERROR_REPORTS: 'false',
    // With its banner wrangler would also ask for its newest version.
    WRANGLER_HIDE_BANNER: 'true',
    // Wrangler's page for looking into a local worker lets anyone read and change its databases, without a token.
    X_LOCAL_EXPLORER: 'false',
    // Its store of traces grows by gigabytes a day.
    X_LOCAL_OBSERVABILITY: 'false',
    WRANGLER_LOG_PATH: path.join(stateDir, 'wrangler'),
    WRANGLER_REGISTRY_PATH: path.join(stateDir, 'wrangler/registry'),
  };
}
