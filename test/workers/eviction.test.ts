import { abortAllDurableObjects, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { doneAndRefused, fault, installFaults, refused, unanswered } from './faults.ts';
import { flushed, prepare, prove, restart, source, sql, until, untilAccepted } from './source.ts';
import { openUpstream, type Upstream } from './upstream.ts';

let upstream: Upstream;

beforeAll(async () => {
  upstream = await openUpstream({ only: [], changes: 600, rows: 5 });
  await prepare(upstream);
  installFaults();
  await source().control('start');
  await untilAccepted(upstream);
});

// After each test the object works again, and nothing is lost or doubled.
afterEach(async () => {
  fault('put', null);
  fault('batch', null);
  await upstream.clearFaults();
  await restart({ NPM_SETTLE_MS: '0' });
  await resume();
  await prove(upstream);
});

const seen = (happened: () => unknown) => vi.waitFor(() => expect(happened()).toBeTruthy(), { timeout: 30_000 });
const nameOf = (path: string) => decodeURIComponent(path.slice(1));

/** Runs the object now, without waiting for a back-off or for the recovery time after a kill. */
async function resume(): Promise<void> {
  await sql('UPDATE faults SET retry_ms = 0');
  await sql('UPDATE lanes SET next_pull_ms = 0');
  await runDurableObjectAlarm(source());
}

async function files(): Promise<{ key: string; etag: string }[]> {
  const { objects } = await env.LAKE.list({ prefix: 'npm/metadata/partitions.parquet/' });
  return objects.map(({ key, etag }) => ({ key, etag }));
}

describe('an object evicted', () => {
  it('between a page and its documents still loads them', async () => {
    await restart({ NPM_SETTLE_MS: '600000' });
    const { cursor } = await source().status();
    const rows = await upstream.release(7);
    await until(({ lag }) => lag.changes === 7);
    const before = await tailLane();
    await restart();
    expect((await source().status()).cursor.accepted).toBe(cursor.accepted);
    const asked = (await upstream.requests()).map(nameOf);
    expect(rows.filter(({ id }) => asked.includes(id))).toEqual([]);
    // A pull is counted before it is made, so the second one that begins here shows that the first one ended.
    const { polls } = await tailLane();
    await vi.waitFor(async () => expect((await tailLane()).polls).toBeGreaterThan(polls + 1), { timeout: 30_000 });
    // The settle time still counts from the moment each change was first seen, and once it is over all are loaded.
    expect((await tailLane()).unsettled).toBe(before.unsettled);
    await restart({ NPM_SETTLE_MS: '0' });
    await resume();
    await untilAccepted(upstream);
  });

  it('between the documents and the append loads them again, and accepts each once', async () => {
    const before = await source().status();
    const last = await upstream.release(5).then(rows => rows.at(-1)!);
    // Four documents are in the bucket when the fifth is held back.
    await holdBack(last.id, async () => {
      expect((await source().status()).cursor.accepted).toBe(before.cursor.accepted);
      await abortAllDurableObjects();
    });
    expect((await source().status()).balance.changes).toBe(before.balance.changes);
    await resume();
    const after = await untilAccepted(upstream);
    expect(after.balance.changes).toBe(before.balance.changes + 5);
  });

  it('between two slices of a page continues after the first', async () => {
    await source().control('pause');
    const before = await source().status();
    const rows = await upstream.release(250);
    await holdBack(
      rows[220]!.id,
      async () => {
        const status = await until(({ cursor }) => cursor.accepted === String(rows[199]!.seq));
        expect(status.balance.changes).toBe(before.balance.changes + 200);
        await abortAllDurableObjects();
      },
      () => source().control('start'),
    );
    expect((await source().status()).cursor.accepted).toBe(String(rows[199]!.seq));
    await resume();
    await untilAccepted(upstream);
    // The documents of the first slice are not requested again.
    const asked = (await upstream.requests()).map(nameOf).filter(name => name === rows[0]!.id);
    expect(asked).toHaveLength(1);
  });

  it('between append and flush still has its rows and their LSNs', async () => {
    const before = await files();
    await upstream.release(3);
    const { buffer, cursor } = await untilAccepted(upstream);
    expect(buffer.rows).toBe(3);
    await restart();
    await upstream.release(4);
    await untilAccepted(upstream);
    await restart();
    expect(await source().status()).toMatchObject({ buffer: { rows: 7 } });
    expect((await source().status()).cursor.durable).not.toBe(cursor.accepted);
    await flushed();
    expect(await files()).toHaveLength(before.length + 1);
  });

  it('between a request to flush and the flush writes the file, once', async () => {
    const before = await files();
    await upstream.release(3);
    await untilAccepted(upstream);
    await runInDurableObject(source(), async (instance, state) => {
      await instance.control('flush');
      await state.storage.deleteAlarm();
    });
    await restart();
    await source().watch();
    await until(({ buffer }) => buffer.rows === 0);
    expect(await files()).toHaveLength(before.length + 1);
  });

  it('before its put reached the bucket puts again', async () => {
    const before = await files();
    await upstream.release(3);
    await untilAccepted(upstream);
    const puts = fault('put', refused);
    await source().control('flush');
    await seen(() => puts.count);
    await until(({ last_error }) => last_error.kind === 'bucket-failed');
    expect(await sql('SELECT attempts FROM intents')).toMatchObject([{ attempts: expect.any(Number) }]);
    expect(await files()).toEqual(before);
    await restart();
    fault('put', null);
    await resume();
    expect((await until(({ buffer }) => buffer.rows === 0)).last_error.kind).toBeNull();
    expect(await files()).toHaveLength(before.length + 1);
  });

  it('between the put and its answer settles the file that exists', async () => {
    await upstream.release(3);
    const before = await untilAccepted(upstream);
    const puts = fault('put', unanswered);
    await source().control('flush');
    await seen(() => puts.count);
    const stored = await files();
    await abortAllDurableObjects();
    expect(await source().status()).toMatchObject({ buffer: { rows: 3 }, tables: before.tables });
    // Rows that are accepted now belong to the next file.
    await upstream.release(2);
    fault('put', null);
    await resume();
    await until(({ tables }) => tables.npm_package!.files === before.tables.npm_package!.files + 1);
    expect(await files()).toEqual(stored);
    await untilAccepted(upstream);
  });

  it('after a put that succeeded with an error settles the file that exists', async () => {
    const before = await files();
    await upstream.release(3);
    await untilAccepted(upstream);
    const puts = fault('put', doneAndRefused);
    await source().control('flush');
    await seen(() => puts.count);
    const stored = await files();
    expect(stored).toHaveLength(before.length + 1);
    await restart();
    fault('put', null);
    await resume();
    await until(({ buffer }) => buffer.rows === 0);
    expect(await files()).toEqual(stored);
  });

  it('between settling and projection projects the file, once', async () => {
    const runs = () => env.DB.prepare('SELECT count(*) AS runs FROM ingestion_runs').first<{ runs: number }>();
    const before = await runs();
    await upstream.release(3);
    await untilAccepted(upstream);
    const batches = fault('batch', refused);
    await source().control('flush');
    await seen(() => batches.count);
    // The database fails; the file is settled, and pulling continues.
    await until(({ buffer, last_error }) => buffer.rows === 0 && last_error.kind === 'database-failed');
    await upstream.release(2);
    await untilAccepted(upstream);
    expect(await runs()).toEqual(before);
    await restart();
    // The database works again, and its first answer is lost.
    const done = fault('batch', doneAndRefused);
    await resume();
    await seen(() => done.count);
    await restart();
    fault('batch', null);
    await resume();
    await vi.waitFor(async () => expect(await runs()).toEqual({ runs: before!.runs + 1 }), { timeout: 30_000 });
    expect(await sql('SELECT count(*) AS files FROM files WHERE published = 0')).toEqual([{ files: 0 }]);
  });
});

describe('an alarm that runs more often than it was set', () => {
  it('creates each file, row and run once', async () => {
    const before = await files();
    const rows = await upstream.release(210);
    const wakes = Array.from({ length: 5 }, () => runInDurableObject(source(), instance => instance.alarm()));
    await Promise.all([...wakes, source().control('flush'), runDurableObjectAlarm(source()), source().watch()]);
    await untilAccepted(upstream);
    // Only one run works at a time, and it works off both slices of the page: no document is requested twice.
    const asked = (await upstream.requests()).map(nameOf);
    expect(rows.filter(({ id }) => asked.filter(name => name === id).length !== 1)).toEqual([]);
    await flushed();
    const made = (await files()).length - before.length;
    expect(made).toBeGreaterThanOrEqual(1);
    expect(made).toBeLessThanOrEqual(2);
  });

  it('changes nothing when there is nothing to do', async () => {
    await prove(upstream);
    await source().control('pause');
    await until(({ next_wake_at }) => next_wake_at === null);
    const facts = async () => {
      const { cursor, balance, tables, last_flush, buffer } = await source().status();
      const database = await env.DB.batch([
        env.DB.prepare('SELECT * FROM sync_state'),
        env.DB.prepare('SELECT * FROM ingestion_runs'),
      ]);
      const results = database.map(result => result.results);
      return { cursor, balance, tables, last_flush, buffer, results, files: await files() };
    };
    const before = await facts();
    await runInDurableObject(source(), async instance => {
      await instance.alarm();
      await instance.alarm();
      await Promise.all([instance.alarm(), instance.alarm()]);
    });
    expect(await facts()).toEqual(before);
    await source().control('start');
  });
});

async function tailLane(): Promise<{ polls: number; unsettled: string | null }> {
  const [lane] = await sql<{ polls: number; unsettled: string | null }>(
    "SELECT polls, unsettled FROM lanes WHERE lane = 'tail'",
  );
  return lane!;
}

/** Holds back one document, waits for its request, and calls `meanwhile` before the document is answered. */
async function holdBack(
  name: string,
  meanwhile: () => Promise<void>,
  begin: () => Promise<unknown> = () => Promise.resolve(),
): Promise<void> {
  await upstream.fault(name, [{ hold: true }], { repeat: true });
  await begin();
  await vi.waitFor(
    async () => {
      const asked = (await upstream.requests()).map(nameOf);
      expect(asked).toContain(name);
    },
    { timeout: 30_000 },
  );
  await meanwhile();
  await upstream.clearFaults();
}
