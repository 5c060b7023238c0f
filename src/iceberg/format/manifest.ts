import { exactJson } from '../../exact-json.ts';
import { brokenMetadata } from '../errors.ts';
import { type AvroObject, columnMap, listType, optional, recordType, required } from './avro.ts';
import { readAvro } from './avro-read.ts';
import { writeAvro } from './avro-write.ts';

/** What the snapshot that wrote the manifest did with a file (Iceberg spec, Entries in Manifests). */
export const STATUS = { existing: 0, added: 1, deleted: 2 } as const;

/** An Iceberg map from column id to a value, in Avro's form. */
export type ColumnValues<V> = { key: number; value: V }[];

/** A data file as a manifest describes it (Iceberg spec, Entries in Manifests: `data_file`, v2). */
export interface DataFileEntry {
  /** 0 for rows, 1 and 2 for deletes. */
  content: number;
  /** With its scheme: `s3://bucket/…`. */
  file_path: string;
  file_format: string;
  partition: object;
  record_count: bigint;
  file_size_in_bytes: bigint;
  column_sizes?: ColumnValues<bigint> | null;
  value_counts?: ColumnValues<bigint> | null;
  null_value_counts?: ColumnValues<bigint> | null;
  nan_value_counts?: ColumnValues<bigint> | null;
  lower_bounds?: ColumnValues<Uint8Array> | null;
  upper_bounds?: ColumnValues<Uint8Array> | null;
  split_offsets?: bigint[] | null;
  sort_order_id?: number | null;
}

/** A file and its history. A null is inherited: its value is in the manifest's own entry of the manifest list. */
export interface ManifestEntry {
  status: number;
  snapshot_id: bigint | null;
  sequence_number: bigint | null;
  file_sequence_number: bigint | null;
  data_file: DataFileEntry;
}

/** The key-value metadata of a manifest (Iceberg spec, Manifest Metadata): data files only, unpartitioned. */
interface ManifestMetadata {
  schema: { 'schema-id': number };
  specId: number;
}

const DATA_FILE = recordType('r2', [
  required(134, 'content', 'int'),
  required(100, 'file_path', 'string'),
  required(101, 'file_format', 'string'),
  required(102, 'partition', recordType('r102', [])),
  required(103, 'record_count', 'long'),
  required(104, 'file_size_in_bytes', 'long'),
  optional(108, 'column_sizes', columnMap(117, 118, 'long')),
  optional(109, 'value_counts', columnMap(119, 120, 'long')),
  optional(110, 'null_value_counts', columnMap(121, 122, 'long')),
  optional(137, 'nan_value_counts', columnMap(138, 139, 'long')),
  optional(125, 'lower_bounds', columnMap(126, 127, 'bytes')),
  optional(128, 'upper_bounds', columnMap(129, 130, 'bytes')),
  optional(131, 'key_metadata', 'bytes'),
  optional(132, 'split_offsets', listType(133, 'long')),
  optional(135, 'equality_ids', listType(136, 'int')),
  optional(140, 'sort_order_id', 'int'),
  optional(143, 'referenced_data_file', 'string'),
]);

export const MANIFEST_ENTRY = recordType('manifest_entry', [
  required(0, 'status', 'int'),
  optional(1, 'snapshot_id', 'long'),
  optional(3, 'sequence_number', 'long'),
  optional(4, 'file_sequence_number', 'long'),
  required(2, 'data_file', DATA_FILE),
]);

/** A manifest of data files: an Avro file with the key-value metadata that format version 2 requires. */
export function writeManifest(entries: Iterable<ManifestEntry>, { schema, specId }: ManifestMetadata): Uint8Array {
  return writeAvro({
    schema: MANIFEST_ENTRY,
    metadata: {
      schema: exactJson(schema),
      'schema-id': String(schema['schema-id']),
      'partition-spec': '[]',
      'partition-spec-id': String(specId),
      'format-version': '2',
      content: 'data',
    },
    records: entries,
  });
}

/**
 * The entries of a manifest as written: an inherited value is null. Reads one entry at a time, because the entries of a
 * large manifest take ten times its size in memory. Throws `CatalogError` `metadata-broken` when the bytes are not a
 * manifest.
 */
export function* readManifest(bytes: Uint8Array): Generator<ManifestEntry> {
  for (const record of readAvro(bytes, MANIFEST_ENTRY).records) yield entryOf(record);
}

function entryOf(record: AvroObject): ManifestEntry {
  const file = record.data_file as AvroObject | undefined;
  if (typeof record.status !== 'number' || typeof file?.file_path !== 'string') {
    throw brokenMetadata('manifest', 'entries with a status and a file path', 'others');
  }
  // Files of format version 1 have no content field, and no sequence numbers.
  const content = file.content ?? 0;
  return {
    status: record.status,
    snapshot_id: (record.snapshot_id ?? null) as bigint | null,
    sequence_number: (record.sequence_number ?? null) as bigint | null,
    file_sequence_number: (record.file_sequence_number ?? null) as bigint | null,
    data_file: { ...file, content } as unknown as DataFileEntry,
  };
}
