import { describe, expect, it } from 'vitest';
import { githubProfile } from '../../../schemas/github_profile.ts';
import { icebergSchema } from '../../../schemas/iceberg.ts';
import { planAppend } from '../../../src/iceberg/append/append.ts';
import { chooseManifests, MERGED_BYTES_MAX, mergeEntries } from '../../../src/iceberg/append/merge.ts';
import { type ManifestEntry, writeManifest } from '../../../src/iceberg/format/manifest.ts';
import { type ManifestFile, readManifestList } from '../../../src/iceberg/format/manifest-list.ts';
import { readBack, rowsOf } from '../../parquet/rows.ts';
import { ForeignWriter } from '../foreign-writer.ts';
import { CatalogWorld } from '../world.ts';

const table = githubProfile;

/** A world whose table has this many snapshots, each of one file with two rows. */
async function worldOf(snapshots: number): Promise<{ world: CatalogWorld; append: (lsn: number) => Promise<number> }> {
  const world = new CatalogWorld();
  await world.open(table);
  const append = async (firstLsn: number) => {
    const rows = rowsOf(table, 2, { firstLsn, seed: firstLsn });
    return (await world.append(table, [world.copyFile(table, rows, { firstLsn })])).merged;
  };
  for (let i = 0; i < snapshots; i++) await append(2 * i + 1);
  return { world, append };
}

function manifest(facts: Partial<ManifestFile>): ManifestFile {
  return {
    manifest_path: 's3://lake/m',
    manifest_length: 1_000n,
    partition_spec_id: 0,
    content: 0,
    ...facts,
  } as ManifestFile;
}

describe('with more than a hundred manifests', () => {
  it('an append merges them into one that has every file once, with its snapshot id and sequence numbers', async () => {
    const { world, append } = await worldOf(101);
    const before = new ForeignWriter(world.catalog).liveFiles(table.name);
    expect(new Set(before.map(({ manifest }) => manifest.manifest_path)).size).toBe(101);
    expect(await append(203)).toBe(101);
    const after = new ForeignWriter(world.catalog).liveFiles(table.name);
    expect(new Set(after.map(({ manifest }) => manifest.manifest_path)).size).toBe(2);
    const facts = after.map(({ entry }) => [
      entry.data_file.file_path,
      entry.snapshot_id,
      entry.sequence_number,
      entry.file_sequence_number,
      entry.status,
    ]);
    const expected = before.map(({ manifest, entry }) => [
      entry.data_file.file_path,
      entry.snapshot_id,
      manifest.sequence_number,
      manifest.sequence_number,
      0,
    ]);
    expect(facts.filter(([, , , , status]) => status === 0).sort()).toEqual(expected.sort());
    expect(facts.filter(([, , , , status]) => status === 1)).toHaveLength(1);
    const rows = Array.from({ length: 102 }, (_, i) =>
      rowsOf(table, 2, { firstLsn: 2 * i + 1, seed: 2 * i + 1 }),
    ).flat();
    expect(await world.rows(table)).toEqual(readBack(table, rows));
  });

  it('the merged manifest has the counts of its files and rows', async () => {
    const { world, append } = await worldOf(101);
    await append(203);
    const { snapshots } = world.catalog.metadata(table.name);
    const list = await world.readFile(snapshots.at(-1)!['manifest-list']);
    expect(readManifestList(list!)[1]).toMatchObject({
      added_snapshot_id: 102n,
      sequence_number: 102n,
      min_sequence_number: 1n,
      added_files_count: 0,
      existing_files_count: 101,
      existing_rows_count: 202n,
    });
    expect(snapshots.at(-1)).toMatchObject({ summary: { 'total-data-files': '102', 'total-records': '204' } });
  });

  it('the merged manifest has no deleted files', async () => {
    const { world, append } = await worldOf(3);
    await new ForeignWriter(world.catalog).compact(table);
    for (let lsn = 7; lsn < 7 + 2 * 100; lsn += 2) expect(await append(lsn)).toBe(0);
    expect(await append(207)).toBe(101);
    const files = new ForeignWriter(world.catalog).liveFiles(table.name).map(({ entry }) => entry.data_file.file_path);
    expect(files).toHaveLength(102);
    expect(files.filter(path => path.includes('compacted'))).toHaveLength(1);
  });

  it('a manifest with other files than its list counts stops the append', async () => {
    const { world } = await worldOf(101);
    const metadata = await world.open(table);
    const file = world.copyFile(table, rowsOf(table, 2, { firstLsn: 203 }), { firstLsn: 203 });
    const read = async (uri: string) => {
      // The manifest of one snapshot was replaced by that of another.
      return world.readFile(uri.replace('/50-added', '/merged-away').replace('/51-added', '/52-added'));
    };
    const request = { table, metadata, files: [file], snapshotId: 999n, nowMs: 0 };
    await expect(planAppend(request, read)).rejects.toMatchObject({ kind: 'metadata-broken' });
  });
});

describe('manifests to merge', () => {
  it('are none up to a hundred manifests', () => {
    expect(chooseManifests(Array(100).fill(manifest({})), 0)).toEqual([]);
    expect(chooseManifests(Array(101).fill(manifest({})), 0)).toHaveLength(101);
  });

  it('are not those of deletes, of another spec, or large ones', () => {
    const others = [
      manifest({ content: 1 }),
      manifest({ partition_spec_id: 1 }),
      manifest({ manifest_length: BigInt(MERGED_BYTES_MAX / 2) }),
    ];
    expect(chooseManifests([...Array(100).fill(manifest({})), ...others], 0)).toEqual([]);
    expect(chooseManifests([...Array(101).fill(manifest({})), ...others], 0)).toHaveLength(101);
  });

  it('are the smallest, up to the size of one manifest', () => {
    const size = MERGED_BYTES_MAX / 64;
    const large = Array.from({ length: 100 }, () => manifest({ manifest_length: BigInt(size) }));
    const small = Array.from({ length: 10 }, () => manifest({ manifest_length: 10n }));
    const chosen = chooseManifests([...large, ...small], 0);
    expect(chosen.slice(0, 10)).toEqual(small);
    expect(chosen).toHaveLength(73);
  });
});

describe('a merged entry', () => {
  /** A manifest of entries with the given histories, and its entry in the list. */
  async function manifestOf(histories: Partial<ManifestEntry>[]) {
    const { world } = await worldOf(1);
    const [live] = new ForeignWriter(world.catalog).liveFiles(table.name);
    const entries = histories.map(history => ({ ...live!.entry, ...history }));
    const bytes = writeManifest(entries, { schema: icebergSchema(table), specId: 0 });
    const count = (status: number) => entries.filter(entry => entry.status === status).length;
    return {
      bytes,
      file: {
        ...live!.manifest,
        sequence_number: 9n,
        added_snapshot_id: 90n,
        added_files_count: count(1),
        existing_files_count: count(0),
      },
    };
  }

  const inherits = { snapshot_id: null, sequence_number: null, file_sequence_number: null };
  const keeps = { snapshot_id: 50n, sequence_number: 5n, file_sequence_number: 6n };

  it.each([
    [
      'inherits what is null',
      { status: 1, ...inherits },
      { snapshot_id: 90n, sequence_number: 9n, file_sequence_number: 9n },
    ],
    ['keeps what is set', { status: 1, ...keeps }, keeps],
    ['keeps what an earlier merge set', { status: 0, ...keeps }, keeps],
  ])('%s', async (_, history, expected) => {
    const merge = mergeEntries([await manifestOf([history])]);
    expect([...merge.entries]).toEqual([expect.objectContaining({ status: 0, ...expected })]);
    expect(merge.counts()).toEqual({ files: 1, rows: 2n, minSequenceNumber: expected.sequence_number });
  });

  it('is not made of a deleted file', async () => {
    const merge = mergeEntries([
      await manifestOf([
        { status: 2, ...keeps },
        { status: 0, ...keeps },
      ]),
    ]);
    expect([...merge.entries]).toHaveLength(1);
    expect(merge.counts().files).toBe(1);
  });

  it('throws when an existing file has no sequence number, or when the list counts more files', async () => {
    const old = mergeEntries([await manifestOf([{ status: 0, ...inherits }])]);
    expect(() => [...old.entries]).toThrow('manifest: expected sequence numbers of an old file, got none');
    const { file, bytes } = await manifestOf([{ status: 1, ...inherits }]);
    const more = mergeEntries([{ file: { ...file, existing_files_count: 1 }, bytes }]);
    expect(() => [...more.entries]).toThrow('manifest: expected 2 files, got 1');
  });
});
