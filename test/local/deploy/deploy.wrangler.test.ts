import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runDeploy } from '../../../src/local/deploy.ts';
import { type ApiServer, startApi } from './cloudflare-api.ts';

const ROOT = path.resolve(import.meta.dirname, '../../..');
const TOKEN = 'kept-to-itself-4711';
const LOGIN = 'login-token-0815';

let project: string;
let api: ApiServer;

beforeAll(async () => {
  project = mkdtempSync(path.join(tmpdir(), 'deploy-wrangler-'));
  copyFileSync(path.join(ROOT, 'wrangler.jsonc'), path.join(project, 'wrangler.jsonc'));
  for (const name of ['src', 'schemas', 'migrations', 'node_modules', 'package.json', 'tsconfig.json'])
    symlinkSync(path.join(ROOT, name), path.join(project, name));
  api = await startApi();
});

afterAll(async () => {
  await api.close();
  rmSync(project, { recursive: true, force: true });
});

async function deploy(): Promise<string[]> {
  const lines: string[] = [];
  const env = {
    PATH: process.env.PATH,
    NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
    HOME: project,
    CLOUDFLARE_API_BASE_URL: api.url,
    CLOUDFLARE_API_TOKEN: LOGIN,
    NPM_REGISTRY_URL: 'https://packages.example',
    CONTACT: 'me@example.org',
    ADMIN_TOKEN: TOKEN,
  };
  await runDeploy(env, { project, write: line => lines.push(line) });
  return lines;
}

// The timeout allows for some thirty starts of wrangler, of a second or two each.
test('the real wrangler deploys to an API like Cloudflare’s, and deploys again', { timeout: 300_000 }, async () => {
  const lines = await deploy();
  expect(lines).toContain('  login: me@example.org, One');
  expect(lines).toContain('  migrations: applied');
  expect(lines.join('\n')).toContain('Deployed: https://tributary.example.workers.dev\n');
  expect([...api.buckets]).toEqual(['data-ingestion']);
  expect(api.queues.map(({ queue_name, settings, consumers }) => [queue_name, settings, consumers.length])).toEqual(
    ['tributary-retry', 'tributary-retry-expired'].map(queue => [queue, { message_retention_period: 1_209_600 }, 1]),
  );
  const tables = api.databases.get('tributary')!.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all();
  expect(tables.map(table => table.name)).toEqual(expect.arrayContaining(['sync_state', 'ingestion_runs']));
  expect(Object.fromEntries(api.secrets)).toEqual({ ADMIN_TOKEN: TOKEN });
  expect(api.crons).toEqual([{ cron: '* * * * *' }]);
  expect(api.worker?.bindings).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ name: 'DB', type: 'd1', id: 'id-of-tributary' }),
      expect.objectContaining({ name: 'LAKE', type: 'r2_bucket', bucket_name: 'data-ingestion' }),
      expect.objectContaining({ name: 'RETRY_QUEUE', type: 'queue', queue_name: 'tributary-retry' }),
      expect.objectContaining({ name: 'NPM_REGISTRY_URL', type: 'plain_text', text: 'https://packages.example' }),
    ]),
  );

  api.requests.length = 0;
  const again = await deploy();
  expect(again.filter(line => /: (found|none to apply)$/.test(line))).toHaveLength(5);
  expect(api.requests.filter(call => /^POST .*\/(buckets|database|queues)$/.test(call))).toEqual([]);
  expect(again.join('\n')).toContain('Deployed: https://tributary.example.workers.dev\n');

  // wrangler's logs are in the configuration's folder: no secret is in them.
  const entries = readdirSync(path.join(project, '.wrangler'), { recursive: true, withFileTypes: true });
  const texts = entries
    .filter(file => file.isFile())
    .map(file => readFileSync(path.join(file.parentPath, file.name), 'utf8'));
  expect(texts.length).toBeGreaterThan(1);
  for (const text of [...lines, ...again, ...texts]) expect(text.includes(TOKEN) || text.includes(LOGIN)).toBe(false);
});
