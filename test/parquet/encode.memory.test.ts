import v8 from 'node:v8';
import vm from 'node:vm';
import { expect, it } from 'vitest';
import { tableNamed } from '../../schemas/index.ts';
import { openDataFile } from '../../src/parquet/encode.ts';
import { sparseRow } from './rows.ts';

v8.setFlagsFromString('--expose-gc');
const collect = vm.runInNewContext('gc') as () => void;

function heapBytes(): number {
  collect();
  return process.memoryUsage().heapUsed;
}

it('holds no row of a written row group, not even for its bounds', () => {
  const npm = tableNamed('npm_package');
  const file = openDataFile({ source: 'npm', table: npm, firstLsn: 1 });
  const before = heapBytes();
  while (file.rows < 160 || file.openBytes > 0) {
    const lsn = file.rows + 1;
    // A megabyte with a different start: many of them are a bound of their group at some time.
    const data = JSON.stringify([String(lsn * 7919), `${lsn} `.repeat(1024 * 1024).slice(0, 1024 * 1024)]);
    file.append(sparseRow(npm, lsn, { name: `n${lsn}`, data }));
  }
  // A writer that holds the whole bounds of 20 groups takes 40 MiB.
  expect(heapBytes() - before).toBeLessThan(8 * 1024 * 1024);
  expect(file.finish({ lastLsn: file.rows, cursor: '1' }).length).toBeGreaterThan(0);
});
