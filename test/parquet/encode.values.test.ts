import { parquetMetadata } from 'hyparquet';
import { describe, expect, it } from 'vitest';
import { TABLES, tableNamed } from '../../schemas/index.ts';
import type { Table, Value } from '../../schemas/table.ts';
import { compareText } from '../../schemas/text_order.ts';
import { queryWithDuckdb, readWithDuckdb, readWithHyparquet } from './readers.ts';
import { encode, readBack, rowsOf, sparseRow } from './rows.ts';

function byLsn(table: Table, rows: Value[][]): Value[][] {
  const at = table.columns.findIndex(column => column.name === '_lsn');
  return rows.toSorted((a, b) => (a[at] as number) - (b[at] as number));
}

describe.each(TABLES.map(table => [table.name, table] as const))('a data file of %s', (_, table) => {
  it.each([1, 2, 300])('gives back %i rows exactly', async count => {
    const rows = rowsOf(table, count, { seed: count });
    const bytes = encode(table, rows);
    expect(byLsn(table, await readWithHyparquet(table, bytes))).toEqual(readBack(table, rows));
    expect(byLsn(table, await readWithDuckdb(table, bytes))).toEqual(readBack(table, rows));
  });

  it('gives back columns that are null in each row', async () => {
    const rows = Array.from({ length: 50 }, (_, i) => sparseRow(table, i + 1, {}));
    const bytes = encode(table, rows);
    expect(byLsn(table, await readWithHyparquet(table, bytes))).toEqual(rows);
    expect(byLsn(table, await readWithDuckdb(table, bytes))).toEqual(rows);
  });
});

describe('values', () => {
  const pattern = tableNamed('email_pattern');
  const npm = tableNamed('npm_package');

  it('become well-formed text, zero without a sign and floats of 32 bits', async () => {
    const row = sparseRow(pattern, 1, { domain: 'a\ud800b', pattern: '\udc00', confidence: -0 });
    const next = sparseRow(pattern, 2, { domain: 'b', confidence: 1 / 3 });
    const read = byLsn(pattern, await readWithDuckdb(pattern, encode(pattern, [row, next])));
    expect(read.map(values => values.slice(0, 3))).toEqual([
      ['a\ufffdb', '\ufffd', 0],
      ['b', 'x', Math.fround(1 / 3)],
    ]);
  });

  it('are sorted by the text that is written', async () => {
    const rows = ['a\uffff', 'a\ud800'].map((name, i) => sparseRow(npm, i + 1, { name }));
    const read = await readWithDuckdb(npm, encode(npm, rows));
    expect(read.map(row => row[0])).toEqual(['a\ufffd', 'a\uffff']);
  });

  it('keep a leading byte order mark, which both readers remove', async () => {
    const bytes = encode(npm, [sparseRow(npm, 1, { name: '\ufeffa' })]);
    expect(await queryWithDuckdb(bytes, 'SELECT hex(name) AS name FROM $file')).toEqual([{ name: 'EFBBBF61' }]);
  });

  it('of a megabyte come back', async () => {
    const data = JSON.stringify({ readme: 'lorem ipsum '.repeat(90_000) });
    const rows = [1, 2, 3].map(lsn => sparseRow(npm, lsn, { name: `n${lsn}`, data: `${data}${lsn}` }));
    const bytes = encode(npm, rows);
    expect(await readWithHyparquet(npm, bytes)).toEqual(rows);
    expect(await readWithDuckdb(npm, bytes)).toEqual(rows);
  });

  it('of nulls and numbers keep their bounds', async () => {
    const downloads = [null, 5, Number.MAX_SAFE_INTEGER, null, Number.MIN_SAFE_INTEGER];
    const rows = downloads.map((count, i) => sparseRow(npm, i + 1, { name: `n${i}`, downloads_total: count }));
    const found = await queryWithDuckdb(
      encode(npm, rows),
      `SELECT stats_min_value AS low, stats_max_value AS high, stats_null_count AS nulls
       FROM parquet_metadata($file) WHERE path_in_schema IN ('downloads_total', 'stars') ORDER BY column_id`,
    );
    expect(found).toEqual([
      { low: String(Number.MIN_SAFE_INTEGER), high: String(Number.MAX_SAFE_INTEGER), nulls: 2 },
      { low: null, high: null, nulls: 5 },
    ]);
  });
});

describe('bounds of long texts', () => {
  const npm = tableNamed('npm_package');
  const prefixes = ['', 'p'.repeat(16), 'p'.repeat(40), `${'p'.repeat(31)}é`, `${'p'.repeat(30)}東京東京`];
  const tails = ['', 'a', 'b', '\u007f', '\u0080', 'é', '\ud7ff', '\ue000', '\uffff', '\u{1f600}', '\u{10ffff}', 'z'];
  const long = tails.map(tail => tail.repeat(50));
  const texts = [...new Set(prefixes.flatMap(prefix => [...tails, ...long].map(tail => prefix + tail)))];

  it('include the text, whichever text it is', async () => {
    // Each file has one text, so its bounds are that text, cut.
    for (const text of texts) {
      const bytes = encode(npm, [sparseRow(npm, 1, { name: text, description: text })]);
      const found = await queryWithDuckdb(
        bytes,
        `SELECT count(*) FILTER (stats_min_value <= '${text}' AND stats_max_value >= '${text}') AS held
         FROM parquet_metadata($file) WHERE path_in_schema IN ('name', 'description')`,
      );
      expect(found, JSON.stringify(text)).toEqual([{ held: 2 }]);
    }
  });

  it('never hide a row from a filter', async () => {
    const rows = texts.map((text, i) => sparseRow(npm, i + 1, { name: text, description: i % 3 ? text : null }));
    const bytes = encode(npm, rows);
    const sorted = texts.toSorted(compareText);
    for (const [below, text] of sorted.entries()) {
      const [found] = await queryWithDuckdb(
        bytes,
        `SELECT (SELECT count(*) FROM $file WHERE name = '${text}') AS same,
                (SELECT count(*) FROM $file WHERE name < '${text}') AS below,
                (SELECT count(*) FROM $file WHERE name >= '${text}') AS above,
                (SELECT count(*) FROM $file WHERE description = '${text}') AS described`,
      );
      const described = texts.indexOf(text) % 3 ? 1 : 0;
      expect(found, JSON.stringify(text)).toEqual({ same: 1, below, above: sorted.length - below, described });
      const rowsRead = await readWithHyparquet(npm, bytes, { name: { $eq: text } });
      expect(rowsRead.map(row => row[0])).toEqual([text]);
    }
  });
});

describe('page indexes', () => {
  const npm = tableNamed('npm_package');

  it('never hide a row, with long keys, a shared prefix and pages of nulls', async () => {
    const names = Array.from(
      { length: 3000 },
      (_, i) => `${'p'.repeat(40)}${(i * 7919) % 3000}${'é\u{1f600}'.repeat(150)}`,
    );
    // The rows with a description are neighbours in the order of names, so whole pages of the column are null.
    const sorted = names.toSorted(compareText);
    const described = new Set(sorted.slice(1000, 2000));
    const rows = names.map((name, i) => {
      return sparseRow(npm, i + 1, { name, description: described.has(name) ? name : null });
    });
    const bytes = encode(npm, rows);
    const { row_groups } = parquetMetadata(bytes.buffer as ArrayBuffer);
    expect(row_groups).toHaveLength(1);
    for (const at of [0, 2]) expect(row_groups[0]!.columns[at]!.column_index_offset).toBeGreaterThan(0n);
    for (const name of [sorted[0]!, sorted[999]!, sorted[1000]!, sorted[1500]!, sorted[2999]!, ...names.slice(0, 40)]) {
      expect((await readWithHyparquet(npm, bytes, { name: { $eq: name } })).map(row => row[0])).toEqual([name]);
      const found = await readWithHyparquet(npm, bytes, { description: { $eq: name } });
      expect(found.map(row => row[0])).toEqual(described.has(name) ? [name] : []);
    }
  });
});

describe('compareText', () => {
  it('orders texts as their UTF-8 bytes', () => {
    const texts = [
      '',
      'a',
      'aa',
      'b',
      'é',
      '\ud7ff',
      '\ue000',
      '\uffff',
      '\u{10000}',
      '\u{1f600}',
      '\u{1f601}',
      'a\u{1f600}',
    ];
    for (const a of texts) {
      for (const b of texts) {
        const expected = Buffer.compare(Buffer.from(a), Buffer.from(b));
        expect(Math.sign(compareText(a, b)), `${a} ${b}`).toBe(expected);
      }
    }
  });
});
