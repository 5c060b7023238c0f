import { totalBytes } from '../bytes.ts';
import { StepError } from '../errors.ts';
import type { CopyPort, LakeBucket, ObjectHead, PutCondition } from '../ports/bucket.ts';

/** R2 lists at most this many keys in one answer. */
const LIST_KEYS_MAX = 1000;

/** Binds an R2 bucket. Every failure is a `StepError` of kind `bucket-failed`. */
export function bucketPort(r2: R2Bucket): LakeBucket & CopyPort {
  return {
    ...copyPort(r2),

    async head(key) {
      const object = await bucketCall('head', () => r2.head(key));
      return object === null ? null : headOf(object);
    },

    async put(key, chunks, { onlyIf, metadata, contentType }) {
      const options = { onlyIf: conditionOf(onlyIf), customMetadata: metadata, httpMetadata: { contentType } };
      const object = await bucketCall('put', () => putChunks(r2, key, chunks, options));
      return object === null ? null : headOf(object);
    },

    async tail(key, bytes) {
      const object = await bucketCall('get', () => r2.get(key, { range: { suffix: bytes } }));
      return object && bytesOf(object);
    },

    async range(key, { offset, bytes, etag }) {
      const options = { range: { offset, length: bytes }, onlyIf: { etagMatches: etag } };
      const object = await bucketCall('get', () => r2.get(key, options));
      // R2 gives an object of another etag without its body.
      return object !== null && 'body' in object ? bytesOf(object) : null;
    },

    async list(prefix, { limit, after }) {
      const keys: string[] = [];
      let cursor: string | undefined;
      while (keys.length < limit) {
        const pageLimit = Math.min(limit - keys.length, LIST_KEYS_MAX);
        const start = cursor ? { cursor } : after !== undefined ? { startAfter: after } : {};
        const page = await bucketCall('list', () => r2.list({ prefix, limit: pageLimit, ...start }));
        keys.push(...page.objects.map(object => object.key));
        if (!page.truncated) break;
        cursor = page.cursor;
      }
      return keys;
    },

    async remove(keys) {
      await bucketCall('delete', () => r2.delete(keys));
    },

    async upload(key, { metadata, contentType }) {
      const options = { customMetadata: metadata, httpMetadata: { contentType } };
      const upload = await bucketCall('upload', () => r2.createMultipartUpload(key, options));
      const parts: R2UploadedPart[] = [];
      return {
        part: async bytes =>
          void parts.push(await bucketCall('upload part', () => upload.uploadPart(parts.length + 1, bytes))),
        complete: async () => void (await bucketCall('upload end', () => upload.complete(parts))),
        abort: () => bucketCall('upload abort', () => upload.abort()),
      };
    },
  };
}

function copyPort(r2: R2Bucket): CopyPort {
  return {
    async read(key) {
      const object = await bucketCall('get', () => r2.get(key));
      return object && bytesOf(object);
    },

    async copy({ key, etag }, to, { metadata }) {
      const object = await bucketCall('get', () => r2.get(key, { onlyIf: { etagMatches: etag } }));
      if (object === null || !('body' in object)) return 'missing';
      const { httpMetadata = {}, checksums } = object;
      const options = {
        onlyIf: conditionOf({ absent: true }),
        customMetadata: metadata,
        httpMetadata,
        // R2 refuses the put when the bytes that arrive have another MD5.
        ...(checksums.md5 && { md5: checksums.md5 }),
      };
      // The body streams from one object to the other, so it is never in memory as a whole.
      const put = await bucketCall('copy', () => r2.put(to, object.body, options));
      return put === null ? 'refused' : 'copied';
    },
  };
}

/** Puts the chunks as one body, without copying them together. */
async function putChunks(
  r2: R2Bucket,
  key: string,
  chunks: Uint8Array[],
  options: R2PutOptions,
): Promise<R2Object | null> {
  if (chunks.length <= 1) return r2.put(key, chunks[0] ?? new Uint8Array(0), options);
  const bytes = totalBytes(chunks);
  const { readable, writable } = new FixedLengthStream(bytes);
  const writer = writable.getWriter();
  // Ignore the writer's errors, because the put reports the same failure.
  const written = writeAll(writer, chunks).catch(() => undefined);
  const closed = writer.closed.catch(() => undefined);
  try {
    return await r2.put(key, readable, options);
  } finally {
    // A refused put may leave the body unread: abort, or the write waits for a reader for ever.
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

async function bytesOf(object: R2ObjectBody): Promise<Uint8Array> {
  return new Uint8Array(await bucketCall('get', () => object.arrayBuffer()));
}

async function bucketCall<T>(operation: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw new StepError('bucket-failed', `bucket ${operation}: expected an answer, got ${fixedText(error)}`);
  }
}

/** Keeps R2's own messages, which are fixed texts with a code: `put: … (10001)`. Others could hold a key or a value. */
function fixedText(error: unknown): string {
  if (!(error instanceof Error)) return 'a thrown value that is not an Error';
  return /^\w+: [^\n]{1,200} \(\d+\)$/.test(error.message) ? error.message : error.name;
}
