import { describe, expect, it } from 'vitest';
import { githubProfile } from '../../../schemas/github_profile.ts';
import { TABLES } from '../../../schemas/index.ts';
import type { Value } from '../../../schemas/table.ts';
import { planAppend } from '../../../src/iceberg/append/append.ts';
import type { PlacedFile } from '../../../src/iceberg/append/data-file.ts';
import { CatalogError } from '../../../src/iceberg/errors.ts';
import { readManifest } from '../../../src/iceberg/format/manifest.ts';
import { readManifestList } from '../../../src/iceberg/format/manifest-list.ts';
import { readBack, rowsOf } from '../../parquet/rows.ts';
import { Foreigner } from '../foreign.ts';
import { lie } from '../lies.ts';
import { CatalogWorld } from '../world.ts';

const table = githubProfile;

/** A world whose table has two files of ten rows each, committed one after the other. */
async function begun(): Promise<{ world: CatalogWorld; rows: Value[][]; next: () => PlacedFile }> {
  const world = new CatalogWorld();
  const rows = rowsOf(table, 200, { seed: 3 });
  await world.open(table);
  let firstLsn = 1;
  const next = () => {
    const file = world.place(table, rows.slice(firstLsn - 1, firstLsn + 9), { firstLsn });
    firstLsn += 10;
    return file;
  };
  await world.append(table, [next()]);
  await world.append(table, [next()]);
  return { world, rows, next };
}

function caught(work: Promise<unknown>): Promise<CatalogError> {
  return work.then(
    () => expect.fail('expected an error'),
    error => {
      expect(error).toBeInstanceOf(CatalogError);
      return error as CatalogError;
    },
  );
}

describe('an append', () => {
  it.each(TABLES)('to $name is read back row for row by somebody else', async table => {
    const world = new CatalogWorld();
    await world.open(table);
    const rows = rowsOf(table, 90, { seed: 7 });
    const files = [0, 30].map(at => world.place(table, rows.slice(at, at + 30), { firstLsn: at + 1 }));
    await world.append(table, files);
    await world.append(table, [world.place(table, rows.slice(60), { firstLsn: 61 })]);
    expect(await world.rows(table)).toEqual(readBack(table, rows));
  });

  it('moves the snapshot and the property in one commit', async () => {
    const { world, next } = await begun();
    const append = await world.planned(table, [next(), next()]);
    expect(world.catalog.metadata(table.name).properties['tributary.committed_lsn']).toBe('20');
    const metadata = await world.client.commit(table.name, append.commit);
    expect(append.committedLsn).toBe(40);
    expect(metadata.properties['tributary.committed_lsn']).toBe('40');
    expect(metadata.refs.main!['snapshot-id']).toBe(append.snapshotId);
    expect(metadata['last-sequence-number']).toBe(3n);
    expect(world.catalog.told.filter(({ operation }) => operation === 'commit')).toHaveLength(3);
  });

  it('tells in its summary what was added, and what is there', async () => {
    const { world, next } = await begun();
    const files = [next(), next()];
    await world.append(table, files);
    const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
    expect(world.catalog.metadata(table.name).snapshots.at(-1)).toMatchObject({
      'parent-snapshot-id': 2,
      'sequence-number': 3,
      'schema-id': 0,
      summary: {
        operation: 'append',
        'added-data-files': '2',
        'added-records': '20',
        'added-files-size': String(bytes),
        'total-data-files': '4',
        'total-records': '40',
        'total-delete-files': '0',
        'total-position-deletes': '0',
        'total-equality-deletes': '0',
        'tributary.committed_lsn': '40',
      },
    });
  });

  it('adds one manifest to those before, which it does not open', async () => {
    const { world, next } = await begun();
    const before = world.read.requests;
    const append = await world.planned(table, [next()]);
    expect(world.read.requests - before).toBe(1);
    const list = readManifestList(append.metadataFiles.at(-1)!.bytes);
    expect(
      list.map(({ added_snapshot_id, sequence_number, added_files_count, added_rows_count }) => {
        return [added_snapshot_id, sequence_number, added_files_count, added_rows_count];
      }),
    ).toEqual([
      [3n, 3n, 1, 10n],
      [2n, 2n, 1, 10n],
      [1n, 1n, 1, 10n],
    ]);
    const [entry] = readManifest(append.metadataFiles[0]!.bytes);
    expect(entry).toMatchObject({ status: 1, snapshot_id: 3n, sequence_number: null, file_sequence_number: null });
    expect(list[0]!.manifest_length).toBe(BigInt(append.metadataFiles[0]!.bytes.length));
  });

  it('is the same bytes when it is planned again, so that writing them again changes nothing', async () => {
    const { world, next } = await begun();
    const metadata = await world.open(table);
    const request = { table, metadata, files: [next(), next()], snapshotId: 77n, nowMs: 5 };
    const plan = () => planAppend(request, uri => world.readFile(uri));
    expect(await plan()).toEqual(await plan());
  });

  it('never dates a snapshot before the last change of its table', async () => {
    const { world, next } = await begun();
    world.catalog.nowMs += 3_600_000;
    world.catalog.change(table.name, () => undefined);
    await world.append(table, [next()]);
    expect(world.catalog.metadata(table.name).snapshots.at(-1)!['timestamp-ms']).toBe(world.catalog.nowMs);
  });
});

describe('two appends on one base', () => {
  it('cannot both win', async () => {
    const { world, rows, next } = await begun();
    const base = await world.open(table);
    const file = next();
    const first = await world.planned(table, [file], base);
    const second = await world.planned(table, [file], base);
    await world.client.commit(table.name, second.commit);
    expect(await caught(world.client.commit(table.name, first.commit))).toMatchObject({
      kind: 'conflict',
      status: 409,
      outcomeUnknown: false,
    });
    expect(await world.rows(table)).toEqual(readBack(table, rows.slice(0, 30)));
  });

  it('cannot both win either when the first arrives after the second', async () => {
    const { world, rows, next } = await begun();
    const file = next();
    const base = await world.open(table);
    const append = await world.planned(table, [file], base);
    world.catalog.lies.push(lie.late('commit'));
    expect(await caught(world.client.commit(table.name, append.commit))).toMatchObject({ outcomeUnknown: true });
    await world.client.commit(table.name, append.commit);
    world.catalog.arrive();
    expect(await world.rows(table)).toEqual(readBack(table, rows.slice(0, 30)));
  });

  it('to a table that was dropped and made again in between does not happen', async () => {
    const { world, next } = await begun();
    const append = await world.planned(table, [next()]);
    world.catalog.change(table.name, metadata => {
      metadata['table-uuid'] = 'another';
    });
    expect(await caught(world.client.commit(table.name, append.commit))).toMatchObject({ kind: 'conflict' });
  });
});

describe('after somebody else’s snapshot', () => {
  it('of compaction, an append goes on from the property', async () => {
    const { world, rows, next } = await begun();
    await new Foreigner(world.catalog).compact(table);
    await world.append(table, [next()]);
    expect(await world.rows(table)).toEqual(readBack(table, rows.slice(0, 30)));
    const { refs, snapshots } = world.catalog.metadata(table.name);
    // The id has 63 bits, and what was set on the branch stays set.
    expect(snapshots.at(-1)!['parent-snapshot-id']).toBe(3051729675574597001n);
    expect(refs.main).toEqual({ 'snapshot-id': 3, type: 'branch', 'min-snapshots-to-keep': 5 });
  });

  it('its summary tells of the live files, and leaves out what it cannot know', async () => {
    const { world, next } = await begun();
    await new Foreigner(world.catalog).compact(table);
    await world.append(table, [next()]);
    const { summary } = world.catalog.metadata(table.name).snapshots.at(-1) as unknown as { summary: object };
    expect(summary).toMatchObject({ 'total-data-files': '2', 'total-records': '30' });
    expect(summary).not.toHaveProperty('total-files-size');
  });

  it('an append drops manifests that only tell of files taken away', async () => {
    const { world, next } = await begun();
    await new Foreigner(world.catalog).compact(table);
    const append = await world.planned(table, [next()]);
    expect(readManifestList(append.metadataFiles.at(-1)!.bytes)).toHaveLength(2);
  });

  it('and the expiry of all before, an append goes on', async () => {
    const { world, rows, next } = await begun();
    const foreigner = new Foreigner(world.catalog);
    await foreigner.compact(table);
    foreigner.expire(table.name);
    await world.append(table, [next()]);
    expect(await world.rows(table)).toEqual(readBack(table, rows.slice(0, 30)));
  });

  it('an append planned before it does not happen', async () => {
    const { world, rows, next } = await begun();
    const append = await world.planned(table, [next()]);
    await new Foreigner(world.catalog).compact(table);
    expect(await caught(world.client.commit(table.name, append.commit))).toMatchObject({ kind: 'conflict' });
    expect(await world.rows(table)).toEqual(readBack(table, rows.slice(0, 20)));
  });
});

describe('an append is not planned', () => {
  it('of files that do not continue what is committed', async () => {
    const { world, next } = await begun();
    const [third, fourth] = [next(), next()];
    for (const [files, message] of [
      [[], 'github_profile data files: expected at least one, got none'],
      [[fourth], 'github_profile data files: expected LSN 21 next, got 31'],
      [[third, third], 'github_profile data files: expected LSN 31 next, got 21'],
    ] as const) {
      expect(await caught(world.planned(table, [...files]))).toMatchObject({ kind: 'files-broken', message });
    }
    const short = { ...third, facts: { ...third.facts, rows: 9 } };
    expect((await caught(world.planned(table, [short]))).message).toBe(
      'github_profile data files: expected 9 rows to end at LSN 29, got 30',
    );
  });

  it('to a table whose manifest list is gone, or damaged', async () => {
    const { world, next } = await begun();
    const metadata = await world.open(table);
    const request = { table, metadata, files: [next()], snapshotId: 9n, nowMs: 0 };
    const missing = await caught(planAppend(request, async () => null));
    expect(missing).toMatchObject({ kind: 'metadata-broken' });
    const damaged = await caught(planAppend(request, async () => new TextEncoder().encode('<html>')));
    expect(damaged.message).toBe('avro file: expected an object container file, got something else');
  });

  it('to a table that has rows but not the property', async () => {
    const { world, next } = await begun();
    const file = next();
    world.catalog.change(table.name, ({ properties }) => {
      delete properties['tributary.committed_lsn'];
    });
    expect(await caught(world.planned(table, [file]))).toMatchObject({ kind: 'table-differs' });
  });
});
