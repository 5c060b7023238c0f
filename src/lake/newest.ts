import { OwnError } from '../errors.ts';
import type { BucketPort, ObjectHead, PutCondition } from '../ports/ports.ts';

/** Custom metadata of what is replaced by newer versions of itself. Times are milliseconds as text. */
export const FETCHED_AT = 'fetched-at';
export const REVISION = 'revision';

/** Readings of the head before a put that keeps losing its race is given up. */
const PUT_NEWEST_ATTEMPTS_MAX = 5;
/** R2 lists no more than this in one answer. */
const LIST_KEYS_MAX = 1000;

/** An object that newer versions of itself replace; `revision` is null where the upstream counts none. */
export interface Newest {
  fetchedAtMs: number;
  revision: number | null;
  contentType: string;
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

/** Binds an R2 bucket. Every failure is an `OwnError` of kind `bucket-failed`. */
export function bucketPort(r2: R2Bucket): LakeBucket & CopyPort {
  return {
    ...copyPort(r2),

    async head(key) {
      const object = await ours('head', () => r2.head(key));
      return object === null ? null : headOf(object);
    },

    async put(key, chunks, { onlyIf, metadata, contentType }) {
      const options = { onlyIf: conditionOf(onlyIf), customMetadata: metadata, httpMetadata: { contentType } };
      const object = await ours('put', () => putChunks(r2, key, chunks, options));
      return object === null ? null : headOf(object);
    },

    async tail(key, bytes) {
      const object = await ours('get', () => r2.get(key, { range: { suffix: bytes } }));
      return object === null ? null : new Uint8Array(await ours('get', () => object.arrayBuffer()));
    },

    async range(key, { offset, bytes, etag }) {
      const options = { range: { offset, length: bytes }, onlyIf: { etagMatches: etag } };
      const object = await ours('get', () => r2.get(key, options));
      // Another object under the key has no body.
      if (object === null || !('body' in object)) return null;
      return new Uint8Array(await ours('get', () => object.arrayBuffer()));
    },

    async list(prefix, { limit, after }) {
      const keys: string[] = [];
      let cursor: string | undefined;
      while (keys.length < limit) {
        const wanted = Math.min(limit - keys.length, LIST_KEYS_MAX);
        const from = cursor ? { cursor } : after !== undefined ? { startAfter: after } : {};
        const page = await ours('list', () => r2.list({ prefix, limit: wanted, ...from }));
        keys.push(...page.objects.map(object => object.key));
        if (!page.truncated) break;
        cursor = page.cursor;
      }
      return keys;
    },

    async remove(keys) {
      await ours('delete', () => r2.delete(keys));
    },

    async upload(key, { metadata, contentType }) {
      const options = { customMetadata: metadata, httpMetadata: { contentType } };
      const upload = await ours('upload', () => r2.createMultipartUpload(key, options));
      const parts: R2UploadedPart[] = [];
      return {
        part: async bytes =>
          void parts.push(await ours('upload part', () => upload.uploadPart(parts.length + 1, bytes))),
        complete: async () => void (await ours('upload end', () => upload.complete(parts))),
        abort: () => ours('upload abort', () => upload.abort()),
      };
    },
  };
}

function copyPort(r2: R2Bucket): CopyPort {
  return {
    async read(key) {
      const object = await ours('get', () => r2.get(key));
      return object === null ? null : new Uint8Array(await ours('get', () => object.arrayBuffer()));
    },

    async copy({ key, etag }, to, { metadata }) {
      const object = await ours('get', () => r2.get(key, { onlyIf: { etagMatches: etag } }));
      if (object === null || !('body' in object)) return 'missing';
      const { httpMetadata = {}, checksums } = object;
      const options = {
        ...{ onlyIf: conditionOf({ absent: true }), customMetadata: metadata, httpMetadata },
        // R2 compares what arrives with it.
        ...(checksums.md5 && { md5: checksums.md5 }),
      };
      // It streams from one to the other, and never lies in memory whole.
      const put = await ours('copy', () => r2.put(to, object.body, options));
      return put === null ? 'refused' : 'copied';
    },
  };
}

/**
 * Puts an object unless the one under its key was fetched later or has a higher revision. Harmless to repeat, and to
 * run twice at once. Throws `OwnError` `bucket-failed`.
 */
export async function putNewest(
  bucket: BucketPort,
  key: string,
  bytes: Uint8Array,
  { fetchedAtMs, revision, contentType }: Newest,
): Promise<'put' | 'kept-newer'> {
  const metadata = metadataOf({ fetchedAtMs, revision });
  for (let attempt = 1; attempt <= PUT_NEWEST_ATTEMPTS_MAX; attempt++) {
    const head = await bucket.head(key);
    if (head !== null && isNewer(head, { fetchedAtMs, revision })) return 'kept-newer';
    // The condition is on the head just read: whoever put in between is looked at again, never overwritten.
    const onlyIf: PutCondition = head === null ? { absent: true } : { etag: head.etag };
    if ((await bucket.put(key, [bytes], { onlyIf, metadata, contentType })) !== null) return 'put';
  }
  throw new OwnError(
    'bucket-failed',
    `bucket put: expected to win within ${PUT_NEWEST_ATTEMPTS_MAX} attempts, lost each to another writer`,
  );
}

/**
 * Begins an object in parts that `complete` puts unless the one under its key is newer then, as `putNewest` does. The
 * bucket has no condition on completing, so the head is read right before: who puts a newer one in the time of that one
 * call loses it, until the next load of the key. A second key and a conditional copy would close the gap, but write each
 * document twice and leave the first when the copy is interrupted. Throws `OwnError` `bucket-failed`.
 */
export async function uploadNewest(
  bucket: Pick<BucketPort, 'head'> & UploadPort,
  key: string,
  { contentType, ...newest }: Newest,
) {
  const upload = await bucket.upload(key, { metadata: metadataOf(newest), contentType });
  return {
    part: (bytes: Uint8Array) => upload.part(bytes),
    abort: () => upload.abort(),
    async complete(): Promise<'put' | 'kept-newer'> {
      const head = await bucket.head(key);
      const isOlder = head !== null && isNewer(head, newest);
      await (isOlder ? upload.abort() : upload.complete());
      return isOlder ? 'kept-newer' : 'put';
    },
  };
}

function metadataOf({ fetchedAtMs, revision }: Omit<Newest, 'contentType'>): Record<string, string> {
  return { [FETCHED_AT]: String(fetchedAtMs), ...(revision !== null && { [REVISION]: String(revision) }) };
}

function isNewer(head: ObjectHead, { fetchedAtMs, revision }: Omit<Newest, 'contentType'>): boolean {
  // What an object does not say makes it no newer: every comparison with NaN is false.
  const laterFetched = Number(head.metadata[FETCHED_AT]) > fetchedAtMs;
  const higherRevision = revision !== null && Number(head.metadata[REVISION]) > revision;
  return laterFetched || higherRevision;
}

async function putChunks(
  r2: R2Bucket,
  key: string,
  chunks: Uint8Array[],
  options: R2PutOptions,
): Promise<R2Object | null> {
  if (chunks.length <= 1) return r2.put(key, chunks[0] ?? new Uint8Array(0), options);
  const bytes = chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);
  const { readable, writable } = new FixedLengthStream(bytes);
  const writer = writable.getWriter();
  // Both sides report to one place: the put says what went wrong, and the writer's own error repeats it.
  const written = writeAll(writer, chunks).catch(() => undefined);
  const closed = writer.closed.catch(() => undefined);
  try {
    return await r2.put(key, readable, options);
  } finally {
    // A refused put may leave the body unread, and the write would wait for a reader for ever.
    await writer.abort().catch(() => undefined);
    await Promise.all([written, closed]);
  }
}

async function writeAll(writer: WritableStreamDefaultWriter<Uint8Array>, chunks: Uint8Array[]): Promise<void> {
  for (const chunk of chunks) await writer.write(chunk);
  await writer.close();
}

function conditionOf(onlyIf: PutCondition): R2Conditional {
  return 'absent' in onlyIf ? { etagDoesNotMatch: '*' } : { etagMatches: onlyIf.etag };
}

function headOf(object: R2Object): ObjectHead {
  return { key: object.key, bytes: object.size, etag: object.etag, metadata: object.customMetadata ?? {} };
}

async function ours<T>(operation: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw new OwnError('bucket-failed', `bucket ${operation}: expected an answer, got ${fixedText(error)}`);
  }
}

/** R2's own messages are fixed texts with a code, `put: … (10001)`; any other might hold a key or a value. */
function fixedText(error: unknown): string {
  if (!(error instanceof Error)) return 'something thrown that is no error';
  return /^\w+: [^\n]{1,200} \(\d+\)$/.test(error.message) ? error.message : error.name;
}
