import { describe, expect, it } from 'vitest';
import { newSnapshotId } from '../../../src/iceberg/append/snapshot.ts';
import { copyUri, metadataUri, objectKey } from '../../../src/iceberg/format/location.ts';

describe('the URI of an object in the bucket', () => {
  it('is the same for the same rows, with and without a slash at the location’s end', () => {
    for (const location of ['s3://lake/table', 's3://lake/table/']) {
      expect(copyUri(location, { firstLsn: 1, lastLsn: 20 })).toBe('s3://lake/table/data/lsn-1-20.parquet');
      const again = copyUri(location, { firstLsn: 1, lastLsn: 20, again: '7' });
      expect(again).toBe('s3://lake/table/data/lsn-1-20-again-7.parquet');
      expect(metadataUri(location, 'm.avro')).toBe('s3://lake/table/metadata/m.avro');
    }
  });

  it.each(['s3://lake/a/b c/%41.avro', 's3a://lake/a/b c/%41.avro'])('%s holds the key unescaped', uri => {
    expect(objectKey(uri, 'lake')).toBe('a/b c/%41.avro');
  });

  it.each(['s3://other/a', 's3://lake', 's3://lake/', 'https://lake/a', '/lake/a', 's3://lake.x/a'])(
    'is not %s',
    uri => {
      expect(() => objectKey(uri, 'lake')).toThrow('table metadata: expected a URI in the bucket lake, got another');
    },
  );
});

describe('a snapshot id', () => {
  it('is new, positive and exact as a number', () => {
    const ids = Array.from({ length: 1_000 }, newSnapshotId);
    expect(new Set(ids).size).toBe(1_000);
    expect(ids.filter(id => id <= 0n || !Number.isSafeInteger(Number(id)))).toEqual([]);
  });
});
