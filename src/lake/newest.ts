import { StepError } from '../errors.ts';
import type { BucketPort, ObjectHead, PutCondition, UploadPort } from '../ports/bucket.ts';

/** Custom metadata of what is replaced by newer versions of itself. Times are milliseconds as text. */
export const FETCHED_AT = 'fetched-at';
export const REVISION = 'revision';

/** Readings of the head before a put that keeps losing its race is given up. */
const PUT_NEWEST_ATTEMPTS_MAX = 5;

/** An object that newer versions of itself replace; `revision` is null where the upstream counts none. */
export interface Newest {
  fetchedAtMs: number;
  revision: number | null;
  contentType: string;
}

/**
 * Puts an object unless the one under its key was fetched later or has a higher revision. Harmless to repeat, and to
 * run twice at once. Throws `StepError` `bucket-failed`.
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
  throw new StepError(
    'bucket-failed',
    `bucket put: expected to win within ${PUT_NEWEST_ATTEMPTS_MAX} attempts, lost each to another writer`,
  );
}

/**
 * Begins an object in parts that `complete` puts unless the one under its key is newer then, as `putNewest` does. The
 * bucket has no condition on completing, so the head is read right before: who puts a newer one in the time of that one
 * call loses it, until the next load of the key. A second key and a conditional copy would close the gap, but write each
 * document twice and leave the first when the copy is interrupted. Throws `StepError` `bucket-failed`.
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
