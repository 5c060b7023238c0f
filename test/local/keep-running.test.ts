import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { keepRunning } from '../../src/local/runtime/keep-running.ts';
import { freePort } from '../../src/local/runtime/port.ts';
import { groupOf, sendSignal, treeOf } from '../../src/local/runtime/processes.ts';
import { type Runtime, startRuntime } from '../../src/local/runtime/runtime.ts';
import { newS3Keys } from '../../src/local/runtime/s3-keys.ts';
import { makeSmallProject } from './small-project.ts';

const EVENT = { timeout: 60_000, interval: 20 };
let folder: string;
let project: string;

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'keep-running-'));
  project = makeSmallProject(folder);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The processes that end in the names of the tests, one after the other, on one kept runtime. */
const LOSSES: [string, (runtime: Runtime) => number, RegExp][] = [
  [
    'the process that holds the port is killed',
    ({ pid, port }) => treeOf(pid).find(({ command }) => command.includes(`:${port}`))!.pid,
    /has not answered for 1 s, though its process \d+ lives: its processes are stopped/,
  ],
  ['the launcher is killed', ({ pid }) => pid, /ended by itself \(SIGKILL; .*\): its processes are stopped/],
];

test('a runtime that no longer answers, or ends, starts again on the same state, port and keys', async () => {
  const lines: string[] = [];
  const used: Runtime[] = [];
  const stopped = new AbortController();
  const port = await freePort(0);
  const options = { stateDir: path.join(folder, 'kept'), project, port, s3Keys: newS3Keys(), settings: {} };
  const kept = keepRunning({
    start: () => startRuntime(options),
    use: async (runtime, signal) => {
      used.push(runtime);
      await new Promise(resolve => signal.addEventListener('abort', resolve));
    },
    write: line => lines.push(line),
    signal: stopped.signal,
    silentMsMax: 1_000,
    probeMs: 50,
  });
  await expect.poll(() => used.length, EVENT).toBe(1);
  for (const [i, [subject, processOf, line]] of LOSSES.entries()) {
    const runtime = used.at(-1)!;
    sendSignal(processOf(runtime), 'SIGKILL');
    await expect.poll(() => used.length, EVENT).toBe(i + 2);
    expect(lines.at(-2), subject).toMatch(line);
    expect(lines.at(-1)).toBe(`Running again on ${runtime.url}`);
    expect(groupOf(runtime.pid)).toEqual([]);
    expect(used.at(-1)).toMatchObject({ url: runtime.url, token: runtime.token, s3Keys: runtime.s3Keys });
    expect((await fetch(runtime.url)).status).toBe(200);
  }
  stopped.abort();
  const last = await kept;
  expect(last).toBe(used.at(-1));
  await last?.stop();
  expect(lines).toHaveLength(2 * LOSSES.length);
});

test('a start that fails after a loss is tried again, and says why', async () => {
  const lines: string[] = [];
  const stopped = new AbortController();
  const runtime = { url: 'http://127.0.0.1:9', pid: 1, stop: async () => {} } as Runtime;
  const starts = [
    { ...runtime, ended: Promise.resolve({ code: 3, signal: null }) },
    new Error('no room'),
    { ...runtime, ended: new Promise<never>(() => {}) },
  ];
  const kept = keepRunning({
    async start() {
      const next = starts.shift()!;
      if (next instanceof Error) throw next;
      return next;
    },
    use: async () => {},
    write(line) {
      lines.push(line);
      if (line.startsWith('Running again')) stopped.abort();
    },
    signal: stopped.signal,
  });
  expect((await kept)?.url).toBe(runtime.url);
  expect(lines).toEqual([
    expect.stringMatching(/^The runtime ended by itself \(code 3; /),
    'The runtime does not start (no room); trying again in 1 s.',
    `Running again on ${runtime.url}`,
  ]);
});

test('a status of 500 or more is no answer of the worker', async () => {
  const statuses = [200, 503];
  const servers = statuses.map(status =>
    createServer((_, response) => response.writeHead(status).end()).listen(0, '127.0.0.1'),
  );
  const [good, bad] = await Promise.all(
    servers.map(async server => {
      if (!server.listening) await once(server, 'listening');
      return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    }),
  );
  const runtimes = [bad, good].map(
    url => ({ url, pid: 1, stop: async () => {}, ended: new Promise<never>(() => {}) }) as unknown as Runtime,
  );
  const lines: string[] = [];
  const stopped = new AbortController();
  const kept = keepRunning({
    start: async () => runtimes.shift()!,
    use: async () => {},
    write(line) {
      lines.push(line);
      if (line.startsWith('Running again')) stopped.abort();
    },
    signal: stopped.signal,
    silentMsMax: 20,
    probeMs: 5,
  });
  expect((await kept)?.url).toBe(good);
  expect(lines[0]).toMatch(/^The runtime has not answered for 0 s, though its process 1 lives/);
  for (const server of servers) server.close();
});
