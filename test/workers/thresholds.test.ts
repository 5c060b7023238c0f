/// <reference types="@cloudflare/vitest-plugin/types" />
import { runDurableObjectAlarm } from 'cloudflare:test';
import { afterEach, beforeAll, expect, it } from 'vitest';
import type { SourceStatus } from '../../src/contract/source.ts';
import { flushed, lakeRows, prepare, prove, restart, source, sql, until, untilAccepted } from './source.ts';
import { openUpstream, type Upstream } from './upstream.ts';

let upstream: Upstream;

beforeAll(async () => {
  upstream = await openUpstream({ only: [] });
  await prepare(upstream, { FLUSH_BYTES_MAX: '200000' });
  await source().control('start');
});

// Nothing is lost or doubled, whatever caused the flush.
afterEach(async () => {
  await prove(upstream);
});

let pushed = 0;
/** A change whose row has `length` characters more than a bare one. */
async function push(length = 0): Promise<void> {
  const document = { description: 'x'.repeat(length), time: { created: '2020-01-02T03:04:05.000Z' } };
  await upstream.pushChange({ id: `package-${pushed++}`, document });
}

const filesOf = ({ tables }: Pick<SourceStatus, 'tables'>) => tables.npm_package!.files;

it('flushes young rows once they are over the size, and not before', async () => {
  let status: SourceStatus = await source().status();
  let rows = 0;
  let bytes = 0;
  while (filesOf(status) === 0 && rows < 100) {
    await push(10_000);
    rows += 1;
    const last = await untilAccepted(upstream);
    // The append that exceeds the size is flushed in the same run, so its bytes are not in the status.
    if (filesOf(last) === 0 && last.buffer.rows === rows) bytes = last.buffer.bytes;
    status = await until(({ buffer, tables }) => buffer.rows + tables.npm_package!.rows === rows);
  }
  const perRow = bytes / (rows - 1);
  expect(filesOf(status)).toBe(1);
  expect(status.tables.npm_package!.rows).toBe(rows);
  expect((rows - 1) * perRow).toBeLessThan(200_000 * 1.1);
  expect(rows * perRow).toBeGreaterThan(200_000 * 0.9);
  expect(rows).toBeGreaterThan(5);
});

it('writes one file for each slice of rows that are far over the size', async () => {
  const before = await source().status();
  await source().control('pause');
  await until(({ next_wake_at }) => next_wake_at === null);
  for (let i = 0; i < 60; i++) await push(10_000);
  await source().control('start');
  await untilAccepted(upstream);
  const status = await until(({ buffer }) => buffer.rows === 0);
  // One slice is one append, and an append is never divided.
  expect(filesOf(status)).toBe(filesOf(before) + 1);
});

it('flushes rows once the oldest has the age, and not before', async () => {
  const ageMs = 1_500;
  await restart({ FLUSH_BYTES_MAX: '16777216', FLUSH_AGE_MS: String(ageMs) });
  const before = await source().status();
  await push();
  await untilAccepted(upstream);
  await push();
  const status = await until(({ tables }) => tables.npm_package!.rows > before.tables.npm_package!.rows);
  const rows = (await lakeRows()).slice(before.tables.npm_package!.last_lsn);
  const waitedMs = Date.parse(status.last_flush.at!) - Date.parse(String(rows[0]!.updated_at));
  expect(waitedMs).toBeGreaterThanOrEqual(ageMs);
  expect(status.last_flush.rows).toBe(rows.length);
});

it('wakes for the age alone, without a pull', async () => {
  await flushed();
  const before = await source().status();
  await restart({ NPM_POLL_MS: '3600000', FLUSH_AGE_MS: '800' });
  await push();
  await sql('UPDATE lanes SET next_pull_ms = 0');
  await runDurableObjectAlarm(source());
  const pulls = async () => (await upstream.requests()).filter(path => path.endsWith('/_changes')).length;
  const pulled = await pulls();
  const status = await until(({ tables }) => filesOf({ tables }) > filesOf(before));
  expect(status.last_flush.rows).toBe(1);
  expect(await pulls()).toBe(pulled);
});
