/// <reference types="@cloudflare/vitest-plugin/types" />
import { env, exports } from 'cloudflare:workers';
import { beforeAll, expect, it, vi } from 'vitest';
import type { AuditStatus } from '../../src/contract/audit.ts';
import type { TableDetail } from '../../src/contract/tables.ts';
import { api, flushed, lakeRows, prepare, source, sql, untilAccepted } from './source.ts';
import { openUpstream, type Upstream } from './upstream.ts';

let upstream: Upstream;
let names: string[];

beforeAll(async () => {
  upstream = await openUpstream({ only: [], changes: 60 });
  await prepare(upstream);
  names = (await upstream.rows()).map(({ id }) => id).sort();
  await source().control('start');
  await untilAccepted(upstream);
  await flushed();
});

async function post(body: object): Promise<Record<string, unknown>> {
  const init = {
    method: 'POST',
    headers: { authorization: 'Bearer token-of-the-worker-tests' },
    body: JSON.stringify(body),
  };
  return (await exports.default.fetch('http://worker/v1/sources/npm/audit', init)).json();
}

function untilAudit(wanted: (status: AuditStatus) => boolean): Promise<AuditStatus> {
  return vi.waitFor(
    async () => {
      const status = await api<AuditStatus>('/v1/sources/npm/audit');
      if (!wanted(status)) throw new Error(`audit: ${JSON.stringify(status)}`);
      return status;
    },
    { timeout: 30_000, interval: 50 },
  );
}

async function selfChecked(): Promise<AuditStatus> {
  const before = (await api<AuditStatus>('/v1/sources/npm/audit')).self_check?.ended_at;
  expect(await post({ self_check: true })).toMatchObject({ action: 'self-check', changed: true });
  return untilAudit(({ self_check: check }) => check?.running === false && check.ended_at !== before);
}

it('finds keys that are missing in the key index, and loads them', async () => {
  const gone = names.filter((_, index) => index % 3 === 0);
  await sql(`DELETE FROM keys WHERE key IN (${gone.map(name => `'${name}'`).join(', ')})`);
  expect(await post({})).toMatchObject({ source: 'npm', action: 'audit', changed: true });
  const { last, running } = await untilAudit(status => status.last !== null && status.running === null);
  expect(running).toBeNull();
  expect(last).toMatchObject({
    phase: 'done',
    sample: 1,
    listed: 60,
    sampled: 60,
    present: 40,
    missing: 20,
    extra: 0,
    loaded_afresh: 20,
    missing_keys: gone,
    capture_rate: 0.66666667,
  });
  await vi.waitFor(async () => {
    const { balance } = await source().status();
    expect(balance).toMatchObject({ changes: 80, rows: 80, parked: 0, balanced: true });
  }, 30_000);
  await flushed();
  const rows = await lakeRows();
  expect(rows.map(row => row._lsn)).toEqual(rows.map((_, index) => index + 1));
  expect(new Set(rows.map(row => `${row.name} ${row._cursor}`)).size).toBe(rows.length);
  const again = rows.slice(60);
  expect(again.map(({ name }) => name).sort()).toEqual(gone);
  for (const { _cursor } of again) expect(_cursor).toMatch(new RegExp(`^${await upstream.updateSeq()}#\\d+$`));
});

it('reports a deleted data file and one with other bytes, and neither once they are restored', async () => {
  expect((await selfChecked()).self_check).toMatchObject({ files: 2, found: 0, problems: [] });
  const { live_files: files } = await api<TableDetail>('/v1/tables/npm_package');
  const originals = await Promise.all(
    files.map(async ({ key }) => {
      const object = await env.LAKE.get(key);
      return { key, bytes: await object!.arrayBuffer(), customMetadata: object!.customMetadata };
    }),
  );
  const [first, second] = originals;
  await env.LAKE.delete(first!.key);
  const other = new Uint8Array(second!.bytes.slice(0));
  other[100]! ^= 1;
  await env.LAKE.put(second!.key, other, { customMetadata: second!.customMetadata });
  const { self_check: check } = await selfChecked();
  expect(check!.problems).toMatchObject([
    { key: first!.key, subject: 'object', actual: 'nothing' },
    { key: second!.key, subject: 'bytes' },
  ]);
  const { last_error, state } = await source().status();
  expect(last_error).toMatchObject({ kind: 'lake-damaged', hint: expect.stringMatching(/copy/) });
  expect(state).toBe('following');
  for (const { key, bytes, customMetadata } of originals) await env.LAKE.put(key, bytes, { customMetadata });
  await untilAudit(({ self_check }) => self_check!.problems.length === 0);
  await vi.waitFor(async () => expect((await source().status()).last_error.kind).toBeNull(), 30_000);
});
