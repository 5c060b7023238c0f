/// <reference types="@cloudflare/vitest-plugin/types" />
import { runDurableObjectAlarm } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, beforeAll, expect, it } from 'vitest';
import { fault, installFaults, refused } from './faults.ts';
import { prepare, prove, restart, source, sql, until, untilAccepted } from './source.ts';
import { openUpstream, type Upstream } from './upstream.ts';

let upstream: Upstream;

beforeAll(async () => {
  upstream = await openUpstream({ only: [], changes: 100, rows: 3 });
  await prepare(upstream);
  installFaults();
});

// When the cause of a stall is gone, the source works again, and nothing is lost or doubled.
afterEach(async () => {
  fault('put', null);
  await probe();
  await until(({ last_error }) => last_error.kind === null);
  await prove(upstream);
});

/** Probes now, which the source does by itself every five minutes. */
async function probe(): Promise<void> {
  await restart();
  await sql('UPDATE faults SET retry_ms = 0');
  await runDurableObjectAlarm(source());
}

it('a lake with files of a lost journal stalls the source instead of numbering from 1', async () => {
  const key = `npm/metadata/partitions.parquet/year=2026/month=01/data-${'1'.padStart(16, '0')}-${'9'.padStart(16, '0')}.parquet`;
  await env.LAKE.put(key, 'rows of a lost journal');
  await source().control('start');
  const status = await until(({ state }) => state === 'stalled');
  expect(status.last_error).toMatchObject({ kind: 'lake-not-empty', reason: expect.stringContaining(key) });
  expect(status.last_error.hint).toContain('rebuild');
  await probe();
  expect(await source().status()).toMatchObject({ state: 'stalled', balance: { changes: 0 } });
  expect(await upstream.requests()).toEqual([]);
  expect(Date.parse((await source().status()).next_wake_at!)).toBeGreaterThan(Date.now());
  await env.LAKE.delete(key);
});

it('a foreign object under the key of a data file is neither replaced nor settled', async () => {
  await upstream.release(3);
  await untilAccepted(upstream);
  fault('put', refused);
  await source().control('flush');
  await until(({ last_error }) => last_error.kind === 'bucket-failed');
  const [intent] = await sql<{ key: string }>('SELECT key FROM intents');
  fault('put', null);
  await env.LAKE.put(intent!.key, 'a foreign object', { customMetadata: { digest: 'another' } });
  await probe();
  const status = await until(({ state }) => state === 'stalled');
  expect(status.last_error).toMatchObject({ kind: 'foreign-object', reason: expect.stringContaining(intent!.key) });
  // Pulling continues, and the journal still has its rows.
  await upstream.release(2);
  expect((await untilAccepted(upstream)).buffer.rows).toBe(5);
  for (let i = 0; i < 4; i++) await probe();
  expect(await (await env.LAKE.get(intent!.key))!.text()).toBe('a foreign object');
  expect(await source().status()).toMatchObject({ state: 'stalled', last_error: { kind: 'foreign-object' } });
  await env.LAKE.delete(intent!.key);
});

it('a bucket that refuses a file again and again stalls the source, and pulling continues', async () => {
  await upstream.release(3);
  await untilAccepted(upstream);
  fault('put', refused);
  await source().control('flush');
  await until(({ last_error }) => last_error.kind === 'bucket-failed');
  await probe();
  await probe();
  const status = await until(({ state }) => state === 'stalled');
  expect(status.last_error).toMatchObject({ kind: 'flush-failed', reason: expect.stringContaining('attempts') });
  await upstream.release(2);
  expect((await untilAccepted(upstream)).buffer.rows).toBe(5);
});
