/** What the bucket knows of one object without its bytes. */
export interface ObjectHead {
  key: string;
  bytes: number;
  etag: string;
  /** Custom metadata, as the put gave it. */
  metadata: Record<string, string>;
}

/** Put only when no object has the key, or when the object there still has this etag. */
export type PutCondition = { absent: true } | { etag: string };

/** A part of an object: `bytes` bytes from `offset` on, both counted from 0. */
export interface ByteRange {
  offset: number;
  bytes: number;
}

/** The objects of a bucket. Every failure of the bucket throws `StepError` `bucket-failed`. */
export interface BucketPort {
  /** Null when no object has the key. */
  head(key: string): Promise<ObjectHead | null>;
  /** Puts an object; its body is the chunks in order. Null when the condition does not hold. */
  put(
    key: string,
    chunks: Uint8Array[],
    options: { onlyIf: PutCondition; metadata: Record<string, string>; contentType: string },
  ): Promise<ObjectHead | null>;
  /** The last `bytes` bytes of an object, or the whole of a shorter one. Null when no object has the key. */
  tail(key: string, bytes: number): Promise<Uint8Array | null>;
  /** A part of the object that has this etag, shorter when the object ends. Null when no such object is there. */
  range(key: string, range: ByteRange & { etag: string }): Promise<Uint8Array | null>;
  /** The first `limit` keys under a prefix in order; with `after`, those after that key. */
  list(prefix: string, options: { limit: number; after?: string | undefined }): Promise<string[]>;
  /** Removes at most 1,000 objects. A key without an object is no error. */
  remove(keys: string[]): Promise<void>;
}

/** An object that is put in parts. Readers see nothing of it before `complete`. Throws as `BucketPort` does. */
export interface PartsUpload {
  /** Puts the next part. Each has at least 5 MiB, and all but the last have the same size. */
  part(bytes: Uint8Array): Promise<void>;
  /** Puts the parts together. Replaces the object that has the key by then, unconditionally. */
  complete(): Promise<void>;
  /** Removes the parts. */
  abort(): Promise<void>;
}

/** Puts objects that are too large for memory. Throws as `BucketPort` does. */
export interface UploadPort {
  upload(key: string, options: { metadata: Record<string, string>; contentType: string }): Promise<PartsUpload>;
}

/** The bucket of the lake. */
export type LakeBucket = BucketPort & UploadPort;

/** Reads whole objects, and copies objects within the bucket. Throws as `BucketPort` does. */
export interface CopyPort {
  /** All bytes of an object; null when no object has the key. */
  read(key: string): Promise<Uint8Array | null>;
  /**
   * Copies the object that has this etag. `missing`: no such object is there any more. `refused`: an object has the key
   * `to` already.
   */
  copy(
    from: { key: string; etag: string },
    to: string,
    options: { metadata: Record<string, string> },
  ): Promise<'copied' | 'refused' | 'missing'>;
}
