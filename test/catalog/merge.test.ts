import { describe, expect, it } from 'vitest';
import { githubProfile } from '../../schemas/github_profile.ts';
import { planAppend } from '../../src/catalog/append.ts';
import { CatalogError } from '../../src/catalog/catalog-error.ts';
import { readManifest } from '../../src/catalog/manifest.ts';
import { type ManifestFile, readManifestList } from '../../src/catalog/manifest-list.ts';
import { chooseManifests, MERGED_BYTES_MAX, mergeEntries } from '../../src/catalog/merge.ts';
import { readBack, rowsOf } from '../parquet/rows.ts';
import { Foreigner } from './foreign.ts';
import { CatalogWorld } from './world.ts';

const table = githubProfile;

/** A table of so many snapshots, each with one file of two rows. */
async function grown(snapshots: number): Promise<{ world: CatalogWorld; append: (lsn: number) => Promise<number> }> {
  const world = new CatalogWorld();
  await world.open(table);
  const append = async (firstLsn: number) => {
    const rows = rowsOf(table, 2, { firstLsn, seed: firstLsn });
    return (await world.append(table, [world.place(table, rows, { firstLsn })])).merged;
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

describe('past a hundred manifests', () => {
  it('they become one that has every file once, with its own snapshot and sequence numbers', async () => {
    const { world, append } = await grown(101);
    const before = new Foreigner(world.catalog).liveFiles(table.name);
    expect(new Set(before.map(({ manifest }) => manifest.manifest_path)).size).toBe(101);
    expect(await append(203)).toBe(101);
    const after = new Foreigner(world.catalog).liveFiles(table.name);
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

  it('the merged manifest says what is in it', async () => {
    const { world, append } = await grown(101);
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

  it('deleted files are left behind', async () => {
    const { world, append } = await grown(3);
    await new Foreigner(world.catalog).compact(table);
    for (let lsn = 7; lsn < 7 + 2 * 100; lsn += 2) expect(await append(lsn)).toBe(0);
    expect(await append(207)).toBe(101);
    const files = new Foreigner(world.catalog).liveFiles(table.name).map(({ entry }) => entry.data_file.file_path);
    expect(files).toHaveLength(102);
    expect(files.filter(path => path.includes('compacted'))).toHaveLength(1);
  });

  it('a manifest that has not the files its list says stops the append', async () => {
    const { world } = await grown(101);
    const metadata = await world.open(table);
    const file = world.place(table, rowsOf(table, 2, { firstLsn: 203 }), { firstLsn: 203 });
    const read = async (uri: string) => {
      // Someone has put the manifest of one snapshot over that of another.
      return world.readFile(uri.replace('/50-added', '/merged-away').replace('/51-added', '/52-added'));
    };
    const request = { table, metadata, files: [file], snapshotId: 999n, nowMs: 0 };
    await expect(planAppend(request, read)).rejects.toMatchObject({ kind: 'metadata-broken' });
  });
});

describe('manifests to merge', () => {
  it('are none while there are no more than a hundred', () => {
    expect(chooseManifests(Array(100).fill(manifest({})), 0)).toEqual([]);
    expect(chooseManifests(Array(101).fill(manifest({})), 0)).toHaveLength(101);
  });

  it('are none of deletes, of another spec, or large ones', () => {
    const others = [
      manifest({ content: 1 }),
      manifest({ partition_spec_id: 1 }),
      manifest({ manifest_length: BigInt(MERGED_BYTES_MAX / 2) }),
    ];
    expect(chooseManifests([...Array(100).fill(manifest({})), ...others], 0)).toEqual([]);
    expect(chooseManifests([...Array(101).fill(manifest({})), ...others], 0)).toHaveLength(101);
  });

  it('are the smallest, and no more than one manifest may hold', () => {
    const size = MERGED_BYTES_MAX / 64;
    const large = Array.from({ length: 100 }, () => manifest({ manifest_length: BigInt(size) }));
    const small = Array.from({ length: 10 }, () => manifest({ manifest_length: 10n }));
    const chosen = chooseManifests([...large, ...small], 0);
    expect(chosen.slice(0, 10)).toEqual(small);
    expect(chosen).toHaveLength(73);
  });
});

describe('an entry that is merged', () => {
  it('of an old manifest keeps what it has, and is refused where it has no sequence number', async () => {
    const { world } = await grown(1);
    const [live] = new Foreigner(world.catalog).liveFiles(table.name);
    const bytes = (await world.readFile(live!.manifest.manifest_path))!;
    const [entry] = mergeEntries([{ file: live!.manifest, bytes }]).entries;
    expect(entry).toMatchObject({ status: 0, snapshot_id: 1n, sequence_number: 1n, file_sequence_number: 1n });
    expect(entry!.data_file).toEqual([...readManifest(bytes)][0]!.data_file);
    const wrong = { ...live!.manifest, existing_files_count: 1 };
    expect(() => [...mergeEntries([{ file: wrong, bytes }]).entries]).toThrow(CatalogError);
  });
});
