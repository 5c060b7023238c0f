import { brokenMetadata } from '../errors.ts';
import { type ManifestEntry, readManifest, STATUS } from '../format/manifest.ts';
import { liveFiles, type ManifestFile } from '../format/manifest-list.ts';

/**
 * With more small manifests than this, the next commit merges them into one, because a reader opens every manifest and
 * every commit rewrites the list of them.
 */
export const SMALL_MANIFESTS_MAX = 100;
/** The largest merged manifest: compressed, some 10,000 files. Manifests of at least half this size are not merged. */
export const MERGED_BYTES_MAX = 4 * 1024 * 1024;

/** The entries of several manifests for one merged manifest. */
export interface MergedEntries {
  entries: Iterable<ManifestEntry>;
  /** What the manifest list says of the merged manifest; complete once `entries` has been iterated. */
  counts(): { files: number; rows: bigint; minSequenceNumber: bigint };
}

/**
 * The manifests that the next commit merges, the smallest first; none while there are at most `SMALL_MANIFESTS_MAX`.
 * Only manifests of data files and of this partition spec, because a manifest cannot mix them (Iceberg spec,
 * Manifests).
 */
export function chooseManifests(manifests: ManifestFile[], specId: number): ManifestFile[] {
  const small = manifests
    .filter(({ content, partition_spec_id }) => content === 0 && partition_spec_id === specId)
    .filter(({ manifest_length }) => manifest_length < MERGED_BYTES_MAX / 2)
    .sort((a, b) => Number(a.manifest_length - b.manifest_length));
  if (small.length <= SMALL_MANIFESTS_MAX) return [];
  let bytes = 0;
  // Each is smaller than half the limit, so at least two fit.
  return small.filter(({ manifest_length }) => {
    bytes += Number(manifest_length);
    return bytes <= MERGED_BYTES_MAX;
  });
}

/**
 * The live entries of manifests, as a merged manifest has them: with status existing, and with the snapshot id and the
 * sequence numbers they had or inherited (Iceberg spec, Sequence Number Inheritance). Throws `CatalogError`
 * `metadata-broken` when a manifest does not hold as many files as the manifest list says.
 */
export function mergeEntries(manifests: { file: ManifestFile; bytes: Uint8Array }[]): MergedEntries {
  const counted = { files: 0, rows: 0n, minSequenceNumber: 2n ** 63n - 1n };
  function* entries() {
    for (const { file, bytes } of manifests) {
      const before = counted.files;
      for (const entry of readManifest(bytes)) {
        // Skip deleted files, because only the manifests of the snapshot that deleted them list them.
        if (entry.status === STATUS.deleted) continue;
        const existing = existingEntry(entry, file);
        counted.files += 1;
        counted.rows += existing.data_file.record_count;
        if (existing.sequence_number < counted.minSequenceNumber) counted.minSequenceNumber = existing.sequence_number;
        yield existing;
      }
      const found = counted.files - before;
      if (found !== liveFiles(file)) throw brokenMetadata('manifest', `${liveFiles(file)} files`, `${found}`);
    }
  }
  return { entries: entries(), counts: () => ({ ...counted }) };
}

function existingEntry(entry: ManifestEntry, file: ManifestFile): ManifestEntry & { sequence_number: bigint } {
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
