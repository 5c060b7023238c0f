import { liveFiles, liveRows, type ManifestFile } from '../format/manifest-list.ts';
import type { Snapshot } from '../format/table-metadata.ts';
import { type CopiedFile, rowCount } from './data-file.ts';

/** A snapshot as it is added to a table (Iceberg spec, Snapshots, v2). */
export interface NewSnapshot {
  'snapshot-id': bigint;
  'parent-snapshot-id'?: bigint;
  'sequence-number': bigint;
  'timestamp-ms': number;
  'manifest-list': string;
  summary: Record<string, string>;
  'schema-id': number;
}

/**
 * A random snapshot id. It has 53 bits, because programs that read JSON numbers as floats would confuse longer ids.
 */
export function newSnapshotId(): bigint {
  const [random] = crypto.getRandomValues(new BigUint64Array(1));
  return BigInt.asUintN(53, random!) || 1n;
}

/**
 * The summary of an append (Iceberg spec, Appendix F: Optional Snapshot Summary Fields). Totals are counted from the
 * manifest list, because catalogs may drop the summaries of earlier snapshots. Totals that the list does not hold
 * continue those of the parent snapshot, or are left out where the parent has none.
 */
export function appendSummary({
  files,
  manifests,
  parent,
}: {
  files: CopiedFile[];
  manifests: ManifestFile[];
  parent: Snapshot | null;
}): Record<string, string> {
  const data = manifests.filter(({ content }) => content === 0);
  const deletes = manifests.filter(({ content }) => content !== 0);
  const addedBytes = files.reduce((sum, { bytes }) => sum + bytes, 0);
  const continued = (total: string, added: number) => {
    const before = parent === null ? '0' : parent.summary?.[total];
    return /^\d+$/.test(before ?? '') ? { [total]: String(BigInt(before!) + BigInt(added)) } : {};
  };
  return {
    operation: 'append',
    'added-data-files': String(files.length),
    'added-records': String(rowCount(files)),
    'added-files-size': String(addedBytes),
    'changed-partition-count': '1',
    'total-data-files': String(data.reduce((sum, manifest) => sum + liveFiles(manifest), 0)),
    'total-delete-files': String(deletes.reduce((sum, manifest) => sum + liveFiles(manifest), 0)),
    'total-records': String(data.reduce((sum, manifest) => sum + liveRows(manifest), 0n)),
    ...continued('total-files-size', addedBytes),
    ...continued('total-position-deletes', 0),
    ...continued('total-equality-deletes', 0),
  };
}
