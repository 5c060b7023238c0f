import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { pypiPackage } from '../../../../schemas/pypi_package.ts';
import { makeDocument } from '../../../../src/sources/pypi/stand-in/document.ts';
import { keyOf, PYPI_RECORDINGS, readRecordings } from '../../../../src/sources/pypi/stand-in/recordings.ts';

const recordings = readRecordings(PYPI_RECORDINGS);
const rows = JSON.parse(readFileSync(path.join(PYPI_RECORDINGS, 'rows.json'), 'utf8')) as {
  key: string;
  cursor: string;
  skip?: string;
  parked?: string;
  rows?: { row: Record<string, unknown> }[];
}[];

test('every row of the feed has a project and an outcome, and serials rise with gaps', () => {
  const keys = new Set(recordings.projects.map(({ name }) => keyOf(name)));
  expect(keys.size).toBe(recordings.projects.length);
  const { feed } = recordings;
  expect(rows.map(({ key, cursor }) => [key, cursor])).toEqual(feed.map(row => [keyOf(row.name), String(row.serial)]));
  expect(new Set(feed.map(row => keyOf(row.name)))).toEqual(keys);
  const steps = feed.slice(1).map((row, i) => row.serial - feed[i]!.serial);
  expect(Math.min(...steps)).toBe(1);
  expect(Math.max(...steps)).toBeGreaterThan(1);
});

test('an outcome is one of the closed kinds, and only the last row of a project is not coalesced', () => {
  for (const { key, cursor, skip, parked, rows: some } of rows) {
    expect([skip, parked, some].filter(part => part !== undefined)).toHaveLength(1);
    const newest = recordings.feed.findLast(({ name }) => keyOf(name) === key)!;
    expect({ key, skip }).toEqual({ key, skip: String(newest.serial) === cursor ? undefined : 'coalesced' });
  }
});

test('an expected row names every column but `data` and lineage', () => {
  const columns = pypiPackage.columns.map(({ name }) => name).filter(name => name !== 'data' && !name.startsWith('_'));
  for (const { row } of rows.flatMap(outcome => outcome.rows ?? [])) {
    expect(
      Object.keys(row)
        .filter(name => name !== 'data')
        .sort(),
    ).toEqual([...columns].sort());
  }
});

test('documents have all parts of the index’s form, and the fixture has at least 30 of them', () => {
  const usual = makeDocument({
    name: 'x',
    files: { '1': [{ filename: 'x-1.tar.gz', uploadedAt: '2026-01-01T00:00:00Z' }] },
  });
  const fileKeys = Object.keys((usual.urls as object[])[0]!).sort();
  const files = readdirSync(path.join(PYPI_RECORDINGS, 'json'));
  expect(files.length).toBeGreaterThanOrEqual(30);
  const keys = recordings.projects.map(({ name }) => `${keyOf(name)}.json`);
  expect(keys).toEqual(expect.arrayContaining(files));
  for (const file of files) {
    const document = JSON.parse(readFileSync(path.join(PYPI_RECORDINGS, 'json', file), 'utf8'));
    expect(Object.keys(document).sort()).toEqual(Object.keys(usual).sort());
    expect(Object.keys(document.info).sort()).toEqual(Object.keys(usual.info as object).sort());
    for (const one of [Object.values(document.releases), document.urls].flat(2)) {
      const missing = fileKeys.filter(key => !Object.hasOwn(one, key));
      expect(missing).toEqual(file === 'naive-dates.json' ? ['upload_time_iso_8601'] : []);
    }
  }
});
