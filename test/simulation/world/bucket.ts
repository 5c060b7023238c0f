import { createHash } from 'node:crypto';
import type { BucketPort, ByteRange, ObjectHead, PutCondition } from '../../../src/ports/bucket.ts';

interface StoredObject {
  head: ObjectHead;
  bytes: Uint8Array;
}

/** An object that was put, and the metadata of the object it replaced. */
export interface Put {
  key: string;
  bytes: Uint8Array;
  metadata: Record<string, string>;
  replaced: Record<string, string> | null;
}

/** A bucket in memory with R2's conditions, etags and custom metadata. */
export class MemoryBucket implements BucketPort {
  readonly objects = new Map<string, StoredObject>();
  /** The keys of all puts in order, those of refused puts too. */
  readonly puts: string[] = [];
  /** Called for each object that is put, and before each put of a data file, refused or not. */
  onPut: (put: Put) => void = () => undefined;
  onPutAttempt: (attempt: { key: string; bytes: Uint8Array; digest: string }) => void = () => undefined;

  async head(key: string): Promise<ObjectHead | null> {
    return this.objects.get(key)?.head ?? null;
  }

  async put(
    key: string,
    chunks: Uint8Array[],
    { onlyIf, metadata }: { onlyIf: PutCondition; metadata: Record<string, string>; contentType: string },
  ): Promise<ObjectHead | null> {
    this.puts.push(key);
    const stored = this.objects.get(key);
    const bytes = Buffer.concat(chunks);
    if (metadata.digest !== undefined) this.onPutAttempt({ key, bytes, digest: metadata.digest });
    if (isRefused(onlyIf, stored)) return null;
    return this.store(key, bytes, metadata);
  }

  async tail(key: string, bytes: number): Promise<Uint8Array | null> {
    return this.objects.get(key)?.bytes.slice(-bytes) ?? null;
  }

  async range(key: string, { offset, bytes, etag }: ByteRange & { etag: string }): Promise<Uint8Array | null> {
    const stored = this.objects.get(key);
    return stored?.head.etag === etag ? stored.bytes.slice(offset, offset + bytes) : null;
  }

  async list(prefix: string, { limit, after = '' }: { limit: number; after?: string | undefined }): Promise<string[]> {
    return this.keys(prefix)
      .filter(key => key > after)
      .slice(0, limit);
  }

  async remove(keys: string[]): Promise<void> {
    for (const key of keys) this.objects.delete(key);
  }

  keys(prefix = ''): string[] {
    return [...this.objects.keys()].filter(key => key.startsWith(prefix)).sort();
  }

  /** Puts without a condition, as a stranger to the engine would. */
  store(key: string, bytes: Uint8Array, metadata: Record<string, string> = {}): ObjectHead {
    const head = { key, bytes: bytes.length, etag: etagOf(bytes), metadata: { ...metadata } };
    const replaced = this.objects.get(key)?.head.metadata ?? null;
    this.objects.set(key, { head, bytes: new Uint8Array(bytes) });
    this.onPut({ key, bytes, metadata, replaced });
    return head;
  }
}

/** R2's etag of an object that is put whole: the MD5 of its bytes. Equal bytes put twice have equal etags. */
export function etagOf(bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('hex');
}

/** A put without a condition is never refused. */
function isRefused(onlyIf: PutCondition | undefined, stored: StoredObject | undefined): boolean {
  if (onlyIf === undefined) return false;
  return 'absent' in onlyIf ? stored !== undefined : stored?.head.etag !== onlyIf.etag;
}
