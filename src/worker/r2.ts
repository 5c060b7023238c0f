import { StepError } from '../errors.ts';
import type { CopyPort, LakeBucket, ObjectHead, PutCondition } from '../ports/bucket.ts';

/** R2 lists no more than this in one answer. */
const LIST_KEYS_MAX = 1000;

/** Binds an R2 bucket. Every failure is an `StepError` of kind `bucket-failed`. */
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
        onlyIf: conditionOf({ absent: true }),
        customMetadata: metadata,
        httpMetadata,
        // R2 compares what arrives with it.
        ...(checksums.md5 && { md5: checksums.md5 }),
      };
      // It streams from one to the other, and never lies in memory whole.
      const put = await ours('copy', () => r2.put(to, object.body, options));
      return put === null ? 'refused' : 'copied';
    },
  };
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
    throw new StepError('bucket-failed', `bucket ${operation}: expected an answer, got ${fixedText(error)}`);
  }
}

/** R2's own messages are fixed texts with a code, `put: … (10001)`; any other might hold a key or a value. */
function fixedText(error: unknown): string {
  if (!(error instanceof Error)) return 'something thrown that is no error';
  return /^\w+: [^\n]{1,200} \(\d+\)$/.test(error.message) ? error.message : error.name;
}
