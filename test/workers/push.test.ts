/// <reference types="@cloudflare/vitest-plugin/types" />
import { exports } from 'cloudflare:workers';
import { beforeAll, expect, it } from 'vitest';
import { api, flushed, lakeRows, prepare, restart, source, until, untilAccepted } from './source.ts';
import { openUpstream, type Upstream } from './upstream.ts';

let upstream: Upstream;

beforeAll(async () => {
  upstream = await openUpstream({ only: [], changes: 40, rows: 20 });
  const shown = await upstream.rows();
  await prepare(upstream, { NPM_START: String(shown[9]!.seq) });
  await source().control('start');
  await untilAccepted(upstream);
});

async function post(path: string, body: BodyInit, headers: Record<string, string> = {}) {
  const init = { method: 'POST', body, headers: { authorization: 'Bearer token-of-the-worker-tests', ...headers } };
  const response = await exports.default.fetch(`http://worker${path}`, init);
  const answered = (await response.json()) as Record<string, unknown>;
  return { ...answered, status: response.status } as Record<string, unknown>;
}

const BAD = new Set(Array.from({ length: 37 }, (_, index) => index * 270 + 5));
const LINES = Array.from({ length: 10_000 }, (_, index) =>
  BAD.has(index) ? '{"name":7}' : `{"name":"pushed-${index}"}`,
);
const NDJSON = { 'content-type': 'application/x-ndjson', 'idempotency-key': 'a-push' };

it('ten thousand records, cut off and repeated under the same key, are accepted once', async () => {
  const bytes = new TextEncoder().encode(LINES.join('\n'));
  // The body ends in the middle of a line, as when the client breaks off.
  const first = await post('/v1/sources/npm/records', bytes.slice(0, bytes.length / 2 + 3), NDJSON);
  expect(first).toMatchObject({ status: 200, repeated: 0 });
  const { balance: before } = await source().status();
  expect(before.rows).toBeGreaterThan(2_000);
  expect(before.rows).toBeLessThan(5_100);
  expect(first.accepted).toBe(before.rows - 10);
  await restart();
  const whole = await post('/v1/sources/npm/records', bytes, NDJSON);
  expect(whole).toMatchObject({ status: 200, rejected: 37, repeated: before.rows - 10 });
  expect(await post('/v1/sources/npm/records', bytes, NDJSON)).toMatchObject({ accepted: 0, repeated: 9_963 });
  await flushed();
  const rows = await lakeRows();
  expect(rows.map(row => row._lsn)).toEqual(rows.map((_, index) => index + 1));
  expect(rows.filter(row => String(row.name).startsWith('pushed-'))).toHaveLength(9_963);
  expect(new Set(rows.map(row => `${row.name} ${row._cursor}`)).size).toBe(rows.length);
});

it('a backfill pulls the changes before the tail, while the tail continues', async () => {
  const shown = await upstream.rows();
  const to = String(shown[9]!.seq);
  const started = await post('/v1/sources/npm/backfill', JSON.stringify({ from: '0', to, rate: 1_000 }));
  expect(started).toMatchObject({ status: 200, changed: true });
  const later = await upstream.release(1);
  await until(({ cursor }) => cursor.accepted === String(later[0]!.seq));
  await until(({ balance }) => balance.changes === 10 + 9_963 + 10 + 1);
  expect(await api('/v1/sources/npm/backfill')).toMatchObject({ state: 'done', changes: 10, done: 10 });
  await flushed();
  const rows = await lakeRows();
  const early = shown.slice(0, 10).map(({ id }) => id);
  expect(rows.filter(row => /#\d+$/.test(String(row._cursor)) && early.includes(String(row.name)))).toHaveLength(10);
  expect(rows.map(row => row._lsn)).toEqual(rows.map((_, index) => index + 1));
});

it('a rewind pulls again what the tail has pulled', async () => {
  const shown = await upstream.rows();
  const { balance: before } = await source().status();
  await post('/v1/sources/npm/rewind', JSON.stringify({ to: String(shown[14]!.seq), rate: 1_000 }));
  await until(({ balance }) => balance.changes === before.changes + 6);
  const { state, changes } = await api('/v1/sources/npm/rewind');
  expect({ state, changes }).toEqual({ state: 'done', changes: 6 });
  expect((await flushed()).balance.balanced).toBe(true);
});
