/// <reference types="@cloudflare/vitest-plugin/types" />
import { evictDurableObject } from 'cloudflare:test';
import { env, exports } from 'cloudflare:workers';
import { beforeAll, expect, it, vi } from 'vitest';
import type { InletStatus } from '../../src/contract/inlets.ts';
import type { WatchedKey } from '../../src/contract/watched-keys.ts';
import { api, prepare, set, source, until } from './source.ts';
import { openUpstream } from './upstream.ts';

const ROWS = 1_000;

const whois = () => env.SOURCES_NS.getByName('whois');

beforeAll(async () => {
  await prepare(await openUpstream({ only: ['ms'] }), {
    SOURCES: 'npm,whois',
    // Not the registry of the other tests, which count its requests: an inlet works while no key can be visited.
    WHOIS_BOOTSTRAP_URL: 'http://127.0.0.1:9/dns.json',
  });
});

async function push(rows: { name: string; homepage: string }[], key: string): Promise<void> {
  const headers = {
    authorization: 'Bearer token-of-the-worker-tests',
    'content-type': 'application/x-ndjson',
    'idempotency-key': key,
  };
  const init = { method: 'POST', headers, body: rows.map(row => JSON.stringify(row)).join('\n') };
  const response = await exports.default.fetch('http://worker/v1/sources/npm/records', init);
  expect(await response.json()).toMatchObject({ accepted: rows.length });
  await source().control('flush');
  await until(({ buffer }) => buffer.rows === 0);
}

function inletUntil(condition: (inlet: InletStatus) => boolean): Promise<InletStatus> {
  return vi.waitFor(
    async () => {
      const [inlet] = (await whois().status()).inlets;
      if (!inlet || !condition(inlet)) throw new Error(`inlet: ${JSON.stringify(inlet)}`);
      return inlet;
    },
    { timeout: 30_000, interval: 20 },
  );
}

async function isWatched(key: string): Promise<boolean> {
  return (await api<WatchedKey>(`/v1/sources/whois/keys/${key}`)).key === key;
}

it('a pair of FEEDS that no source declares is refused with those that exist', async () => {
  set({ FEEDS: 'npm>whois,whois>npm' });
  const answer = await exports.default.fetch('http://worker/healthz');
  expect(answer.ok).toBe(false);
  // The answer is open to all, so it shows no setting's value.
  expect(await answer.text()).toMatch(/FEEDS: expected pairs out of .*npm>whois.*, got another value/);
  set({ FEEDS: '' });
});

it('an inlet that is turned on later finds the rows that are in the lake already', async () => {
  await source().control('start');
  const rows = Array.from({ length: ROWS }, (_, index) => ({
    name: `package-${index}`,
    homepage: index === 0 ? `https://${'x'.repeat(200_000)}/` : `https://www.name-${index}.com/`,
  }));
  await push(rows, 'first');
  await whois().control('start');
  expect((await whois().status()).inlets).toEqual([]);
  set({ FEEDS: 'npm>whois' });
  await evictDurableObject(whois());
  await whois().watch();
  const { passed_over } = await inletUntil(({ rows: read, behind }) => read >= ROWS && behind === 0);
  expect(Object.values(passed_over)).toEqual([1]);
  expect((await whois().status()).agenda?.keys).toBeGreaterThanOrEqual(ROWS - 1);
  expect(await isWatched('name-1.com')).toBe(true);
});

it('goes on where it was after an eviction', async () => {
  const before = await inletUntil(({ state }) => state === 'waiting');
  await push([{ name: 'later', homepage: 'https://later.org' }], 'later');
  // It asks its table again after a minute: let the clock pass that.
  set({ CLOCK_AHEAD_MS: '60000' });
  // Only an object that runs can be evicted.
  await whois().status();
  await evictDurableObject(whois());
  await whois().watch();
  const after = await inletUntil(({ lsn, behind }) => lsn > before.lsn && behind === 0);
  expect(after.rows).toBe(after.lsn);
  expect(await isWatched('later.org')).toBe(true);
});
