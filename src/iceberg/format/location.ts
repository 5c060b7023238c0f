import { CatalogError } from '../errors.ts';

/**
 * The key of an object in the bucket, from its URI in a table's metadata. Throws `CatalogError` `metadata-broken` for
 * what lies elsewhere.
 */
export function objectKey(uri: string, bucket: string): string {
  const [, name, key] = /^s3a?:\/\/([^/]+)\/(.+)$/s.exec(uri) ?? [];
  if (name === bucket && key !== undefined) return key;
  throw new CatalogError('metadata-broken', `table metadata: expected a place in the bucket ${bucket}, got another`, {
    hint: 'The catalog must be that of the bucket the worker is bound to.',
  });
}

/** Where a table's copy of a data file lies: always the same place for the same rows. */
export function placedFileUri(location: string, { firstLsn, lastLsn }: { firstLsn: number; lastLsn: number }): string {
  return `${trimmed(location)}/data/lsn-${firstLsn}-${lastLsn}.parquet`;
}

/** Where a metadata file of a table lies. */
export function metadataUri(location: string, name: string): string {
  return `${trimmed(location)}/metadata/${name}`;
}

function trimmed(location: string): string {
  return location.replace(/\/+$/, '');
}
