import { describe, expect, it } from 'vitest';
import { icebergSchema } from '../../../schemas/iceberg.ts';
import { npmPackage } from '../../../schemas/npm_package.ts';
import { dataFileEntry } from '../../../src/iceberg/append/data-file.ts';
import type { AvroArray, AvroPrimitive, AvroRecord, AvroType } from '../../../src/iceberg/format/avro.ts';
import { readAvro } from '../../../src/iceberg/format/avro-read.ts';
import { writeAvro } from '../../../src/iceberg/format/avro-write.ts';
import {
  MANIFEST_ENTRY,
  type ManifestEntry,
  readManifest,
  writeManifest,
} from '../../../src/iceberg/format/manifest.ts';
import { MANIFEST_FILE, readManifestList, writeManifestList } from '../../../src/iceberg/format/manifest-list.ts';
import { readFacts } from '../../../src/parquet/footer.ts';
import type { DataFileFacts } from '../../../src/ports/data-file.ts';
import { encode, rowsOf } from '../../parquet/rows.ts';

/** Each field of a schema as text: its id, its name, `?` when it is optional, and its type. */
function fieldsOf(record: AvroRecord, within = ''): string[] {
  return record.fields.flatMap(field => {
    const isOptional = Array.isArray(field.type);
    const type = (isOptional ? (field.type as AvroType[])[1] : field.type) as AvroPrimitive | AvroRecord | AvroArray;
    const name = `${within}${field.name}`;
    const described = (kind: string) => `${field['field-id']} ${name}${isOptional ? '?' : ''} ${kind}`;
    if (typeof type === 'string') return [described(type)];
    if (type.type === 'record') return [described('struct'), ...fieldsOf(type, `${name}.`)];
    const items = typeof type.items === 'string' ? [] : fieldsOf(type.items as AvroRecord, `${name}.`);
    return [described(type.logicalType ?? 'list'), ...items];
  });
}

function entries(): ManifestEntry[] {
  const bytes = encode(npmPackage, rowsOf(npmPackage, 20));
  const data_file = dataFileEntry(npmPackage, {
    path: 's3://lake/a.parquet',
    bytes: bytes.length,
    facts: readFacts(bytes) as DataFileFacts,
  });
  return [{ status: 1, snapshot_id: 2n ** 62n + 1n, sequence_number: null, file_sequence_number: null, data_file }];
}

describe('a manifest', () => {
  it('has the fields of the specification with their ids', () => {
    // Iceberg spec, Entries in Manifests, v2.
    expect(fieldsOf(MANIFEST_ENTRY)).toEqual([
      '0 status int',
      '1 snapshot_id? long',
      '3 sequence_number? long',
      '4 file_sequence_number? long',
      '2 data_file struct',
      '134 data_file.content int',
      '100 data_file.file_path string',
      '101 data_file.file_format string',
      '102 data_file.partition struct',
      '103 data_file.record_count long',
      '104 data_file.file_size_in_bytes long',
      '108 data_file.column_sizes? map',
      '117 data_file.column_sizes.key int',
      '118 data_file.column_sizes.value long',
      '109 data_file.value_counts? map',
      '119 data_file.value_counts.key int',
      '120 data_file.value_counts.value long',
      '110 data_file.null_value_counts? map',
      '121 data_file.null_value_counts.key int',
      '122 data_file.null_value_counts.value long',
      '137 data_file.nan_value_counts? map',
      '138 data_file.nan_value_counts.key int',
      '139 data_file.nan_value_counts.value long',
      '125 data_file.lower_bounds? map',
      '126 data_file.lower_bounds.key int',
      '127 data_file.lower_bounds.value bytes',
      '128 data_file.upper_bounds? map',
      '129 data_file.upper_bounds.key int',
      '130 data_file.upper_bounds.value bytes',
      '131 data_file.key_metadata? bytes',
      '132 data_file.split_offsets? list',
      '135 data_file.equality_ids? list',
      '140 data_file.sort_order_id? int',
      '143 data_file.referenced_data_file? string',
    ]);
  });

  it('has the key-value metadata that the specification requires', () => {
    const schema = icebergSchema(npmPackage);
    const { metadata } = readAvro(writeManifest(entries(), { schema, specId: 0 }), MANIFEST_ENTRY);
    // Iceberg spec, Manifest Metadata, v2.
    expect({
      ...metadata,
      schema: JSON.parse(metadata.schema!),
      'avro.schema': JSON.parse(metadata['avro.schema']!),
    }).toEqual({
      'avro.schema': MANIFEST_ENTRY,
      'avro.codec': 'deflate',
      schema,
      'schema-id': '0',
      'partition-spec': '[]',
      'partition-spec-id': '0',
      'format-version': '2',
      content: 'data',
    });
  });

  it('is read back as its entries', () => {
    const written = entries();
    const bytes = writeManifest(written, { schema: icebergSchema(npmPackage), specId: 0 });
    expect([...readManifest(bytes)]).toEqual([
      expect.objectContaining({ ...written[0], data_file: expect.objectContaining(written[0]!.data_file) }),
    ]);
  });

  it('of format version 1 is read as one of data files without sequence numbers', () => {
    const newer = ['sequence_number', 'file_sequence_number'];
    const file = MANIFEST_ENTRY.fields.find(({ name }) => name === 'data_file')!;
    const oldFile = { ...(file.type as typeof MANIFEST_ENTRY) };
    oldFile.fields = oldFile.fields.filter(({ name }) => name !== 'content');
    const fields = MANIFEST_ENTRY.fields.filter(({ name }) => !newer.includes(name));
    const schema = {
      ...MANIFEST_ENTRY,
      fields: fields.map(field => (field === file ? { ...file, type: oldFile } : field)),
    };
    const [entry] = readManifest(writeAvro({ schema, metadata: {}, records: entries() }));
    expect(entry).toMatchObject({ sequence_number: null, file_sequence_number: null, data_file: { content: 0 } });
  });

  it('of another Avro schema throws metadata-broken', () => {
    const list = writeManifestList([], { snapshotId: 1n, parentId: null, sequenceNumber: 1n });
    expect([...readManifest(list)]).toEqual([]);
    const other = writeAvro({ schema: { type: 'record', name: 'r', fields: [] }, metadata: {}, records: [{}] });
    expect(() => [...readManifest(other)]).toThrow(
      'manifest: expected entries with a status and a file path, got others',
    );
    expect(() => readManifestList(other)).toThrow(
      'manifest list: expected manifests with a path and a length, got others',
    );
  });
});

describe('a manifest list', () => {
  it('has the fields of the specification with their ids', () => {
    // Iceberg spec, Manifest Lists, v2.
    expect(fieldsOf(MANIFEST_FILE)).toEqual([
      '500 manifest_path string',
      '501 manifest_length long',
      '502 partition_spec_id int',
      '517 content int',
      '515 sequence_number long',
      '516 min_sequence_number long',
      '503 added_snapshot_id long',
      '504 added_files_count int',
      '505 existing_files_count int',
      '506 deleted_files_count int',
      '512 added_rows_count long',
      '513 existing_rows_count long',
      '514 deleted_rows_count long',
      '507 partitions? list',
      '509 partitions.contains_null boolean',
      '518 partitions.contains_nan? boolean',
      '510 partitions.lower_bound? bytes',
      '511 partitions.upper_bound? bytes',
      '519 key_metadata? bytes',
    ]);
  });

  it('of format version 1 is read with sequence number 0, and throws without counts of its files', () => {
    const record = {
      manifest_path: 's3://lake/m.avro',
      manifest_length: 10n,
      partition_spec_id: 0,
      added_snapshot_id: 1n,
      added_files_count: 2,
      existing_files_count: 0,
      deleted_files_count: 0,
      added_rows_count: 20n,
      existing_rows_count: 0n,
      deleted_rows_count: 0n,
    };
    const old = (without: string[]) => {
      const fields = MANIFEST_FILE.fields.filter(({ name }) => !without.includes(name));
      return writeAvro({ schema: { ...MANIFEST_FILE, fields }, metadata: {}, records: [record] });
    };
    const newer = ['content', 'sequence_number', 'min_sequence_number'];
    expect(readManifestList(old(newer))).toEqual([
      expect.objectContaining({ ...record, content: 0, sequence_number: 0n, min_sequence_number: 0n }),
    ]);
    // Another writer has optional fields there, with null for none.
    const optional = MANIFEST_FILE.fields.map(field =>
      newer.includes(field.name) ? { ...field, type: ['null', field.type] as AvroType, default: null } : field,
    );
    const nulls = { ...record, content: null, sequence_number: null, min_sequence_number: null };
    const list = writeAvro({ schema: { ...MANIFEST_FILE, fields: optional }, metadata: {}, records: [nulls] });
    expect(readManifestList(list)).toEqual(readManifestList(old(newer)));
    expect(() => readManifestList(old([...newer, 'added_files_count']))).toThrow(
      'manifest list: expected added_files_count of every manifest, got none',
    );
  });
});
