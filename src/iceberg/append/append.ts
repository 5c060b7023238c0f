import type { Table } from '../../../schemas/table.ts';
import { brokenMetadata, CatalogError } from '../errors.ts';
import { metadataUri } from '../format/location.ts';
import { STATUS, writeManifest } from '../format/manifest.ts';
import { liveFiles, type ManifestFile, readManifestList, writeManifestList } from '../format/manifest-list.ts';
import {
  COMMITTED_LSN,
  checkTable,
  committedLsn,
  currentSchema,
  currentSnapshot,
  type Snapshot,
  type TableMetadata,
} from '../format/table-metadata.ts';
import { type CopiedFile, dataFileEntry, rowCount } from './data-file.ts';
import { chooseManifests, mergeEntries } from './merge.ts';
import { appendSummary, type NewSnapshot } from './snapshot.ts';

/** How many manifests are read at once: the platform allows six open requests. */
const READS_AT_ONCE = 5;

/** Reads a metadata file by its URI; null when no object lies there. */
export type ReadMetadataFile = (uri: string) => Promise<Uint8Array | null>;

/** A metadata file that must be in the bucket before the commit is sent. */
export interface MetadataFile {
  uri: string;
  bytes: Uint8Array;
}

/** The body of a commit (Iceberg REST spec, CommitTableRequest). The catalog applies all updates or none. */
export interface CommitRequest {
  requirements: object[];
  updates: object[];
}

export interface Append {
  /** Must be in the bucket before the commit is sent; their order does not matter. */
  metadataFiles: MetadataFile[];
  commit: CommitRequest;
  snapshotId: bigint;
  /** The value of the table's property after the commit. */
  committedLsn: number;
  /** How many earlier manifests the commit merges into one. */
  merged: number;
}

interface AppendRequest {
  table: Table;
  /** The table as just loaded. The commit succeeds only while the table is in this state. */
  metadata: TableMetadata;
  /** In LSN order, beginning after the committed LSN. */
  files: CopiedFile[];
  /** Must be new for every attempt with other files or another base, because it names the metadata files. */
  snapshotId: bigint;
  nowMs: number;
}

/**
 * Plans a fast append (Iceberg spec, Snapshots): the new snapshot has one new manifest and those of the current
 * snapshot; more than a hundred small manifests are merged into one. One commit changes the snapshot and the table's
 * property `tributary.committed_lsn`, and it succeeds only while the branch `main` is at the loaded snapshot. Reads the
 * current manifest list and the manifests to merge, and writes nothing. Throws `CatalogError` `table-differs`,
 * `files-broken` or `metadata-broken`.
 */
export async function planAppend(
  { table, metadata, files, snapshotId, nowMs }: AppendRequest,
  read: ReadMetadataFile,
): Promise<Append> {
  // Check that the files continue the rows of the declared table.
  checkTable(table, metadata);
  checkConsecutive(table, committedLsn(metadata), files);
  // Read the manifests of the current snapshot. Drop those with deleted files only: they belong to no later snapshot.
  const parent = currentSnapshot(metadata);
  const base: AppendBase = { table, metadata, snapshotId, sequenceNumber: metadata['last-sequence-number'] + 1n };
  const live = (parent ? await readManifests(parent, read) : []).filter(manifest => liveFiles(manifest) > 0);
  // Write one manifest of the added files, and one that replaces the small manifests when there are too many.
  const added = addedManifest(base, files);
  const small = chooseManifests(live, metadata['default-spec-id']);
  const merged = small.length > 0 ? [await mergedManifest(base, small, read)] : [];
  // List the manifests of the new snapshot.
  const unchanged = live.filter(manifest => !small.includes(manifest));
  const manifests = [added.file, ...merged.map(({ file }) => file), ...unchanged];
  const list: MetadataFile = {
    uri: metadataUri(metadata.location, `snap-${snapshotId}.avro`),
    bytes: writeManifestList(manifests, { ...base, parentId: parent?.['snapshot-id'] ?? null }),
  };
  // Describe the snapshot and the commit that adds it.
  const lastLsn = files.at(-1)!.facts.lastLsn;
  const snapshot: NewSnapshot = {
    'snapshot-id': snapshotId,
    ...(parent && { 'parent-snapshot-id': parent['snapshot-id'] }),
    'sequence-number': base.sequenceNumber,
    // Not before the table's last change, because clocks differ and a catalog rejects a time that goes back.
    'timestamp-ms': Math.max(nowMs, metadata['last-updated-ms']),
    'manifest-list': list.uri,
    summary: { ...appendSummary({ files, manifests, parent }), [COMMITTED_LSN]: String(lastLsn) },
    'schema-id': metadata['current-schema-id'],
  };
  return {
    metadataFiles: [added, ...merged, list].map(({ uri, bytes }) => ({ uri, bytes })),
    commit: commitRequest(metadata, snapshot, lastLsn),
    snapshotId,
    committedLsn: lastLsn,
    merged: small.length,
  };
}

interface AppendBase {
  table: Table;
  metadata: TableMetadata;
  snapshotId: bigint;
  sequenceNumber: bigint;
}

interface WrittenManifest extends MetadataFile {
  file: ManifestFile;
}

function checkConsecutive(table: Table, committed: number, files: CopiedFile[]): void {
  const broken = (expected: string, actual: string) =>
    new CatalogError('files-broken', `${table.name} data files: expected ${expected}, got ${actual}`, {
      hint: 'List the source’s files after the committed LSN again.',
    });
  if (files.length === 0) throw broken('at least one', 'none');
  let lastLsn = committed;
  for (const { facts } of files) {
    if (facts.firstLsn !== lastLsn + 1) throw broken(`LSN ${lastLsn + 1} next`, `${facts.firstLsn}`);
    if (facts.rows < 1 || facts.lastLsn !== facts.firstLsn + facts.rows - 1) {
      throw broken(`${facts.rows} rows to end at LSN ${facts.firstLsn + facts.rows - 1}`, `${facts.lastLsn}`);
    }
    lastLsn = facts.lastLsn;
  }
}

function commitRequest(metadata: TableMetadata, snapshot: NewSnapshot, lastLsn: number): CommitRequest {
  const { 'snapshot-id': snapshotId, 'parent-snapshot-id': parentId = null } = snapshot;
  return {
    requirements: [
      { type: 'assert-table-uuid', uuid: metadata['table-uuid'] },
      // Null requires that the branch does not exist yet. Of two attempts on one base at most one can succeed.
      { type: 'assert-ref-snapshot-id', ref: 'main', 'snapshot-id': parentId },
    ],
    updates: [
      { action: 'add-snapshot', snapshot },
      // This update replaces the whole ref, so repeat its retention settings.
      {
        action: 'set-snapshot-ref',
        ...metadata.refs.main,
        'ref-name': 'main',
        type: 'branch',
        'snapshot-id': snapshotId,
      },
      { action: 'set-properties', updates: { [COMMITTED_LSN]: String(lastLsn) } },
    ],
  };
}

function addedManifest(base: AppendBase, files: CopiedFile[]): WrittenManifest {
  const entries = files.map(file => ({
    status: STATUS.added,
    snapshot_id: base.snapshotId,
    // Null is inherited: the sequence number of the snapshot, which is known only after the commit.
    sequence_number: null,
    file_sequence_number: null,
    data_file: dataFileEntry(base.table, file),
  }));
  return writtenManifest(base, {
    name: `${base.snapshotId}-added.avro`,
    bytes: writeManifest(entries, manifestMetadata(base)),
    counts: { added_files_count: files.length, added_rows_count: BigInt(rowCount(files)) },
  });
}

async function mergedManifest(
  base: AppendBase,
  small: ManifestFile[],
  read: ReadMetadataFile,
): Promise<WrittenManifest> {
  const manifests: { file: ManifestFile; bytes: Uint8Array }[] = [];
  const load = async (file: ManifestFile) => ({ file, bytes: await readMetadataFile(file.manifest_path, read) });
  for (let start = 0; start < small.length; start += READS_AT_ONCE) {
    manifests.push(...(await Promise.all(small.slice(start, start + READS_AT_ONCE).map(load))));
  }
  const merge = mergeEntries(manifests);
  const bytes = writeManifest(merge.entries, manifestMetadata(base));
  const { files, rows, minSequenceNumber } = merge.counts();
  return writtenManifest(base, {
    name: `${base.snapshotId}-merged.avro`,
    bytes,
    counts: { min_sequence_number: minSequenceNumber, existing_files_count: files, existing_rows_count: rows },
  });
}

function manifestMetadata({ metadata }: AppendBase) {
  return { schema: currentSchema(metadata), specId: metadata['default-spec-id'] };
}

function writtenManifest(
  { metadata, snapshotId, sequenceNumber }: AppendBase,
  { name, bytes, counts }: { name: string; bytes: Uint8Array; counts: Partial<ManifestFile> },
): WrittenManifest {
  const uri = metadataUri(metadata.location, name);
  const file: ManifestFile = {
    manifest_path: uri,
    manifest_length: BigInt(bytes.length),
    partition_spec_id: metadata['default-spec-id'],
    content: 0,
    sequence_number: sequenceNumber,
    min_sequence_number: sequenceNumber,
    added_snapshot_id: snapshotId,
    added_files_count: 0,
    existing_files_count: 0,
    deleted_files_count: 0,
    added_rows_count: 0n,
    existing_rows_count: 0n,
    deleted_rows_count: 0n,
    ...counts,
  };
  return { uri, bytes, file };
}

async function readManifests({ 'manifest-list': uri }: Snapshot, read: ReadMetadataFile): Promise<ManifestFile[]> {
  if (uri === undefined) throw brokenMetadata('snapshot', 'a manifest list', 'none');
  return readManifestList(await readMetadataFile(uri, read));
}

async function readMetadataFile(uri: string, read: ReadMetadataFile): Promise<Uint8Array> {
  const bytes = await read(uri);
  if (bytes !== null) return bytes;
  throw new CatalogError('metadata-broken', 'table metadata: expected every file that it names, got one missing', {
    hint: 'Only the catalog may delete objects under a table’s location: check for lifecycle rules and other programs.',
  });
}
