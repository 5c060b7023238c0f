import { describe, expect, it } from 'vitest';
import type { SourceMetrics } from '../../../src/contract/source.ts';
import { metricsOf } from '../../../src/engine/controls/metrics.ts';
import { statusOf } from '../../../src/engine/controls/status.ts';
import { histogramOf, withTime } from '../../../src/engine/journal/counts.ts';
import type { Readings } from '../../../src/ports/hosts.ts';
import { createTally } from '../../../src/sources/upstream/tally.ts';
import { expectProof } from '../../simulation/oracle/proof.ts';
import { pages } from '../../simulation/world/sources.ts';
import { DOCUMENT_HOST, FEED_HOST } from '../../simulation/world/upstream.ts';
import { followed, pass, runUntil, startedWorld, type World } from '../../simulation/world/world.ts';

const MINUTE = 60_000;
const DATA_FILE = /^bucket\.put .*\/data-/;

const requests = ({ requests }: SourceMetrics, host: string) =>
  Object.fromEntries(requests.filter(one => one.host === host).map(({ status, requests }) => [status, requests]));

/** What the upstream itself says it was asked. */
const asked = (world: World, host: string) => world.upstream.requests.filter(request => request.host === host).length;

describe('a source’s metrics', () => {
  it('are nothing before it ran', async () => {
    const world = await startedWorld();
    expect(await metricsOf(world.engine)).toMatchObject({
      source: 'coalescing',
      state: 'catching-up',
      changes_accepted: 0,
      requests: [],
      retries: 0,
      changes: { rows: 0, tombstones: 0, parked: 0, dead: 0, 'skipped:superseded': 0 },
      tables: [{ name: 'npm_package', rows_accepted: 0, rows_known: 0, rows_durable: 0, files: 0, bytes: 0 }],
      lag: { changes: null, seconds: null },
      buffer: { rows: 0, bytes: 0, oldest_age_seconds: 0 },
      flush_seconds: { count: 0, sum_seconds: 0 },
      load_seconds: { count: 0, sum_seconds: 0 },
      last_success_at: null,
    });
  });

  it('count what a source made of a server’s text, as the status does, the servers past a limit together', async () => {
    const { engine } = await startedWorld();
    const count = (readings: Readings) =>
      engine.journal.state.countCall({ hosts: [{ ...createTally('test'), readings }], loadMs: null });
    count({ 'whois.a.test': { whole: 1, refused: 2 }, 'whois.b.test': { unknown: 1 } });
    count({ 'whois.a.test': { whole: 3, part: 1 } });
    expect((await metricsOf(engine)).readings).toEqual([
      { server: 'whois.a.test', reading: 'part', answers: 1 },
      { server: 'whois.a.test', reading: 'refused', answers: 2 },
      { server: 'whois.a.test', reading: 'whole', answers: 4 },
      { server: 'whois.b.test', reading: 'unknown', answers: 1 },
    ]);
    expect((await statusOf(engine)).readings).toEqual({
      'whois.a.test': { whole: 4, part: 1, absent: 0, refused: 2, unknown: 0 },
      'whois.b.test': { whole: 0, part: 0, absent: 0, refused: 0, unknown: 1 },
    });
    for (let n = 0; n < 400; n++) count({ [`whois.n${n}.test`]: { absent: 1 } });
    count({ 'whois.a.test': { whole: 1 } });
    const { readings } = await statusOf(engine);
    expect(readings['whois.a.test']).toMatchObject({ whole: 5 });
    expect(readings.others).toMatchObject({ absent: 102 });
    expect(Object.keys(readings)).toHaveLength(301);
  });

  it('count changes and rows from their acceptance to their file', async () => {
    const world = await startedWorld();
    world.upstream.publish(['a', 'b', 'internal:x']);
    await runUntil(world, { until: () => world.balance.changes === 3 });
    await pass(world, 10_000);
    const accepted = await metricsOf(world.engine);
    expect(accepted).toMatchObject({
      state: 'following',
      changes_accepted: 3,
      changes: { rows: 2, 'skipped:internal-document': 1 },
      tables: [{ rows_accepted: 2, rows_known: 0, rows_durable: 0, files: 0, bytes: 0 }],
      lag: { changes: 0 },
      buffer: { rows: 2, oldest_age_seconds: 10 },
      last_success_at: expect.any(Number),
    });
    expect(accepted.buffer.bytes).toBeGreaterThan(0);
    expect(accepted.next_wake_at! * 1_000).toBeGreaterThanOrEqual(world.clock.now());
    await followed(world);
    expect(await metricsOf(world.engine)).toMatchObject({
      changes_accepted: 3,
      tables: [{ rows_accepted: 2, rows_known: 0, rows_durable: 2, files: 1, bytes: world.files[0]!.bytes }],
      buffer: { rows: 0, bytes: 0, oldest_age_seconds: 0 },
    });
  });

  it('count each table of a source by itself', async () => {
    const world = await startedWorld({ kind: pages });
    world.upstream.publish(['a', 'b']);
    world.upstream.pages.push(['a', 'b']);
    await followed(world);
    const { tables } = await metricsOf(world.engine);
    const rows = Object.fromEntries(tables.map(({ name, rows_durable }) => [name, rows_durable]));
    expect(rows).toEqual({ github_profile: 2, github_repo: 0, github_commit: 4 });
  });

  it('count requests by host and status, as many as the upstream was asked', async () => {
    const world = await startedWorld();
    world.upstream.publish(['ok', 'gone', 'down', 'silent']);
    world.upstream.faults.set('gone', { status: 404 });
    world.upstream.faults.set('down', { status: 500 });
    world.upstream.faults.set('silent', { reason: 'unreachable' });
    await runUntil(world, { until: () => world.balance.changes === 4 });
    const metrics = await metricsOf(world.engine);
    expect(requests(metrics, DOCUMENT_HOST)).toEqual({ '2xx': 1, '4xx': 1, '5xx': 1, none: 1 });
    expect(requests(metrics, FEED_HOST)).toEqual({ '2xx': asked(world, FEED_HOST) });
    world.upstream.faults.clear();
    await runUntil(world, { until: () => world.isFollowed && world.parked.length === 0 });
    const after = requests(await metricsOf(world.engine), DOCUMENT_HOST);
    expect(Object.values(after).reduce((sum, count) => sum + count, 0)).toBe(asked(world, DOCUMENT_HOST));
  });

  it('count each attempt at a parked change, also the one that succeeded, and nothing else', async () => {
    const world = await startedWorld();
    world.upstream.faults.set('a', { status: 403 });
    world.upstream.publish('a');
    await runUntil(world, { until: () => world.parked[0]?.attempts === 3 });
    expect(await metricsOf(world.engine)).toMatchObject({ retries: 3, changes: { parked: 1, rows: 0 } });
    world.upstream.faults.set('a', { status: 429, retryAfterMs: MINUTE });
    await pass(world, 5 * MINUTE);
    expect((await metricsOf(world.engine)).retries).toBe(3);
    world.upstream.faults.clear();
    await runUntil(world, { until: () => world.isFollowed && world.parked.length === 0 });
    expect(await metricsOf(world.engine)).toMatchObject({ retries: 4, changes: { parked: 0, rows: 1 } });
    expect(world.log.filter(({ event }) => event === 'retry_accepted')).toHaveLength(4);
  });

  it('tell what is dead', async () => {
    const world = await startedWorld();
    world.upstream.faults.set('a', { status: 451 });
    world.upstream.publish('a');
    await runUntil(world, { until: () => world.balance.dead === 1 });
    expect(await metricsOf(world.engine)).toMatchObject({ retries: 0, changes: { dead: 1, parked: 0 } });
  });

  it('measure Loader calls and flushes', async () => {
    const world = await startedWorld();
    world.upstream.latencyMs = key => (key === 'slow' ? 30_000 : 2_000);
    world.upstream.publish(['slow', 'quick', 'other']);
    await runUntil(world, { until: () => world.balance.changes === 3 });
    const { load_seconds: load } = await metricsOf(world.engine);
    const count = (seconds: number) => load.buckets.find(bucket => bucket.seconds === seconds)!.count;
    expect([count(1), count(2.5), count(20), count(40), load.count]).toEqual([0, 2, 2, 3, 3]);
    expect(load.sum_seconds).toBe(34);
    const put = world.calls.hold(DATA_FILE);
    void put.made.then(async () => {
      await world.clock.sleep(4_000);
      put.release();
    });
    await followed(world);
    const { flush_seconds: flush } = await metricsOf(world.engine);
    expect(flush).toMatchObject({ count: 1, sum_seconds: 4 });
    expect(flush.buckets.map(bucket => bucket.count)).toEqual([0, 0, 0, 0, 0, 1, 1, 1, 1, 1]);
  });

  it('measure the Loader calls of retries too', async () => {
    const world = await startedWorld();
    world.upstream.faults.set('a', { status: 403 });
    world.upstream.publish('a');
    await runUntil(world, { until: () => world.parked[0]?.attempts === 2 });
    expect((await metricsOf(world.engine)).load_seconds.count).toBe(3);
  });

  it('say how long the head was not reached', async () => {
    const world = await startedWorld();
    world.upstream.publish('a');
    await followed(world);
    const reachedMs = world.lane.reached_head_ms!;
    world.upstream.feedFault = { status: 500 };
    await pass(world, 10 * MINUTE);
    const { lag, state, last_success_at } = await metricsOf(world.engine);
    expect(lag.seconds).toBe((world.clock.now() - reachedMs) / 1_000);
    expect(state).toBe('backing-off');
    expect(world.clock.now() / 1_000 - last_success_at!).toBeGreaterThan(9 * 60);
    expect(requests(await metricsOf(world.engine), FEED_HOST)['5xx']).toBeGreaterThan(2);
  });
});

describe('a source’s metrics after the object died', () => {
  it('are those of before', async () => {
    const world = await startedWorld();
    world.upstream.faults.set('bad', { status: 403 });
    world.upstream.publish(['a', 'b', 'bad']);
    await runUntil(world, { until: () => world.isFollowed && world.parked[0]?.attempts === 2 });
    const before = await metricsOf(world.engine);
    expect(before.flush_seconds.count).toBe(1);
    expect(before.load_seconds.count).toBeGreaterThan(0);
    expect(before.retries).toBe(2);
    world.kill({ lose: false });
    expect(await metricsOf(world.engine)).toEqual(before);
    world.kill();
    expect(await metricsOf(world.engine)).toEqual(before);
  });

  it('never fall, and count a file once, wherever it is killed', async () => {
    const world = await startedWorld();
    let calls = 0;
    let kills = 0;
    world.calls.after(call => {
      // A kill for every fourth call: the three kinds take turns at being hit, and none is hit for ever.
      if (!/^(bucket\.put|load\.load|d1)/.test(call) || calls++ % 4 > 0) return;
      kills += 1;
      world.kill();
    });
    let before = await metricsOf(world.engine);
    for (let n = 0; n < 6; n++) {
      world.upstream.publish([`a-${n}`, `b-${n}`]);
      await followed(world);
      const after = await metricsOf(world.engine);
      expectRise(before, after);
      before = after;
    }
    expect(kills).toBeGreaterThan(3);
    expect(before).toMatchObject({ changes_accepted: 12, flush_seconds: { count: world.files.length } });
    expect(before.tables[0]).toMatchObject({
      rows_accepted: 12,
      rows_known: 0,
      rows_durable: 12,
      files: world.files.length,
    });
    await expectProof(world);
  });
});

describe('what happened once', () => {
  it('is counted once though the answer to the put was lost', async () => {
    const world = await startedWorld();
    world.upstream.publish('a');
    world.calls.fail(DATA_FILE, { times: 1, answer: 'lost' });
    await followed(world);
    expect(await metricsOf(world.engine)).toMatchObject({
      flush_seconds: { count: 1 },
      tables: [{ rows_accepted: 1, rows_known: 0, rows_durable: 1, files: 1 }],
    });
    expect(world.log.filter(({ event }) => event === 'flush_settled')).toHaveLength(1);
  });

  it('is counted once though a run that was given up hears of its put after its successor', async () => {
    const world = await startedWorld();
    world.upstream.publish('a');
    const late = world.calls.hold(DATA_FILE, { answer: true });
    await followed(world);
    late.release();
    await pass(world, MINUTE);
    expect((await metricsOf(world.engine)).flush_seconds.count).toBe(1);
    expect(world.log.filter(({ event }) => event === 'flush_settled')).toHaveLength(1);
  });

  it('is counted once though the answer of a Loader call was lost and it was made again', async () => {
    const world = await startedWorld();
    world.upstream.publish('a');
    world.calls.fail(/^load\.load/, { times: 1, answer: 'lost' });
    await followed(world);
    const metrics = await metricsOf(world.engine);
    expect(metrics).toMatchObject({ changes_accepted: 1, changes: { rows: 1 }, load_seconds: { count: 1 } });
    // Calls without an answer are not counted.
    expect(asked(world, DOCUMENT_HOST)).toBe(2);
    expect(requests(metrics, DOCUMENT_HOST)).toEqual({ '2xx': 1 });
  });

  it('is counted once though its ticket came twice', async () => {
    const world = await startedWorld();
    world.upstream.faults.set('a', { status: 403 });
    world.upstream.publish('a');
    world.queue.deliver = () => ({ delaysMs: [0, 0, 500] });
    await runUntil(world, { until: () => world.parked[0]?.attempts === 2 });
    await pass(world, 1_000);
    expect((await metricsOf(world.engine)).retries).toBe(2);
  });
});

describe('a histogram', () => {
  const bounds = [0.5, 1, 10];
  const timed = (...times: number[]) => times.reduce((text, ms) => withTime(text, { ms, bounds }), '{}');

  it('holds a time at a bound in that bucket, and one over all bounds in none', () => {
    expect(histogramOf(timed(0, 500, 501, 1_000, 10_000, 10_001), bounds)).toEqual({
      buckets: [
        { seconds: 0.5, count: 2 },
        { seconds: 1, count: 4 },
        { seconds: 10, count: 5 },
      ],
      count: 6,
      sum_seconds: 22.002,
    });
  });

  it('takes a time before it began, of a clock that jumped back, for none', () => {
    expect(histogramOf(timed(-5_000), bounds)).toMatchObject({ count: 1, sum_seconds: 0 });
  });

  it('keeps what it counted when a later version has other bounds', () => {
    const { buckets, count } = histogramOf(timed(400, 700, 5_000, 20_000), [0.25, 1, 5]);
    expect([...buckets.map(bucket => bucket.count), count]).toEqual([0, 2, 2, 4]);
  });
});

/** No counter of `after` is below that of `before`. */
function expectRise(before: SourceMetrics, after: SourceMetrics): void {
  const counters = ({ changes_accepted, retries, tables, requests, flush_seconds, load_seconds }: SourceMetrics) => ({
    changes_accepted,
    retries,
    flushes: flush_seconds.count,
    loads: load_seconds.count,
    flushed: flush_seconds.sum_seconds,
    loaded: load_seconds.sum_seconds,
    ...Object.fromEntries(requests.map(({ host, status, requests }) => [`${host} ${status}`, requests])),
    ...Object.fromEntries(
      tables.flatMap(({ name, ...counts }) =>
        Object.entries(counts).map(([count, value]) => [`${name} ${count}`, value]),
      ),
    ),
  });
  const now = counters(after) as Record<string, number>;
  for (const [name, value] of Object.entries(counters(before)))
    expect(now[name], name).toBeGreaterThanOrEqual(value as number);
}
