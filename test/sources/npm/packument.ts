import { expect } from 'vitest';
import { npmPackage } from '../../../schemas/npm_package.ts';
import { type DownloadCounts, packumentRow, readPackument } from '../../../src/sources/npm/packument.ts';

export const PUBLISHED = '2020-02-02T02:02:02.222Z';

/** A parsed document of `thing` with these fields, and with these fields of its version. */
export function documentWith(fields: Record<string, unknown> = {}, manifest: Record<string, unknown> = {}): unknown {
  return JSON.parse(
    JSON.stringify({
      _id: 'thing',
      _rev: '7-abc',
      name: 'thing',
      'dist-tags': { latest: '1.0.0' },
      versions: { '1.0.0': { name: 'thing', version: '1.0.0', ...manifest } },
      time: { created: '2019-01-01T00:00:00.000Z', modified: '2021-01-01T00:00:00.000Z', '1.0.0': PUBLISHED },
      ...fields,
    }),
  );
}

/** The row of a document of `thing`; the table's validator accepts it. */
export function rowOf(document: unknown, downloads: DownloadCounts | null = null) {
  const row = packumentRow(readPackument(document, 'thing'), { downloads });
  expect(npmPackage.validator.parse(row)).toEqual(row);
  return row;
}
