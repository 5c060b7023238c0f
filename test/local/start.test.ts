import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { AwsClient } from 'aws4fetch';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { localAddress } from '../../src/local/query/lake.ts';
import { queryDatabase } from '../../src/local/runtime/database.ts';
import { freePort } from '../../src/local/runtime/port.ts';
import { findProcess, groupOf, listProcesses, sendSignal, treeOf } from '../../src/local/runtime/processes.ts';
import { type Runtime, startRuntime } from '../../src/local/runtime/runtime.ts';
import { newS3Keys, type S3Keys } from '../../src/local/runtime/s3-keys.ts';
import { holderOf, lockState } from '../../src/local/runtime/state-lock.ts';
import { enabledSources, readLocalSettings, withLocalSettings, workerSettings } from '../../src/local/settings.ts';
import { SOURCES } from '../../src/sources/registry.ts';
import { makeSmallProject } from './small-project.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
let folder: string;
let project: string;

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'runtime-'));
  project = makeSmallProject(folder);
  writeFileSync(path.join(folder, 'holder.ts'), HOLDER);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A program that runs a runtime until a signal, as \`npm start\` does. */
const HOLDER = `
import { runProgram } from '${ROOT}/src/local/program.ts';
import { startRuntime } from '${ROOT}/src/local/runtime/runtime.ts';
const [stateDir, project] = process.argv.slice(2);
await runProgram(async signal => {
  const runtime = await startRuntime({ stateDir, project, port: 0, settings: {}, signal });
  process.stdout.write(JSON.stringify({ pid: runtime.pid, url: runtime.url }) + '\\n');
  // A signal aborts; the timer keeps the program running until then.
  const timer = setInterval(() => {}, 1000);
  await new Promise(resolve => signal.addEventListener('abort', resolve));
  clearInterval(timer);
  await runtime.stop();
  return 0;
});`;

/** Checks that only who can read the state folder gets at the bucket, and that nothing else opens the databases. */
async function checkClosed({ url, port, pid, stateDir, s3Keys }: Runtime): Promise<void> {
  // The runtime listens for debuggers, and for other development servers, only where its arguments say so.
  for (const { command } of treeOf(pid)) expect(command).not.toMatch(/--(inspector-addr|debug-port)/);
  const statusWith = async (keys: S3Keys) => {
    const client = new AwsClient({ accessKeyId: keys.keyId, secretAccessKey: keys.secret, service: 's3', retries: 0 });
    return (await client.fetch(`${localAddress(port, keys).url}/key`, { method: 'PUT', body: 'object' })).status;
  };
  expect(await statusWith(s3Keys)).toBe(200);
  for (const keys of [newS3Keys(), { keyId: 'local', secret: 'local-secret' }, { ...s3Keys, secret: 'other' }])
    expect([401, 403]).toContain(await statusWith(keys));
  // The worker itself answers where wrangler's explorer would.
  for (const explorer of ['', '/api', '/api/d1/database'])
    expect(await (await fetch(`${url}/cdn-cgi/local/explorer${explorer}`)).json()).toHaveProperty('settings');
  expect(readdirSync(path.join(stateDir, 'v3'))).not.toContain('observability');
  expect(statSync(stateDir).mode & 0o777).toBe(0o700);
}

interface Holding {
  program: ChildProcess;
  pid: number;
  url: string;
}

async function hold(stateDir: string): Promise<Holding> {
  const program = spawn(process.execPath, [path.join(folder, 'holder.ts'), stateDir, project], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(program.stdout!, 'data')) as [Buffer];
  return { program, ...JSON.parse(line.toString()) };
}

async function untilEnded(group: number): Promise<void> {
  await expect.poll(() => groupOf(group).length, { timeout: 15_000, interval: 50 }).toBe(0);
}

describe('a runtime', () => {
  test('gets its settings, migrations and first cron call, and leaves nothing behind when it is stopped', async () => {
    const stateDir = path.join(folder, 'first');
    // Files of variables in the project are not the start's settings.
    for (const name of ['.dev.vars', '.env']) writeFileSync(path.join(project, name), 'PLAIN=foreign\nFOREIGN=x\n');
    const settings = { PLAIN: 'a b', QUOTED: `it's "$HOME" #1`, SOURCES: 'npm' };
    const runtime = await startRuntime({ stateDir, project, port: 0, settings, paused: true });
    // Neither a file nor an argument holds the settings, which may be secrets.
    const texts = readdirSync(stateDir, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile());
    for (const { parentPath, name } of texts)
      expect(readFileSync(path.join(parentPath, name)).includes("it's"), name).toBe(false);
    expect(treeOf(runtime.pid).length).toBeGreaterThan(2);
    expect(
      treeOf(runtime.pid)
        .map(({ command }) => command)
        .join(),
    ).not.toContain("it's");
    const call = async () => (await fetch(runtime.url)).json() as Promise<{ settings: object }>;
    const local = { SOURCES: ',', ADMIN_TOKEN: runtime.token, LOCAL_RUNTIME: 'true' };
    expect(await call()).toMatchObject({ settings: { ...settings, ...local } });
    expect(Object.keys((await call()).settings).sort()).toEqual(Object.keys({ ...settings, ...local }).sort());
    await expect.poll(call, { timeout: 10_000 }).toMatchObject({ marks: ['scheduled'] });
    expect(await queryDatabase(stateDir, 'SELECT name FROM marks')).toEqual([{ name: 'scheduled' }]);
    const { port, pid: group, s3Keys } = runtime;
    expect(holderOf(stateDir)).toMatchObject({ pid: process.pid, port, group, s3Keys });
    await checkClosed(runtime);
    await runtime.stop();
    await runtime.stop();
    expect(groupOf(runtime.pid)).toEqual([]);
    expect(holderOf(stateDir)).toBeNull();
    expect(await freePort(runtime.port)).toBe(runtime.port);
  });

  test('does not start on a port that is taken', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const stateDir = path.join(folder, 'taken');
    const start = startRuntime({ stateDir, project, port, settings: {} });
    await expect(start).rejects.toThrow(`PORT: expected a free port, got ${port}`);
    expect(existsSync(path.join(stateDir, 'v3'))).toBe(false);
    server.close();
  });

  test('that cannot start shows the end of its log and leaves nothing behind', async () => {
    const broken = path.join(folder, 'broken');
    await mkdir(path.join(broken, 'migrations'), { recursive: true });
    writeFileSync(path.join(broken, 'wrangler.jsonc'), readFileSync(path.join(project, 'wrangler.jsonc')));
    writeFileSync(path.join(broken, 'index.js'), 'throw new Error("broken worker");');
    const stateDir = path.join(folder, 'broken-state');
    const start = startRuntime({
      stateDir,
      project: broken,
      port: 0,
      settings: {},
      signal: AbortSignal.timeout(60_000),
    });
    await expect(start).rejects.toThrow('worker: expected its code to start');
    expect(holderOf(stateDir)).toBeNull();
    expect(listProcesses().filter(({ command }) => command.includes(stateDir))).toEqual([]);
  });
});

describe('a program with a runtime', () => {
  let held: Holding | null = null;

  afterEach(async () => {
    if (held === null) return;
    for (const { pid } of [...treeOf(held.program.pid!), ...groupOf(held.pid)]) sendSignal(pid, 'SIGKILL');
    held = null;
  });

  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('ends the whole tree on %s, with code 0', async signal => {
    held = await hold(path.join(folder, 'signalled'));
    held.program.kill(signal);
    // npm passes on a second signal, besides the terminal's own: it changes nothing.
    held.program.kill(signal);
    const [code] = await once(held.program, 'exit');
    expect(code).toBe(0);
    expect(groupOf(held.pid)).toEqual([]);
  });

  test('holds its state folder against a second program', async () => {
    const stateDir = path.join(folder, 'held');
    held = await hold(stateDir);
    await expect(startRuntime({ stateDir, project, port: 0, settings: {} })).rejects.toThrow(
      `state folder ${stateDir}: expected to be free, got process ${held.program.pid} running on it`,
    );
    expect((await fetch(held.url)).status).toBe(200);
  });

  test('that was killed does not block its folder: the next start ends the processes it left', async () => {
    const stateDir = path.join(folder, 'killed');
    held = await hold(stateDir);
    const port = Number(new URL(held.url).port);
    // Of a launcher that is killed too, the processes go on and hold the port.
    held.program.kill('SIGKILL');
    sendSignal(held.pid, 'SIGKILL');
    await once(held.program, 'exit');
    await expect.poll(() => findProcess(held!.pid)).toBeNull();
    const [orphan] = groupOf(held.pid).filter(({ command }) => command.includes(`:${port}`));
    expect(holderOf(stateDir)).toBeNull();
    await expect(freePort(port)).rejects.toThrow(
      `process ${orphan!.pid} holds it, which an earlier start left behind; end it with kill ${orphan!.pid}`,
    );
    // The next start on another folder names it; the one on its own folder ends it and takes the port.
    const runtime = await startRuntime({ stateDir, project, port, settings: {} });
    expect(groupOf(held.pid)).toEqual([]);
    expect((await fetch(runtime.url)).status).toBe(200);
    await runtime.stop();
  });

  test('that was killed takes its runtime with it', async () => {
    held = await hold(path.join(folder, 'alone'));
    held.program.kill('SIGKILL');
    await untilEnded(held.pid);
  });
});

test('a lock file of an earlier process with the same id does not hold a folder', async () => {
  const stateDir = mkdtempSync(path.join(folder, 'lock-'));
  const holder = { pid: process.pid, started: 'long ago', port: 1, group: null };
  writeFileSync(path.join(stateDir, 'runtime.json'), JSON.stringify(holder));
  expect(holderOf(stateDir)).toBeNull();
  const lock = await lockState(stateDir, 2);
  await expect(lockState(stateDir, 3)).rejects.toThrow('expected to be free');
  lock.release();
  expect(readdirSync(stateDir)).toEqual([]);
});

describe('settings', () => {
  test('are the declared ones of the environment, with the registry of the npm client', async () => {
    const env = { npm_config_registry: 'http://127.0.0.1:1/', NPM_TOKEN: 'secret', HOME: '/', NPM_POLL_MS: '500' };
    const found = workerSettings(await withLocalSettings(env));
    expect(found).toEqual({ NPM_REGISTRY_URL: 'http://127.0.0.1:1/', NPM_POLL_MS: '500' });
    expect(enabledSources(found).map(({ id }) => id)).toEqual(['npm']);
    const named = { ...env, NPM_REGISTRY_URL: 'http://127.0.0.1:2' };
    expect(await withLocalSettings(named)).toEqual(named);
  });

  test('of a source that is not enabled are not read from the user’s configuration', async () => {
    const env = { SOURCES: 'whois', npm_config_registry: 'http://127.0.0.1:1/' };
    expect(await withLocalSettings(env)).toEqual(env);
  });

  test('that are wrong stop the start with their name and the expected value', () => {
    const wrong = (env: Record<string, string>) => () => enabledSources(workerSettings(env));
    const registry = { NPM_REGISTRY_URL: 'http://127.0.0.1:1' };
    expect(wrong({})).toThrow(/^NPM_REGISTRY_URL: expected an http or https URL.*, got null$/);
    expect(wrong({ ...registry, SOURCES: 'npm,nope' })).toThrow(
      `SOURCES: expected ids of ${SOURCES.map(({ id }) => id).join(', ')}, got "nope"`,
    );
    expect(wrong({ ...registry, FEEDS: 'npm>whois' })).not.toThrow();
    expect(wrong({ ...registry, FEEDS: 'npm>whois,whois>npm' })).toThrow(
      /^FEEDS: expected pairs out of .*npm>whois.*, got "whois>npm"$/,
    );
    expect(wrong({ ...registry, FEEDS: 'npm' })).toThrow(/^FEEDS: expected <source>><source .*, got "npm"$/);
    expect(wrong({ ...registry, NPM_POLL_MS: 'often' })).toThrow(
      /^NPM_POLL_MS: expected a whole number .* got "often"$/,
    );
    expect(() => readLocalSettings({ PORT: '99999' })).toThrow(
      'PORT: expected a whole number from 1 to 65535, got "99999"',
    );
  });

  test('take the registry from the npm client where the environment does not name it', async () => {
    const asked = await withLocalSettings({ ...process.env, NPM_REGISTRY_URL: '', npm_config_registry: '' });
    expect(asked.NPM_REGISTRY_URL).toMatch(/^https?:/);
    expect(await withLocalSettings({ npm_execpath: '/none' })).toEqual({ npm_execpath: '/none' });
  });

  test('that are wrong end the program with their name and code 1', async () => {
    const env = { ...process.env, NPM_FEED_URL: 'nowhere', NPM_REGISTRY_URL: 'http://127.0.0.1:1', STATE_DIR: folder };
    const program = spawn(process.execPath, [path.join(ROOT, 'src/local/start.ts')], { env });
    let errors = '';
    program.stderr.on('data', text => {
      errors += text;
    });
    const [code] = await once(program, 'close');
    expect({ code, errors }).toEqual({
      code: 1,
      errors: 'NPM_FEED_URL: expected an http or https URL, got "nowhere"\n',
    });
  });
});
