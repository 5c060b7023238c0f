import { describe, expect, it } from 'vitest';
import { StepError } from '../../src/errors.ts';
import { putNewest, uploadNewest } from '../../src/lake/newest.ts';
import type { BucketPort, ObjectHead, UploadPort } from '../../src/ports/bucket.ts';
import { etagOf } from '../simulation/world/bucket.ts';

const key = 'npm/raw/express/latest.json';
const bytes = (text: string) => new TextEncoder().encode(text);
const newest = (fetchedAtMs: number, revision: number | null) => ({
  fetchedAtMs,
  revision,
  contentType: 'application/json',
});

describe('putNewest', () => {
  it('puts an absent object with its fetch time and its revision', async () => {
    const bucket = memoryBucket();
    expect(await putNewest(bucket, key, bytes('one'), newest(100, 3))).toBe('put');
    expect(bucket.text(key)).toBe('one');
    expect((await bucket.head(key))?.metadata).toEqual({ 'fetched-at': '100', revision: '3' });
  });

  it('writes no revision when there is none', async () => {
    const bucket = memoryBucket();
    await putNewest(bucket, key, bytes('one'), newest(100, null));
    expect((await bucket.head(key))?.metadata).toEqual({ 'fetched-at': '100' });
  });

  it.each([
    ['later, same revision', newest(200, 3), 'put'],
    ['later, higher revision', newest(200, 4), 'put'],
    ['at the same time, same revision', newest(100, 3), 'put'],
    ['later, revision unknown', newest(200, null), 'put'],
    ['later, lower revision', newest(200, 2), 'newer-exists'],
    ['earlier, same revision', newest(50, 3), 'newer-exists'],
    ['earlier, higher revision', newest(50, 4), 'newer-exists'],
    ['earlier, revision unknown', newest(50, null), 'newer-exists'],
  ])('over one of revision 3: %s → %s', async (_, options, expected) => {
    const bucket = memoryBucket();
    await putNewest(bucket, key, bytes('stored'), newest(100, 3));
    expect(await putNewest(bucket, key, bytes('given'), options)).toBe(expected);
    expect(bucket.text(key)).toBe(expected === 'put' ? 'given' : 'stored');
  });

  it('replaces an object that does not say how new it is', async () => {
    const bucket = memoryBucket();
    await bucket.put(key, [bytes('foreign')], { onlyIf: { absent: true }, metadata: {}, contentType: 'text/plain' });
    expect(await putNewest(bucket, key, bytes('given'), newest(1, 1))).toBe('put');
    expect(bucket.text(key)).toBe('given');
  });

  it('reads the head again after losing a race, and keeps a newer object', async () => {
    const bucket = memoryBucket();
    bucket.beforePut = () => {
      bucket.beforePut = () => undefined;
      bucket.set(key, 'other', { 'fetched-at': '300', revision: '5' });
    };
    expect(await putNewest(bucket, key, bytes('given'), newest(200, 4))).toBe('newer-exists');
    expect(bucket.text(key)).toBe('other');
  });

  it('reads the head again after losing a race, and replaces an older object', async () => {
    const bucket = memoryBucket();
    await putNewest(bucket, key, bytes('stored'), newest(50, 1));
    bucket.beforePut = () => {
      bucket.beforePut = () => undefined;
      bucket.set(key, 'other', { 'fetched-at': '100', revision: '3' });
    };
    expect(await putNewest(bucket, key, bytes('given'), newest(200, 4))).toBe('put');
    expect(bucket.text(key)).toBe('given');
  });

  it('ends with the newest object, whichever of two concurrent puts is first', async () => {
    for (const order of [
      [1, 2],
      [2, 1],
    ]) {
      const bucket = memoryBucket();
      await Promise.all(order.map(n => putNewest(bucket, key, bytes(`version ${n}`), newest(n, n))));
      expect(bucket.text(key)).toBe('version 2');
    }
  });

  it('gives up after 5 lost races, without a value in its message', async () => {
    const bucket = memoryBucket();
    let puts = 0;
    bucket.beforePut = () => bucket.set(key, `other ${puts++}`, { 'fetched-at': '1' });
    const given = putNewest(bucket, key, bytes('given'), newest(200, 4));
    await expect(given).rejects.toThrow(StepError);
    await expect(given).rejects.toMatchObject({
      kind: 'bucket-failed',
      message: expect.not.stringContaining('express'),
    });
    expect(puts).toBe(5);
  });
});

describe('uploadNewest', () => {
  it('puts nothing before it is complete, and then all parts with the metadata', async () => {
    const bucket = memoryBucket();
    const upload = await uploadNewest(bucket, key, newest(100, 3));
    await upload.part(bytes('one '));
    await upload.part(bytes('two'));
    expect(bucket.text(key)).toBeUndefined();
    expect(await upload.complete()).toBe('put');
    expect(bucket.text(key)).toBe('one two');
    expect((await bucket.head(key))?.metadata).toEqual({ 'fetched-at': '100', revision: '3' });
  });

  it.each([
    ['one fetched later', { 'fetched-at': '101' }, 'newer-exists'],
    ['one of a higher revision', { 'fetched-at': '1', revision: '4' }, 'newer-exists'],
    ['one fetched before', { 'fetched-at': '99', revision: '3' }, 'put'],
    ['one that does not say how new it is', {}, 'put'],
  ])('that began before %s was put → %s', async (_name, metadata, expected) => {
    const bucket = memoryBucket();
    const upload = await uploadNewest(bucket, key, newest(100, 3));
    await upload.part(bytes('given'));
    bucket.set(key, 'other', metadata as Record<string, string>);
    expect(await upload.complete()).toBe(expected);
    expect(bucket.text(key)).toBe(expected === 'put' ? 'given' : 'other');
    expect(bucket.open()).toBe(0);
  });

  it('leaves nothing after an abort', async () => {
    const bucket = memoryBucket();
    const upload = await uploadNewest(bucket, key, newest(100, null));
    await upload.part(bytes('given'));
    await upload.abort();
    expect(bucket.text(key)).toBeUndefined();
    expect(bucket.open()).toBe(0);
  });
});

interface MemoryBucket extends BucketPort, UploadPort {
  /** Uploads that were neither completed nor aborted. */
  open(): number;
  beforePut(): void;
  set(key: string, text: string, metadata: Record<string, string>): ObjectHead;
  text(key: string): string | undefined;
}

function memoryBucket(): MemoryBucket {
  const objects = new Map<string, { head: ObjectHead; text: string }>();
  let open = 0;
  return {
    beforePut: () => undefined,
    open: () => open,
    async upload(key, { metadata }) {
      open++;
      let text = '';
      return {
        part: async part => {
          text += new TextDecoder().decode(part);
        },
        complete: async () => {
          open--;
          this.set(key, text, metadata);
        },
        abort: async () => void open--,
      };
    },
    set(key, text, metadata) {
      const head = { key, bytes: text.length, etag: etagOf(bytes(text)), metadata };
      objects.set(key, { head, text });
      return head;
    },
    text: key => objects.get(key)?.text,
    head: async key => objects.get(key)?.head ?? null,
    async put(key, chunks, { onlyIf, metadata }) {
      this.beforePut();
      const etag = objects.get(key)?.head.etag;
      if ('absent' in onlyIf ? etag !== undefined : etag !== onlyIf.etag) return null;
      return this.set(key, chunks.map(chunk => new TextDecoder().decode(chunk)).join(''), metadata);
    },
    tail: async () => null,
    range: async () => null,
    remove: async keys => keys.forEach(key => void objects.delete(key)),
    list: async (prefix, { limit }) => [...objects.keys()].filter(key => key.startsWith(prefix)).slice(0, limit),
  };
}

describe('a version of a later change of the feed', () => {
  const position = (cursor: string, overrules = true) => ({
    cursor,
    overrules,
    compare: (a: string, b: string) => Number(a) - Number(b),
  });
  const version = (fetchedAtMs: number, revision: number, at: ReturnType<typeof position>) => ({
    ...newest(fetchedAtMs, revision),
    position: at,
  });

  it.each([
    ['replaces a higher revision of an earlier change', version(200, 3, position('11')), 'put'],
    ['replaces none that was fetched later', version(50, 3, position('11')), 'newer-exists'],
    ['replaces none while it is older than the feed announced', version(200, 3, position('11', false)), 'newer-exists'],
    ['replaces none of the same change', version(200, 3, position('10')), 'newer-exists'],
    ['replaces none of a later change', version(200, 3, position('9')), 'newer-exists'],
  ])('%s', async (_, given, expected) => {
    const bucket = memoryBucket();
    await putNewest(bucket, key, bytes('stored'), version(100, Number.MAX_SAFE_INTEGER, position('10')));
    expect(await putNewest(bucket, key, bytes('given'), given)).toBe(expected);
  });
});
