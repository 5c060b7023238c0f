import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type SqlProcess, startSqlProcess } from '../../../src/local/query/process.ts';
import { findProcess } from '../../../src/local/runtime/processes.ts';
import { newS3Keys } from '../../../src/local/runtime/s3-keys.ts';
import { askApi } from '../../api/sql-api.ts';
import { type LakeServer, startLakeServer } from './lake-server.ts';

const PROGRAM = path.resolve(import.meta.dirname, '../../../src/local/query/service.ts');
/** An ending process is seen and another started within this time, also on a busy machine. */
const RESTART_MS_MAX = 30_000;
let folder: string;
let server: LakeServer;

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'sql-process-'));
  server = await startLakeServer();
});

afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});

async function answers({ settings }: SqlProcess): Promise<unknown> {
  return (await askApi(settings, { query: 'SELECT 1 AS a' })).rows;
}

test('a process that is killed is started again on the same address, as often as that happens, until it is stopped', async () => {
  const started = (await startSqlProcess({ settings: {}, port: 1, s3Keys: newS3Keys(), stateDir: folder }))!;
  expect(await answers(started)).toEqual([{ a: 1 }]);
  for (let kill = 0; kill < 2; kill++) {
    const { pid } = started;
    process.kill(pid, 'SIGKILL');
    await expect.poll(() => answers(started), { timeout: RESTART_MS_MAX, interval: 50 }).toEqual([{ a: 1 }]);
    expect(started.pid).not.toBe(pid);
  }
  expect(
    readFileSync(started.logFile, 'utf8').match(/the SQL service ended \(SIGKILL\) and is started again/g),
  ).toHaveLength(2);
  const { pid } = started;
  await started.stop();
  await started.ended;
  expect(findProcess(pid)).toBeNull();
});

/** Runs the service with limits of its own. */
async function runService(limits: object) {
  const program = spawn(process.execPath, [PROGRAM], { stdio: ['pipe', 'pipe', 'pipe'] });
  const options = {
    lake: server.address,
    cacheDir: path.join(folder, 'cache'),
    namespace: 'tributary',
    token: 'local',
  };
  program.stdin.write(`${JSON.stringify({ ...options, ...limits })}\n`);
  const [line] = (await once(createInterface({ input: program.stdout }), 'line')) as [string];
  const settings = { R2_SQL_URL: JSON.parse(line).url, R2_SQL_ACCOUNT_ID: 'local', R2_SQL_TOKEN: 'local' };
  let log = '';
  program.stderr.setEncoding('utf8').on('data', text => {
    log += text;
  });
  const ended = once(program, 'close').then(([code, signal]) => ({ code, signal, log }));
  return { settings, ended };
}

/** DuckDB does not interrupt a function while it makes one value. */
const ENDLESS = 'SELECT len(range(1000000000))';

test('a query that DuckDB does not interrupt ends the process before it takes the memory of the machine', async () => {
  const { settings, ended } = await runService({ processBytesMax: 300_000_000 });
  expect((await askApi(settings, { query: ENDLESS })).error!.code).toBe('upstream_failed');
  const log = 'memory: expected at most 300000000 bytes, got more; the service ends\n';
  expect(await ended).toEqual({ code: null, signal: 'SIGKILL', log });
});

test('a query that its client left and DuckDB does not interrupt ends the process', async () => {
  const { settings, ended } = await runService({ stuckMs: 200, processBytesMax: 4_000_000_000 });
  const { error } = await askApi({ ...settings, SQL_TIMEOUT_MS: '300' }, { query: ENDLESS });
  expect(error!.code).toBe('timeout');
  const log = 'query: expected to end within 200 ms after it was ended early, got none; the service ends\n';
  expect(await ended).toEqual({ code: null, signal: 'SIGKILL', log });
});
