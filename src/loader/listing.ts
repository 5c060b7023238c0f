import { StepError } from '../errors.ts';
import { listingKey } from '../lake/object-keys.ts';
import type { BucketPort, ObjectHead, PutCondition } from '../ports/bucket.ts';
import type { KeyPage } from '../ports/change.ts';
import { storableKey } from '../ports/sql-guard.ts';
import type { Listing, ListingContext } from '../sources/source.ts';
import { PackedKeys } from './packed-keys.ts';

/** Keys of one block, which is one page: a page that the engine compares in one transaction, and about 200 KB of JSON. */
export const LISTING_BLOCK_KEYS = 8_000;

/** Custom metadata of a stored listing. The time is milliseconds since 1970, as text. */
const MADE_AT = 'made-at';
const INDEX_OFFSET = 'index-offset';
const INDEX_BYTES = 'index-bytes';

/** One block of a stored listing, as its index names it: JSON of `[keys, revisions]`, in byte order. */
type IndexEntry = [lastKey: string, offset: number, bytes: number];

/** A stored listing: where its index is, and the etag by which its sweep knows it. */
interface StoredListing {
  etag: string;
  madeAtMs: number;
  offset: number;
  bytes: number;
}

interface ListingOptions {
  source: string;
  listing: Listing<unknown>;
  bucket: BucketPort;
  blockKeys?: number | undefined;
  now(): number;
}

/**
 * A page of a stored listing: the keys after one. Where a sweep begins (`listing` is null), the listing is read from the
 * upstream first, unless one that is fresh is stored. Null where the listing that the sweep began with is gone: another one
 * must not take its place in the middle, because keys between their pages would be compared with neither.
 */
export async function listedPage(
  { after, listing }: { after: string | null; listing: string | null },
  options: ListingOptions,
  ctx: ListingContext<unknown>,
): Promise<KeyPage | null> {
  const key = listingKey(options.source);
  const { bucket } = options;
  // Find the listing of this sweep, or make one.
  const found = storedListing(await bucket.head(key));
  const stored = listing === null ? await freshListing(found, options, ctx) : found;
  if (!stored || (listing !== null && stored.etag !== listing)) return null;
  // Read its index, then the one block that has the keys after `after`.
  const index = await readJson<IndexEntry[]>(bucket, key, stored);
  const at = index?.findIndex(([last]) => after === null || byBytes(last, after) > 0) ?? -1;
  if (!index) return null;
  if (at < 0) return { keys: [], revisions: [], next: null, listing: stored.etag };
  const [last, offset, bytes] = index[at]!;
  const block = await readJson<[string[], (number | null)[]]>(bucket, key, { etag: stored.etag, offset, bytes });
  if (!block) return null;
  const [keys, revisions] = block;
  const from = after === null ? 0 : keys.findIndex(one => byBytes(one, after) > 0);
  const next = at === index.length - 1 ? null : last;
  return { keys: keys.slice(from), revisions: revisions.slice(from), next, listing: stored.etag };
}

/** The stored listing where it is fresh, else a new one. */
async function freshListing(
  found: StoredListing | null,
  options: ListingOptions,
  ctx: ListingContext<unknown>,
): Promise<StoredListing | null> {
  const nowMs = options.now();
  const ageMs = found && nowMs - found.madeAtMs;
  if (ageMs !== null && ageMs >= 0 && ageMs < options.listing.freshMs) return found;
  const key = listingKey(options.source);
  const { bucket } = options;
  // Read all of it before anything is put: a listing that is cut or malformed throws here.
  const { chunks, offset, bytes } = encoded(await packed(options.listing, ctx), options.blockKeys);
  // Put it over the one that was there, whosever sweep left that behind.
  const head = await bucket.head(key);
  const onlyIf: PutCondition = head === null ? { absent: true } : { etag: head.etag };
  const metadata = { [MADE_AT]: String(nowMs), [INDEX_OFFSET]: String(offset), [INDEX_BYTES]: String(bytes) };
  const put = await bucket.put(key, chunks, { onlyIf, metadata, contentType: 'application/octet-stream' });
  if (put) return { etag: put.etag, madeAtMs: nowMs, offset, bytes };
  throw new StepError('bucket-failed', `put of ${key}: expected to replace the stored listing, got another writer's`);
}

async function packed(listing: Listing<unknown>, ctx: ListingContext<unknown>): Promise<PackedKeys> {
  const packedKeys = new PackedKeys();
  // Keys get the form that the tail's keys have, before they are sorted.
  for await (const keys of listing.read(ctx))
    for (const { key, revision } of keys) packedKeys.add({ key: storableKey(key), revision });
  return packedKeys;
}

/** A listing's blocks and its index as the chunks of one object, and where the index is. */
function encoded(
  keys: PackedKeys,
  blockKeys = LISTING_BLOCK_KEYS,
): { chunks: Uint8Array[]; offset: number; bytes: number } {
  const chunks: Uint8Array[] = [];
  const index: IndexEntry[] = [];
  let offset = 0;
  let block: [string[], (number | null)[]] = [[], []];
  const endBlock = () => {
    const chunk = UTF8.encode(JSON.stringify(block));
    index.push([block[0].at(-1)!, offset, chunk.length]);
    chunks.push(chunk);
    offset += chunk.length;
    block = [[], []];
  };
  for (const { key, revision } of keys.sorted()) {
    block[0].push(key);
    block[1].push(revision);
    if (block[0].length === blockKeys) endBlock();
  }
  if (block[0].length > 0) endBlock();
  const end = UTF8.encode(JSON.stringify(index));
  chunks.push(end);
  return { chunks, offset, bytes: end.length };
}

/** What an object's metadata says of the listing in it; null where no object is there, or it is no listing. */
function storedListing(head: ObjectHead | null): StoredListing | null {
  if (!head) return null;
  const [madeAtMs, offset, bytes] = [MADE_AT, INDEX_OFFSET, INDEX_BYTES].map(name => Number(head.metadata[name]));
  const isListing = [madeAtMs, offset, bytes].every(Number.isSafeInteger) && offset! + bytes! === head.bytes;
  return isListing ? { etag: head.etag, madeAtMs: madeAtMs!, offset: offset!, bytes: bytes! } : null;
}

async function readJson<T>(
  bucket: BucketPort,
  key: string,
  { etag, offset, bytes }: { etag: string; offset: number; bytes: number },
): Promise<T | null> {
  const read = await bucket.range(key, { offset, bytes, etag });
  return read && (JSON.parse(new TextDecoder('utf-8', { fatal: false, ignoreBOM: true }).decode(read)) as T);
}

/** Compares texts by their UTF-8 bytes. */
function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

const UTF8 = new TextEncoder();
