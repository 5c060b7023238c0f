import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { demoSettings } from '../../src/local/demo.ts';
import { freePort } from '../../src/local/runtime/port.ts';
import { listProcesses, sendSignal, treeOf } from '../../src/local/runtime/processes.ts';
import { startStandIn } from '../../src/sources/npm/stand-in/stand-in.ts';
import { SOURCES } from '../../src/sources/registry.ts';

const PROGRAMS = path.resolve(import.meta.dirname, '../../src/local');
const running = new Set<ChildProcess>();
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'programs-'));
});

afterAll(() => {
  for (const program of running) for (const { pid } of treeOf(program.pid!)) sendSignal(pid, 'SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

interface Program {
  program: ChildProcess;
  output: () => string;
  ended: Promise<number | null>;
}

/** Starts a local program in the test's folder, where its state folder is. */
function startProgram(name: string, args: string[] = [], settings: Record<string, string> = {}): Program {
  const env = { ...process.env, ...settings };
  const program = spawn(process.execPath, [path.join(PROGRAMS, `${name}.ts`), ...args], { cwd: folder, env });
  running.add(program);
  let output = '';
  for (const stream of [program.stdout, program.stderr]) {
    stream.setEncoding('utf8').on('data', text => {
      output += text;
    });
  }
  const ended = once(program, 'close').then(([code]) => {
    running.delete(program);
    return code as number | null;
  });
  return { program, output: () => output, ended };
}

async function runProgram(name: string, args: string[] = [], settings: Record<string, string> = {}): Promise<string> {
  const { output, ended } = startProgram(name, args, settings);
  const code = await ended;
  expect(code, output()).toBe(0);
  return output();
}

function processesHere(): string[] {
  return listProcesses()
    .filter(({ command }) => command.includes(folder))
    .map(({ command }) => command);
}

test('the demo ends within two minutes with a proof for each source, and its lake answers queries afterwards', async () => {
  const startedAt = Date.now();
  const output = await runProgram('demo');
  expect(Date.now() - startedAt).toBeLessThan(120_000);
  expect(output.match(/All of it holds\./g)).toHaveLength(SOURCES.length);
  for (const { name } of SOURCES.flatMap(({ tables }) => tables))
    expect(output).toMatch(
      new RegExp(`^${name}\n  holds {2}Every row number is there once: .*\n  holds {2}Every change is there once`, 'm'),
    );
  expect(output).toMatch(/holds {2}Every change has one outcome: \d+ changes = .* [1-9]\d* parked/);
  expect(output).not.toContain('FAILS');
  expect(processesHere()).toEqual([]);

  const query = `SELECT count(*) AS rows, count(DISTINCT _lsn) AS lsns, max(_lsn) AS last,
    count(DISTINCT (name, _cursor)) AS changes FROM npm_package_history`;
  const [{ rows, lsns, last, changes }] = JSON.parse(await runProgram('sql', ['--demo', '--json', query]));
  expect([lsns, last, changes]).toEqual([rows, rows, rows]);
  expect(rows).toBeGreaterThan(300);
  expect(processesHere()).toEqual([]);

  const domains = `SELECT _op, count(*) AS rows, count(DISTINCT domain) AS domains FROM whois_record_history
    GROUP BY _op ORDER BY _op`;
  const [deleted, upserted] = JSON.parse(await runProgram('sql', ['--demo', '--json', domains]));
  expect(deleted).toEqual({ _op: 'delete', rows: 1, domains: 1 });
  // Some domains have a second row after the month.
  expect(upserted.rows).toBeGreaterThan(upserted.domains);
  expect(upserted.domains).toBeGreaterThan(40);
});

test('npm start follows its feed, answers queries while it runs, and ends on Ctrl-C', async () => {
  const standIn = await startStandIn({ changes: 5, handMade: false, only: [], fast: true });
  const port = await freePort(0);
  const settings = { ...demoSettings(standIn), PORT: String(port), STATE_DIR: path.join(folder, 'state') };
  const start = startProgram('start', [], settings);
  await expect.poll(start.output, { timeout: 120_000 }).toMatch(/npm {2}following .* 5 changes/);
  const query = 'SELECT name FROM npm_package ORDER BY name';
  const names = standIn
    .rows()
    .map(({ id }) => id)
    .sort();
  const ask = async () => JSON.parse(await runProgram('sql', ['--json', query], settings));
  await expect.poll(ask, { timeout: 120_000 }).toEqual(names.map(name => ({ name })));
  start.program.kill('SIGINT');
  expect(await start.ended).toBe(0);
  expect(processesHere()).toEqual([]);
  // No runtime runs now: the query starts one, whose sources do not poll.
  const polls = standIn.requests.total;
  expect(await ask()).toHaveLength(5);
  expect(standIn.requests.total).toBe(polls);
  await standIn.stop();
});

test('npm start names the upstream that it cannot reach, and says that the demo needs no network', async () => {
  const unused = await freePort(0);
  const feed = `http://127.0.0.1:${unused}/registry`;
  const settings = {
    NPM_FEED_URL: feed,
    NPM_REGISTRY_URL: feed,
    NPM_DOWNLOADS_URL: feed,
    PORT: String(await freePort(0)),
  };
  const start = startProgram('start', [], { ...settings, STATE_DIR: path.join(folder, 'unreachable') });
  await expect.poll(start.output, { timeout: 120_000 }).toContain(`cannot reach ${feed}`);
  expect(start.output()).toContain('npm run demo needs no network');
  start.program.kill('SIGTERM');
  expect(await start.ended).toBe(0);
});
