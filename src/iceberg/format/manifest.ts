import { brokenMetadata } from '../errors.ts';
import { type AvroObject, type AvroRecord, columnMap, optional, required } from './avro.ts';
import { readAvro } from './avro-read.ts';
import { writeAvro } from './avro-write.ts';
import { exactJson } from './exact-json.ts';

/** What became of a file in the snapshot that wrote the manifest (Iceberg spec, Entries in Manifests). */
export const STATUS = { existing: 0, added: 1, deleted: 2 } as const;

/** Values of a map from column id, as Avro has them. */
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

/** A file and its history. What is null is inherited from the manifest list, as of the manifest's own snapshot. */
export interface ManifestEntry {
  status: number;
  snapshot_id: bigint | null;
  sequence_number: bigint | null;
  file_sequence_number: bigint | null;
  data_file: DataFileEntry;
}

/** What a manifest says of itself (Iceberg spec, Manifest Metadata). Always of data files, and unpartitioned. */
interface ManifestFacts {
  schema: { 'schema-id': number };
  specId: number;
}

const DATA_FILE: AvroRecord = {
  type: 'record',
  name: 'r2',
  fields: [
    required(134, 'content', 'int'),
    required(100, 'file_path', 'string'),
    required(101, 'file_format', 'string'),
    required(102, 'partition', { type: 'record', name: 'r102', fields: [] }),
    required(103, 'record_count', 'long'),
    required(104, 'file_size_in_bytes', 'long'),
    optional(108, 'column_sizes', columnMap(117, 118, 'long')),
    optional(109, 'value_counts', columnMap(119, 120, 'long')),
    optional(110, 'null_value_counts', columnMap(121, 122, 'long')),
    optional(137, 'nan_value_counts', columnMap(138, 139, 'long')),
    optional(125, 'lower_bounds', columnMap(126, 127, 'bytes')),
    optional(128, 'upper_bounds', columnMap(129, 130, 'bytes')),
    optional(131, 'key_metadata', 'bytes'),
    optional(132, 'split_offsets', { type: 'array', items: 'long', 'element-id': 133 }),
    optional(135, 'equality_ids', { type: 'array', items: 'int', 'element-id': 136 }),
    optional(140, 'sort_order_id', 'int'),
    optional(143, 'referenced_data_file', 'string'),
  ],
};

export const MANIFEST_ENTRY: AvroRecord = {
  type: 'record',
  name: 'manifest_entry',
  fields: [
    required(0, 'status', 'int'),
    optional(1, 'snapshot_id', 'long'),
    optional(3, 'sequence_number', 'long'),
    optional(4, 'file_sequence_number', 'long'),
    required(2, 'data_file', DATA_FILE),
  ],
};

/** A manifest of data files: an Avro file with the key-value metadata the Iceberg spec wants of format version 2. */
export function writeManifest(entries: Iterable<ManifestEntry>, { schema, specId }: ManifestFacts): Uint8Array {
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
 * The entries of a manifest as they are written: what is inherited is null. They are read as they are asked for, since a
 * manifest of many files takes ten times its size in memory. Throws `CatalogError` `metadata-broken` for what is
 * no manifest.
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
  const { content = 0 } = file;
  return {
    status: record.status,
    snapshot_id: (record.snapshot_id ?? null) as bigint | null,
    sequence_number: (record.sequence_number ?? null) as bigint | null,
    file_sequence_number: (record.file_sequence_number ?? null) as bigint | null,
    data_file: { ...file, content } as unknown as DataFileEntry,
  };
}
