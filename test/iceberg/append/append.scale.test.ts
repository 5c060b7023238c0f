import { expect, it } from 'vitest';
import type { Column } from '../../../schemas/column.ts';
import { npmPackage as table } from '../../../schemas/npm_package.ts';
import type { CopiedFile } from '../../../src/iceberg/append/data-file.ts';
import { randomFrom } from '../../parquet/rows.ts';
import { ForeignWriter } from '../foreign-writer.ts';
import { CatalogWorld } from '../world.ts';

const SNAPSHOTS = 200;
const FILES = 50;
const ROWS = 20;

const TEXT = '0123456789abcdefghijklmnopqrstuvwxyz-_./';

/** A data file with facts as varied as real ones. No test opens the file itself. */
function madeUpFile(firstLsn: number, random: () => number): CopiedFile {
  const number = (below: number) => Math.floor(random() * below);
  const text = () => Buffer.from(Array.from({ length: 16 }, () => TEXT[number(TEXT.length)]!).join(''));
  const bound = ({ type }: Column) => (type === 'utf8' ? text() : type === 'int64' ? BigInt(number(1e9)) : number(1e9));
  const columns = table.columns.map(column => ({
    fieldId: column.fieldId,
    bytes: number(1_000_000),
    values: ROWS,
    nulls: column.required ? 0 : number(ROWS),
    min: bound(column),
    max: bound(column),
  }));
  const facts = { rows: ROWS, firstLsn, lastLsn: firstLsn + ROWS - 1, columns, rowGroupOffsets: [4, 4 + number(1e7)] };
  return { path: `s3://lake/table/data/lsn-${firstLsn}.parquet`, bytes: number(24_000_000), facts };
}

it('the last of 200 commits of 50 files costs at most 1.5 times the first', async () => {
  const world = new CatalogWorld();
  const random = randomFrom(17);
  await world.open(table);
  const costs: { requests: number; bytes: number; merged: number }[] = [];
  for (let commit = 0; commit < SNAPSHOTS; commit++) {
    const files = Array.from({ length: FILES }, (_, i) => madeUpFile((commit * FILES + i) * ROWS + 1, random));
    world.read = { requests: 0, bytes: 0 };
    world.written = { requests: 0, bytes: 0 };
    world.catalog.requests.length = 0;
    const { merged } = await world.append(table, files);
    const { requests } = world.catalog;
    costs.push({
      requests: world.read.requests + world.written.requests + requests.length,
      bytes: world.read.bytes + world.written.bytes + requests.reduce((sum, { requestBytes }) => sum + requestBytes, 0),
      merged,
    });
  }
  const [first, last] = [costs[0]!, costs.at(-1)!];
  const expensive = costs.filter(({ requests, bytes }) => requests > 1.5 * first.requests || bytes > 1.5 * first.bytes);
  expect(expensive).not.toContain(last);
  // Only merges are expensive, one in a hundred commits, and no file is merged a second time.
  expect(expensive).toEqual(costs.filter(({ merged }) => merged > 0));
  expect(expensive.length).toBeLessThanOrEqual(SNAPSHOTS / 100);
  const live = new ForeignWriter(world.catalog).liveFiles(table.name).map(({ entry }) => entry.data_file.file_path);
  expect(live).toHaveLength(SNAPSHOTS * FILES);
  expect(new Set(live).size).toBe(SNAPSHOTS * FILES);
});
