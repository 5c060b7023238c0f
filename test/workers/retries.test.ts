/// <reference types="@cloudflare/vitest-plugin/types" />
import { env, exports } from 'cloudflare:workers';
import { beforeAll, expect, it, vi } from 'vitest';
import { api, flushed, lakeRows, prepare, source, sql, until, untilAccepted } from './source.ts';
import { openUpstream, type Upstream } from './upstream.ts';

let upstream: Upstream;
let names: string[];

beforeAll(async () => {
  upstream = await openUpstream({ only: [], changes: 40, rows: 0 });
  await prepare(upstream);
  names = (await upstream.release(4)).map(({ id }) => id);
  await upstream.fault(names[0]!, [{ status: 403 }, { status: 403 }, { status: 403 }]);
  await upstream.fault(names[1]!, [{ status: 404 }], { repeat: true });
  await source().control('start');
  await untilAccepted(upstream);
});

/** Makes all parked changes due now. `last`: their next attempt is their last. */
async function makeDue({ last = false } = {}): Promise<void> {
  await sql(`UPDATE parked SET due_ms = 0${last ? ', attempts_max = attempts + 1' : ''} WHERE died_ms IS NULL`);
  await source().watch();
}

async function post(path: string, body: object): Promise<Record<string, unknown>> {
  const init = {
    method: 'POST',
    headers: { authorization: 'Bearer token-of-the-worker-tests' },
    body: JSON.stringify(body),
  };
  return (await exports.default.fetch(`http://worker${path}`, init)).json();
}

const letters = async () =>
  (await env.DB.prepare('SELECT message_body, status, retry_count FROM failed_messages').all()).results;

it('a document that fails twice more is retried by real tickets, and loads', async () => {
  for (let attempt = 1; attempt <= 2; attempt++) {
    await makeDue();
    await vi.waitFor(async () => {
      const parked = await sql<{ key: string; attempts: number }>('SELECT key, attempts FROM parked ORDER BY key');
      expect(parked.map(({ attempts }) => attempts)).toEqual([attempt, attempt]);
    }, 20_000);
  }
  await makeDue();
  const { balance } = await until(status => status.balance.parked === 1);
  expect(balance).toMatchObject({ changes: 4, rows: 3, balanced: true });
});

it('a document that never loads is one dead letter', async () => {
  await makeDue({ last: true });
  await until(({ balance }) => balance.dead === 1);
  await vi.waitFor(async () => expect(await letters()).toHaveLength(1), 20_000);
  const { failed } = await api<{ failed: Record<string, unknown>[] }>('/v1/failed?source=npm');
  expect(failed).toMatchObject([{ id: 'npm-2', key: names[1], state: 'dead', reason: 'http-404' }]);
  expect(await letters()).toMatchObject([{ status: 'failed', retry_count: failed[0]!.attempts }]);
  await flushed();
});

it('a dead letter that is replayed several times gives one row once its upstream answers', async () => {
  await upstream.clearFaults();
  expect(await post('/v1/failed/replay', { filter: {}, dry_run: true })).toMatchObject({ changes: 1 });
  expect(await post('/v1/failed/replay', { ids: ['npm-2'] })).toMatchObject({ changes: 1 });
  expect(await post('/v1/failed/replay', { ids: ['npm-2'] })).toMatchObject({ changes: 0 });
  await until(({ balance }) => balance.dead === 0 && balance.parked === 0);
  expect(await post('/v1/failed/replay', { ids: ['npm-2'] })).toMatchObject({ changes: 0 });
  await flushed();
  expect((await lakeRows()).filter(row => row.name === names[1])).toHaveLength(1);
  await vi.waitFor(async () => expect(await letters()).toMatchObject([{ status: 'resolved' }]), 20_000);
  expect(await api('/v1/failed/npm-2')).toMatchObject({ state: 'resolved', resolved_at: expect.any(String) });
});

it('a dead deletion that is replayed gives the package that exists again', async () => {
  const name = names[2]!;
  const document = new TextDecoder().decode(await upstream.documentOf(name));
  await upstream.pushChange({ id: name, deleted: true });
  await untilAccepted(upstream);
  const [counted] = await sql<{ change_number: number }>('SELECT change_number FROM source');
  const number = counted!.change_number;
  // Write the dead letter by hand, because a deletion needs no document and cannot fail by itself.
  await sql(`INSERT INTO parked (change_number, key, cursor, deleted, reason, detail, attempts, attempts_max, history, parked_ms, handled_ms, due_ms, died_ms)
    VALUES (${number + 1}, '${name}', '999999', 1, 'http-404', 'by hand', 0, 20, '[]', 1, 1, 1, 1)`);
  await sql(`INSERT INTO letters (change_number, key, cursor, reason, detail, attempts, history, parked_ms, failed_ms, status, version, published)
    VALUES (${number + 1}, '${name}', '999999', 'http-404', 'by hand', 0, '[]', 1, 1, 'failed', 1, 0)`);
  await sql('UPDATE source SET change_number = change_number + 1');
  await upstream.fault(name, [{ status: 200, body: document }], { repeat: true });
  await post('/v1/failed/replay', { ids: [`npm-${number + 1}`] });
  await until(({ balance }) => balance.dead === 0 && balance.parked === 0);
  await flushed();
  const rows = (await lakeRows()).filter(row => row.name === name);
  expect(rows.map(row => row._op)).toEqual(['upsert', 'delete', 'upsert']);
  expect(rows.at(-1)!._cursor).toMatch(/^999999#\d+$/);
});

it('each row exists once, and the balance holds', async () => {
  const rows = await lakeRows();
  expect(rows.map(row => row._lsn)).toEqual(rows.map((_, index) => index + 1));
  expect(new Set(rows.map(row => `${row.name} ${row._cursor}`)).size).toBe(rows.length);
  expect((await source().status()).balance).toMatchObject({ changes: 6, rows: 5, tombstones: 1, balanced: true });
});
