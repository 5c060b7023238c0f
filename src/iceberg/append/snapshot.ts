import type { ManifestFile } from '../format/manifest-list.ts';
import type { Snapshot } from '../format/table-metadata.ts';
import type { PlacedFile } from './data-file.ts';

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
 * A snapshot id nobody has. Of 53 bits, so that programs that read JSON numbers as floats tell it from its neighbours.
 */
export function newSnapshotId(): bigint {
  const [random] = crypto.getRandomValues(new BigUint64Array(1));
  return BigInt.asUintN(53, random!) || 1n;
}

/**
 * The summary of an append (Iceberg spec, Appendix F: Optional Snapshot Summary Fields). Totals are counted in the
 * manifest list, as catalogs may drop the summaries of earlier snapshots; those it does not hold are carried on from the
 * parent's, or left out.
 */
export function appendSummary({
  files,
  manifests,
  parent,
}: {
  files: PlacedFile[];
  manifests: ManifestFile[];
  parent: Snapshot | null;
}): Record<string, string> {
  const data = manifests.filter(({ content }) => content === 0);
  const deletes = manifests.filter(({ content }) => content !== 0);
  const addedBytes = files.reduce((sum, { bytes }) => sum + bytes, 0);
  const carried = (total: string, added: number) => {
    const before = parent === null ? '0' : parent.summary?.[total];
    return /^\d+$/.test(before ?? '') ? { [total]: String(BigInt(before!) + BigInt(added)) } : {};
  };
  return {
    operation: 'append',
    'added-data-files': String(files.length),
    'added-records': String(files.reduce((sum, { facts }) => sum + facts.rows, 0)),
    'added-files-size': String(addedBytes),
    'changed-partition-count': '1',
    'total-data-files': String(liveFiles(data)),
    'total-delete-files': String(liveFiles(deletes)),
    'total-records': String(
      data.reduce((sum, { added_rows_count, existing_rows_count }) => sum + added_rows_count + existing_rows_count, 0n),
    ),
    ...carried('total-files-size', addedBytes),
    ...carried('total-position-deletes', 0),
    ...carried('total-equality-deletes', 0),
  };
}

function liveFiles(manifests: ManifestFile[]): number {
  return manifests.reduce((sum, { added_files_count, existing_files_count }) => {
    return sum + added_files_count + existing_files_count;
  }, 0);
}
