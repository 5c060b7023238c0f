import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { rootKey } from '../../src/lake/object-keys.ts';
import { putSpecRows } from './query/lake-rows.ts';
import { type LakeServer, putDataFile, startLakeServer } from './query/lake-server.ts';

const SQL_PROGRAM = path.resolve(import.meta.dirname, '../../src/local/sql.ts');
let server: LakeServer;
let folder: string;

beforeAll(async () => {
  server = await startLakeServer();
  folder = mkdtempSync(path.join(tmpdir(), 'sql-program-'));
  putSpecRows(server);
});

afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});

interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

const environment = () => ({
  ...process.env,
  LAKE_S3_URL: server.address.url,
  LAKE_S3_KEY_ID: server.address.keyId,
  LAKE_S3_SECRET: server.address.secret,
  STATE_DIR: folder,
});

function runProgram(args: string[], env: Record<string, string> = {}): Promise<Ended> {
  return new Promise(resolve => {
    execFile(
      process.execPath,
      [SQL_PROGRAM, ...args],
      { env: { ...environment(), ...env } },
      (error, stdout, stderr) => {
        resolve({ code: error ? Number(error.code) : 0, stdout, stderr });
      },
    );
  });
}

test('the program prints a table, JSON or CSV', async () => {
  const query = 'SELECT name, downloads_total FROM npm_package ORDER BY name LIMIT 1';
  expect(await runProgram([query])).toEqual({
    code: 0,
    stdout: 'name  downloads_total\n----  ---------------\na             2000000\n(1 row)\n',
    stderr: '',
  });
  const json = await runProgram(['--json', query]);
  expect(JSON.parse(json.stdout)).toEqual([{ name: 'a', downloads_total: 2_000_000 }]);
  expect((await runProgram(['--csv', query])).stdout).toBe('name,downloads_total\na,2000000\n');
  // The spec's queries begin with a comment, which looks like an option.
  expect((await runProgram([`-- the first\n${query}`, '--csv'])).stdout).toBe('name,downloads_total\na,2000000\n');
});

test('the program fetches only files of the tables that a query names', async () => {
  server.fetched.length = 0;
  await runProgram(['SELECT count(*) FROM organization']);
  expect(server.fetched).toEqual([rootKey('organization')]);
});

test('the program shows the position of an error in the query and exits with 1', async () => {
  expect(await runProgram(['SELECT name,\n  nam\nFROM npm_package'])).toEqual({
    code: 1,
    stdout: '',
    stderr: [
      'Binder error: Referenced column "nam" not found in FROM clause!',
      'Candidate bindings: "name", "downloads_total", "downloads_last_month", "data", "tags"',
      'line 2:   nam',
      '          ^ column 3',
      'DESCRIBE <table> lists the columns of a table.',
      '',
    ].join('\n'),
  });
  expect((await runProgram(['SELEC 1'])).stderr).toBe(
    [
      'query: expected one that only reads, got "SELEC"',
      'line 1: SELEC 1',
      '        ^ column 1',
      'Write a query that reads: SELECT …, or WITH … SELECT …',
      '',
    ].join('\n'),
  );
});

test('a refused query starts no runtime', async () => {
  const stateDir = path.join(folder, 'unstarted');
  const refused = await runProgram(['DROP TABLE npm_package'], { LAKE_S3_URL: '', STATE_DIR: stateDir });
  expect(refused).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('expected one that only reads, got "DROP"'),
  });
  expect(existsSync(stateDir)).toBe(false);
});

test('the program prints its usage, and names the setting that is wrong', async () => {
  expect(await runProgram([])).toMatchObject({ code: 1, stderr: expect.stringContaining('npm_package') });
  expect(await runProgram(['--yaml', 'SELECT 1'])).toMatchObject({ code: 1, stderr: expect.stringContaining('usage') });
  expect(await runProgram(['--json', '--csv', 'SELECT 1'])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('usage'),
  });
  expect(await runProgram(['SELECT 1'], { LAKE_S3_URL: 'nowhere' })).toMatchObject({
    code: 1,
    stderr: 'LAKE_S3_URL: expected the http or https URL of a bucket, got "nowhere"\n',
  });
  expect(await runProgram(['SELECT 1'], { LAKE_S3_KEY_ID: '' })).toMatchObject({
    code: 1,
    stderr: 'LAKE_S3_KEY_ID: expected the id of an S3 key of this bucket, got null\n',
  });
  expect(await runProgram(['SELECT 1'], { LAKE_S3_URL: 'https://user:word@lake.test/data-ingestion' })).toMatchObject({
    code: 1,
    stderr: 'LAKE_S3_URL: expected a URL without user and password, got (hidden)\n',
  });
  const unwatched = await runProgram(['--watch', 'SELECT 1'], {
    LAKE_S3_URL: '',
    STATE_DIR: path.join(folder, 'none'),
  });
  expect(unwatched).toMatchObject({ code: 1, stderr: expect.stringContaining('--watch: expected npm start to run') });
});

test('--watch prints the answer again only when new rows changed it', async () => {
  const query = "SELECT version FROM npm_package WHERE name = 'a'";
  const program = spawn(process.execPath, [SQL_PROGRAM, '--watch', '--csv', query], { env: environment() });
  program.stdout.setEncoding('utf8');
  const next = async () => (await once(program.stdout, 'data'))[0];
  expect(await next()).toBe('version\n1.0.0\n');
  // Another package changes: the root changes, and the answer does not.
  const seen = new Promise<void>(resolve => {
    const key = putDataFile(server, { table: 'npm_package', firstLsn: 7, rows: [{ row: { name: 'z' } }] });
    server.beforeGet = fetched => {
      if (fetched === key) resolve();
    };
  });
  await seen;
  putDataFile(server, { table: 'npm_package', firstLsn: 8, rows: [{ row: { name: 'a', version: '3.0.0' } }] });
  expect(await next()).toBe('version\n3.0.0\n');
  server.beforeGet = null;
  program.kill('SIGINT');
  expect((await once(program, 'exit'))[0]).toBe(0);
});
