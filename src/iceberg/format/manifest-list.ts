import { brokenMetadata } from '../errors.ts';
import { type AvroObject, listType, optional, recordType, required } from './avro.ts';
import { readAvro } from './avro-read.ts';
import { writeAvro } from './avro-write.ts';

/** A manifest as a manifest list describes it (Iceberg spec, Manifest Lists: `manifest_file`, v2). */
export interface ManifestFile {
  manifest_path: string;
  manifest_length: bigint;
  partition_spec_id: number;
  /** 0 for a manifest of data files, 1 for one of delete files. */
  content: number;
  /** The sequence number of the snapshot that added the manifest; entries without one inherit it. */
  sequence_number: bigint;
  min_sequence_number: bigint;
  added_snapshot_id: bigint;
  added_files_count: number;
  existing_files_count: number;
  deleted_files_count: number;
  added_rows_count: bigint;
  existing_rows_count: bigint;
  deleted_rows_count: bigint;
}

const FIELD_SUMMARY = recordType('r508', [
  required(509, 'contains_null', 'boolean'),
  optional(518, 'contains_nan', 'boolean'),
  optional(510, 'lower_bound', 'bytes'),
  optional(511, 'upper_bound', 'bytes'),
]);

export const MANIFEST_FILE = recordType('manifest_file', [
  required(500, 'manifest_path', 'string'),
  required(501, 'manifest_length', 'long'),
  required(502, 'partition_spec_id', 'int'),
  required(517, 'content', 'int'),
  required(515, 'sequence_number', 'long'),
  required(516, 'min_sequence_number', 'long'),
  required(503, 'added_snapshot_id', 'long'),
  required(504, 'added_files_count', 'int'),
  required(505, 'existing_files_count', 'int'),
  required(506, 'deleted_files_count', 'int'),
  required(512, 'added_rows_count', 'long'),
  required(513, 'existing_rows_count', 'long'),
  required(514, 'deleted_rows_count', 'long'),
  optional(507, 'partitions', listType(508, FIELD_SUMMARY)),
  optional(519, 'key_metadata', 'bytes'),
]);

/** The counts that add up to a manifest's live files and rows. Older writers may leave them out. */
const LIVE_COUNTS = ['added_files_count', 'existing_files_count', 'added_rows_count', 'existing_rows_count'] as const;

/** How many files of a manifest are in the table: added or existing, not deleted. */
export function liveFiles({ added_files_count, existing_files_count }: ManifestFile): number {
  return added_files_count + existing_files_count;
}

export function liveRows({ added_rows_count, existing_rows_count }: ManifestFile): bigint {
  return added_rows_count + existing_rows_count;
}

/** The manifest list of a snapshot: an Avro file with the snapshot's ids in its metadata, as other writers have. */
export function writeManifestList(
  manifests: Iterable<ManifestFile>,
  snapshot: { snapshotId: bigint; parentId: bigint | null; sequenceNumber: bigint },
): Uint8Array {
  return writeAvro({
    schema: MANIFEST_FILE,
    metadata: {
      'snapshot-id': String(snapshot.snapshotId),
      'parent-snapshot-id': String(snapshot.parentId),
      'sequence-number': String(snapshot.sequenceNumber),
      'format-version': '2',
    },
    records: manifests,
  });
}

/** The manifests of a snapshot, with fields unknown here left in. Throws `CatalogError` `metadata-broken`. */
export function readManifestList(bytes: Uint8Array): ManifestFile[] {
  return Array.from(readAvro(bytes, MANIFEST_FILE).records, manifestFileOf);
}

function manifestFileOf(record: AvroObject): ManifestFile {
  // Lists of format version 1 have no content and no sequence numbers: they list data files of sequence number 0
  // (Iceberg spec, Reading v1 metadata for v2).
  const { content, sequence_number, min_sequence_number } = record;
  const file = {
    ...record,
    content: content ?? 0,
    sequence_number: sequence_number ?? 0n,
    min_sequence_number: min_sequence_number ?? 0n,
  } as unknown as ManifestFile;
  if (typeof file.manifest_path !== 'string' || typeof file.manifest_length !== 'bigint') {
    throw brokenMetadata('manifest list', 'manifests with a path and a length', 'others');
  }
  for (const count of LIVE_COUNTS) {
    if (file[count] === null || file[count] === undefined) {
      throw brokenMetadata('manifest list', `${count} of every manifest`, 'none');
    }
  }
  return file;
}
