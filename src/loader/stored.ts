import { sha256Hex } from '../digest.ts';
import { LIMITS } from '../limits.ts';
import type { BucketPort } from '../ports/bucket.ts';
import type { StoredDocument, StoredObject } from '../sources/source.ts';

/** Custom metadata of an object whose document has a digest. */
const DIGEST = 'digest';
const SHA256 = 'sha256';

/** The metadata by which `storedDocument` says what an object is. */
export function digestMetadata(digest: string, bytes: Uint8Array): Record<string, string> {
  return { [DIGEST]: digest, [SHA256]: sha256Hex(bytes) };
}

/** What has a key in the bucket. Throws `StepError` `bucket-failed`. */
export async function storedDocument(bucket: Pick<BucketPort, 'head' | 'range'>, key: string): Promise<StoredDocument> {
  const head = await bucket.head(key);
  if (head === null) return { key, object: null };
  const { bytes, etag, metadata } = head;
  const read: StoredObject['read'] = async () => {
    if (bytes > LIMITS.documentBytesLarge) return null;
    return bytes === 0 ? new Uint8Array() : bucket.range(key, { offset: 0, bytes, etag });
  };
  return { key, object: { bytes, digest: metadata[DIGEST] ?? null, sha256: metadata[SHA256] ?? null, read } };
}
