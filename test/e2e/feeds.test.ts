import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { TABLES, tableNamed } from '../../schemas/index.ts';
import type { SourceStatus } from '../../src/contract/source.ts';
import { rawKey } from '../../src/lake/object-keys.ts';
import { verify } from '../../src/local/demo/verify.ts';
import { demoSettings } from '../../src/local/demo.ts';
import { cacheTables, type Lake, lastLsnOf, localAddress, openLake } from '../../src/local/query/lake.ts';
import { openTables, type Tables } from '../../src/local/query/tables.ts';
import { queryDatabase } from '../../src/local/runtime/database.ts';
import { type Runtime, startRuntime } from '../../src/local/runtime/runtime.ts';
import { fetchStatus } from '../../src/local/status.ts';
import { type NpmStandIn, startStandIn as startNpm } from '../../src/sources/npm/stand-in/stand-in.ts';
import { keyOf, PYPI_RECORDINGS } from '../../src/sources/pypi/stand-in/recordings.ts';
import { type PypiStandIn, startStandIn as startPypi } from '../../src/sources/pypi/stand-in/stand-in.ts';
import { makeCoin } from '../../src/sources/stand-in/faults.ts';
import { numberOf, seedOf } from '../budget.ts';
import { killRuntime, killTree } from './kills.ts';

const SEED = seedOf('E2E_SEED');
/** Rows of made-up names in each feed. */
const CHANGES = numberOf('E2E_PYPI_CHANGES', 40);
const RUNTIME_KILLS = numberOf('E2E_PYPI_RUNTIME_KILLS', 1);
const TREE_KILLS = numberOf('E2E_PYPI_TREE_KILLS', 1);
const RETRIES = { RETRY_WAIT_MS: '200', RETRY_ATTEMPTS_MAX: '3', RETRY_LEASE_MS: '5000' };
const TEST_MS_MAX = 120_000 + CHANGES * 500;
const EVENT = { timeout: 60_000, interval: 20 };
const END = { ...EVENT, timeout: TEST_MS_MAX };
const SOURCES = ['npm', 'pypi'] as const;

/** Changes of the PyPI fixture that never get a row of their own: one has no document, one waits for a later serial. */
const DEAD = ['never-there'];
const LAGGING = ['lags-for-good'];

interface Outcome {
  key: string;
  rows?: { op: string; row: Record<string, unknown> }[];
}

const random = makeCoin(SEED);
let stateDir: string;
let npm: NpmStandIn;
let pypi: PypiStandIn;
let runtime: Runtime;

beforeAll(async () => {
  console.log(`E2E_SEED=${SEED}`);
  stateDir = mkdtempSync(path.join(tmpdir(), 'e2e-feeds-'));
  const options = { changes: CHANGES, names: Math.ceil(CHANGES * 0.8), rows: 0, fast: true };
  npm = await startNpm({ ...options, handMade: false, only: [] });
  pypi = await startPypi(options);
  runtime = await start();
});

afterAll(async () => {
  await runtime?.stop();
  await npm?.stop();
  await pypi?.stop();
  rmSync(stateDir, { recursive: true, force: true });
});

function start(): Promise<Runtime> {
  const settings = { ...demoSettings(npm, pypi), ...RETRIES, SOURCES: SOURCES.join(','), NPM_PAGE_CHANGES: '20' };
  return startRuntime({ stateDir, port: 0, settings });
}

test(`npm and PyPI fill one lake through ${RUNTIME_KILLS} kills of the runtime and ${TREE_KILLS} of everything (seed ${SEED})`, {
  timeout: TEST_MS_MAX,
}, async () => {
  const kills = [...Array<'runtime'>(RUNTIME_KILLS).fill('runtime'), ...Array<'tree'>(TREE_KILLS).fill('tree')];
  for (const [i, kill] of kills.entries()) {
    // Release a share of both feeds, wait until a random part of PyPI's is accepted, and kill.
    const before = (await status('pypi')).balance.changes;
    const share = Math.floor(pypi.waiting() / (kills.length + 1 - i));
    pypi.release(share);
    npm.release(Math.floor(npm.waiting() / (kills.length + 1 - i)));
    const moment = before + Math.floor(random() * share);
    await expect.poll(async () => (await status('pypi')).balance.changes, END).toBeGreaterThanOrEqual(moment);
    if (kill === 'runtime') await killRuntime(runtime);
    else await killAll();
  }
  npm.release();
  pypi.release();
  const heads = { npm: npm.head!(), pypi: pypi.head() };
  for (const source of SOURCES) {
    await expect.poll(async () => (await status(source)).cursor.durable, END).toBe(heads[source]);
  }
  await expect.poll(() => lettersOf('pypi'), END).toEqual(DEAD);
  await expect.poll(async () => (await status('pypi')).balance, END).toMatchObject({ parked: LAGGING.length });
  for (const source of SOURCES) {
    await expect.poll(async () => (await status(source)).buffer.rows, END).toBe(0);
    await expect.poll(() => lastSequence(source), EVENT).toBe(heads[source]);
  }
  const lake = openLake(localAddress(runtime.port, runtime.s3Keys));
  const tables = await openAll(lake, stateDir);
  try {
    // Prove each source's tables.
    for (const source of SOURCES) {
      const verdicts = await verify({
        status: await status(source),
        lake: tables,
        tables: [tableNamed(`${source}_package`)],
        lastSequence: await lastSequence(source),
        last: heads[source],
      });
      expect(verdicts.filter(verdict => !verdict.ok)).toEqual([]);
    }
    expect(await namesIn(tables, 'npm_package')).toEqual(
      npm
        .rows()
        .map(({ id }) => id)
        .sort(),
    );
    await checkPypi(tables, lake);
  } finally {
    tables.close();
  }
});

/** Checks the current rows against those that were written by hand, and the raw documents against the index's. */
async function checkPypi(tables: Tables, lake: Lake): Promise<void> {
  const outcomes = JSON.parse(readFileSync(path.join(PYPI_RECORDINGS, 'rows.json'), 'utf8')) as Outcome[];
  const rows = outcomes.flatMap(outcome => outcome.rows ?? []);
  const expected = rows.filter(({ op }) => op === 'upsert').map(({ row }) => withoutData(row));
  const madeUp = pypi.rows().filter(({ name }) => name.startsWith('made-up-'));
  const names = [...expected.map(({ name }) => name), ...madeUp.map(({ name }) => name)];
  expect(await namesIn(tables, 'pypi_package')).toEqual([...new Set(names)].sort());
  for (const row of expected) {
    const columns = Object.keys(row);
    const sql = `SELECT ${columns.map(column => `"${column}"`).join(', ')} FROM pypi_package WHERE name = '${row.name}'`;
    const [found] = (await tables.query(sql)).rows;
    const values = columns.map((column, i) => [column, found?.[i]]);
    expect(Object.fromEntries(values)).toEqual(row);
  }
  // Every row is of a released change. The cursor of a row that was parked ends with `#` and the run.
  const history = await tables.query("SELECT split_part(_cursor, '#', 1), name FROM pypi_package_history");
  const released = new Map(pypi.rows().map(({ serial, name }) => [String(serial), keyOf(name)]));
  expect(history.rows.filter(([cursor, name]) => released.get(String(cursor)) !== name)).toEqual([]);
  for (const { name } of pypi.rows()) {
    const document = pypi.documentOf(name);
    if (document === null) continue;
    const stored = await lake.get(rawKey('pypi', keyOf(name)));
    expect(stored !== null && Buffer.from(stored).equals(Buffer.from(document)), name).toBe(true);
  }
}

/** The columns of a row that the lake has as they were accepted: not `data`, of which the file names parts. */
function withoutData({ data: _, updated_at: __, ...row }: Record<string, unknown>): Record<string, unknown> {
  return row;
}

async function namesIn(tables: Tables, table: string): Promise<unknown[]> {
  const names = (await tables.query(`SELECT name FROM ${table} ORDER BY name`)).rows.flat();
  return names.sort();
}

/** The lake in SQL, once its catalog names every row. */
async function openAll(lake: Lake, folder: string): Promise<Tables> {
  for (const source of SOURCES) {
    const table = tableNamed(`${source}_package`);
    const { last_lsn } = (await status(source)).tables[table.name]!;
    await expect.poll(() => lastLsnOf(lake, table), EVENT).toBe(last_lsn);
  }
  const files = await cacheTables(lake, { folder: path.join(folder, 'cache'), tables: TABLES });
  return openTables({ bucket: lake.bucket, tables: TABLES, files });
}

/** Keys of the dead letters of a source in D1, in order. */
async function lettersOf(source: string): Promise<string[]> {
  const query = `SELECT json_extract(message_body, '$.key') AS key FROM failed_messages WHERE status = 'failed' AND json_extract(message_body, '$.source') = '${source}' ORDER BY key`;
  return (await queryDatabase<{ key: string }>(stateDir, query)).map(({ key }) => key);
}

/** Until a killed runtime is back, the API answers with an error or not at all. */
async function status(source: string): Promise<SourceStatus> {
  return vi.waitFor(() => fetchStatus(runtime.url, source), EVENT);
}

async function lastSequence(source: string): Promise<string | null> {
  const statement = `SELECT last_sequence FROM sync_state WHERE source = '${source}'`;
  const [row] = await queryDatabase<{ last_sequence: string }>(stateDir, statement);
  return row?.last_sequence ?? null;
}

async function killAll(): Promise<void> {
  await killTree(runtime);
  await runtime.stop();
  runtime = await start();
}
