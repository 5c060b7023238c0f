import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { SourceStatus } from '../../src/contract/source.ts';
import type { WatchedKey } from '../../src/contract/watched-keys.ts';
import { demoSettings } from '../../src/local/demo.ts';
import { type Runtime, startRuntime } from '../../src/local/runtime/runtime.ts';
import { fetchJson, fetchStatus } from '../../src/local/status.ts';
import { makeCoin } from '../../src/sources/stand-in/faults.ts';
import { startStandIn, type WhoisStandIn } from '../../src/sources/whois/stand-in/stand-in.ts';
import { numberOf, seedOf } from '../budget.ts';
import { killRuntime, killTree } from './kills.ts';

const SEED = seedOf('E2E_SEED');
const ROWS = numberOf('E2E_FEED_ROWS', 200);
const KILLS = numberOf('E2E_FEED_KILLS', 2);
/** One row in so many has a homepage that names no domain. */
const NO_KEY_EVERY = 10;
/** So that the table has many files: each request is flushed. */
const ROWS_PER_FILE = Math.ceil(ROWS / 20);
const EVENT = { timeout: 120_000, interval: 20 };

const random = makeCoin(SEED);
let stateDir: string;
let standIn: WhoisStandIn;
let runtime: Runtime;

beforeAll(async () => {
  console.log(`E2E_SEED=${SEED}`);
  stateDir = mkdtempSync(path.join(tmpdir(), 'e2e-inlets-'));
  standIn = await startStandIn({ fast: true });
  runtime = await start({});
});

afterAll(async () => {
  await runtime?.stop();
  await standIn?.stop();
  rmSync(stateDir, { recursive: true, force: true });
});

function start(settings: Record<string, string>): Promise<Runtime> {
  const npm = { NPM_REGISTRY_URL: 'http://127.0.0.1:9', NPM_FEED_URL: 'http://127.0.0.1:9/none' };
  return startRuntime({ stateDir, port: 0, settings: { ...demoSettings(standIn), ...npm, ...settings } });
}

const domainOf = (index: number) => `name-${index}.com`;
const isKey = (index: number) => index % NO_KEY_EVERY !== 0;
/** A host that is far too long for a domain, or no public one. */
const noDomain = (index: number) => (index % 100 === 0 ? `https://${'x'.repeat(200_000)}/` : 'https://localhost/');

/** Pushes packages; their homepages name a domain each, but for some. */
async function pushRows(from: number): Promise<void> {
  const count = Math.min(ROWS_PER_FILE, ROWS - from);
  const rows = Array.from({ length: count }, (_, offset) => {
    const index = from + offset;
    const homepage = isKey(index) ? `https://www.${domainOf(index)}/a` : noDomain(index);
    return JSON.stringify({ name: `package-${index}`, homepage });
  });
  const headers = { authorization: `Bearer ${runtime.token}`, 'content-type': 'application/x-ndjson' };
  const init = { method: 'POST', headers, body: rows.join('\n') };
  const pushed = await fetchJson(`${runtime.url}/v1/sources/npm/records`, init);
  expect(pushed).toMatchObject({ accepted: count, rejected: 0 });
  await fetchJson(`${runtime.url}/v1/sources/npm/flush`, { method: 'POST', headers });
  await expect.poll(async () => (await status('npm')).buffer.rows, EVENT).toBe(0);
}

/** Until a killed runtime is back, the API answers with an error or not at all. */
function status(source: string): Promise<SourceStatus> {
  return vi.waitFor(() => fetchStatus(runtime.url, source), EVENT);
}

async function inlet() {
  return (await status('whois')).inlets[0]!;
}

async function watchedKeys(): Promise<string[]> {
  const keys: string[] = [];
  for (let after = ''; ; ) {
    const url = `${runtime.url}/v1/sources/whois/keys?limit=1000&after=${after}`;
    const page = await vi.waitFor(() => fetchJson<{ keys: WatchedKey[]; next: string | null }>(url), EVENT);
    keys.push(...page.keys.map(({ key }) => key));
    if (page.next === null) return keys.sort();
    after = page.next;
  }
}

test(`FEEDS=npm>whois finds all ${ROWS} rows that the lake has already, with ${KILLS} kills (seed ${SEED})`, {
  timeout: 600_000,
}, async () => {
  for (let from = 0; from < ROWS; from += ROWS_PER_FILE) await pushRows(from);
  expect((await status('npm')).tables.npm_package).toMatchObject({
    rows: ROWS,
    files: Math.ceil(ROWS / ROWS_PER_FILE),
  });
  await runtime.stop();
  // Turn the inlet on, and kill the worker while it reads: in its runtime, and once with all processes.
  const fed = { SOURCES: 'whois', FEEDS: 'npm>whois' };
  runtime = await start(fed);
  for (let kill = 0; kill < KILLS; kill++) {
    const moment = Math.floor(((kill + random()) * ROWS) / KILLS);
    await expect.poll(async () => (await inlet()).lsn, EVENT).toBeGreaterThanOrEqual(moment);
    if (kill !== 1) await killRuntime(runtime);
    else {
      await killTree(runtime);
      await runtime.stop();
      runtime = await start(fed);
    }
  }
  await expect.poll(async () => (await inlet()).lsn, EVENT).toBe(ROWS);
  // Every row was read once.
  const expected = Array.from({ length: ROWS }, (_, index) => index).filter(isKey);
  const refused = ROWS - expected.length;
  expect(await inlet()).toMatchObject({ rows: ROWS, behind: 0, state: 'waiting', findings: expected.length });
  const { added, passed_over } = await inlet();
  expect(added).toBe(expected.length);
  expect(Object.values(passed_over).reduce((sum, count) => sum + count, 0)).toBe(refused);
  expect(await watchedKeys()).toEqual(expected.map(domainOf).sort());
  // Each key is visited, once until it is due again.
  await expect.poll(async () => (await status('whois')).agenda?.due, EVENT).toBe(0);
  const { balance } = await status('whois');
  expect(balance).toMatchObject({ changes: expected.length, balanced: true });
  expect(balance.skipped['no-rows'] + balance.rows).toBe(expected.length);
});
