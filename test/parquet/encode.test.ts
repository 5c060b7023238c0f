import { createHash } from 'node:crypto';
import { parquetMetadata } from 'hyparquet';
import { describe, expect, it } from 'vitest';
import { TABLES, tableNamed } from '../../schemas/index.ts';
import type { Table, Value } from '../../schemas/table.ts';
import { compareText } from '../../schemas/text_order.ts';
import { LIMITS } from '../../src/config.ts';
import { openDataFile, WRITER_VERSION } from '../../src/parquet/encode.ts';
import { queryWithDuckdb, readWithDuckdb, readWithHyparquet } from './readers.ts';
import { encode, joined, randomFrom, rowsOf, sparseRow } from './rows.ts';

const npm = tableNamed('npm_package');
const commits = tableNamed('github_commit');

/** Rows for several row groups, with few keys, so that each group has several rows of a key. */
function manyRows(table: Table, count: number, textLength: number): Value[][] {
  const random = randomFrom(7);
  const word = () => random().toString(36).slice(2);
  const text = () =>
    Array.from({ length: textLength / 8 }, word)
      .join('')
      .slice(0, textLength);
  return Array.from({ length: count }, (_, i) => {
    const values = Object.fromEntries(table.key.map(name => [name, `${Math.floor(random() * 40)}-${'k'.repeat(40)}`]));
    return sparseRow(table, i + 1, { ...values, data: text(), _cursor: String(i) });
  });
}

const several = manyRows(npm, 2500, 12_000);
const severalBytes = encode(npm, several);

function metadataOf(bytes: Uint8Array) {
  return parquetMetadata(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer);
}

describe('row groups', () => {
  it('are written when they are full, and their bytes are no longer open', () => {
    const file = openDataFile({ source: 'npm', table: npm, firstLsn: 1 });
    const empty = file.encodedBytes;
    expect([file.rows, file.openBytes]).toEqual([0, 0]);
    let largest = 0;
    let written = 0;
    for (const [i, row] of several.entries()) {
      const before = file.encodedBytes;
      file.append(row);
      expect(file.rows).toBe(i + 1);
      largest = Math.max(largest, file.openBytes);
      if (file.encodedBytes > before) {
        written += 1;
        expect(file.openBytes).toBe(0);
      }
    }
    expect(written).toBe(3);
    expect(largest).toBeLessThan(LIMITS.rowGroupBytes);
    expect(largest).toBeGreaterThan(LIMITS.rowGroupBytes - 20_000);
    expect(file.encodedBytes).toBeGreaterThan(empty);
    const chunks = file.finish({ lastLsn: several.length, cursor: '1' });
    expect(joined(chunks).length).toBe(file.encodedBytes);
  });

  it('hold every row once, sorted by key and then LSN', async () => {
    const groups = await queryWithDuckdb(
      severalBytes,
      'SELECT row_group_num_rows AS rows FROM parquet_metadata($file) WHERE column_id = 0 ORDER BY row_group_id',
    );
    expect(groups).toHaveLength(4);
    const read = await readWithDuckdb(npm, severalBytes);
    expect(await readWithHyparquet(npm, severalBytes)).toEqual(read);
    expect(read).toHaveLength(several.length);
    const lsnAt = npm.columns.findIndex(column => column.name === '_lsn');
    let start = 0;
    let lastLsn = 0;
    for (const { rows } of groups) {
      const group = read.slice(start, start + (rows as number));
      const expected = several
        .slice(start, start + (rows as number))
        .sort((a, b) => compareText(a[0] as string, b[0] as string) || (a[lsnAt] as number) - (b[lsnAt] as number));
      expect(group).toEqual(expected);
      expect(new Set(group.map(row => row[0])).size).toBeLessThan(group.length);
      start += rows as number;
      lastLsn += rows as number;
    }
    expect(lastLsn).toBe(several.length);
  });

  it('are sorted by all columns of the key, in its order', async () => {
    const read = await readWithDuckdb(commits, encode(commits, manyRows(commits, 500, 64)));
    const keys = read.map(row => [row[commits.lineageAt + 3], row[0]] as [string, string]);
    expect(keys).toEqual(keys.toSorted((a, b) => compareText(a[0], b[0]) || compareText(a[1], b[1])));
  });

  it('name their sort columns', () => {
    const order = (table: Table, bytes: Uint8Array) =>
      metadataOf(bytes).row_groups.map(group =>
        group.sorting_columns?.map(({ column_idx, ...rest }) => ({ name: table.columns[column_idx]!.name, ...rest })),
      );
    const up = { descending: false, nulls_first: false };
    const npmOrder = [
      { name: 'name', ...up },
      { name: '_lsn', ...up },
    ];
    expect(order(npm, severalBytes)).toEqual([npmOrder, npmOrder, npmOrder, npmOrder]);
    expect(order(commits, encode(commits, rowsOf(commits, 3)))).toEqual([
      [
        { name: 'github_id', ...up },
        { name: 'sha', ...up },
        { name: '_lsn', ...up },
      ],
    ]);
  });

  it('of rows without values are written too', () => {
    const file = openDataFile({ source: 'npm', table: npm, firstLsn: 1 });
    let rows = 0;
    const empty = file.encodedBytes;
    while (file.encodedBytes === empty) file.append(sparseRow(npm, ++rows, { name: '' }));
    expect(rows * npm.columns.length * 8).toBeGreaterThan(LIMITS.rowGroupBytes / 2);
    expect(rows).toBeLessThan(LIMITS.fileRowsMax);
  });
});

describe('the footer', () => {
  it('says where the rows come from', async () => {
    const file = openDataFile({ source: 'npm', table: npm, firstLsn: 41 });
    file.append(sparseRow(npm, 41, {}));
    file.append(sparseRow(npm, 42, {}));
    const bytes = joined(file.finish({ lastLsn: 42, cursor: '113-é#run' }));
    const found = await queryWithDuckdb(
      bytes,
      'SELECT decode(key) AS k, decode(value) AS v FROM parquet_kv_metadata($file)',
    );
    expect(Object.fromEntries(found.map(({ k, v }) => [k, v]))).toEqual({
      'tributary.source': 'npm',
      'tributary.table': 'npm_package',
      'tributary.first_lsn': '41',
      'tributary.last_lsn': '42',
      'tributary.cursor': '113-é#run',
      'tributary.schema_version': '1',
      'tributary.writer_version': String(WRITER_VERSION),
    });
    const [facts] = await queryWithDuckdb(bytes, 'SELECT created_by, num_rows FROM parquet_file_metadata($file)');
    expect(facts).toEqual({ created_by: `tributary version ${WRITER_VERSION}`, num_rows: 2 });
  });

  it.each(TABLES.map(table => [table.name, table] as const))(
    'gives %s its names, ids, types and nullability',
    async (_, table) => {
      const found = await queryWithDuckdb(
        encode(table, rowsOf(table, 3)),
        'SELECT name, field_id, type, repetition_type, converted_type, logical_type FROM parquet_schema($file)',
      );
      const types = { utf8: 'BYTE_ARRAY', int32: 'INT32', int64: 'INT64', float: 'FLOAT', boolean: 'BOOLEAN' };
      expect(found[0]).toMatchObject({ name: table.name, type: null });
      expect(found.slice(1)).toEqual(
        table.columns.map(({ name, fieldId, type, required }) => ({
          name,
          field_id: fieldId,
          type: types[type],
          repetition_type: required ? 'REQUIRED' : 'OPTIONAL',
          converted_type: type === 'utf8' ? 'UTF8' : null,
          logical_type: type === 'utf8' ? 'StringType()' : null,
        })),
      );
    },
  );

  it('has zstd everywhere, and bloom filters on key columns only', async () => {
    const found = await queryWithDuckdb(
      encode(commits, rowsOf(commits, 500)),
      'SELECT path_in_schema AS name, compression, bloom_filter_offset AS bloom FROM parquet_metadata($file)',
    );
    expect(new Set(found.map(chunk => chunk.compression))).toEqual(new Set(['ZSTD']));
    expect(found.filter(chunk => chunk.bloom !== null).map(chunk => chunk.name)).toEqual(['sha', 'github_id']);
  });

  it('has bloom filters that exclude an absent name and no present one', async () => {
    const names = [...new Set(several.map(row => row[0] as string))];
    const probe = (name: string) =>
      queryWithDuckdb(
        severalBytes,
        `SELECT bloom_filter_excludes AS excludes FROM parquet_bloom_probe($file, 'name', '${name}')`,
      );
    for (const name of names) expect((await probe(name)).some(group => !group.excludes)).toBe(true);
    expect(await probe('not there')).toEqual(Array(4).fill({ excludes: true }));
  });

  it('has page indexes for columns of several pages', () => {
    const dataAt = npm.columns.findIndex(column => column.name === 'data');
    for (const group of metadataOf(severalBytes).row_groups) {
      expect(group.columns[dataAt]!.column_index_offset).toBeGreaterThan(0n);
      expect(group.columns[dataAt]!.offset_index_offset).toBeGreaterThan(0n);
    }
  });
});

describe('the bytes', () => {
  it('are the same for the same rows, whatever is encoded meanwhile', () => {
    // Another file is encoded at the same time, as after an eviction in the middle of a flush.
    const file = openDataFile({ source: 'test', table: npm, firstLsn: 1 });
    const other = openDataFile({ source: 'test', table: npm, firstLsn: 1 });
    for (const row of several) {
      file.append([...row]);
      if ((row[npm.columns.length - 3] as number) < 700) other.append(row);
    }
    other.finish({ lastLsn: 699, cursor: '1' });
    const bytes = joined(file.finish({ lastLsn: several.length, cursor: '42' }));
    expect(Buffer.compare(bytes, severalBytes)).toBe(0);
  });

  it('are those of this writer version', () => {
    // When the writer, its library or zstd gives other bytes for the same rows, raise WRITER_VERSION with the digest.
    const digest = createHash('sha256')
      .update(encode(npm, rowsOf(npm, 300)))
      .digest('hex');
    expect([WRITER_VERSION, digest]).toEqual([1, 'fa5f08b26e3df725be014314f75decd95248a21d9fec41f782dea1d803fd4bc2']);
  });

  it('differ when a row or a fact differs', () => {
    const rows = rowsOf(npm, 5);
    const one = encode(npm, rows);
    expect(Buffer.compare(one, encode(npm, rows))).toBe(0);
    expect(Buffer.compare(one, encode(npm, rows, { cursor: '43' }))).not.toBe(0);
    expect(Buffer.compare(one, encode(npm, rows, { source: 'other' }))).not.toBe(0);
    expect(Buffer.compare(one, encode(npm, rowsOf(npm, 5, { seed: 2 })))).not.toBe(0);
  });

  it('come in chunks whose size does not grow with the file', () => {
    const file = openDataFile({ source: 'npm', table: npm, firstLsn: 1 });
    for (const row of several) file.append(row);
    const chunks = file.finish({ lastLsn: several.length, cursor: '1' });
    expect(chunks.length).toBeGreaterThan(10);
    for (const chunk of chunks) {
      expect(chunk.length).toBeLessThan(1024 * 1024);
      // A chunk refers to no buffer that is larger than the chunk.
      expect(chunk.buffer.byteLength).toBe(chunk.length);
    }
  });
});
