import { z } from 'zod';

/** The closed vocabulary of column types; each names the Parquet physical type the spec uses. */
export type ColumnType = 'utf8' | 'int32' | 'int64' | 'float' | 'boolean';

/** One column of a table. `fieldId` is permanent: 1..N in declared order, later columns appended. */
export interface Column {
  name: string;
  type: ColumnType;
  required: boolean;
  description: string;
  fieldId: number;
}

/** A column as a table declares it. Its name is its place in the declaration; its field id follows from its order. */
export interface ColumnSpec<T extends ColumnType = ColumnType, R extends boolean = boolean> {
  type: T;
  required: R;
  description: string;
}

/** The columns of a declaration by name, in order. */
export type ColumnSpecs = Record<string, ColumnSpec>;

/** A column that has a value in every row. */
export function required<T extends ColumnType>(type: T, description: string): ColumnSpec<T, true> {
  return { type, required: true, description };
}

/** A column that is null where the value is not known. */
export function optional<T extends ColumnType>(type: T, description: string): ColumnSpec<T, false> {
  return { type, required: false, description };
}

interface ValueTypes {
  utf8: string;
  int32: number;
  int64: number;
  float: number;
  boolean: boolean;
}

type Cell<S> = S extends ColumnSpec<infer T, infer R> ? (R extends true ? ValueTypes[T] : ValueTypes[T] | null) : never;

/** The row a declaration describes. */
export type RowFrom<C> = { [Name in keyof C]: Cell<C[Name]> };

/** What a column type means to each reader of the contract. */
interface TypeFacts {
  /** Checks a value that is not null. */
  value: z.ZodType<string | number | boolean>;
  iceberg: 'string' | 'int' | 'long' | 'float' | 'boolean';
  stream: 'string' | 'int32' | 'int64' | 'float32' | 'bool';
}

export const TYPE_FACTS: Record<ColumnType, TypeFacts> = {
  // JSON may hold half of a surrogate pair and UTF-8 cannot: what cannot be written is replaced before it is stored.
  utf8: { value: z.string().overwrite(text => text.toWellFormed()), iceberg: 'string', stream: 'string' },
  int32: { value: z.int32(), iceberg: 'int', stream: 'int32' },
  // Safe integers only: a row passes through JSON on its way to a file.
  int64: { value: z.int(), iceberg: 'long', stream: 'int64' },
  float: { value: z.float32(), iceberg: 'float', stream: 'float32' },
  boolean: { value: z.boolean(), iceberg: 'boolean', stream: 'bool' },
};
