import { brokenMetadata } from '../errors.ts';
import { type ManifestEntry, readManifest, STATUS } from '../format/manifest.ts';
import type { ManifestFile } from '../format/manifest-list.ts';

/** Past so many small manifests they become one: a reader opens each, and the list is written anew by every commit. */
export const SMALL_MANIFESTS_MAX = 100;
/** A merged manifest is no larger; half as large, it is left alone from then on. Compressed, some 10,000 files. */
export const MERGED_BYTES_MAX = 4 * 1024 * 1024;

/** Entries of many manifests on their way into one, and what the manifest list says of them when they have passed. */
export interface MergedEntries {
  entries: Iterable<ManifestEntry>;
  counts(): { files: number; rows: bigint; minSequenceNumber: bigint };
}

/**
 * The manifests that the next commit should merge, the smallest first; none while there are few. Only those of data
 * files and of one partition spec: a manifest holds no other (Iceberg spec, Manifests).
 */
export function chooseManifests(manifests: ManifestFile[], specId: number): ManifestFile[] {
  const small = manifests
    .filter(({ content, partition_spec_id }) => content === 0 && partition_spec_id === specId)
    .filter(({ manifest_length }) => manifest_length < MERGED_BYTES_MAX / 2)
    .sort((a, b) => Number(a.manifest_length - b.manifest_length));
  if (small.length <= SMALL_MANIFESTS_MAX) return [];
  let bytes = 0;
  // Each is less than half the limit: at least two fit.
  return small.filter(({ manifest_length }) => {
    bytes += Number(manifest_length);
    return bytes <= MERGED_BYTES_MAX;
  });
}

/**
 * The live entries of manifests as they are written to another: existing, with the snapshot and the sequence numbers
 * they had or inherited (Iceberg spec, Sequence Number Inheritance). Throws `CatalogError` `metadata-broken` when a
 * manifest does not hold the files its list says.
 */
export function mergeEntries(manifests: { file: ManifestFile; bytes: Uint8Array }[]): MergedEntries {
  const counted = { files: 0, rows: 0n, minSequenceNumber: 2n ** 63n - 1n };
  function* entries() {
    for (const { file, bytes } of manifests) {
      const before = counted.files;
      for (const entry of readManifest(bytes)) {
        // Which files a snapshot took away is told by its own manifests, and by no later one.
        if (entry.status === STATUS.deleted) continue;
        const existing = existingEntry(entry, file);
        counted.files += 1;
        counted.rows += existing.data_file.record_count;
        if (existing.sequence_number! < counted.minSequenceNumber)
          counted.minSequenceNumber = existing.sequence_number!;
        yield existing;
      }
      const expected = file.added_files_count + file.existing_files_count;
      if (counted.files - before !== expected)
        throw brokenMetadata('manifest', `${expected} files`, `${counted.files - before}`);
    }
  }
  return { entries: entries(), counts: () => ({ ...counted }) };
}

function existingEntry(entry: ManifestEntry, file: ManifestFile): ManifestEntry {
  const isAdded = entry.status === STATUS.added;
  const inherited = isAdded ? file.sequence_number : null;
  const sequence_number = entry.sequence_number ?? inherited;
  const file_sequence_number = entry.file_sequence_number ?? inherited;
  if (sequence_number === null || file_sequence_number === null) {
    throw brokenMetadata('manifest', 'sequence numbers of an old file', 'none');
  }
  return {
    ...entry,
    status: STATUS.existing,
    snapshot_id: entry.snapshot_id ?? file.added_snapshot_id,
    sequence_number,
    file_sequence_number,
  };
}
