import type { ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { type Answerer, FEED, HostileWorld } from './hostile-world.ts';

const MB = 1_000_000;
const NAME = 'large';
const HEAD = Buffer.from(`{"_id":"${NAME}","name":"${NAME}","readme":"`);
const TAIL = Buffer.from('"}');
const CHUNK = Buffer.alloc(MB, 'x');
// Several gzip members in a row are one gzip file, which makes a bomb of 300 MB fast.
const PACKED = [HEAD, CHUNK, TAIL].map(part => gzipSync(part));

type Encoding = 'with its length' | 'without its length' | 'compressed';
const ENCODINGS: Encoding[] = ['with its length', 'without its length', 'compressed'];

/** Answers with a document of so many megabytes and a few bytes, which repeats one chunk. */
function large(megabytes: number, encoding: Encoding): Answerer {
  const [head, chunk, tail] = encoding === 'compressed' ? (PACKED as [Buffer, Buffer, Buffer]) : [HEAD, CHUNK, TAIL];
  const length = HEAD.length + megabytes * MB + TAIL.length;
  const headers = {
    'with its length': { 'content-length': length },
    'without its length': { 'transfer-encoding': 'chunked' },
    compressed: { 'content-encoding': 'gzip' },
  };
  return (_, response) => {
    response.writeHead(200, { 'content-type': 'application/json', ...headers[encoding] });
    response.write(head);
    pour(response, { chunk, left: megabytes, tail });
  };
}

/** Writes as fast as the client reads, and stops when the client closes the connection. */
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
  it.each(ENCODINGS)('that comes %s is stored as it is, and its change is a dead letter', async encoding => {
    const hostile = await HostileWorld.start();
    hostile.answers.set(NAME, large(40, encoding));
    hostile.publish(['a', NAME, 'b']);
    await hostile.followed();
    expect(hostile.dead).toEqual([{ key: NAME, reason: 'too-large' }]);
    const stored = hostile.bucket.objects.get(RAW)!;
    expect(stored.bytes).toHaveLength(HEAD.length + 40 * MB + TAIL.length);
    expect(Buffer.compare(stored.bytes.subarray(0, HEAD.length), HEAD)).toBe(0);
    expect(Buffer.compare(stored.bytes.subarray(-TAIL.length), TAIL)).toBe(0);
    await hostile.expectGoesOn({ rows: 2, dead: 1 });
  });

  it('is loaded by a replay when it is small again, and replaces the stored one', async () => {
    const hostile = await HostileWorld.start();
    hostile.answers.set(NAME, large(40, 'without its length'));
    hostile.publish(['a', NAME]);
    await hostile.followed();
    hostile.answers.clear();
    await hostile.replayDead();
    expect(hostile.bucket.objects.get(RAW)!.bytes.length).toBeLessThan(1_000);
    await hostile.expectGoesOn({ rows: 2 });
  });

  it('that stops in the middle leaves nothing in the lake', async () => {
    const hostile = await HostileWorld.start();
    hostile.answers.set(NAME, (_, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': 80 * MB });
      response.write(HEAD);
      pour(response, { chunk: CHUNK, left: 40, tail: TAIL });
      // Get the socket now: the response has none any more once it is finished.
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
  it.each(ENCODINGS)('that comes %s is not stored, and its change is a dead letter', async encoding => {
    const hostile = await HostileWorld.start();
    hostile.answers.set(NAME, large(300, encoding));
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
    'that comes %s is refused: the source waits, and recovers',
    async encoding => {
      const hostile = await HostileWorld.start();
      hostile.publish(['a', 'b']);
      hostile.answers.set(FEED, large(300, encoding));
      await hostile.settle(() => hostile.world.fault('follow') !== null);
      expect(hostile.world.fault('follow')).toMatchObject({ kind: 'upstream-shape' });
      expect(hostile.world.state).toBe('backing-off');
      expect(hostile.world.balance.changes).toBe(0);
      hostile.answers.clear();
      await hostile.expectGoesOn({ rows: 2 });
    },
  );
});
