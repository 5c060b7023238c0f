import { execFile } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { commandLine } from '../../../src/local/deploy/account.ts';
import { runDeploy } from '../../../src/local/deploy.ts';
import { callWrangler, wranglerEnv } from '../../../src/local/runtime/wrangler.ts';
import { SOURCES } from '../../../src/sources/registry.ts';
import { accountOf, changeAccount, type StandInAccount, standIn } from './stand-in-wrangler.ts';

const ROOT = path.resolve(import.meta.dirname, '../../..');
const FOLDER = mkdtempSync(path.join(tmpdir(), 'deploy-'));
const TOKEN = `s3cret-$HOME-"quoted"-it's`;
const ENV = { NPM_REGISTRY_URL: 'https://packages.example', CONTACT: 'me@example.org', ADMIN_TOKEN: TOKEN };
const IDS = SOURCES.map(({ id }) => id).join(', ');
const QUEUES = ['tributary-retry', 'tributary-retry-expired'];
const FULL: Partial<StandInAccount> = {
  buckets: ['data-ingestion'],
  databases: [
    { name: 'tributary-2', uuid: 'another' },
    { name: 'tributary', uuid: 'made-before' },
  ],
  queues: [...QUEUES].reverse(),
  secrets: ['ADMIN_TOKEN'],
  migrated: true,
};

let project: string;

/** A project folder of each test, because a deployment writes its configuration there. */
beforeEach(() => {
  project = mkdtempSync(path.join(FOLDER, 'project-'));
  copyFileSync(path.join(ROOT, 'wrangler.jsonc'), path.join(project, 'wrangler.jsonc'));
});

afterAll(() => rmSync(FOLDER, { recursive: true, force: true }));

interface Run {
  lines: string[];
  error: string;
  words: string[][];
}

async function run(env: Record<string, string> = ENV, options: { dryRun?: boolean } = {}): Promise<Run> {
  const before = accountOf(project).calls.length;
  const lines: string[] = [];
  const write = (line: string) => void lines.push(line);
  const program = path.join(project, 'wrangler.mjs');
  const error = await runDeploy(env, { write, project, program, ...options }).then(
    () => '',
    thrown => String((thrown as Error).message),
  );
  const { calls } = accountOf(project);
  const shown = [...lines, error, JSON.stringify(calls.map(({ words }) => words))].join('\n');
  // Every test also checks that no argument and no output holds a secret.
  expect(shown).not.toContain(JSON.stringify(TOKEN).slice(1, -1));
  expect(shown).not.toContain(TOKEN);
  return { lines, error, words: calls.slice(before).map(call => call.words) };
}

function derived(): Record<string, unknown> {
  return JSON.parse(readFileSync(path.join(project, '.wrangler/deploy.jsonc'), 'utf8'));
}

describe('a deployment', () => {
  test('creates everything in an empty account, and passes secrets through standard input', async () => {
    standIn(project, {});
    const { lines, error } = await run();
    expect(error).toBe('');
    expect(lines.slice(0, 10)).toEqual([
      'Deploying tributary …',
      '  login: One',
      '  bucket data-ingestion: created',
      '  database tributary: created',
      '  configuration .wrangler/deploy.jsonc: written',
      '  migrations: applied',
      ...QUEUES.map(queue => `  queue ${queue}: created`),
      '  worker tributary: deployed',
      '  secret ADMIN_TOKEN: set',
    ]);
    expect(lines.join('\n')).toContain('Deployed: https://tributary.example.workers.dev\n');
    expect(lines.join('\n')).toMatch(/basin catalog enable data-ingestion[\s\S]*Workers R2 Data Catalog Write/);
    const { calls, queues } = accountOf(project);
    // wrangler gets the account, so that it does not take one that it remembers from another login.
    expect(new Set(calls.slice(1).map(({ accountId }) => accountId))).toEqual(new Set(['a1']));
    expect(queues).toEqual(QUEUES);
    expect(calls.filter(({ input }) => input !== '')).toMatchObject([
      { words: ['secret', 'put', 'ADMIN_TOKEN', '--config', '.wrangler/deploy.jsonc'], input: TOKEN },
    ]);
    for (const { words } of calls.filter(call => call.words.join(' ').startsWith('queues create'))) {
      expect(words.slice(3)).toEqual(['--message-retention-period-secs', '1209600']);
    }
    expect(derived()).toMatchObject({
      main: '../src/index.ts',
      vars: { NPM_REGISTRY_URL: 'https://packages.example', CONTACT: 'me@example.org' },
      d1_databases: [{ binding: 'DB', database_id: 'id-of-tributary', migrations_dir: '../migrations' }],
      r2_buckets: [{ binding: 'LAKE', bucket_name: 'data-ingestion' }],
    });
    expect(JSON.stringify(derived())).not.toMatch(/ADMIN_TOKEN|local_dev/);
  });

  test('finds what exists, and leaves it unchanged', async () => {
    standIn(project, FULL);
    const { lines, words } = await run();
    expect(words.filter(call => call.includes('create'))).toEqual([]);
    expect(lines.filter(line => / (found|none to apply)$/.test(line))).toHaveLength(5);
    expect(derived()).toMatchObject({ d1_databases: [{ database_id: 'made-before' }] });
  });

  test('creates only what is missing', async () => {
    standIn(project, { buckets: ['data-ingestion'], queues: ['tributary-retry-expired'] });
    const { words } = await run();
    expect(words.filter(call => call.includes('create')).map(call => call.slice(0, 3).join(' '))).toEqual([
      'd1 create tributary',
      // The account had only a queue whose name begins with this one.
      'queues create tributary-retry',
    ]);
  });

  test('takes "already exists" for found, where the check is refused', async () => {
    const denied = 'Authentication error [code: 10000]';
    standIn(project, { ...FULL, failures: { 'r2 bucket info': denied, 'queues info': denied } });
    const { lines, error } = await run();
    expect(error).toBe('');
    expect(lines.filter(line => /^ {2}(bucket|queue) .*: found$/.test(line))).toHaveLength(3);
  });

  test('without a token leaves the existing one, and says when there is none', async () => {
    const { ADMIN_TOKEN: _, ...env } = ENV;
    standIn(project, FULL);
    expect((await run(env)).lines).toContain('  secret ADMIN_TOKEN: left unchanged');
    changeAccount(project, { secrets: [] });
    const { lines } = await run(env);
    expect(lines).toContain('  secret ADMIN_TOKEN: not set');
    expect(lines.join('\n')).toContain('ADMIN_TOKEN is not set: the worker refuses its controls.');
    // The local programs' default token is public, so it is never deployed.
    expect(accountOf(project).calls.filter(({ words }) => words[1] === 'put')).toEqual([]);
  });

  test.each([
    ['whoami', 'login', 'nothing'],
    ['r2 bucket create', 'bucket data-ingestion', 'login (One)'],
    ['d1 list', 'database tributary', 'bucket data-ingestion (created)'],
    ['d1 create', 'database tributary', 'bucket data-ingestion (created)'],
    ['d1 migrations', 'migrations', 'configuration .wrangler/deploy.jsonc (written)'],
    ['queues create tributary-retry-expired', 'queue tributary-retry-expired', 'queue tributary-retry (created)'],
    ['deploy', 'worker tributary', 'queue tributary-retry-expired (created)'],
    ['secret put', 'secret ADMIN_TOKEN', 'worker tributary (deployed)'],
  ])('that fails at %s names the step, and can be repeated', async (failing, step, before) => {
    // The worst case: wrangler's error holds the secret.
    standIn(project, { failures: { [failing]: `Something broke with ${TOKEN}. [code: 7000]` } });
    const { error } = await run();
    const [first, command, reason, ...rest] = error.split('\n');
    expect(first).toBe(`${step}: failed`);
    expect(command).toMatch(new RegExp(`^ {2}npx wrangler ${failing}`));
    expect(reason).toBe('  Something broke with (hidden). [code: 7000]');
    expect(rest.at(-2)).toMatch(/^Done before it: /);
    expect(rest.at(-2)).toContain(`${before}.`);
    expect(rest.at(-1)).toContain('Running it again is safe');
    expect(error).not.toMatch(/cli\.js|Logs were written/);
    changeAccount(project, { failures: {} });
    expect((await run()).error).toBe('');
    const { buckets, databases, queues } = accountOf(project);
    expect([buckets, databases.length, queues]).toEqual([['data-ingestion'], 1, QUEUES]);
  });

  test.each([
    ['r2 bucket create', 'Please enable R2 through the Cloudflare Dashboard. [code: 10042]', /R2 is not enabled/],
    ['d1 create', 'Authentication error [code: 10000]', /needs the permission "D1 Write"/],
    ['queues create', 'The specified queue settings are invalid.', /Workers Paid plan/],
    ['deploy', 'CPU limits are not supported for the Free plan. [code: 100328]', /Workers Paid plan/],
    ['whoami', "Unable to resolve Cloudflare's API hostname", /cannot be reached from here/],
  ])('has a hint for a failure of %s: %s', async (failing, text, hint) => {
    standIn(project, { failures: { [failing]: text } });
    expect((await run()).error).toMatch(hint);
  });

  test('that is interrupted names the steps done', async () => {
    const program = standIn(project, {});
    const aborted = new AbortController();
    const write = (line: string) => line.includes('bucket data-ingestion') && aborted.abort();
    const { signal } = aborted;
    await expect(runDeploy(ENV, { write, project, program, signal })).rejects.toThrow(
      /^database tributary: failed\n {2}It was interrupted\.\nDone before it: login \(One\); bucket data-ingestion \(created\)\.\n/,
    );
  });
});

describe('before its first change a deployment', () => {
  test('needs a login', async () => {
    standIn(project, { loggedIn: false });
    const { error, words } = await run();
    expect(error).toMatch(/expected wrangler to be logged in, got no login\nHint: Log in with "npx wrangler login"/);
    expect(words).toEqual([['whoami', '--json']]);
  });

  test('needs the id of one of several accounts', async () => {
    const accounts = [...'12'].map(n => ({ id: `a${n}`, name: `Account ${n}` }));
    standIn(project, { accounts });
    const { error } = await run();
    expect(error).toContain("CLOUDFLARE_ACCOUNT_ID: expected the id of one of the login's accounts, got null");
    expect(error).toContain('Hint: Set it to one of a1 (Account 1), a2 (Account 2).');
    expect((await run({ ...ENV, CLOUDFLARE_ACCOUNT_ID: 'a3' })).error).toContain('got a3');
    expect((await run({ ...ENV, CLOUDFLARE_ACCOUNT_ID: 'a2' })).lines[1]).toBe('  login: Account 2');
  });

  test.each([
    [{ NPM_REGISTRY_URL: 'nowhere' }, 'NPM_REGISTRY_URL: expected an http or https URL'],
    [{ NPM_REGISTRY_URL: 'https://me:pass-word@packages.example' }, 'NPM_REGISTRY_URL: expected a URL without user'],
    [{ NPM_POLL_MS: 'often' }, 'NPM_POLL_MS: expected a whole number from 100 to 3600000, got "often"'],
    [{ SOURCES: 'nope' }, `SOURCES: expected ids of ${IDS}, got "nope"`],
    [{ ADMIN_TOKEN: 'local' }, 'ADMIN_TOKEN: expected a secret of at least 16 characters without spaces'],
  ])('refuses %o, and runs no command', async (wrong, message) => {
    standIn(project, {});
    for (const dryRun of [true, false]) {
      const { error, lines, words } = await run({ ...ENV, ...wrong }, { dryRun });
      expect(error).toContain(message);
      expect(error).not.toMatch(/pass-word|local$/);
      expect([lines, words]).toEqual([[], []]);
    }
  });

  test('warns of an address that Cloudflare cannot reach', async () => {
    standIn(project, {});
    for (const host of ['localhost:4873', '10.1.2.3', 'packages', '[::1]']) {
      const { lines } = await run({ NPM_REGISTRY_URL: `http://${host}` }, { dryRun: true });
      expect(lines.join('\n')).toContain(`NPM_REGISTRY_URL is http://${host}, which Cloudflare cannot reach`);
      expect(lines.join('\n')).toContain('CONTACT is not set');
    }
    expect((await run(ENV, { dryRun: true })).lines.join('\n')).not.toMatch(/cannot reach|not set/);
  });
});

describe('a dry run', () => {
  test.each([
    ['with a token', ENV],
    ['without one', { NPM_REGISTRY_URL: 'https://packages.example' }],
  ])('shows the commands and the configuration of a real one, %s', async (_, env) => {
    standIn(project, {});
    const dry = await run(env, { dryRun: true });
    expect(dry.words).toEqual([]);
    expect(readdirSync(project)).not.toContain('.wrangler');
    const real = await run(env);
    const shown = dry.lines.filter(line => line.startsWith('npx ')).map(line => line.replace(/ {3}# .*/, ''));
    expect(shown).toEqual(real.words.map(commandLine));
    const text = dry.lines.find(line => line.startsWith('{'))!;
    expect(text.replace('<the id that d1 list shows>', 'id-of-tributary')).toBe(
      readFileSync(path.join(project, '.wrangler/deploy.jsonc'), 'utf8').trimEnd(),
    );
  });

  test('of the program needs no account and no network, and ends with code 0', async () => {
    const env = { ...process.env, ...ENV, HOME: project, https_proxy: 'http://127.0.0.1:9' };
    const program = path.join(ROOT, 'src/local/deploy.ts');
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [program, '--dry-run'], { env });
    expect(stdout).toContain('npx wrangler deploy --config .wrangler/deploy.jsonc');
    expect(stdout).toContain('npx wrangler secret put ADMIN_TOKEN');
    expect(stdout + stderr).not.toContain(TOKEN);
    const wrong = promisify(execFile)(process.execPath, [program, '--dryrun'], { env });
    await expect(wrong).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('expected --dry-run') });
  });
});

describe('the derived configuration', () => {
  test('lets wrangler build the worker and find the migrations', async () => {
    for (const name of ['src', 'schemas', 'migrations', 'node_modules', 'package.json', 'tsconfig.json'])
      symlinkSync(path.join(ROOT, name), path.join(project, name));
    standIn(project, {});
    await run();
    const env = { ...wranglerEnv(path.join(project, 'state')), HOME: project };
    const flags = ['--config', '.wrangler/deploy.jsonc'];
    const wrangler = (...words: string[]) => callWrangler([...words, ...flags], { env, folder: project });
    const built = await wrangler('deploy', '--dry-run', '--outdir', path.join(project, 'out'));
    expect(built.errors).not.toMatch(/ERROR|WARNING/);
    expect([built.code, existsSync(path.join(project, 'out/index.js'))]).toEqual([0, true]);
    for (const binding of ['LAKE', 'DB', 'RETRY_QUEUE', 'SOURCES_NS', 'NPM_REGISTRY_URL'])
      expect(built.output).toContain(`env.${binding}`);
    const migrated = await wrangler(
      'd1',
      'migrations',
      'apply',
      'DB',
      '--local',
      '--persist-to',
      path.join(project, 'state'),
    );
    expect(migrated.output).toContain('0001_operational_tables.sql');
    expect(migrated.code).toBe(0);
  });

  test('is ignored by git', () => {
    expect(readFileSync(path.join(ROOT, '.gitignore'), 'utf8').split('\n')).toContain('.wrangler/');
  });
});
