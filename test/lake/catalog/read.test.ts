import { describe, expect, it } from 'vitest';
import { keyText } from '../../../schemas/table.ts';
import type { CatalogFile, CatalogRoot, KeyIndex, Segment } from '../../../src/lake/catalog/forms.ts';
import { FILTER_KEYS_MAX, filterOf } from '../../../src/lake/catalog/key-filter.ts';
import { filesHolding, filesOf, readRoot, readSegment } from '../../../src/lake/catalog/read.ts';

const AT = '2026-11-24T00:00:00.000Z';

function file(firstLsn: number, lastLsn: number): CatalogFile {
  const key = `npm/metadata/partitions.parquet/year=2026/month=11/data-${firstLsn}-${lastLsn}.parquet`;
  return {
    key,
    year: 2026,
    month: 11,
    rows: lastLsn - firstLsn + 1,
    bytes: 100,
    etag: 'etag',
    first_lsn: firstLsn,
    last_lsn: lastLsn,
    cursor_from: null,
    cursor_to: '7',
    settled_at: AT,
    columns: null,
  };
}

function segment(...files: CatalogFile[]): Segment {
  const [first_lsn, last_lsn] = [files[0]!.first_lsn, files.at(-1)!.last_lsn];
  return { format_version: 1, table: 'npm_package', first_lsn, last_lsn, files };
}

function root(...segments: Segment[]): CatalogRoot {
  const entries = segments.map(({ files, first_lsn, last_lsn }, n) => ({
    key: `segment-${n}`,
    index: `index-${n}`,
    files: files.length,
    rows: last_lsn - first_lsn + 1,
    bytes: 100 * files.length,
    first_lsn,
    last_lsn,
  }));
  const last_lsn = entries.at(-1)!.last_lsn;
  const files = entries.reduce((sum, entry) => sum + entry.files, 0);
  return {
    format_version: 1,
    table: 'npm_package',
    schema: 'catalog/schemas/npm_package.json',
    snapshot: 3,
    as_of: AT,
    totals: { files, rows: last_lsn, bytes: 100 * files, last_lsn },
    segments: entries,
  };
}

describe('the live files of a table', () => {
  const first = segment(file(1, 3), file(4, 4));
  const second = segment(file(5, 9));

  it('are those of the segments its root names, in order', () => {
    const files = filesOf(root(first, second), [first, second]);
    expect(files.map(({ first_lsn, last_lsn }) => [first_lsn, last_lsn])).toEqual([
      [1, 3],
      [4, 4],
      [5, 9],
    ]);
  });

  it('are the same after a round trip through JSON', () => {
    const read = readRoot(JSON.stringify(root(first, second)));
    expect(read).toEqual(root(first, second));
    const segments = [first, second].map(one => readSegment(JSON.stringify(one)));
    expect(filesOf(read, segments)).toHaveLength(3);
  });

  it.each([
    ['a missing segment', root(first, second), [first], 'segments: expected 2, got 1'],
    ['segments in another order', root(first, second), [second, first], 'files of segment-0: expected 2, got 1'],
    [
      'a segment of a later root',
      root(first),
      [segment(file(1, 3), file(4, 5))],
      'last LSN of segment-0: expected 4, got 5',
    ],
    ['a gap in its LSNs', root(first), [segment(file(1, 3), file(5, 5))], /first LSN of .*: expected 4, got 5/],
    ['an overlap of its LSNs', root(first), [segment(file(1, 3), file(3, 4))], /first LSN of .*: expected 4, got 3/],
    ['a segment of another table', root(first), [{ ...first, table: 'domain' }], 'expected npm_package, got domain'],
  ])('are refused with %s', (_, named, segments, message) => {
    expect(() => filesOf(named, segments)).toThrow(message);
  });

  it('are refused with a later format version', () => {
    expect(() => readRoot(JSON.stringify({ ...root(first), format_version: 2 }))).toThrow('format_version');
  });
});

describe('the files that can hold a key', () => {
  const entry = (key: string, keys: string[], facts: Partial<KeyIndex['files'][number]> = {}) => ({
    key,
    first_lsn: 1,
    last_lsn: 1,
    min: keys.toSorted()[0]!,
    max: keys.toSorted().at(-1)!,
    filter: filterOf(new Set(keys)),
    ...facts,
  });
  const index = (...files: KeyIndex['files']): KeyIndex => ({
    format_version: 1,
    table: 'npm_package',
    first_lsn: 1,
    last_lsn: 9,
    files,
  });

  it('are those whose filter and bounds include it', () => {
    const indexes = [index(entry('one', ['a', 'express', 'z'])), index(entry('two', ['b', 'y']))];
    expect(filesHolding(indexes, ['express'])).toEqual(['one']);
    expect(filesHolding(indexes, ['y'])).toEqual(['two']);
    expect(filesHolding(indexes, ['zz'])).toEqual([]);
  });

  it('are those whose bounds include it when they have no filter, and those without facts', () => {
    const indexes = [
      index(
        entry('bounded', ['b', 'y'], { filter: null }),
        entry('unknown', [], { filter: null, min: null, max: null }),
      ),
    ];
    expect(filesHolding(indexes, ['express'])).toEqual(['bounded', 'unknown']);
    expect(filesHolding(indexes, ['a'])).toEqual(['unknown']);
  });

  it('are found by all columns of a key', () => {
    const keys = [keyText(['vuejs/core', 'abc']), keyText(['vuejs/core', 'abd'])];
    expect(filesHolding([index(entry('one', keys))], ['vuejs/core', 'abd'])).toEqual(['one']);
    expect(filesHolding([index(entry('one', keys))], ['vuejs/core', 'abe'])).toEqual([]);
  });

  it('are always found, with about one in fifty others', () => {
    for (const size of [1, 2, 7, 100, FILTER_KEYS_MAX]) {
      const keys = Array.from({ length: size }, (_, n) => `package-${n}`);
      const indexes = [index(entry('one', keys, { min: null, max: null }))];
      for (const key of keys) expect(filesHolding(indexes, [key])).toEqual(['one']);
      const wrong = Array.from({ length: 2_000 }, (_, n) => filesHolding(indexes, [`other-${n}`]).length);
      expect(wrong.filter(count => count > 0).length / wrong.length).toBeLessThan(0.035);
    }
    expect(filterOf(new Set(Array.from({ length: FILTER_KEYS_MAX + 1 }, (_, n) => `${n}`)))).toBeNull();
  });
});
