import type { Column } from '../../../schemas/column.ts';
import type { Table } from '../../../schemas/table.ts';
import type { ColumnFacts, DataFileFacts } from '../../ports/data-file.ts';
import type { ColumnValues, DataFileEntry } from '../format/manifest.ts';
import { lowerBound, upperBound } from '../format/single-value.ts';

/** A data file's copy under the location of its Iceberg table. `facts` come from the copy's own footer. */
export interface CopiedFile {
  /** With its scheme: `s3://bucket/…`. */
  path: string;
  bytes: number;
  facts: DataFileFacts;
}

/** How many rows some files have together. */
export function rowCount(files: CopiedFile[]): number {
  return files.reduce((sum, { facts }) => sum + facts.rows, 0);
}

/** The manifest entry of a data file: counts, sizes and bounds by field id, for the columns that the table declares. */
export function dataFileEntry(table: Table, { path, bytes, facts }: CopiedFile): DataFileEntry {
  const known = facts.columns.flatMap(column => {
    const declared = table.columns.find(({ fieldId }) => fieldId === column.fieldId);
    return declared ? [{ declared, column }] : [];
  });
  const columns = known.map(({ column }) => column);
  return {
    content: 0,
    file_path: path,
    file_format: 'PARQUET',
    partition: {},
    record_count: BigInt(facts.rows),
    file_size_in_bytes: BigInt(bytes),
    column_sizes: counts(columns, column => column.bytes),
    value_counts: counts(columns, column => column.values),
    null_value_counts: counts(columns, column => column.nulls),
    lower_bounds: bounds(known, (declared, { min }) => (min === null ? null : lowerBound(declared.type, min))),
    upper_bounds: bounds(known, (declared, { max }) => (max === null ? null : upperBound(declared.type, max))),
    split_offsets: facts.rowGroupOffsets.map(BigInt),
  };
}

function counts(columns: ColumnFacts[], count: (column: ColumnFacts) => number | null): ColumnValues<bigint> {
  return columns.flatMap(column => {
    const value = count(column);
    return value === null ? [] : [{ key: column.fieldId, value: BigInt(value) }];
  });
}

function bounds(
  known: { declared: Column; column: ColumnFacts }[],
  bound: (declared: Column, column: ColumnFacts) => Uint8Array | null,
): ColumnValues<Uint8Array> {
  return known.flatMap(({ declared, column }) => {
    const value = bound(declared, column);
    return value === null ? [] : [{ key: declared.fieldId, value }];
  });
}
