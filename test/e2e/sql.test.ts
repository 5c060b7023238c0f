import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { tableNamed } from '../../schemas/index.ts';
import { demoSettings } from '../../src/local/demo.ts';
import { lastLsnOf, localAddress, openLake } from '../../src/local/query/lake.ts';
import { type SqlProcess, startSqlProcess } from '../../src/local/query/process.ts';
import { freePort } from '../../src/local/runtime/port.ts';
import { type Runtime, startRuntime } from '../../src/local/runtime/runtime.ts';
import { newS3Keys } from '../../src/local/runtime/s3-keys.ts';
import { fetchStatus } from '../../src/local/status.ts';
import { type NpmStandIn, startStandIn } from '../../src/sources/npm/stand-in/stand-in.ts';
import { SPEC_QUERIES, withEachName } from '../sql/spec-queries.ts';

/** The answers of the spec's queries over the demo's data; UPDATE_GOLDEN=1 writes the file. */
const GOLDEN = path.resolve(import.meta.dirname, 'spec-answers.json');
const PROGRAM = path.resolve(import.meta.dirname, '../../src/local/sql.ts');
const EVENT = { timeout: 50_000, interval: 50 };
let folder: string;
let standIn: NpmStandIn;
let sql: SqlProcess;
let runtime: Runtime;

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'sql-e2e-'));
  standIn = await startStandIn({ changes: 20, fast: true });
  const port = await freePort(0);
  const settings = demoSettings(standIn);
  const s3Keys = newS3Keys();
  sql = (await startSqlProcess({ settings, port, s3Keys, stateDir: folder }))!;
  runtime = await startRuntime({ stateDir: folder, port, s3Keys, settings: { ...settings, ...sql.settings } });
  const lake = openLake(localAddress(port, s3Keys));
  const written = async () => {
    const { cursor, tables } = await fetchStatus(runtime.url, 'npm');
    expect(cursor.durable).toBe(String(standIn.updateSeq()));
    expect(await lastLsnOf(lake, tableNamed('npm_package'))).toBe(tables.npm_package!.last_lsn);
  };
  await vi.waitFor(written, EVENT);
});

afterAll(async () => {
  await runtime?.stop();
  await sql?.stop();
  await standIn?.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function throughProgram(query: string): Promise<unknown[]> {
  const env = { ...process.env, STATE_DIR: folder };
  const { stdout } = await promisify(execFile)(process.execPath, [PROGRAM, '--json', query], {
    env,
    maxBuffer: 2 ** 24,
  });
  return JSON.parse(stdout);
}

async function throughApi(query: string): Promise<unknown[]> {
  const response = await fetch(`${runtime.url}/v1/sql`, {
    method: 'POST',
    headers: { authorization: `Bearer ${runtime.token}` },
    body: JSON.stringify({ query }),
  });
  const body = (await response.json()) as { rows: unknown[] };
  expect(response.status, JSON.stringify(body)).toBe(200);
  return body.rows;
}

test('the spec’s queries give their golden answers through program and API, in every way of naming a table', async () => {
  const found: Record<string, unknown[]> = {};
  for (const [name, query] of Object.entries(SPEC_QUERIES)) {
    found[name] = await throughProgram(query);
    for (const text of withEachName(query, table => tableNamed(table).key)) {
      expect(await throughApi(text), text).toEqual(found[name]);
      if (name === 'npm') expect(await throughProgram(text), text).toEqual(found[name]);
    }
  }
  if (process.env.UPDATE_GOLDEN) writeFileSync(GOLDEN, `${JSON.stringify(found, null, 2)}\n`);
  expect(found).toEqual(JSON.parse(readFileSync(GOLDEN, 'utf8')));
});

test('the worker refuses a write, a body over the limit and a wrong token, and changes nothing', async () => {
  const post = async (body: string, token = runtime.token) => {
    const headers = { authorization: `Bearer ${token}` };
    const response = await fetch(`${runtime.url}/v1/sql`, { method: 'POST', headers, body });
    return [response.status, ((await response.json()) as { error: { code: string } }).error.code];
  };
  const before = await throughApi('SELECT count(*) AS n FROM npm_package_history');
  expect(await post('{"query": "DELETE FROM npm_package"}')).toEqual([400, 'invalid_query']);
  expect(await post('x'.repeat(10_000_000))).toEqual([413, 'too_large']);
  expect(await post('{"query": "SELECT 1"}', 'wrong')).toEqual([401, 'unauthorized']);
  expect(await throughApi('SELECT count(*) AS n FROM npm_package_history')).toEqual(before);
});
