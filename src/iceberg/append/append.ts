import type { Table } from '../../../schemas/table.ts';
import { brokenMetadata, CatalogError } from '../errors.ts';
import { metadataUri } from '../format/location.ts';
import { STATUS, writeManifest } from '../format/manifest.ts';
import { type ManifestFile, readManifestList, writeManifestList } from '../format/manifest-list.ts';
import {
  COMMITTED_LSN,
  checkTable,
  committedLsn,
  currentSchema,
  currentSnapshot,
  type Snapshot,
  type TableMetadata,
} from '../format/table-metadata.ts';
import { dataFileEntry, type PlacedFile } from './data-file.ts';
import { chooseManifests, mergeEntries } from './merge.ts';
import { appendSummary, type NewSnapshot } from './snapshot.ts';

/** Manifests read at once: the platform waits for six answers at a time. */
const READS_AT_ONCE = 5;

/** Reads a metadata file by its URI; null when there is none. */
export type ReadMetadataFile = (uri: string) => Promise<Uint8Array | null>;

/** A metadata file that must lie in the bucket before the commit. */
export interface MetadataFile {
  uri: string;
  bytes: Uint8Array;
}

/** The body of a commit (Iceberg REST spec, CommitTableRequest). All of it happens, or nothing. */
export interface CommitRequest {
  requirements: object[];
  updates: object[];
}

export interface Append {
  /** To be written in any order, before the commit. */
  metadataFiles: MetadataFile[];
  commit: CommitRequest;
  snapshotId: bigint;
  /** The table's property once this is committed. */
  committedLsn: number;
  /** Manifests that were merged into one. */
  merged: number;
}

interface AppendRequest {
  table: Table;
  /** As it was loaded just now: the commit holds for this state of the table only. */
  metadata: TableMetadata;
  /** Under the table's location already, in the order of their LSNs, continuing what is committed. */
  files: PlacedFile[];
  /** Fresh for every attempt with other files or another base: the metadata files are named by it. */
  snapshotId: bigint;
  nowMs: number;
}

/**
 * Plans a fast append (Iceberg spec, Snapshots): one new manifest beside those of the snapshot before; past a hundred
 * small ones they are merged into one. The snapshot and the table's `tributary.committed_lsn` change in one commit, and
 * only where the table's branch `main` is still at the snapshot that was loaded. Reads the manifest list before, and
 * manifests to merge; writes nothing. Throws `CatalogError` `table-differs`, `files-broken` or `metadata-broken`.
 */
export async function planAppend(
  { table, metadata, files, snapshotId, nowMs }: AppendRequest,
  read: ReadMetadataFile,
): Promise<Append> {
  checkTable(table, metadata);
  checkRun(table, committedLsn(metadata), files);
  const parent = currentSnapshot(metadata);
  const base: Base = { table, metadata, snapshotId, sequenceNumber: metadata['last-sequence-number'] + 1n };
  const before = parent ? await manifestsOf(parent, read) : [];
  // A manifest that only tells of files taken away is of the snapshot that took them, and of no later one.
  const live = before.filter(hasLiveFiles);
  const added = addedManifest(base, files);
  const chosen = chooseManifests(live, metadata['default-spec-id']);
  const merged = chosen.length > 0 ? [await mergedManifest(base, chosen, read)] : [];
  const kept = live.filter(manifest => !chosen.includes(manifest));
  const manifests = [added.file, ...merged.map(({ file }) => file), ...kept];
  const list: MetadataFile = {
    uri: metadataUri(metadata.location, `snap-${snapshotId}.avro`),
    bytes: writeManifestList(manifests, { ...base, parentId: parent?.['snapshot-id'] ?? null }),
  };
  const lastLsn = files.at(-1)!.facts.lastLsn;
  const snapshot: NewSnapshot = {
    'snapshot-id': snapshotId,
    ...(parent && { 'parent-snapshot-id': parent['snapshot-id'] }),
    'sequence-number': base.sequenceNumber,
    // Never before the table's last change: clocks differ, and a catalog refuses what goes back.
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
    merged: chosen.length,
  };
}

interface Base {
  table: Table;
  metadata: TableMetadata;
  snapshotId: bigint;
  sequenceNumber: bigint;
}

function hasLiveFiles({ added_files_count, existing_files_count }: ManifestFile): boolean {
  return added_files_count + existing_files_count > 0;
}

interface WrittenManifest extends MetadataFile {
  file: ManifestFile;
}

function checkRun(table: Table, committed: number, files: PlacedFile[]): void {
  const broken = (expected: string, actual: string) =>
    new CatalogError('files-broken', `${table.name} data files: expected ${expected}, got ${actual}`, {
      hint: 'Ask the source for its files after the committed LSN again.',
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
      // Null: the branch must not be there yet. Two attempts on one base cannot both hold.
      { type: 'assert-ref-snapshot-id', ref: 'main', 'snapshot-id': parentId },
    ],
    updates: [
      { action: 'add-snapshot', snapshot },
      // The whole ref is replaced: how long its snapshots are kept is carried on.
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

function addedManifest(base: Base, files: PlacedFile[]): WrittenManifest {
  const entries = files.map(file => ({
    status: STATUS.added,
    snapshot_id: base.snapshotId,
    // Inherited: they are the snapshot's, and known only once it is committed.
    sequence_number: null,
    file_sequence_number: null,
    data_file: dataFileEntry(base.table, file),
  }));
  const rows = files.reduce((sum, { facts }) => sum + facts.rows, 0);
  return writtenManifest(base, {
    name: `${base.snapshotId}-added.avro`,
    bytes: writeManifest(entries, factsOf(base)),
    counts: {
      min_sequence_number: base.sequenceNumber,
      added_files_count: files.length,
      added_rows_count: BigInt(rows),
    },
  });
}

async function mergedManifest(base: Base, chosen: ManifestFile[], read: ReadMetadataFile): Promise<WrittenManifest> {
  const manifests: { file: ManifestFile; bytes: Uint8Array }[] = [];
  for (let at = 0; at < chosen.length; at += READS_AT_ONCE) {
    const some = chosen.slice(at, at + READS_AT_ONCE);
    const load = async (file: ManifestFile) => ({ file, bytes: await readFile(file.manifest_path, read) });
    manifests.push(...(await Promise.all(some.map(load))));
  }
  const merge = mergeEntries(manifests);
  const bytes = writeManifest(merge.entries, factsOf(base));
  const { files, rows, minSequenceNumber } = merge.counts();
  return writtenManifest(base, {
    name: `${base.snapshotId}-merged.avro`,
    bytes,
    counts: { min_sequence_number: minSequenceNumber, existing_files_count: files, existing_rows_count: rows },
  });
}

function factsOf({ metadata }: Base) {
  return { schema: currentSchema(metadata), specId: metadata['default-spec-id'] };
}

function writtenManifest(
  { metadata, snapshotId, sequenceNumber }: Base,
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

async function manifestsOf({ 'manifest-list': uri }: Snapshot, read: ReadMetadataFile): Promise<ManifestFile[]> {
  if (uri === undefined) throw brokenMetadata('snapshot', 'a manifest list', 'none');
  return readManifestList(await readFile(uri, read));
}

async function readFile(uri: string, read: ReadMetadataFile): Promise<Uint8Array> {
  const bytes = await read(uri);
  if (bytes !== null) return bytes;
  throw new CatalogError('metadata-broken', 'table metadata: expected the manifests it names, found one missing', {
    hint: 'Objects under a table’s location are the catalog’s own: check for lifecycle rules and foreign deletions.',
  });
}
