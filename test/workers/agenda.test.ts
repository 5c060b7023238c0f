/// <reference types="@cloudflare/vitest-plugin/types" />
import { abortAllDurableObjects, applyD1Migrations, evictDurableObject, runDurableObjectAlarm } from 'cloudflare:test';
import { env, exports } from 'cloudflare:workers';
import { beforeAll, expect, inject, it, vi } from 'vitest';
import type { SourceStatus } from '../../src/contract/source.ts';
import type { TableDetail } from '../../src/contract/tables.ts';
import type { WatchedKey } from '../../src/contract/watched-keys.ts';
import type { RdapOrders } from './rdap.setup.ts';
import { type LakeRow, readDataFile, set } from './source.ts';

const DAY_MS = 24 * 3_600_000;
const NAMES = ['a.com', 'b.com', 'c.org', 'münchen.org'];

const whois = () => env.SOURCES_NS.getByName('whois');

beforeAll(async () => {
  await applyD1Migrations(env.DB, (env as typeof env & { MIGRATIONS: never }).MIGRATIONS);
  set({
    SOURCES: 'whois',
    WHOIS_BOOTSTRAP_URL: `http://127.0.0.1:${inject('rdap')}/dns.json`,
    WHOIS_REQUESTS_PER_SECOND: '1000',
    WHOIS_REQUESTS_PER_SECOND_MAX: '1000',
    WHOIS_POLL_MS: '100',
    FLUSH_AGE_MS: '3600000',
    FLUSH_BYTES_MAX: '16777216',
  });
  await order({ domains: { 'a.com': 'active', 'b.com': 'active', 'c.org': 'active', 'xn--mnchen-3ya.org': 'active' } });
  await whois().control('start');
});

/** Changes what the registry answers; gives the domains of all requests so far. */
async function order(orders: RdapOrders): Promise<string[]> {
  const init = { method: 'POST', body: JSON.stringify(orders) };
  return (await fetch(`http://127.0.0.1:${inject('rdap')}/orders`, init)).json();
}

async function api<T = Record<string, unknown>>(method: string, path: string, body?: unknown): Promise<T> {
  const headers = { authorization: 'Bearer token-of-the-worker-tests', 'content-type': 'application/json' };
  const init = { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) };
  return (await exports.default.fetch(`http://worker/v1/sources/whois${path}`, init)).json();
}

function until(wanted: (status: SourceStatus) => boolean): Promise<SourceStatus> {
  return vi.waitFor(
    async () => {
      const status = await whois().status();
      if (!wanted(status)) throw new Error(`status: ${JSON.stringify(status)}`);
      return status;
    },
    { timeout: 30_000, interval: 20 },
  );
}

async function lakeRows(): Promise<LakeRow[]> {
  await whois().control('flush');
  await until(({ buffer, cursor }) => buffer.rows === 0 && cursor.durable === cursor.accepted);
  const response = await exports.default.fetch('http://worker/v1/tables/whois_record');
  const { live_files } = (await response.json()) as TableDetail;
  const rows = await Promise.all(live_files.map(({ key }) => readDataFile(key)));
  return rows.flat().sort((a, b) => Number(a._lsn) - Number(b._lsn));
}

/** Evicts the object and starts it again with a clock that is this many days ahead. */
async function daysAhead(days: number): Promise<void> {
  set({ CLOCK_AHEAD_MS: String(days * DAY_MS) });
  await whois().status();
  await evictDurableObject(whois());
  await whois().watch();
}

it('keys posted over HTTP are visited by the alarm, and are rows of a Parquet file', async () => {
  const answer = await api('POST', '/keys', [...NAMES, 'www.a.com', 'nothing']);
  expect(answer).toMatchObject({ added: 4, rejected: 2, rejected_by_reason: { repeated: 1, 'unknown-tld': 1 } });
  const { balance, agenda } = await until(status => status.balance.changes === 4);
  expect(balance).toMatchObject({ rows: 4, balanced: true });
  expect(agenda).toMatchObject({ keys: 4, due: 0, overdue: 0, oldest_due_at: null });
  const rows = await lakeRows();
  expect(rows.map(row => row.domain).sort()).toEqual(['a.com', 'b.com', 'c.org', 'xn--mnchen-3ya.org']);
  expect(rows.map(row => row._cursor)).toEqual(['1', '2', '3', '4']);
  const raw = await env.LAKE.get('whois/raw/a.com/latest.json');
  expect(await raw?.json()).toMatchObject({ ldhName: 'a.com' });
  const shown = await api<WatchedKey>('GET', '/keys/m%C3%BCnchen.org');
  expect(shown).toMatchObject({ key: 'xn--mnchen-3ya.org', outcome: 'found', times: 1, reason: 'regular' });
});

it('a month later all keys are due again, and those that changed or disappeared give rows', async () => {
  await order({ domains: { 'b.com': 'client hold', 'c.org': null } });
  await daysAhead(34);
  const { balance } = await until(status => status.balance.changes === 8);
  expect(balance).toMatchObject({ rows: 5, tombstones: 1, skipped: { unchanged: 2 }, balanced: true });
  const rows = (await lakeRows()).slice(4);
  expect(rows.map(({ domain, _op }) => [domain, _op]).sort()).toEqual([
    ['b.com', 'upsert'],
    ['c.org', 'delete'],
  ]);
  expect(await api('GET', '/keys/c.org')).toMatchObject({ outcome: 'gone', times: 1, reason: 'lost' });
});

it('an object that is aborted during its visits repeats them, and each counts once', async () => {
  await order({ hold: true });
  const before = (await order({})).length;
  await daysAhead(36);
  // Only the two keys that changed are due after a day.
  await vi.waitFor(async () => expect((await order({})).length).toBe(before + 2), { timeout: 20_000 });
  await abortAllDurableObjects();
  await order({ hold: false });
  await runDurableObjectAlarm(whois());
  await whois().watch();
  const { balance } = await until(status => status.balance.changes === 10);
  expect(balance).toMatchObject({ rows: 5, tombstones: 1, skipped: { unchanged: 4 }, balanced: true });
});

it('a key that is removed during its visit gives no row', async () => {
  await order({ domains: { 'late.com': 'active' }, hold: true });
  const before = (await order({})).length;
  await api('POST', '/keys', ['late.com']);
  await vi.waitFor(async () => expect((await order({})).length).toBe(before + 1), { timeout: 20_000 });
  expect(await api('DELETE', '/keys', ['late.com'])).toMatchObject({ removed: 1 });
  await order({ hold: false });
  const { balance, agenda } = await until(status => status.balance.changes === 11);
  expect(balance).toMatchObject({ rows: 5, skipped: { unwatched: 1 }, balanced: true });
  expect(agenda).toMatchObject({ keys: 4 });
  expect((await lakeRows()).some(({ domain }) => domain === 'late.com')).toBe(false);
});
