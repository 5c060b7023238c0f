import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** The folder of this project: the worker's configuration and its packages are there. */
export const PROJECT = path.resolve(import.meta.dirname, '../..');

/** Answers of the worker's operational database to one statement. */
export async function queryDatabase<R>(stateDir: string, statement: string, project = PROJECT): Promise<R[]> {
  const words = ['d1', 'execute', 'DB', '--local', '--json', '--persist-to', path.resolve(stateDir)];
  const output = await runWrangler([...words, '--command', statement], { stateDir, project });
  return (JSON.parse(output.slice(output.indexOf('['))) as [{ results: R[] }])[0].results;
}

/** Applies migrations that the state folder has not seen; a note of them saves wrangler's start. */
export async function applyMigrations(options: {
  stateDir: string;
  project: string;
  signal?: AbortSignal;
}): Promise<void> {
  const { stateDir, project } = options;
  const note = path.join(stateDir, 'migrations.json');
  const names = JSON.stringify(readdirSync(path.join(project, 'migrations')).sort());
  const applied = existsSync(note) && readFileSync(note, 'utf8') === names;
  if (applied && existsSync(path.join(stateDir, 'v3/d1'))) return;
  await runWrangler(['d1', 'migrations', 'apply', 'DB', '--local', '--persist-to', stateDir], options);
  writeFileSync(note, names);
}

/** Runs one wrangler command to its end and gives what it wrote; throws with all of it when it fails. */
async function runWrangler(
  words: string[],
  { stateDir, project, signal }: { stateDir: string; project: string; signal?: AbortSignal },
): Promise<string> {
  const env = { ...wranglerEnv(stateDir), CI: 'true' };
  const child = spawn(process.execPath, [wranglerProgram(), ...words], {
    cwd: project,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
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
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`wrangler ${words.slice(0, 3).join(' ')} failed:\n${output}${errors}`.trimEnd());
  return output;
}

/** The program to give to Node. */
export function wranglerProgram(): string {
  return path.join(PROJECT, 'node_modules/wrangler/bin/wrangler.js');
}

/** This process's environment without what would change wrangler, and without its calls home. */
export function wranglerEnv(stateDir: string): NodeJS.ProcessEnv {
  const foreign = /^(?:CLOUDFLARE_|CF_|WRANGLER_|MINIFLARE_|VITEST|NODE_ENV$|NODE_OPTIONS$|npm_)/;
  const kept = Object.entries(process.env).filter(([name]) => !foreign.test(name));
  return {
    ...Object.fromEntries(kept),
    NO_COLOR: '1',
    CLOUDFLARE_CF_FETCH_ENABLED: 'false',
    WRANGLER_SEND_METRICS: 'false',
    WRANGLER_SEND_ERROR_REPORTS: 'false',
    // The banner is what asks for the newest version.
    WRANGLER_HIDE_BANNER: 'true',
    WRANGLER_LOG_PATH: path.join(stateDir, 'wrangler'),
    WRANGLER_REGISTRY_PATH: path.join(stateDir, 'wrangler/registry'),
  };
}
