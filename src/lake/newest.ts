import { StepError } from '../errors.ts';
import type { BucketPort, ObjectHead, PutCondition, UploadPort } from '../ports/bucket.ts';

/** Custom metadata of an object that newer versions replace. Times are milliseconds since 1970, as text. */
const FETCHED_AT = 'fetched-at';
const REVISION = 'revision';

/** How many times a put that loses a race against another writer is tried. */
const PUT_NEWEST_ATTEMPTS_MAX = 5;

/** The version of an object. `revision` is null where the upstream has none. */
interface Version {
  fetchedAtMs: number;
  revision: number | null;
  contentType: string;
}

/**
 * Puts an object unless the one that has the key was fetched later or has a higher revision. It may be repeated, and
 * may run twice at the same time. Throws `StepError` `bucket-failed`.
 *
 * An etag is a digest of the bytes, so the condition does not see that other writers put other bytes and then these again
 * between the head and the put. Without revisions the object may then be the older document; rows do not depend on it.
 */
export async function putNewest(
  bucket: BucketPort,
  key: string,
  bytes: Uint8Array,
  { fetchedAtMs, revision, contentType }: Version,
): Promise<'put' | 'newer-exists'> {
  const metadata = metadataOf({ fetchedAtMs, revision });
  for (let attempt = 1; attempt <= PUT_NEWEST_ATTEMPTS_MAX; attempt++) {
    const head = await bucket.head(key);
    if (head !== null && isNewer(head, { fetchedAtMs, revision })) return 'newer-exists';
    // Put only over the object of this head: if another writer was faster, read the head again.
    const onlyIf: PutCondition = head === null ? { absent: true } : { etag: head.etag };
    if ((await bucket.put(key, [bytes], { onlyIf, metadata, contentType })) !== null) return 'put';
  }
  throw new StepError(
    'bucket-failed',
    `bucket put: expected to succeed within ${PUT_NEWEST_ATTEMPTS_MAX} attempts, got another writer's object each time`,
  );
}

/**
 * Begins an object in parts. As with `putNewest`, `complete` puts it unless the object that has the key is newer by
 * then. The bucket completes without a condition, so `complete` reads the head right before: a newer object that
 * another writer puts between the two calls is lost until the next load of the key. A second key and a conditional copy
 * would prevent that, but would write each document twice, and leave one behind when the copy is interrupted. Throws
 * `StepError` `bucket-failed`.
 */
export async function uploadNewest(
  bucket: Pick<BucketPort, 'head'> & UploadPort,
  key: string,
  { contentType, ...version }: Version,
) {
  const upload = await bucket.upload(key, { metadata: metadataOf(version), contentType });
  return {
    part: (bytes: Uint8Array) => upload.part(bytes),
    abort: () => upload.abort(),
    async complete(): Promise<'put' | 'newer-exists'> {
      const head = await bucket.head(key);
      const isOutdated = head !== null && isNewer(head, version);
      await (isOutdated ? upload.abort() : upload.complete());
      return isOutdated ? 'newer-exists' : 'put';
    },
  };
}

function metadataOf({ fetchedAtMs, revision }: Omit<Version, 'contentType'>): Record<string, string> {
  return { [FETCHED_AT]: String(fetchedAtMs), ...(revision !== null && { [REVISION]: String(revision) }) };
}

function isNewer(head: ObjectHead, { fetchedAtMs, revision }: Omit<Version, 'contentType'>): boolean {
  // An object without such metadata is not newer, because every comparison with NaN is false.
  const laterFetched = Number(head.metadata[FETCHED_AT]) > fetchedAtMs;
  const higherRevision = revision !== null && Number(head.metadata[REVISION]) > revision;
  return laterFetched || higherRevision;
}
