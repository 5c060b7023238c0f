export interface ObjectHead {
  key: string;
  bytes: number;
  etag: string;
  metadata: Record<string, string>;
}

/** Put only when the object is absent, or still has this etag. */
export type PutCondition = { absent: true } | { etag: string };

export interface ByteRange {
  offset: number;
  bytes: number;
}

export interface BucketPort {
  head(key: string): Promise<ObjectHead | null>;
  /** Null when the condition does not hold. The chunks are the body, in order. */
  put(
    key: string,
    chunks: Uint8Array[],
    options: { onlyIf: PutCondition; metadata: Record<string, string>; contentType: string },
  ): Promise<ObjectHead | null>;
  /** The last bytes of an object, all of it where it has no more; null when there is none. */
  tail(key: string, bytes: number): Promise<Uint8Array | null>;
  /** Bytes of the object that has this etag, fewer where it ends before; null when there is none. */
  range(key: string, range: ByteRange & { etag: string }): Promise<Uint8Array | null>;
  /** The first keys under a prefix, in order; those after a key, when one is given. */
  list(prefix: string, options: { limit: number; after?: string | undefined }): Promise<string[]>;
  /** Removes objects, at most 1,000; those that are not there are none the worse. */
  remove(keys: string[]): Promise<void>;
}

/** An object being put in parts; nothing is to be seen of it until it is complete. */
export interface PartsUpload {
  /** Puts the next part: at least 5 MiB, and all equal but the last. */
  part(bytes: Uint8Array): Promise<void>;
  /** Replaces what is under the key, whatever that is by now. */
  complete(): Promise<void>;
  abort(): Promise<void>;
}

/** Takes objects nobody can hold whole. */
export interface UploadPort {
  upload(key: string, options: { metadata: Record<string, string>; contentType: string }): Promise<PartsUpload>;
}

/** The bucket of the lake. */
export type LakeBucket = BucketPort & UploadPort;

/** What is read whole, and copied within the bucket. */
export interface CopyPort {
  read(key: string): Promise<Uint8Array | null>;
  copy(
    from: { key: string; etag: string },
    to: string,
    options: { metadata: Record<string, string> },
  ): Promise<'copied' | 'refused' | 'missing'>;
}
