import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { TABLES, tableNamed } from '../../schemas/index.ts';
import type { SourceStatus } from '../../src/contract/source.ts';
import { rawKey } from '../../src/lake/object-keys.ts';
import { verify } from '../../src/local/demo/verify.ts';
import { demoSettings } from '../../src/local/demo.ts';
import { cacheTables, lastLsnOf, localAddress, openLake, rootsText } from '../../src/local/query/lake.ts';
import { openTables, type Tables } from '../../src/local/query/tables.ts';
import { queryDatabase } from '../../src/local/runtime/database.ts';
import { type Runtime, startRuntime } from '../../src/local/runtime/runtime.ts';
import { fetchStatus } from '../../src/local/status.ts';
import { type NpmStandIn, startStandIn } from '../../src/sources/npm/stand-in/stand-in.ts';
import { makeCoin } from '../../src/sources/stand-in/faults.ts';
import { numberOf, seedOf } from '../budget.ts';
import { killRuntime, killTree } from './kills.ts';

const SEED = seedOf('E2E_SEED');
const CHANGES = numberOf('E2E_CHANGES', 300);
/** Fewer names than changes, so that some names have an older row and a newer one. */
const NAMES = Math.ceil(CHANGES * 0.8);
const RUNTIME_KILLS = numberOf('E2E_RUNTIME_KILLS', 3);
const TREE_KILLS = numberOf('E2E_TREE_KILLS', 1);
/** The share of the upstream's answers that are status 500 or 429, or cut. */
const FAULTS = numberOf('E2E_FAULTS', 0);
/** One package in so many has no document: its changes become dead letters. */
const DEAD_EVERY = 25;
const RETRIES = { RETRY_WAIT_MS: '200', RETRY_ATTEMPTS_MAX: '3', RETRY_LEASE_MS: '5000' };
const TEST_MS_MAX = 120_000 + CHANGES * 500 * (1 + 5 * FAULTS);
const EVENT = { timeout: 60_000, interval: 20 };

const random = makeCoin(SEED);
let stateDir: string;
let standIn: NpmStandIn;
/** Names without a document, among those in the feed. */
const dead = new Set<string>();
const names = new Set<string>();
let runtime: Runtime;

beforeAll(async () => {
  console.log(`E2E_SEED=${SEED}`);
  stateDir = mkdtempSync(path.join(tmpdir(), 'e2e-'));
  standIn = await startStandIn({
    changes: CHANGES,
    names: NAMES,
    handMade: false,
    only: [],
    rows: 0,
    failShare: FAULTS,
    seed: SEED,
    fast: true,
  });
  runtime = await start();
});

afterAll(async () => {
  await runtime?.stop();
  await standIn?.stop();
  rmSync(stateDir, { recursive: true, force: true });
});

function start(): Promise<Runtime> {
  return startRuntime({
    stateDir,
    port: 0,
    settings: { ...demoSettings(standIn), NPM_PAGE_CHANGES: '20', ...RETRIES },
  });
}

// The kills come in random order, each at a random point of its share of the feed.
test(`${RUNTIME_KILLS} kills of the runtime and ${TREE_KILLS} of everything lose and double nothing (seed ${SEED})`, {
  timeout: TEST_MS_MAX,
}, async () => {
  const end = { ...EVENT, timeout: TEST_MS_MAX };
  const kills = shuffled([...Array(RUNTIME_KILLS).fill('runtime'), ...Array(TREE_KILLS).fill('tree')]);
  const released = new Map<string, string>();
  const release = (count: number) => {
    for (const { seq, id } of standIn.release(count)) {
      released.set(String(seq), id);
      if (names.has(id) || names.add(id).size % DEAD_EVERY !== 7) continue;
      dead.add(id);
      standIn.fault(id, [{ status: 404 }], { repeat: true });
    }
  };
  const reader = readRepeatedly();
  for (const [i, kill] of kills.entries()) {
    const before = (await status()).balance.changes;
    const share = Math.floor(standIn.waiting() / (kills.length + 1 - i));
    release(share);
    const moment = before + Math.floor(random() * share);
    await expect.poll(async () => (await status()).balance.changes, end).toBeGreaterThanOrEqual(moment);
    if (kill === 'runtime') await killRuntime(runtime);
    else await killAll();
  }
  release(standIn.waiting());
  const feedLast = String(standIn.updateSeq());
  await expect.poll(async () => (await status()).cursor.durable, end).toBe(feedLast);
  await expect.poll(async () => (await status()).balance.parked, end).toBe(0);
  // Faults may have made dead letters of other changes too; a replay brings their rows.
  while ((await status()).balance.dead > dead.size) {
    await replayDead();
    await expect.poll(async () => (await status()).balance.parked, end).toBe(0);
  }
  await expect.poll(async () => (await status()).buffer.rows, end).toBe(0);
  await expect.poll(lastSequence, EVENT).toBe(feedLast);
  await expect.poll(lettersOf, EVENT).toEqual([...dead].sort());

  const { reads, torn } = await reader.end();
  expect(torn).toEqual([]);
  expect(reads).toBeGreaterThan(kills.length);

  const lake = openLake(localAddress(runtime.port, runtime.s3Keys));
  const { last_lsn } = (await status()).tables.npm_package!;
  await expect.poll(() => lastLsnOf(lake, tableNamed('npm_package')), EVENT).toBe(last_lsn);
  const files = await cacheTables(lake, { folder: path.join(stateDir, 'cache'), tables: TABLES });
  const tables = await openTables({ bucket: lake.bucket, tables: TABLES, files });
  try {
    const verdicts = await verify({
      status: await status(),
      lake: tables,
      tables: [tableNamed('npm_package')],
      lastSequence: await lastSequence(),
      last: feedLast,
    });
    expect(verdicts.filter(verdict => !verdict.ok)).toEqual([]);
    await checkRows(tables, released);
  } finally {
    tables.close();
  }
  for (const { id } of standIn.rows()) {
    if (dead.has(id)) continue;
    const stored = await lake.get(rawKey('npm', id));
    expect(stored !== null && Buffer.from(stored).equals(Buffer.from(standIn.documentOf(id)!)), id).toBe(true);
  }
});

/** Reads the table each time its catalog's root has changed, until it is stopped, and notes each answer that is not whole. */
function readRepeatedly(): { end(): Promise<{ reads: number; torn: string[] }> } {
  const table = tableNamed('npm_package');
  const folder = path.join(stateDir, 'reader');
  const count = 'SELECT count(*), count(DISTINCT _lsn), coalesce(max(_lsn), 0) FROM npm_package_history';
  let isOver = false;
  let root = '';
  /** Null when nothing was written since the last reading. */
  const readCounts = async (): Promise<number[] | null> => {
    const lake = openLake(localAddress(runtime.port, runtime.s3Keys));
    const current = await rootsText(lake, [table]);
    if (current === root) return null;
    const files = await cacheTables(lake, { folder, tables: [table] });
    const tables = await openTables({ bucket: lake.bucket, tables: [table], files });
    try {
      const counts = (await tables.query(count)).rows[0]!.map(Number);
      root = current;
      return counts;
    } finally {
      tables.close();
    }
  };
  const seen: number[][] = [];
  const reading = (async () => {
    // A killed runtime does not answer until it is back.
    while (!isOver) {
      const counts = await vi.waitFor(readCounts, EVENT);
      if (counts === null) await sleep(EVENT.interval);
      else seen.push(counts);
    }
  })();
  return {
    async end() {
      isOver = true;
      await reading;
      const isTorn = ([rows, lsns, last]: number[], i: number) =>
        rows !== lsns || rows !== last || rows! < (seen[i - 1]?.[0] ?? 0);
      return { reads: seen.length, torn: seen.filter(isTorn).map(counts => counts.join(' ')) };
    },
  };
}

/** Checks that every change in the feed has a row, every row a released change, and every name one current row. */
async function checkRows(tables: Tables, released: Map<string, string>): Promise<void> {
  // The cursor of a row that was parked ends with `#` and the run.
  const query = "SELECT split_part(_cursor, '#', 1), name FROM npm_package_history";
  const history = (await tables.query(query)).rows as [string, string][];
  const shown = standIn.rows().filter(({ id }) => !dead.has(id));
  expect(
    shown.filter(({ seq, id }) => !history.some(([cursor, name]) => cursor === String(seq) && name === id)),
  ).toEqual([]);
  expect(history.filter(([cursor, name]) => released.get(cursor) !== name)).toEqual([]);
  const current = (await tables.query('SELECT name FROM npm_package ORDER BY name')).rows.flat();
  expect(current).toEqual(shown.map(({ id }) => id).sort());
}

/** Keys of the dead letters in D1, in order. */
async function lettersOf(): Promise<string[]> {
  const query = `SELECT json_extract(message_body, '$.key') AS key FROM failed_messages WHERE status = 'failed' ORDER BY key`;
  return (await queryDatabase<{ key: string }>(stateDir, query)).map(({ key }) => key);
}

async function replayDead(): Promise<void> {
  const headers = { authorization: `Bearer ${runtime.token}` };
  const body = JSON.stringify({ filter: {} });
  await vi.waitFor(async () => {
    const response = await fetch(`${runtime.url}/v1/failed/replay`, { method: 'POST', headers, body });
    expect(response.status).toBe(200);
  }, EVENT);
}

async function status(): Promise<SourceStatus> {
  // Until a killed runtime is back, the API answers with an error or not at all.
  return vi.waitFor(() => fetchStatus(runtime.url, 'npm'), EVENT);
}

async function lastSequence(): Promise<string | null> {
  const statement = "SELECT last_sequence FROM sync_state WHERE source = 'npm'";
  const [row] = await queryDatabase<{ last_sequence: string }>(stateDir, statement);
  return row?.last_sequence ?? null;
}

async function killAll(): Promise<void> {
  await killTree(runtime);
  await runtime.stop();
  runtime = await start();
}

function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map(item => ({ item, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}
