import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { rootKey } from '../../../src/lake/object-keys.ts';
import { openLake } from '../../../src/local/query/lake.ts';
import { queryLake, watchLake } from '../../../src/local/query/query.ts';
import { makeCoin } from '../../../src/sources/stand-in/faults.ts';
import { SEED } from '../../sql/random.ts';
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

// Flushes happen between any two requests of a reader, and segments that no root names are deleted early.
test(`a reader during flushes sees every row once (seed ${SEED})`, async () => {
  const random = makeCoin(SEED);
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
  let answers = 0;
  while (seen < lastLsn || files < FILES) {
    const before = lastLsn;
    const { rows } = await queryLake(openLake(server.address), { query: PROOF, cacheDir: folder });
    const [count, lsns, last, changes, current, names] = rows[0] as number[];
    expect([lsns, last, changes, current], `seed ${SEED}, answer ${answers}`).toEqual([count, count, count, names]);
    expect(count).toBeGreaterThanOrEqual(Math.max(seen, before));
    seen = count!;
    answers++;
  }
  expect(seen).toBe(lastLsn);
  expect(answers).toBeGreaterThan(5);
});

/**
 * Deletes all segments but the last three: the catalog keeps them for a while, because a reader may be about to read
 * one.
 */
function dropOldSegments(): void {
  const segments = [...server.objects.keys()].filter(key => key.startsWith('catalog/partitions/npm_package/'));
  for (const key of segments.slice(0, -3)) server.objects.delete(key);
}

test('watching gives each answer that differs, and none for rows that do not change it', async () => {
  const put = (firstLsn: number, name: string) =>
    putDataFile(server, { table: 'npm_package', firstLsn, rows: [{ row: { name } }] });
  const query = "SELECT count(*) FROM npm_package WHERE name LIKE 'a%'";
  const ended = new AbortController();
  const answers: unknown[] = [];
  put(1, 'a1');
  let rootReads = 0;
  server.beforeGet = key => {
    if (key !== rootKey('npm_package')) return;
    // The root is read for the watch, for the answer, and then until it changes.
    rootReads++;
    if (rootReads === 3) put(2, 'b1');
    if (rootReads === 6) put(3, 'a2');
  };
  await watchLake(openLake(server.address), {
    query,
    cacheDir: folder,
    signal: ended.signal,
    onAnswer(answer) {
      answers.push(answer.rows[0]![0]);
      if (answers.length === 2) ended.abort();
    },
  });
  expect(answers).toEqual([1, 2]);
});
