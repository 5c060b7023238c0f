import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { TABLES, tableNamed } from '../../schemas/index.ts';
import type { SourceStatus } from '../../src/contract/source.ts';
import { rawKey } from '../../src/lake/object-keys.ts';
import { verify } from '../../src/local/demo/verify.ts';
import { replaySettings } from '../../src/local/demo.ts';
import { cacheTables, lastLsnOf, localAddress, openLake } from '../../src/local/query/lake.ts';
import { openTables, type Tables } from '../../src/local/query/tables.ts';
import { groupOf, type Process, sendSignal, treeOf } from '../../src/local/runtime/processes.ts';
import { type Runtime, startRuntime } from '../../src/local/runtime/runtime.ts';
import { queryDatabase } from '../../src/local/runtime/wrangler.ts';
import { fetchStatus } from '../../src/local/status.ts';
import { type NpmStandIn, startNpmStandIn } from '../../src/sources/npm/stand-in/stand-in.ts';

const SEED = Number(process.env.E2E_SEED ?? Date.now() % 1_000_000);
const CHANGES = Number(process.env.E2E_CHANGES ?? 300);
/** Some names change twice, so that a key's newest row has older ones to be newer than. */
const NAMES = Math.ceil(CHANGES * 0.8);
const RUNTIME_KILLS = Number(process.env.E2E_RUNTIME_KILLS ?? 3);
const TREE_KILLS = Number(process.env.E2E_TREE_KILLS ?? 1);
/** The share of the upstream's answers that are status 500 or 429, or cut. */
const FAULTS = Number(process.env.E2E_FAULTS ?? 0);
/** Every so manieth package has no document: its changes die. */
const DEAD_EVERY = 25;
const RETRIES = { RETRY_WAIT_MS: '200', RETRY_ATTEMPTS_MAX: '6', RETRY_LEASE_MS: '5000' };
const TEST_MS_MAX = 120_000 + CHANGES * 500 * (1 + 5 * FAULTS);
const EVENT = { timeout: 60_000, interval: 20 };

const random = makeRandom(SEED);
let stateDir: string;
let replay: NpmStandIn;
/** Names without a document, out of all that were shown. */
const dead = new Set<string>();
const names = new Set<string>();
let runtime: Runtime;

beforeAll(async () => {
  console.log(`E2E_SEED=${SEED}`);
  stateDir = mkdtempSync(path.join(tmpdir(), 'e2e-'));
  replay = await startNpmStandIn({
    changes: CHANGES,
    names: NAMES,
    handMade: false,
    only: [],
    rows: 0,
    failShare: FAULTS,
    seed: SEED,
  });
  runtime = await start();
});

afterAll(async () => {
  await runtime?.stop();
  await replay?.close();
  rmSync(stateDir, { recursive: true, force: true });
});

function start(): Promise<Runtime> {
  return startRuntime({
    stateDir,
    port: 0,
    settings: { ...replaySettings(replay), NPM_PAGE_CHANGES: '20', ...RETRIES },
  });
}

/** Kills of the runtime and of the whole tree, in any order, each at some point of its share of the feed. */
test(`${RUNTIME_KILLS} kills of the runtime and ${TREE_KILLS} of everything lose and double nothing (seed ${SEED})`, {
  timeout: TEST_MS_MAX,
}, async () => {
  const end = { ...EVENT, timeout: TEST_MS_MAX };
  const kills = shuffled([...Array(RUNTIME_KILLS).fill('runtime'), ...Array(TREE_KILLS).fill('tree')]);
  const released = new Map<string, string>();
  const release = (count: number) => {
    for (const { seq, id } of replay.release(count)) {
      released.set(String(seq), id);
      if (names.has(id) || names.add(id).size % DEAD_EVERY !== 7) continue;
      dead.add(id);
      replay.fault(id, [{ status: 404 }], { repeat: true });
    }
  };
  const reader = readAlong();
  for (const [i, kill] of kills.entries()) {
    const before = (await status()).balance.changes;
    const share = Math.floor(replay.waiting() / (kills.length + 1 - i));
    release(share);
    const moment = before + Math.floor(random() * share);
    await expect.poll(async () => (await status()).balance.changes, end).toBeGreaterThanOrEqual(moment);
    if (kill === 'runtime') await killRuntime();
    else await killTree();
  }
  release(replay.waiting());
  const feedLast = String(replay.updateSeq());
  await expect.poll(async () => (await status()).cursor.durable, end).toBe(feedLast);
  await expect.poll(async () => (await status()).balance.parked, end).toBe(0);
  // By chance others may have died too: what is replayed comes in.
  while ((await status()).balance.dead > dead.size) {
    await replayDead();
    await expect.poll(async () => (await status()).balance.parked, end).toBe(0);
  }
  await expect.poll(async () => (await status()).buffer.rows, end).toBe(0);
  await expect.poll(lastSequence, EVENT).toBe(feedLast);
  await expect.poll(lettersOf, EVENT).toEqual([...dead].sort());

  const { looks, torn } = await reader.end();
  expect(torn).toEqual([]);
  expect(looks).toBeGreaterThan(kills.length);

  const lake = openLake(localAddress(runtime.port));
  const { last_lsn } = (await status()).tables.npm_package!;
  await expect.poll(() => lastLsnOf(lake, tableNamed('npm_package')), EVENT).toBe(last_lsn);
  const files = await cacheTables(lake, { folder: path.join(stateDir, 'cache'), tables: TABLES });
  const tables = await openTables({ bucket: lake.bucket, tables: TABLES, files });
  try {
    const evidence = { status: await status(), tables, lastSequence: await lastSequence(), last: feedLast };
    const verdicts = await verify({ ...evidence, table: tableNamed('npm_package') });
    expect(verdicts.filter(verdict => !verdict.ok)).toEqual([]);
    await checkRows(tables, released);
  } finally {
    tables.close();
  }
  for (const { id } of replay.rows()) {
    if (dead.has(id)) continue;
    const stored = await lake.get(rawKey('npm', id));
    expect(stored !== null && Buffer.from(stored).equals(Buffer.from(replay.documentOf(id)!)), id).toBe(true);
  }
});

/** Reads the table through the catalog's root again and again, and notes each time that it is not whole. */
function readAlong(): { end(): Promise<{ looks: number; torn: string[] }> } {
  const table = tableNamed('npm_package');
  const folder = path.join(stateDir, 'reader');
  const count = 'SELECT count(*), count(DISTINCT _lsn), coalesce(max(_lsn), 0) FROM npm_package_history';
  const look = async (): Promise<number[]> => {
    const lake = openLake(localAddress(runtime.port));
    const files = await cacheTables(lake, { folder, tables: [table] });
    const tables = await openTables({ bucket: lake.bucket, tables: [table], files });
    try {
      return (await tables.query(count)).rows[0]!.map(Number);
    } finally {
      tables.close();
    }
  };
  let isOver = false;
  const seen: number[][] = [];
  const reading = (async () => {
    // Whoever was just killed answers nothing for a while.
    while (!isOver) seen.push(await vi.waitFor(look, EVENT));
  })();
  return {
    async end() {
      isOver = true;
      await reading;
      const isTorn = ([rows, lsns, last]: number[], i: number) =>
        rows !== lsns || rows !== last || rows! < (seen[i - 1]?.[0] ?? 0);
      return { looks: seen.length, torn: seen.filter(isTorn).map(counts => counts.join(' ')) };
    },
  };
}

/** What the feed shows in the end is there, every row is of a released change, and every name is current once. */
async function checkRows(tables: Tables, released: Map<string, string>): Promise<void> {
  // A row that comes out of parking has the run behind its place.
  const query = "SELECT split_part(_cursor, '#', 1), name FROM npm_package_history";
  const history = (await tables.query(query)).rows as [string, string][];
  const shown = replay.rows().filter(({ id }) => !dead.has(id));
  expect(
    shown.filter(({ seq, id }) => !history.some(([cursor, name]) => cursor === String(seq) && name === id)),
  ).toEqual([]);
  expect(history.filter(([cursor, name]) => released.get(cursor) !== name)).toEqual([]);
  const current = (await tables.query('SELECT name FROM npm_package ORDER BY name')).rows.flat();
  expect(current).toEqual(shown.map(({ id }) => id).sort());
}

/** Keys of the dead letters in D1, in order: each is there once. */
async function lettersOf(): Promise<string[]> {
  const query = `SELECT json_extract(message_body, '$.key') AS key FROM failed_messages WHERE status = 'failed' ORDER BY key`;
  return (await queryDatabase<{ key: string }>(stateDir, query)).map(({ key }) => key);
}

async function replayDead(): Promise<void> {
  const headers = { authorization: 'Bearer local' };
  const body = JSON.stringify({ filter: {} });
  await vi.waitFor(async () => {
    const response = await fetch(`${runtime.url}/v1/failed/replay`, { method: 'POST', headers, body });
    expect(response.status).toBe(200);
  }, EVENT);
}

async function status(): Promise<SourceStatus> {
  // Whoever was just killed is on its way back; until then the API answers with an error, or not at all.
  return vi.waitFor(() => fetchStatus(runtime.url, 'npm'), EVENT);
}

async function lastSequence(): Promise<string | null> {
  const statement = "SELECT last_sequence FROM sync_state WHERE source = 'npm'";
  const [row] = await queryDatabase<{ last_sequence: string }>(stateDir, statement);
  return row?.last_sequence ?? null;
}

/** The runtime is the workerd whose arguments do not hold the port: that one is the front door. */
function findRuntime(): Process | undefined {
  const servers = treeOf(runtime.pid).filter(({ command }) => /\bworkerd serve\b/.test(command));
  return servers.find(({ command }) => !command.includes(`:${runtime.port} `));
}

async function killRuntime(): Promise<void> {
  const killed = findRuntime()!;
  sendSignal(killed.pid, 'SIGKILL');
  await expect.poll(() => findRuntime()?.pid ?? killed.pid, EVENT).not.toBe(killed.pid);
}

async function killTree(): Promise<void> {
  const { pid } = runtime;
  for (const member of treeOf(pid)) sendSignal(member.pid, 'SIGKILL');
  await expect.poll(() => groupOf(pid).length, EVENT).toBe(0);
  await runtime.stop();
  runtime = await start();
}

function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map(item => ({ item, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}

/** A small generator of numbers from 0 to 1 (mulberry32): the same seed gives the same moments. */
function makeRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
