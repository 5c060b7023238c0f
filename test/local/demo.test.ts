import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { tableNamed } from '../../schemas/index.ts';
import type { SourceStatus } from '../../src/contract/source.ts';
import { verdictText } from '../../src/local/demo/proof.ts';
import { type Verdict, verify } from '../../src/local/demo/verify.ts';
import { openTables } from '../../src/local/query/tables.ts';
import { type LakeServer, putDataFile, startLakeServer } from './query/lake-server.ts';

const table = tableNamed('npm_package');
let server: LakeServer;
let folder: string;

beforeEach(async () => {
  server = await startLakeServer();
  folder = mkdtempSync(path.join(tmpdir(), 'demo-'));
  putDataFile(server, { table: table.name, firstLsn: 1, rows: rowsOf(['a', 'b', 'c'], 1) });
  putDataFile(server, { table: table.name, firstLsn: 4, rows: rowsOf(['a', 'd'], 4) });
});

afterEach(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});

function rowsOf(names: string[], firstCursor: number) {
  return names.map((name, i) => ({ row: { name }, cursor: String(firstCursor + i) }));
}

/** The status of a source with five durable rows and a parked change. */
function statusOf(balance: Partial<SourceStatus['balance']> = {}): SourceStatus {
  const facts = { rows: 5, files: 2, bytes: 1, last_lsn: 5 };
  const sum = { changes: 6, rows: 5, tombstones: 0, parked: 1, dead: 0, skipped: {}, balanced: true, ...balance };
  const status = { source: 'npm', cursor: { durable: '5' }, balance: sum, tables: { npm_package: facts } };
  return status as unknown as SourceStatus;
}

async function verdicts({ status = statusOf(), lastSequence = '5' as string | null } = {}): Promise<Verdict[]> {
  // Open the files without the catalog, which would never name a file twice.
  const dataFiles = [...server.objects].filter(([key]) => key.endsWith('.parquet'));
  const paths = dataFiles.map(([, bytes], i) => {
    const file = path.join(folder, `${i}.parquet`);
    writeFileSync(file, bytes);
    return file;
  });
  const lake = await openTables({
    bucket: 'data-ingestion',
    tables: [table],
    files: new Map([[table.name, paths]]),
  });
  try {
    return await verify({ status, lake, tables: [table], lastSequence, last: '5' });
  } finally {
    lake.close();
  }
}

function failing(found: Verdict[]): string[] {
  return found.filter(verdict => !verdict.ok).map(verdict => verdict.check.split(':')[0]!);
}

test('a lake without damage passes', async () => {
  const found = await verdicts();
  expect(failing(found)).toEqual([]);
  expect(verdictText(found)).toContain('6 changes = 5 rows + 0 tombstones + 1 parked + 0 dead + 0 skipped');
  expect(verdictText(found)).toMatch(
    /^npm\n {2}holds .*\n(?: {2}holds .*\n)+npm_package\n(?: {2}holds .*\n){4}All of it holds\.\n$/,
  );
});

test('a missing data file fails the numbering and the count', async () => {
  server.objects.delete([...server.objects.keys()].find(key => key.endsWith('.parquet'))!);
  expect(failing(await verdicts())).toEqual([
    'Every row number is there once',
    'The files hold the rows that the status counts',
  ]);
});

test('a data file under two names fails both halves of the proof', async () => {
  const [key, bytes] = [...server.objects].filter(([name]) => name.endsWith('.parquet'))[1]!;
  server.objects.set(key.replace('month=11', 'month=12'), bytes);
  const found = await verdicts();
  expect(failing(found)).toEqual([
    'Every row number is there once',
    'Every change is there once',
    'The files hold the rows that the status counts',
    'Every key is current at most once',
  ]);
  expect(verdictText(found)).toContain('FAILS  Every row number is there once');
  expect(verdictText(found)).toMatch(/4 of 7 do not hold\.\n$/);
});

test('a change with two row numbers fails the second half only', async () => {
  putDataFile(server, { table: table.name, firstLsn: 4, rows: rowsOf(['a', 'a'], 1) });
  expect(failing(await verdicts())).toEqual(['Every change is there once']);
});

test('each wrong count of the status fails one check', async () => {
  expect(failing(await verdicts({ status: statusOf({ balanced: false, changes: 7 }) }))).toEqual([
    'Every change has one outcome',
  ]);
  expect(failing(await verdicts({ lastSequence: null }))).toEqual([
    'sync_state.last_sequence is that of the last change',
  ]);
  const behind = { ...statusOf(), cursor: { accepted: '5', durable: '4', head: '5' } };
  expect(failing(await verdicts({ status: behind }))).toEqual(['Everything is durable to the last change']);
});
