import { CatalogError } from '../errors.ts';

/**
 * The key of an object in the bucket, from its URI in a table's metadata. Throws `CatalogError` `metadata-broken` when
 * the URI is not in this bucket.
 */
export function objectKey(uri: string, bucket: string): string {
  const [, name, key] = /^s3a?:\/\/([^/]+)\/(.+)$/s.exec(uri) ?? [];
  if (name === bucket && key !== undefined) return key;
  throw new CatalogError('metadata-broken', `table metadata: expected a URI in the bucket ${bucket}, got another`, {
    hint: 'The catalog must be that of the bucket the worker is bound to.',
  });
}

/**
 * The URI of a data file's copy under the table's location; the same rows have the same URI, unless they are committed
 * again after the table was rolled back: `again` sets that copy apart from those that the snapshots of before name.
 */
export function copyUri(
  location: string,
  { firstLsn, lastLsn, again = null }: { firstLsn: number; lastLsn: number; again?: string | null },
): string {
  const mark = again === null ? '' : `-again-${again}`;
  return `${withoutTrailingSlashes(location)}/data/lsn-${firstLsn}-${lastLsn}${mark}.parquet`;
}

export function metadataUri(location: string, name: string): string {
  return `${withoutTrailingSlashes(location)}/metadata/${name}`;
}

function withoutTrailingSlashes(location: string): string {
  return location.replace(/\/+$/, '');
}
