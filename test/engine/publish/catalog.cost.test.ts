import { describe, expect, it } from 'vitest';
import { npmPackage } from '../../../schemas/npm_package.ts';
import { LIMITS } from '../../../src/config.ts';
import { CATALOG_SEGMENTS_PER_RUN } from '../../../src/engine/publish/catalog.ts';
import { RowFacts } from '../../../src/lake/catalog/row-facts.ts';
import { rootKey } from '../../../src/lake/object-keys.ts';
import { CATALOG_CALL, fillFiles } from '../../simulation/schedules/catalog-scenario.ts';
import { readCatalog } from '../../simulation/world/catalog.ts';
import { followed, runUntil, startedWorld } from '../../simulation/world/world.ts';

const KIB = 1024;
const TABLE = npmPackage.name;

/** Facts of so many different files, used for all files in turn. */
const gathered = Array.from({ length: 200 }, (_, file) => facts(file));

/** Facts of a file of forty packages. */
function facts(file: number): string {
  const rows = new RowFacts(npmPackage);
  for (let row = 0; row < 40; row++)
    rows.add(
      npmPackage.columns.map(({ name }) => {
        if (name === 'name') return `@scope-${(file * 7919 + row * 104_729) % 9_973}/package-${row}`;
        return name === 'updated_at' ? new Date(Date.UTC(2026, 9, 1) + file * 30_000).toISOString() : null;
      }),
    );
  return JSON.stringify(rows);
}

/** The bucket calls of one flush for the catalog of a table with so many files, and the bytes it puts. */
async function costOfFlush(files: number) {
  const world = await startedWorld();
  fillFiles(world, files, file => gathered[file % gathered.length]!);
  world.storage.sql.exec('UPDATE source SET published_cursor = ?', '0');
  await runUntil(world, { until: () => world.isFollowed });
  const { length } = world.calls.made;
  let bytes = 0;
  world.bucket.onPut = put => {
    if (put.key.startsWith('catalog/')) bytes += put.bytes.length;
  };
  world.upstream.publish('a');
  await followed(world);
  const calls = world.calls.made.slice(length).filter(call => CATALOG_CALL.test(call));
  const rootBytes = world.bucket.objects.get(rootKey(TABLE))!.bytes.length;
  const { root } = readCatalog(world.bucket, TABLE)!;
  expect(root.totals).toMatchObject({ files: files + 1, rows: files * 40 + 1, last_lsn: files * 40 + 1 });
  const puts = calls.filter(call => call.startsWith('bucket.put'));
  console.log(
    `${files} files: ${puts.length} puts of ${calls.length} requests, ${bytes} bytes, of which the root ${rootBytes}`,
  );
  return { calls: calls.length, puts: puts.length, bytes, rootBytes };
}

describe('a flush', () => {
  it('costs as much on a table of 50,000 files as on one of 500', async () => {
    const [small, medium, large] = [await costOfFlush(1), await costOfFlush(499), await costOfFlush(50_499)];
    // Once there are full segments, one head checks that one of them is still there.
    expect([small, medium, large].map(({ puts, calls }) => [puts, calls])).toEqual([
      [3, 3],
      [3, 3],
      [3, 4],
    ]);
    // The list of full segments in the root grows by some 250 bytes for each 500 files.
    expect(large.bytes - large.rootBytes).toBeLessThan(1.1 * (medium.bytes - medium.rootBytes));
    expect(large.rootBytes).toBeLessThan(40 * KIB);
    expect(large.bytes).toBeLessThan(1.2 * medium.bytes);
    expect(small.bytes).toBeLessThan(4 * KIB);
  });

  it('writes a catalog anew in parts', async () => {
    const world = await startedWorld();
    fillFiles(world, 2 * CATALOG_SEGMENTS_PER_RUN * LIMITS.catalogSegmentFilesMax + 1);
    await runUntil(world, { until: () => world.isFollowed });
    expect(readCatalog(world.bucket, TABLE)!.root.segments).toHaveLength(2 * CATALOG_SEGMENTS_PER_RUN + 1);
    expect(world.runs).toBeGreaterThanOrEqual(3);
  });
});
