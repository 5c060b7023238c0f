import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { StepError } from '../../src/errors.ts';
import { putNewest, uploadNewest } from '../../src/lake/newest.ts';
import { bucketPort } from '../../src/worker/r2.ts';

const bucket = bucketPort(env.LAKE);
const absent = { onlyIf: { absent: true }, metadata: { digest: 'abc' }, contentType: 'application/json' } as const;
const chunk = (length: number, byte: number) => new Uint8Array(length).fill(byte);

async function stored(key: string): Promise<Uint8Array> {
  const object = await env.LAKE.get(key);
  return new Uint8Array((await object?.arrayBuffer()) ?? []);
}

describe('the bucket port', () => {
  it('gives null for the head of an absent object', async () => {
    expect(await bucket.head('nothing')).toBeNull();
  });

  it('puts one chunk, and gives its facts then and later', async () => {
    const head = await bucket.put('one', [new Uint8Array([0, 1, 2, 3]).subarray(1)], absent);
    expect(head).toEqual({ key: 'one', bytes: 3, etag: expect.any(String), metadata: { digest: 'abc' } });
    expect(await bucket.head('one')).toEqual(head);
    expect(await stored('one')).toEqual(new Uint8Array([1, 2, 3]));
    expect((await env.LAKE.head('one'))?.httpMetadata?.contentType).toBe('application/json');
  });

  it('puts an empty body', async () => {
    expect(await bucket.put('no chunk', [], absent)).toMatchObject({ bytes: 0 });
    expect(await bucket.put('empty chunk', [new Uint8Array(0)], absent)).toMatchObject({ bytes: 0 });
    expect(await bucket.put('empty chunks', [new Uint8Array(0), new Uint8Array(0)], absent)).toMatchObject({
      bytes: 0,
    });
  });

  it('puts many chunks in order, and does not change them', async () => {
    const chunks = [chunk(3_000_000, 1), new Uint8Array(0), chunk(1, 2), chunk(2_000_000, 3), chunk(7, 4)];
    const head = await bucket.put('many', chunks, absent);
    expect(head?.bytes).toBe(5_000_008);
    const whole = await stored('many');
    expect([whole[0], whole[2_999_999], whole[3_000_000], whole[3_000_001], whole.at(-1)]).toEqual([1, 1, 2, 3, 4]);
    expect(chunks.map(part => part.byteLength)).toEqual([3_000_000, 0, 1, 2_000_000, 7]);
    // The same chunks can be put again, because no buffer was transferred.
    expect(await bucket.put('many again', chunks, absent)).toMatchObject({ bytes: 5_000_008, etag: head?.etag });
  });

  it('gives null when an object that should be absent exists, with one chunk and with many', async () => {
    await bucket.put('taken', [chunk(1, 1)], absent);
    expect(await bucket.put('taken', [chunk(1, 2)], absent)).toBeNull();
    expect(await bucket.put('taken', [chunk(3_000_000, 2), chunk(3_000_000, 2)], absent)).toBeNull();
    expect(await stored('taken')).toEqual(chunk(1, 1));
  });

  it('replaces only an object that has the etag', async () => {
    const first = await bucket.put('replaced', [chunk(1, 1)], absent);
    const onlyIf = { etag: first?.etag ?? '' };
    const chunks = [chunk(2, 2), chunk(2, 2)];
    expect(await bucket.put('replaced', chunks, { ...absent, onlyIf })).toMatchObject({ bytes: 4 });
    expect(await bucket.put('replaced', chunks, { ...absent, onlyIf })).toBeNull();
    expect(await bucket.put('not there', chunks, { ...absent, onlyIf })).toBeNull();
  });

  it('lists the first keys under a prefix', async () => {
    for (const key of ['list/b', 'list/a', 'list/c', 'list', 'lister/d']) await bucket.put(key, [chunk(1, 1)], absent);
    expect(await bucket.list('list/', { limit: 10 })).toEqual(['list/a', 'list/b', 'list/c']);
    expect(await bucket.list('list/', { limit: 2 })).toEqual(['list/a', 'list/b']);
    expect(await bucket.list('list/', { limit: 10, after: 'list/a' })).toEqual(['list/b', 'list/c']);
    expect(await bucket.list('list/', { limit: 0 })).toEqual([]);
    expect(await bucket.list('none/', { limit: 10 })).toEqual([]);
  });

  it('removes objects, and ignores absent ones', async () => {
    for (const key of ['old/a', 'old/b', 'old/c']) await bucket.put(key, [chunk(1, 1)], absent);
    await bucket.remove(['old/a', 'old/none', 'old/c']);
    expect(await bucket.list('old/', { limit: 10 })).toEqual(['old/b']);
  });

  it('lists over more than one page', async () => {
    const keys = Array.from({ length: 1_100 }, (_, n) => `pages/${String(n).padStart(4, '0')}`);
    for (let n = 0; n < keys.length; n += 100) {
      await Promise.all(keys.slice(n, n + 100).map(key => bucket.put(key, [chunk(1, 1)], absent)));
    }
    expect(await bucket.list('pages/', { limit: 1_050 })).toEqual(keys.slice(0, 1_050));
    expect(await bucket.list('pages/', { limit: 5_000 })).toEqual(keys);
  });

  it.each([1, 2])('rejects once, with our own error and no value, when R2 refuses a put of %i chunks', async parts => {
    const key = `secret-${'x'.repeat(1_100)}`;
    const chunks = Array.from({ length: parts }, () => chunk(1_000_000, 1));
    const error = await bucket.put(key, chunks, absent).catch(caught => caught);
    expect(error).toBeInstanceOf(StepError);
    expect(error.kind).toBe('bucket-failed');
    expect(error.message).toMatch(/^bucket put: /);
    expect(error.message).not.toContain('secret');
  });

  it('rejects once when the put fails before, during or after its body', async () => {
    for (const readBytes of [0, 1, 2_500_000, 4_000_000]) {
      const failing = { put: (_: string, body: ReadableStream) => readThenFail(body, readBytes) };
      const port = bucketPort(failing as unknown as R2Bucket);
      const given = port.put('failing', [chunk(2_000_000, 1), chunk(2_000_000, 1)], absent);
      await expect(given).rejects.toThrow('bucket put: expected an answer, got put: Internal error. (10001)');
    }
  });

  it('puts a newer document, and does not replace it with an older one', async () => {
    const json = { contentType: 'application/json' };
    expect(await putNewest(bucket, 'newest', chunk(1, 1), { fetchedAtMs: 5, revision: 2, ...json })).toBe('put');
    expect(await putNewest(bucket, 'newest', chunk(1, 2), { fetchedAtMs: 6, revision: 1, ...json })).toBe(
      'newer-exists',
    );
    expect(await putNewest(bucket, 'newest', chunk(1, 3), { fetchedAtMs: 6, revision: 3, ...json })).toBe('put');
    expect(await stored('newest')).toEqual(chunk(1, 3));
    expect((await bucket.head('newest'))?.metadata).toEqual({ 'fetched-at': '6', revision: '3' });
  });

  it('puts an object in equal parts, from one buffer that is used again', async () => {
    const part = chunk(5 * 1024 * 1024, 0);
    const newest = { fetchedAtMs: 5, revision: null, contentType: 'application/json' };
    const upload = await uploadNewest(bucket, 'parts', newest);
    for (const byte of [1, 2]) await upload.part(part.fill(byte));
    await upload.part(part.fill(3).subarray(0, 7));
    expect(await bucket.head('parts')).toBeNull();
    expect(await upload.complete()).toBe('put');
    const whole = await stored('parts');
    const offsets = [0, part.length - 1, part.length, 2 * part.length - 1, 2 * part.length, 2 * part.length + 6];
    expect(offsets.map(offset => whole[offset])).toEqual([1, 1, 2, 2, 3, 3]);
    expect(whole).toHaveLength(2 * part.length + 7);
    const object = await env.LAKE.head('parts');
    expect(object?.customMetadata).toEqual({ 'fetched-at': '5' });
    expect(object?.httpMetadata?.contentType).toBe('application/json');
  });

  it('drops parts that are aborted, or older than the object that exists', async () => {
    const newest = { fetchedAtMs: 5, revision: null, contentType: 'application/json' };
    const aborted = await uploadNewest(bucket, 'aborted', newest);
    await aborted.part(chunk(10, 1));
    await aborted.abort();
    expect(await bucket.head('aborted')).toBeNull();
    const older = await uploadNewest(bucket, 'older', newest);
    await older.part(chunk(10, 1));
    await putNewest(bucket, 'older', chunk(1, 2), { ...newest, fetchedAtMs: 6 });
    expect(await older.complete()).toBe('newer-exists');
    expect(await stored('older')).toEqual(chunk(1, 2));
  });

  it('rejects with our own error when R2 refuses a part, or the end of the upload', async () => {
    const newest = { fetchedAtMs: 5, revision: null, contentType: 'application/json' };
    const upload = await uploadNewest(bucket, 'uneven', newest);
    await upload.part(chunk(10, 1));
    await upload.part(chunk(10, 1));
    await expect(upload.complete()).rejects.toMatchObject({
      kind: 'bucket-failed',
      message: expect.stringMatching(/^bucket upload end: /),
    });
    await upload.abort();
    await expect(upload.part(chunk(10, 1))).rejects.toMatchObject({ name: 'StepError', kind: 'bucket-failed' });
  });

  it('ends with the newest document of several writers at once', async () => {
    const writers = Array.from({ length: 4 }, (_, n) =>
      putNewest(bucket, 'raced', chunk(1, n), { fetchedAtMs: n, revision: n, contentType: 'application/json' }),
    );
    await Promise.all(writers);
    expect(await stored('raced')).toEqual(chunk(1, 3));
  });
});

async function readThenFail(body: ReadableStream<Uint8Array>, bytes: number): Promise<never> {
  const reader = body.getReader();
  for (let read = 0; read < bytes; ) {
    const { value, done } = await reader.read();
    if (done) break;
    read += value.byteLength;
  }
  throw new Error('put: Internal error. (10001)');
}
