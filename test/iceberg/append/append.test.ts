import { describe, expect, it } from 'vitest';
import { githubProfile } from '../../../schemas/github_profile.ts';
import { TABLES } from '../../../schemas/index.ts';
import type { Value } from '../../../schemas/table.ts';
import { planAppend } from '../../../src/iceberg/append/append.ts';
import type { CopiedFile } from '../../../src/iceberg/append/data-file.ts';
import { CatalogError } from '../../../src/iceberg/errors.ts';
import { readManifest } from '../../../src/iceberg/format/manifest.ts';
import { readManifestList } from '../../../src/iceberg/format/manifest-list.ts';
import { readBack, rowsOf } from '../../parquet/rows.ts';
import { catalogFault } from '../catalog-faults.ts';
import { ForeignWriter } from '../foreign-writer.ts';
import { CatalogWorld } from '../world.ts';

const table = githubProfile;

/** A world whose table has two files of ten rows each, one per commit. `next` copies the file of the next ten rows. */
async function startedWorld(): Promise<{ world: CatalogWorld; rows: Value[][]; next: () => CopiedFile }> {
  const world = new CatalogWorld();
  const rows = rowsOf(table, 200, { seed: 3 });
  await world.open(table);
  let firstLsn = 1;
  const next = () => {
    const file = world.copyFile(table, rows.slice(firstLsn - 1, firstLsn + 9), { firstLsn });
    firstLsn += 10;
    return file;
  };
  await world.append(table, [next()]);
  await world.append(table, [next()]);
  return { world, rows, next };
}

function failureOf(work: Promise<unknown>): Promise<CatalogError> {
  return work.then(
    () => expect.fail('expected an error'),
    error => {
      expect(error).toBeInstanceOf(CatalogError);
      return error as CatalogError;
    },
  );
}

describe('an append', () => {
  it.each(TABLES)('to $name is read back row for row by icebird', async table => {
    const world = new CatalogWorld();
    await world.open(table);
    const rows = rowsOf(table, 90, { seed: 7 });
    const files = [0, 30].map(at => world.copyFile(table, rows.slice(at, at + 30), { firstLsn: at + 1 }));
    await world.append(table, files);
    await world.append(table, [world.copyFile(table, rows.slice(60), { firstLsn: 61 })]);
    expect(await world.rows(table)).toEqual(readBack(table, rows));
  });

  it('moves the snapshot and the property in one commit', async () => {
    const { world, next } = await startedWorld();
    const append = await world.plan(table, [next(), next()]);
    expect(world.catalog.metadata(table.name).properties['tributary.committed_lsn']).toBe('20');
    const metadata = await world.client.commit(table.name, append.commit);
    expect(append.committedLsn).toBe(40);
    expect(metadata.properties['tributary.committed_lsn']).toBe('40');
    expect(metadata.refs.main!['snapshot-id']).toBe(append.snapshotId);
    expect(metadata['last-sequence-number']).toBe(3n);
    expect(world.catalog.requests.filter(({ operation }) => operation === 'commit')).toHaveLength(3);
  });

  it('has a summary with the added and the total files and rows', async () => {
    const { world, next } = await startedWorld();
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

  it('adds one manifest, and reads none of the earlier ones', async () => {
    const { world, next } = await startedWorld();
    const before = world.read.requests;
    const append = await world.plan(table, [next()]);
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

  it('is read back where the catalog has null for what is absent, and repeats no null', async () => {
    const world = new CatalogWorld();
    world.catalog.writesNulls = true;
    const rows = rowsOf(table, 20);
    await world.open(table);
    await world.append(table, [world.copyFile(table, rows.slice(0, 10))]);
    const second = await world.plan(table, [world.copyFile(table, rows.slice(10), { firstLsn: 11 })]);
    expect(JSON.stringify(second.commit.updates, (_, value) => (typeof value === 'bigint' ? 1 : value))).not.toContain(
      'null',
    );
    await world.client.commit(table.name, second.commit);
    expect(await world.rows(table)).toEqual(readBack(table, rows));
  });

  it('gives the same bytes when it is planned again', async () => {
    const { world, next } = await startedWorld();
    const metadata = await world.open(table);
    const request = { table, metadata, files: [next(), next()], snapshotId: 77n, nowMs: 5 };
    const plan = () => planAppend(request, uri => world.readFile(uri));
    expect(await plan()).toEqual(await plan());
  });

  it('never has a time before the last change of its table', async () => {
    const { world, next } = await startedWorld();
    world.catalog.nowMs += 3_600_000;
    world.catalog.change(table.name, () => undefined);
    await world.append(table, [next()]);
    expect(world.catalog.metadata(table.name).snapshots.at(-1)!['timestamp-ms']).toBe(world.catalog.nowMs);
  });
});

describe('two appends on one base', () => {
  it('cannot both succeed', async () => {
    const { world, rows, next } = await startedWorld();
    const base = await world.open(table);
    const file = next();
    const first = await world.plan(table, [file], base);
    const second = await world.plan(table, [file], base);
    await world.client.commit(table.name, second.commit);
    expect(await failureOf(world.client.commit(table.name, first.commit))).toMatchObject({
      kind: 'conflict',
      status: 409,
      outcomeUnknown: false,
    });
    expect(await world.rows(table)).toEqual(readBack(table, rows.slice(0, 30)));
  });

  it('cannot both succeed when the first arrives after the second', async () => {
    const { world, rows, next } = await startedWorld();
    const file = next();
    const base = await world.open(table);
    const append = await world.plan(table, [file], base);
    world.catalog.faults.push(catalogFault.late('commit'));
    expect(await failureOf(world.client.commit(table.name, append.commit))).toMatchObject({ outcomeUnknown: true });
    await world.client.commit(table.name, append.commit);
    world.catalog.deliverLate();
    expect(await world.rows(table)).toEqual(readBack(table, rows.slice(0, 30)));
  });

  it('fail when the table was dropped and created again in between', async () => {
    const { world, next } = await startedWorld();
    const append = await world.plan(table, [next()]);
    world.catalog.change(table.name, metadata => {
      metadata['table-uuid'] = 'another';
    });
    expect(await failureOf(world.client.commit(table.name, append.commit))).toMatchObject({ kind: 'conflict' });
  });
});

describe('after another program’s snapshot', () => {
  it('of a compaction, an append continues after the committed LSN', async () => {
    const { world, rows, next } = await startedWorld();
    await new ForeignWriter(world.catalog).compact(table);
    await world.append(table, [next()]);
    expect(await world.rows(table)).toEqual(readBack(table, rows.slice(0, 30)));
    const { refs, snapshots } = world.catalog.metadata(table.name);
    // The id has 63 bits, and the branch keeps its retention setting.
    expect(snapshots.at(-1)!['parent-snapshot-id']).toBe(3051729675574597001n);
    expect(refs.main).toEqual({ 'snapshot-id': 3, type: 'branch', 'min-snapshots-to-keep': 5 });
  });

  it('an append’s summary counts the live files, and leaves out unknown totals', async () => {
    const { world, next } = await startedWorld();
    await new ForeignWriter(world.catalog).compact(table);
    await world.append(table, [next()]);
    const { summary } = world.catalog.metadata(table.name).snapshots.at(-1) as unknown as { summary: object };
    expect(summary).toMatchObject({ 'total-data-files': '2', 'total-records': '30' });
    expect(summary).not.toHaveProperty('total-files-size');
  });

  it('an append drops manifests of deleted files only', async () => {
    const { world, next } = await startedWorld();
    await new ForeignWriter(world.catalog).compact(table);
    const append = await world.plan(table, [next()]);
    expect(readManifestList(append.metadataFiles.at(-1)!.bytes)).toHaveLength(2);
  });

  it('and the expiry of all earlier ones, an append succeeds', async () => {
    const { world, rows, next } = await startedWorld();
    const foreignWriter = new ForeignWriter(world.catalog);
    await foreignWriter.compact(table);
    foreignWriter.expire(table.name);
    await world.append(table, [next()]);
    expect(await world.rows(table)).toEqual(readBack(table, rows.slice(0, 30)));
  });

  it('an append planned before it fails', async () => {
    const { world, rows, next } = await startedWorld();
    const append = await world.plan(table, [next()]);
    await new ForeignWriter(world.catalog).compact(table);
    expect(await failureOf(world.client.commit(table.name, append.commit))).toMatchObject({ kind: 'conflict' });
    expect(await world.rows(table)).toEqual(readBack(table, rows.slice(0, 20)));
  });
});

describe('an append is not planned', () => {
  it('for files that do not continue the committed rows', async () => {
    const { world, next } = await startedWorld();
    const [third, fourth] = [next(), next()];
    for (const [files, message] of [
      [[], 'github_profile data files: expected at least one, got none'],
      [[fourth], 'github_profile data files: expected LSN 21 next, got 31'],
      [[third, third], 'github_profile data files: expected LSN 31 next, got 21'],
    ] as const) {
      expect(await failureOf(world.plan(table, [...files]))).toMatchObject({ kind: 'files-broken', message });
    }
    const short = { ...third, facts: { ...third.facts, rows: 9 } };
    expect((await failureOf(world.plan(table, [short]))).message).toBe(
      'github_profile data files: expected 9 rows to end at LSN 29, got 30',
    );
  });

  it('when the manifest list is missing or damaged', async () => {
    const { world, next } = await startedWorld();
    const metadata = await world.open(table);
    const request = { table, metadata, files: [next()], snapshotId: 9n, nowMs: 0 };
    const missing = await failureOf(planAppend(request, async () => null));
    expect(missing).toMatchObject({ kind: 'metadata-broken' });
    const damaged = await failureOf(planAppend(request, async () => new TextEncoder().encode('<html>')));
    expect(damaged.message).toBe('avro file: expected an object container file, got something else');
  });

  it('when the table has rows but no property', async () => {
    const { world, next } = await startedWorld();
    const file = next();
    world.catalog.change(table.name, ({ properties }) => {
      delete properties['tributary.committed_lsn'];
    });
    expect(await failureOf(world.plan(table, [file]))).toMatchObject({ kind: 'table-differs' });
  });
});
