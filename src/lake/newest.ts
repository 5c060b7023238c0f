import { StepError } from '../errors.ts';
import type { BucketPort, ObjectHead, PutCondition, UploadPort } from '../ports/bucket.ts';

/** Custom metadata of an object that newer versions replace. Times are milliseconds since 1970, as text. */
const FETCHED_AT = 'fetched-at';
const REVISION = 'revision';
const CURSOR = 'cursor';

/** Characters of a cursor that are kept: the bucket limits metadata to 8 KiB, and a longer cursor is not compared. */
const CURSOR_LENGTH_MAX = 500;

/** How many times a put that loses a race against another writer is tried. */
const PUT_NEWEST_ATTEMPTS_MAX = 5;

/** The version of an object. `revision` is null where the upstream has none. */
interface Version {
  fetchedAtMs: number;
  revision: number | null;
  contentType: string;
  /** More custom metadata of the object. */
  metadata?: Record<string, string>;
  /** The change that the version was loaded for, and the order of its feed; null where there is no feed. */
  position?: FeedPosition | null;
}

export interface FeedPosition {
  cursor: string;
  /**
   * Whether the version may take the place of a higher revision that an earlier change of the feed brought. Without that,
   * one revision that is too high would keep the object as it is for ever.
   */
  overrules: boolean;
  compare(a: string, b: string): number;
}

/**
 * Puts an object unless the one that has the key was fetched later, or has a higher revision and was not loaded for an
 * earlier change of the feed. It may be repeated, and may run twice at the same time. Throws `StepError` `bucket-failed`.
 *
 * An etag is a digest of the bytes, so the condition does not see that other writers put other bytes and then these again
 * between the head and the put. Without revisions the object may then be the older document; rows do not depend on it.
 */
export async function putNewest(
  bucket: BucketPort,
  key: string,
  bytes: Uint8Array,
  { contentType, ...version }: Version,
): Promise<'put' | 'newer-exists'> {
  const metadata = metadataOf(version);
  for (let attempt = 1; attempt <= PUT_NEWEST_ATTEMPTS_MAX; attempt++) {
    const head = await bucket.head(key);
    if (head !== null && isNewer(head, version)) return 'newer-exists';
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

function metadataOf({
  fetchedAtMs,
  revision,
  position,
  metadata,
}: Omit<Version, 'contentType'>): Record<string, string> {
  const isKept = position && position.cursor.length <= CURSOR_LENGTH_MAX && /^[\x21-\x7e]+$/.test(position.cursor);
  return {
    ...metadata,
    [FETCHED_AT]: String(fetchedAtMs),
    ...(revision !== null && { [REVISION]: String(revision) }),
    ...(isKept && { [CURSOR]: position.cursor }),
  };
}

function isNewer(head: ObjectHead, { fetchedAtMs, revision, position }: Omit<Version, 'contentType'>): boolean {
  // An object without such metadata is not newer, because every comparison with NaN is false.
  if (Number(head.metadata[FETCHED_AT]) > fetchedAtMs) return true;
  const cursor = head.metadata[CURSOR];
  if (position?.overrules && cursor !== undefined && position.compare(cursor, position.cursor) < 0) return false;
  return revision !== null && Number(head.metadata[REVISION]) > revision;
}
