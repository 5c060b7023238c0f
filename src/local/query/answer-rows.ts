import {
  type DuckDBResult,
  DuckDBTypeId,
  type DuckDBValueConverter,
  type Json,
  JsonDuckDBValueConverter,
} from '@duckdb/node-api';
import { SqlError } from '../../sql/sql-error.ts';

/** How much of an answer is read. More rows are left out; more bytes are an error. */
export interface AnswerLimits {
  rowsMax: number;
  bytesMax: number;
}

/** A decimal with more digits would lose some as a JSON number. */
const DIGITS_MAX = 15;
/** What a value takes at least: a digit and a comma. */
const VALUE_BYTES = 2;

/**
 * Reads the rows of a result as JSON. Counts each value before the next is read, because one value can be larger than
 * the memory of this process. Throws `SqlError` over `bytesMax`.
 */
export async function readRows(result: DuckDBResult, { rowsMax, bytesMax }: AnswerLimits): Promise<(Json | null)[][]> {
  const rows: (Json | null)[][] = [];
  let bytes = 0;
  for (let chunk = await result.fetchChunk(); chunk !== null && chunk.rowCount > 0; chunk = await result.fetchChunk()) {
    const vectors = Array.from({ length: chunk.columnCount }, (_, column) => chunk!.getColumnVector(column));
    for (let index = 0; index < chunk.rowCount; index++) {
      if (rows.length >= rowsMax) return rows;
      const row: (Json | null)[] = [];
      for (const vector of vectors) {
        // Count the items of a list before they become objects.
        bytes += VALUE_BYTES * (1 + itemsOf(vector as unknown as Column, index, bytesMax));
        if (bytes <= bytesMax) row.push(toJson(vector.getItem(index), vector.type, toJson));
        bytes += bytesOf(row.at(-1));
        if (bytes > bytesMax) throw tooLarge(bytesMax);
      }
      rows.push(row);
    }
  }
  return rows;
}

function tooLarge(bytesMax: number): SqlError {
  const hint = 'Select fewer columns, add a LIMIT, or aggregate.';
  return new SqlError(`answer: expected at most ${bytesMax} bytes, got more`, { at: null, hint });
}

/**
 * A column of a chunk, as far as its values have items: a list has a vector of its items, a map a list, an array all
 * items of the column in a row, a struct a column an entry.
 */
interface Column {
  itemCount: number;
  getItemVector?(index: number): Column | null;
  listVector?: Column;
  childData?: Column;
  entryVectorAt?(entry: number): Column;
  type: { entryNames?: readonly string[]; length?: number };
}

/** How many items a value has, with those of its items; a count over `max` may be short. */
function itemsOf(column: Column, index: number, max: number): number {
  if (column.listVector !== undefined) return itemsOf(column.listVector, index, max);
  if (column.getItemVector !== undefined) {
    const items = column.getItemVector(index);
    return items === null ? 0 : itemsFrom(items, { first: 0, count: items.itemCount, max });
  }
  const { entryNames = [], length = 0 } = column.type;
  if (column.childData !== undefined) {
    return itemsFrom(column.childData, { first: index * length, count: length, max });
  }
  return entryNames.reduce((count, _, entry) => count + 1 + itemsOf(column.entryVectorAt!(entry), index, max), 0);
}

function itemsFrom(items: Column, { first, count, max }: { first: number; count: number; max: number }): number {
  const isNested = items.getItemVector ?? items.listVector ?? items.childData ?? items.entryVectorAt;
  let all = count;
  for (let item = 0; isNested !== undefined && item < count && all <= max; item++) {
    all += itemsOf(items, first + item, max);
  }
  return all;
}

/** The characters of all texts in a value. */
function bytesOf(value: Json | null | undefined): number {
  if (typeof value === 'string') return value.length;
  if (typeof value !== 'object' || value === null) return 0;
  let bytes = 0;
  for (const [name, item] of Object.entries(value)) bytes += (Array.isArray(value) ? 0 : name.length) + bytesOf(item);
  return bytes;
}

/** A value as JSON: a number is a JSON number where that is exact, else text. */
const toJson: DuckDBValueConverter<Json> = (value, type, converter) => {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  const json = JsonDuckDBValueConverter(value, type, converter);
  if (type.typeId !== DuckDBTypeId.DECIMAL || typeof json !== 'string') return json;
  return json.replace(/\D/g, '').length <= DIGITS_MAX ? Number(json) : json;
};
