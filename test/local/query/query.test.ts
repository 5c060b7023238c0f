import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { rootKey } from '../../../src/lake/object-keys.ts';
import { openLake } from '../../../src/local/query/lake.ts';
import { askLake, watchLake } from '../../../src/local/query/query.ts';
import { randomOf, SEED } from '../../sql/random.ts';
import { type LakeServer, putDataFile, startLakeServer } from './lake-server.ts';

let server: LakeServer;
let folder: string;

beforeEach(async () => {
  server = await startLakeServer();
  folder = mkdtempSync(path.join(tmpdir(), 'query-'));
});

afterEach(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});

const PROOF = `SELECT count(*), count(DISTINCT _lsn), coalesce(max(_lsn), 0), count(DISTINCT (name, _cursor)),
  (SELECT count(*) FROM npm_package), count(DISTINCT name) FROM npm_package_history`;
const FILES = 60;

/** Flushes happen between any two requests of a reader, and segments that no root names any more go early. */
test(`a reader that follows the root while files are flushed sees no row twice, and none missing (seed ${SEED})`, async () => {
  const random = randomOf(SEED);
  let lastLsn = 0;
  let files = 0;
  const flush = () => {
    if (files === FILES) return;
    files++;
    const rows = Array.from({ length: 1 + Math.floor(random() * 5) }, () => ({
      row: { name: `p${Math.floor(random() * 20)}` },
    }));
    putDataFile(server, { table: 'npm_package', firstLsn: lastLsn + 1, rows });
    lastLsn += rows.length;
    dropOldSegments();
  };
  server.beforeGet = () => {
    if (random() < 0.3) flush();
  };
  let seen = 0;
  let looks = 0;
  while (seen < lastLsn || files < FILES) {
    const before = lastLsn;
    const { rows } = await askLake(openLake(server.address), { query: PROOF, cacheDir: folder });
    const [count, lsns, last, changes, current, names] = rows[0] as number[];
    expect([lsns, last, changes, current], `seed ${SEED}, look ${looks}`).toEqual([count, count, count, names]);
    expect(count).toBeGreaterThanOrEqual(Math.max(seen, before));
    seen = count!;
    looks++;
  }
  expect(seen).toBe(lastLsn);
  expect(looks).toBeGreaterThan(5);
});

/** All but the last few: the catalog keeps them for some time, a reader may be on its way to one. */
function dropOldSegments(): void {
  const segments = [...server.objects.keys()].filter(key => key.startsWith('catalog/partitions/npm_package/'));
  for (const key of segments.slice(0, -3)) server.objects.delete(key);
}

test('watching tells each answer that is another, and none for rows that do not change it', async () => {
  const put = (firstLsn: number, name: string) =>
    putDataFile(server, { table: 'npm_package', firstLsn, rows: [{ row: { name } }] });
  const query = "SELECT count(*) FROM npm_package WHERE name LIKE 'a%'";
  const ended = new AbortController();
  const told: unknown[] = [];
  put(1, 'a1');
  let looks = 0;
  server.beforeGet = key => {
    if (key !== rootKey('npm_package')) return;
    // Reads of the root: for the watch, for the answer, and again until it changes.
    looks++;
    if (looks === 3) put(2, 'b1');
    if (looks === 6) put(3, 'a2');
  };
  await watchLake(openLake(server.address), {
    query,
    cacheDir: folder,
    signal: ended.signal,
    tell(answer) {
      told.push(answer.rows[0]![0]);
      if (told.length === 2) ended.abort();
    },
  });
  expect(told).toEqual([1, 2]);
});
