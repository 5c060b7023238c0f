import { beforeEach, describe, expect, it } from 'vitest';
import { sha256Hex } from '../../src/digest.ts';
import { type NewObject, ObjectWriter } from '../../src/loader/objects.ts';
import { storedDocument } from '../../src/loader/stored.ts';
import { MemoryBucket } from '../simulation/world/bucket.ts';

const KEY = 'zones/tld=com/example.com.zone';

let bucket: MemoryBucket;
beforeEach(() => {
  bucket = new MemoryBucket();
});

const put = (text: string, { fetchedAtMs = 1, digest }: { fetchedAtMs?: number; digest?: string } = {}) => {
  const object: NewObject = {
    key: KEY,
    bytes: Buffer.from(text),
    fetchedAtMs,
    revision: null,
    position: null,
    immutable: false,
    digest,
  };
  return new ObjectWriter(bucket).put([object]);
};

describe('storedDocument', () => {
  it('says that nothing is there', async () => {
    expect(await storedDocument(bucket, KEY)).toEqual({ key: KEY, object: null });
  });

  it('says what is there, by the digest of its document and by its bytes', async () => {
    await put('the bytes', { digest: 'one' });
    const { object } = await storedDocument(bucket, KEY);
    expect(object).toMatchObject({ bytes: 9, digest: 'one', sha256: sha256Hex('the bytes') });
    expect(Buffer.from((await object!.read())!).toString()).toBe('the bytes');
  });

  it('reads an empty object', async () => {
    await put('', { digest: 'none' });
    const { object } = await storedDocument(bucket, KEY);
    expect(await object!.read()).toEqual(new Uint8Array());
  });

  it('knows no digest of an object that was put without one', async () => {
    await put('the bytes');
    expect((await storedDocument(bucket, KEY)).object).toMatchObject({ bytes: 9, digest: null, sha256: null });
  });

  it('reads nothing of an object that has taken its place, and of one that is too large', async () => {
    await put('the bytes', { digest: 'one' });
    const { object } = await storedDocument(bucket, KEY);
    await put('other bytes', { digest: 'two', fetchedAtMs: 2 });
    expect(await object!.read()).toBeNull();
    await put('x'.repeat(4 * 2 ** 20 + 1), { digest: 'three', fetchedAtMs: 3 });
    expect(await (await storedDocument(bucket, KEY)).object!.read()).toBeNull();
  });

  it('has the digest of the object that was fetched last, whichever was put last', async () => {
    await put('newer', { digest: 'newer', fetchedAtMs: 2 });
    await put('older', { digest: 'older', fetchedAtMs: 1 });
    expect((await storedDocument(bucket, KEY)).object).toMatchObject({ digest: 'newer', sha256: sha256Hex('newer') });
  });
});
