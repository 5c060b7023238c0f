import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../src/config.ts';
import { type Answerer, answerWith, FEED, HostileWorld } from './hostile-world.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

function status(code: number, headers: Record<string, string> = {}): Answerer {
  return (_, response) => void response.writeHead(code, headers).end('{}');
}

const row = (seq: number, id: string) => ({ seq, id, changes: [{ rev: '1-a' }] });
const page = (...rows: [number, string][]) => ({
  results: rows.map(([seq, id]) => row(seq, id)),
  last_seq: rows.at(-1)![0],
});
const packed = gzipSync(JSON.stringify(page([5, 'x'])));

const HOSTILE_PAGES: [string, string, Answerer][] = [
  ['rows out of order', 'upstream-shape', answerWith(since => page([since + 9, 'x'], [since + 3, 'y']))],
  ['a row twice', 'upstream-shape', answerWith(since => page([since + 3, 'x'], [since + 3, 'x']))],
  ['rows from before the cursor', 'upstream-shape', answerWith(since => page([Math.max(0, since - 1), 'x']))],
  [
    'a sequence that is text',
    'upstream-shape',
    answerWith(() => ({ results: [{ ...row(1, 'x'), seq: '1' }], last_seq: 1 })),
  ],
  [
    'a sequence that is infinite',
    'upstream-shape',
    answerWith('{"results":[{"seq":1e400,"id":"x"}],"last_seq":1e400}'),
  ],
  ['malformed JSON', 'upstream-shape', answerWith('{"results":[')],
  ['HTML with status 200', 'upstream-shape', answerWith('<html></html>', { 'content-type': 'text/html' })],
  ['gzip that stops', 'upstream-unreachable', answerWith(packed.subarray(0, -20), { 'content-encoding': 'gzip' })],
  ['a connection that is cut', 'upstream-unreachable', (_, response) => void response.socket?.destroy()],
  ['status 500', 'upstream-status', status(500)],
  ['status 404', 'upstream-status', status(404)],
];

describe('a page that is answered with', () => {
  it.each(HOSTILE_PAGES)(
    '%s is refused as %s: none of its changes is accepted, and the source continues',
    async (_, kind, answer) => {
      const hostile = await HostileWorld.start();
      hostile.publish(['a', 'b']);
      await hostile.followed();
      const { cursor } = hostile.world.lane;
      hostile.answers.set(FEED, answer);
      hostile.publish('c');
      await hostile.settle(() => (hostile.world.fault('follow')?.failures ?? 0) >= 3);
      expect(hostile.world.fault('follow')).toMatchObject({ kind });
      expect(hostile.world.state).toBe('backing-off');
      expect(hostile.world.lane.cursor).toBe(cursor);
      expect(hostile.world.balance).toMatchObject({ changes: 2, rows: 2 });
      hostile.answers.clear();
      await hostile.expectGoesOn({ rows: 3 });
    },
  );

  it('status 400 refuses the cursor: the source is stalled, probes every 5 minutes, and recovers by itself', async () => {
    const hostile = await HostileWorld.start();
    hostile.publish(['a', 'b']);
    await hostile.followed();
    const { cursor } = hostile.world.lane;
    hostile.answers.set(FEED, status(400));
    await hostile.settle(() => hostile.world.fault('follow') !== null);
    expect(hostile.world.fault('follow')).toMatchObject({ kind: 'cursor-refused', stalls: 1 });
    expect(hostile.world.state).toBe('stalled');
    const before = hostile.feed.requests.length;
    await hostile.pass(HOUR);
    const probes = hostile.feed.requests.length - before;
    expect([HOUR / LIMITS.probeMs - 1, HOUR / LIMITS.probeMs]).toContain(probes);
    expect(hostile.world.lane.cursor).toBe(cursor);
    hostile.answers.clear();
    await hostile.expectGoesOn({ rows: 2 });
  });

  it('no changes while the head is ahead is no progress: the source becomes stalled, and recovers', async () => {
    const hostile = await HostileWorld.start();
    hostile.publish(['a', 'b']);
    await hostile.followed();
    const { cursor } = hostile.world.lane;
    hostile.answers.set(
      FEED,
      answerWith(since => ({ results: [], last_seq: since })),
    );
    hostile.publish('c');
    await hostile.pass(LIMITS.probeMs);
    expect(hostile.world.state).not.toBe('stalled');
    await hostile.pass(hostile.world.options.stalledAfterMs);
    expect(hostile.world.state).toBe('stalled');
    expect(hostile.world.lane).toMatchObject({ cursor, lag_changes: null });
    hostile.answers.clear();
    await hostile.expectGoesOn({ rows: 3 });
  });
});

describe('an upstream that asks for a wait', () => {
  const DAY = 24 * HOUR;
  const WAITS: [string, { header: string; atLeastMs: number; atMostMs: number }][] = [
    ['of 0 seconds', { header: '0', atLeastMs: LIMITS.backoffMsMin, atMostMs: 30_000 }],
    ['of an hour', { header: '3600', atLeastMs: HOUR, atMostMs: HOUR + MINUTE }],
    ['of a year', { header: String(365 * 86_400), atLeastMs: DAY, atMostMs: DAY + MINUTE }],
    [
      'until a date in the past',
      { header: 'Wed, 21 Oct 2015 07:28:00 GMT', atLeastMs: LIMITS.backoffMsMin, atMostMs: 30_000 },
    ],
    ['that cannot be read', { header: 'soon', atLeastMs: LIMITS.backoffMsMin, atMostMs: 30_000 }],
  ];

  /** Refuses the next request for a target. Returns the time until the request after it. */
  async function waitAfter(hostile: HostileWorld, { target, header }: { target: string; header: string }) {
    hostile.answers.set(target, (_, response) => {
      hostile.answers.delete(target);
      response.writeHead(429, { 'retry-after': header }).end();
    });
    await hostile.followed();
    const [refusedMs, nextMs] = hostile.requestTimes.get(target)!;
    return nextMs! - refusedMs!;
  }

  it.each(WAITS)('%s for its feed gets it, up to a day', async (_, { header, atLeastMs, atMostMs }) => {
    const hostile = await HostileWorld.start();
    hostile.publish('a');
    const waitMs = await waitAfter(hostile, { target: FEED, header });
    expect(waitMs).toBeGreaterThanOrEqual(atLeastMs);
    expect(waitMs).toBeLessThanOrEqual(atMostMs);
    expect(hostile.parked).toEqual([]);
    await hostile.expectGoesOn({ rows: 1 });
  });

  it.each(WAITS)(
    '%s for a document gets it, up to a day, and nothing is parked',
    async (_, { header, atLeastMs, atMostMs }) => {
      const hostile = await HostileWorld.start();
      hostile.publish('a');
      const waitMs = await waitAfter(hostile, { target: 'a', header });
      expect(waitMs).toBeGreaterThanOrEqual(atLeastMs);
      expect(waitMs).toBeLessThanOrEqual(atMostMs);
      await hostile.expectGoesOn({ rows: 1 });
    },
  );
});

describe('an upstream that accepts requests and never answers', () => {
  it('for its feed is retried again and again, and nothing is parked', async () => {
    const hostile = await HostileWorld.start();
    hostile.publish(['a', 'b']);
    hostile.answers.set(FEED, (_, response) => hostile.hold(response));
    await hostile.settle(() => (hostile.world.fault('follow')?.failures ?? 0) >= 5);
    // The kind is the same whether the time of the request or that of the call is up first.
    expect(hostile.world.fault('follow')!.kind).toBe('upstream-unreachable');
    expect(hostile.world.balance).toMatchObject({ changes: 0, parked: 0 });
    hostile.answers.clear();
    await hostile.expectGoesOn({ rows: 2 });
  });

  it('for one document, or stops in the middle of one, parks it as timeout and delays no other', async () => {
    const hostile = await HostileWorld.start();
    hostile.publish(['a', 'silent', 'b', 'half']);
    hostile.answers.set('silent', (_, response) => hostile.hold(response));
    hostile.answers.set('half', (_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.write('{"name":', () => hostile.hold(response));
    });
    await hostile.followed();
    expect(new Map(hostile.parked.map(({ key, reason }) => [key, reason]))).toEqual(
      new Map([
        ['silent', 'timeout'],
        ['half', 'timeout'],
      ]),
    );
    hostile.answers.clear();
    await hostile.settle(() => hostile.parked.length === 0);
    await hostile.expectGoesOn({ rows: 4 });
  });

  it('for all documents parks only changes that failed too often, and loses none', async () => {
    const hostile = await HostileWorld.start();
    const names = Array.from({ length: 20 }, (_, index) => `silent-${index}`);
    hostile.publish(names);
    for (const name of names) hostile.answers.set(name, (_, response) => hostile.hold(response));
    await hostile.settle(() => (hostile.world.fault('follow')?.failures ?? 0) >= 2);
    expect(hostile.parked).toEqual([]);
    await hostile.pass(20 * MINUTE);
    expect(hostile.parked.length).toBeLessThan(names.length);
    expect(hostile.world.balance.balanced).toBe(true);
    hostile.answers.clear();
    await hostile.settle(() => hostile.isFollowed && hostile.parked.length === 0);
    await hostile.expectGoesOn({ rows: names.length });
  });
});

describe('a page whose loads take 10 minutes', () => {
  it('is loaded slice by slice over several runs, with about one request for each document', async () => {
    const hostile = await HostileWorld.start({ NPM_PAGE_CHANGES: '2000' });
    const { clock } = hostile.world;
    const names = Array.from({ length: 360 }, (_, index) => `slow-${index}`);
    hostile.publish(names);
    for (const name of names)
      hostile.answers.set(name, (_, response) => {
        const answer = () => void response.end(hostile.standIn.documentOf(name));
        hostile.hold(response, { ms: 19_000, answer });
      });
    const startedMs = clock.elapsedMs;
    const accepted: number[] = [];
    await hostile.settle(() => {
      accepted.push(hostile.world.balance.changes);
      return hostile.world.lane.cursor === String(hostile.standIn.updateSeq());
    });
    expect(clock.elapsedMs - startedMs).toBeGreaterThan(9 * MINUTE);
    expect(clock.elapsedMs - startedMs).toBeLessThan(15 * MINUTE);
    // Changes are accepted slice by slice, not all at the end.
    expect(new Set(accepted).size).toBeGreaterThan(10);
    expect(hostile.documents.requests.length).toBeLessThan(1.5 * names.length);
    hostile.answers.clear();
    await hostile.expectGoesOn({ rows: names.length });
  });
});
