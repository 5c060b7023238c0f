import type { BucketPort, ObjectHead, PutCondition } from '../../src/engine/ports.ts';

interface StoredObject {
  head: ObjectHead;
  bytes: Uint8Array;
}

/** A bucket in memory: an etag per put, conditions, custom metadata. */
export class MemoryBucket implements BucketPort {
  readonly objects = new Map<string, StoredObject>();
  /** Keys put to, refused puts included, in order. */
  readonly puts: string[] = [];
  #etags = 0;

  async head(key: string): Promise<ObjectHead | null> {
    return this.objects.get(key)?.head ?? null;
  }

  async put(
    key: string,
    chunks: Uint8Array[],
    { onlyIf, metadata }: { onlyIf: PutCondition; metadata: Record<string, string>; contentType: string },
  ): Promise<ObjectHead | null> {
    this.puts.push(key);
    const stands = this.objects.get(key);
    if ('absent' in onlyIf ? stands : stands?.head.etag !== onlyIf.etag) return null;
    return this.place(key, Buffer.concat(chunks), metadata);
  }

  async list(prefix: string, limit: number): Promise<string[]> {
    return this.keys(prefix).slice(0, limit);
  }

  keys(prefix = ''): string[] {
    return [...this.objects.keys()].filter(key => key.startsWith(prefix)).sort();
  }

  /** Puts without a condition, as somebody else would. */
  place(key: string, bytes: Uint8Array, metadata: Record<string, string> = {}): ObjectHead {
    this.#etags += 1;
    const head = { key, bytes: bytes.length, etag: `etag-${this.#etags}`, metadata: { ...metadata } };
    this.objects.set(key, { head, bytes: new Uint8Array(bytes) });
    return head;
  }
}
