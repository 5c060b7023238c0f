import type { ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { type Answerer, FEED, HostileWorld } from './hostile-world.ts';

const MB = 1_000_000;
const NAME = 'large';
const HEAD = Buffer.from(`{"_id":"${NAME}","name":"${NAME}","readme":"`);
const TAIL = Buffer.from('"}');
const CHUNK = Buffer.alloc(MB, 'x');
// Members of one gzip file after another are one gzip file: a bomb of 300 MB is made in no time.
const PACKED = [HEAD, CHUNK, TAIL].map(part => gzipSync(part));

type Way = 'with its length' | 'without its length' | 'compressed';
const WAYS: Way[] = ['with its length', 'without its length', 'compressed'];

/** A document of so many megabytes and a few bytes, of one chunk over and over. */
function large(megabytes: number, way: Way): Answerer {
  const [head, chunk, tail] = way === 'compressed' ? (PACKED as [Buffer, Buffer, Buffer]) : [HEAD, CHUNK, TAIL];
  const length = HEAD.length + megabytes * MB + TAIL.length;
  const headers = {
    'with its length': { 'content-length': length },
    'without its length': { 'transfer-encoding': 'chunked' },
    compressed: { 'content-encoding': 'gzip' },
  };
  return (_, response) => {
    response.writeHead(200, { 'content-type': 'application/json', ...headers[way] });
    response.write(head);
    pour(response, { chunk, left: megabytes, tail });
  };
}

/** Writes as fast as somebody reads, and no more once nobody does. */
function pour(response: ServerResponse, { chunk, left, tail }: { chunk: Buffer; left: number; tail: Buffer }): void {
  for (let rest = left; rest > 0; rest--) {
    if (response.destroyed) return;
    if (response.write(chunk)) continue;
    response.once('drain', () => pour(response, { chunk, left: rest - 1, tail }));
    return;
  }
  response.end(tail);
}

const raws = ({ bucket }: HostileWorld) => bucket.keys('npm/raw/');
const RAW = `npm/raw/${NAME}/latest.json`;

describe('a document of 40 MB', () => {
  it.each(WAYS)('that comes %s is stored as it is, and a dead letter', async way => {
    const hostile = await HostileWorld.start();
    hostile.answers.set(NAME, large(40, way));
    hostile.publish(['a', NAME, 'b']);
    await hostile.followed();
    expect(hostile.dead).toEqual([{ key: NAME, reason: 'too-large' }]);
    const stored = hostile.bucket.objects.get(RAW)!;
    expect(stored.bytes).toHaveLength(HEAD.length + 40 * MB + TAIL.length);
    expect(Buffer.compare(stored.bytes.subarray(0, HEAD.length), HEAD)).toBe(0);
    expect(Buffer.compare(stored.bytes.subarray(-TAIL.length), TAIL)).toBe(0);
    await hostile.expectGoesOn({ rows: 2, dead: 1 });
  });

  it('comes in when it is small again and replayed, and replaces what is stored', async () => {
    const hostile = await HostileWorld.start();
    hostile.answers.set(NAME, large(40, 'without its length'));
    hostile.publish(['a', NAME]);
    await hostile.followed();
    hostile.answers.clear();
    await hostile.replayDead();
    expect(hostile.bucket.objects.get(RAW)!.bytes.length).toBeLessThan(1_000);
    await hostile.expectGoesOn({ rows: 2 });
  });

  it('that stops in its middle leaves nothing in the lake', async () => {
    const hostile = await HostileWorld.start();
    hostile.answers.set(NAME, (_, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': 80 * MB });
      response.write(HEAD);
      pour(response, { chunk: CHUNK, left: 40, tail: TAIL });
      // Once all is written, the response has let go of its socket.
      const { socket } = response;
      response.on('finish', () => socket?.destroy());
    });
    hostile.publish(['a', NAME]);
    await hostile.followed();
    expect(hostile.parked).toEqual([{ key: NAME, reason: 'truncated' }]);
    expect(raws(hostile)).toEqual(['npm/raw/a/latest.json']);
    const { begun, completed, aborted } = hostile.bucket.uploads;
    expect([completed, aborted]).toEqual([0, begun]);
    hostile.answers.clear();
    await hostile.settle(() => hostile.parked.length === 0);
    await hostile.expectGoesOn({ rows: 2 });
  });
});

describe('a document of 300 MB', () => {
  it.each(WAYS)('that comes %s is not stored, and a dead letter', async way => {
    const hostile = await HostileWorld.start();
    hostile.answers.set(NAME, large(300, way));
    hostile.publish(['a', NAME, 'b']);
    await hostile.followed();
    expect(hostile.dead).toEqual([{ key: NAME, reason: 'too-large' }]);
    expect(raws(hostile)).toEqual(['npm/raw/a/latest.json', 'npm/raw/b/latest.json']);
    const { begun, completed, aborted } = hostile.bucket.uploads;
    expect([completed, aborted]).toEqual([0, begun]);
    hostile.answers.clear();
    await hostile.replayDead();
    await hostile.expectGoesOn({ rows: 3 });
  });
});

describe('a page of the feed of 300 MB', () => {
  it.each(['with its length', 'compressed'] as const)(
    'that comes %s is no page: the source waits, and goes on',
    async way => {
      const hostile = await HostileWorld.start();
      hostile.publish(['a', 'b']);
      hostile.answers.set(FEED, large(300, way));
      await hostile.settle(() => hostile.world.fault('follow') !== null);
      expect(hostile.world.fault('follow')).toMatchObject({ kind: 'upstream-shape' });
      expect(hostile.world.state).toBe('backing-off');
      expect(hostile.world.balance.changes).toBe(0);
      hostile.answers.clear();
      await hostile.expectGoesOn({ rows: 2 });
    },
  );
});
