import type { Table, Value } from '../../schemas/table.ts';
import { dataFileEntry } from '../../src/iceberg/append/data-file.ts';
import { type AvroRecord, optional } from '../../src/iceberg/format/avro.ts';
import { writeAvro } from '../../src/iceberg/format/avro-write.ts';
import { objectKey } from '../../src/iceberg/format/location.ts';
import { type ManifestEntry, readManifest, STATUS, writeManifest } from '../../src/iceberg/format/manifest.ts';
import { MANIFEST_FILE, type ManifestFile, readManifestList } from '../../src/iceberg/format/manifest-list.ts';
import { readFacts } from '../../src/parquet/footer.ts';
import type { DataFileFacts } from '../../src/ports/data-file.ts';
import { readWithHyparquet } from '../parquet/readers.ts';
import { encode } from '../parquet/rows.ts';
import { BUCKET, type MemoryCatalog, type Metadata, type StoredSnapshot } from './rest-catalog.ts';

/** Other writers use snapshot ids of 63 bits. */
const FOREIGN_ID = 3_051_729_675_574_597_000n;

interface LiveFile {
  manifest: ManifestFile;
  entry: ManifestEntry;
}

/** Another program that writes to a catalog's tables: the catalog's own maintenance, or Spark. */
export class ForeignWriter {
  readonly #catalog: MemoryCatalog;
  #ids = 0n;

  constructor(catalog: MemoryCatalog) {
    this.#catalog = catalog;
  }

  /** The files of a table's current snapshot, with the entries that name them. */
  liveFiles(name: string): LiveFile[] {
    return this.#manifests(this.#catalog.metadata(name)).flatMap(manifest =>
      Array.from(readManifest(this.#bytes(manifest.manifest_path)))
        .filter(({ status }) => status !== STATUS.deleted)
        .map(entry => ({ manifest, entry })),
    );
  }

  /** Compaction: writes all rows to one new file, and replaces the old files by a snapshot of operation `replace`. */
  async compact(table: Table): Promise<void> {
    const files = this.liveFiles(table.name);
    if (files.length === 0) return;
    const rows: Value[][] = [];
    for (const { entry } of files) {
      rows.push(...(await readWithHyparquet(table, this.#bytes(entry.data_file.file_path))));
    }
    const lsnIndex = table.columns.findIndex(({ name }) => name === '_lsn');
    rows.sort((a, b) => Number(a[lsnIndex]) - Number(b[lsnIndex]));
    const bytes = encode(table, rows, { source: 'compaction' });
    const { location } = this.#catalog.metadata(table.name);
    const path = `${location}/data/compacted-${this.#ids}.parquet`;
    this.#put(path, bytes);
    const data_file = dataFileEntry(table, { path, bytes: bytes.length, facts: readFacts(bytes) as DataFileFacts });
    this.#commit(table.name, { added: [data_file], removed: files });
  }

  /**
   * Snapshot expiry: removes all snapshots but the current one, and the files that only they used. Like Basin Catalog,
   * it leaves files that no snapshot ever named.
   */
  expire(name: string): void {
    const { snapshots } = this.#catalog.metadata(name);
    const metadata = this.#catalog.change(name, changed => {
      changed.snapshots = changed.snapshots.filter(({ 'snapshot-id': id }) => id === changed['current-snapshot-id']);
    });
    const used = new Set(metadata.snapshots.flatMap(snapshot => this.#usedBy(snapshot)));
    for (const uri of snapshots.flatMap(snapshot => this.#usedBy(snapshot))) {
      if (!used.has(uri)) this.#catalog.bucket.objects.delete(objectKey(uri, BUCKET));
    }
  }

  /** Adds an optional column to the table, before ours. */
  addColumn(name: string): void {
    this.#catalog.change(name, changed => {
      const id = Number(changed['last-column-id']) + 1;
      changed['last-column-id'] = id;
      changed.schemas.at(-1)!.fields.unshift({ id, name: `note_${id}`, required: false, type: 'string' } as never);
    });
  }

  /**
   * Rolls the table back to the snapshot before the current one, as a person does. Gives the LSN that the committer's
   * newest snapshot there names; does nothing and gives null where the list has no such snapshots.
   */
  rollBack(name: string): string | null {
    const { snapshots, 'current-snapshot-id': currentId } = this.#catalog.metadata(name);
    const parentOf = (id: unknown) => {
      const parentId = snapshots.find(known => String(known['snapshot-id']) === String(id))?.['parent-snapshot-id'];
      return snapshots.find(known => String(known['snapshot-id']) === String(parentId));
    };
    const lsnOf = (snapshot: StoredSnapshot) => (snapshot.summary as Metadata['properties'])['tributary.committed_lsn'];
    const target = parentOf(currentId);
    let own = target;
    while (own && lsnOf(own) === undefined) own = parentOf(own['snapshot-id']);
    if (!target || !own) return null;
    this.#catalog.change(name, changed => {
      changed['current-snapshot-id'] = target['snapshot-id'];
      changed.refs.main = { 'snapshot-id': target['snapshot-id'], type: 'branch' };
    });
    return lsnOf(own)!;
  }

  #usedBy(snapshot: StoredSnapshot): string[] {
    const list = snapshot['manifest-list'];
    const paths = readManifestList(this.#bytes(list)).map(({ manifest_path }) => manifest_path);
    const files = paths.flatMap(path =>
      [...readManifest(this.#bytes(path))]
        .filter(({ status }) => status !== STATUS.deleted)
        .map(({ data_file }) => data_file.file_path),
    );
    return [list, ...paths, ...files];
  }

  #commit(name: string, { added, removed }: { added: ManifestEntry['data_file'][]; removed: LiveFile[] }): void {
    const metadata = this.#catalog.metadata(name);
    const id = FOREIGN_ID + ++this.#ids;
    const sequence = BigInt(metadata['last-sequence-number']) + 1n;
    const inherited = { snapshot_id: null, sequence_number: null, file_sequence_number: null };
    const manifests = [
      this.#manifest(
        metadata,
        { id, sequence, part: 'm0' },
        added.map(data_file => ({ ...inherited, status: STATUS.added, data_file })),
      ),
      // Deleted entries have the sequence numbers of their files.
      this.#manifest(
        metadata,
        { id, sequence, part: 'm1' },
        removed.map(({ manifest, entry }) => ({
          status: STATUS.deleted,
          snapshot_id: id,
          sequence_number: entry.sequence_number ?? manifest.sequence_number,
          file_sequence_number: entry.file_sequence_number ?? manifest.sequence_number,
          data_file: entry.data_file,
        })),
      ),
    ];
    const list = `${metadata.location}/metadata/snap-${id}-1-foreign.avro`;
    this.#put(list, foreignList(manifests));
    this.#catalog.change(name, changed => {
      changed.snapshots.push({
        'snapshot-id': id,
        'parent-snapshot-id': changed['current-snapshot-id'],
        'sequence-number': Number(sequence),
        'timestamp-ms': this.#catalog.nowMs,
        'manifest-list': list,
        // No totals, because Basin Catalog sometimes writes summaries without any.
        summary: { operation: 'replace' },
        'schema-id': 0,
      });
      changed['last-sequence-number'] = Number(sequence);
      changed['current-snapshot-id'] = id;
      // A user's retention setting is part of the branch.
      changed.refs.main = { 'snapshot-id': id, type: 'branch', 'min-snapshots-to-keep': 5 } as Metadata['refs'][string];
    });
  }

  #manifest(
    metadata: Metadata,
    { id, sequence, part }: { id: bigint; sequence: bigint; part: string },
    entries: ManifestEntry[],
  ): ManifestFile {
    const path = `${metadata.location}/metadata/${id}-${part}.avro`;
    const bytes = writeManifest(entries, { schema: metadata.schemas[0]!, specId: 0 });
    this.#put(path, bytes);
    const counted = (status: number) => entries.filter(entry => entry.status === status);
    const rows = (status: number) => counted(status).reduce((sum, { data_file }) => sum + data_file.record_count, 0n);
    return {
      manifest_path: path,
      manifest_length: BigInt(bytes.length),
      partition_spec_id: 0,
      content: 0,
      sequence_number: sequence,
      min_sequence_number: entries.reduce((min, { sequence_number: n }) => (n !== null && n < min ? n : min), sequence),
      added_snapshot_id: id,
      added_files_count: counted(STATUS.added).length,
      existing_files_count: 0,
      deleted_files_count: counted(STATUS.deleted).length,
      added_rows_count: rows(STATUS.added),
      existing_rows_count: 0n,
      deleted_rows_count: rows(STATUS.deleted),
    };
  }

  #manifests(metadata: Metadata): ManifestFile[] {
    const snapshot = metadata.snapshots.find(known => known['snapshot-id'] === metadata['current-snapshot-id']);
    return snapshot ? readManifestList(this.#bytes(snapshot['manifest-list'])) : [];
  }

  #bytes(uri: string): Uint8Array {
    const object = this.#catalog.bucket.objects.get(objectKey(uri, BUCKET));
    if (!object) throw new Error(`expected an object at ${uri}, got none`);
    return object.bytes;
  }

  #put(uri: string, bytes: Uint8Array): void {
    this.#catalog.bucket.store(objectKey(uri, BUCKET), bytes);
  }
}

/** A manifest list of an older writer: uncompressed, with other names under the same field ids and one more field. */
function foreignList(manifests: ManifestFile[]): Uint8Array {
  const oldName = (name: string) => name.replace(/^(added|existing|deleted)_files_count$/, '$1_data_files_count');
  const renamed = MANIFEST_FILE.fields.map(field => ({ ...field, name: oldName(field.name) }));
  const schema: AvroRecord = { ...MANIFEST_FILE, fields: [...renamed, optional(10_001, 'other_field', 'string')] };
  const records = manifests.map(manifest => ({
    ...Object.fromEntries(Object.entries(manifest).map(([name, value]) => [oldName(name), value])),
    other_field: 'value',
  }));
  return writeAvro({ schema, metadata: { 'format-version': '2' }, records, codec: 'null' });
}
