import { z } from 'zod';

/** All column types. Each is named for the Parquet type that the specification of the lake uses. */
export type ColumnType = 'utf8' | 'int32' | 'int64' | 'float' | 'boolean';

/** One column of a table. `fieldId` never changes: 1 to N in declared order, then the columns that were added later. */
export interface Column {
  name: string;
  type: ColumnType;
  required: boolean;
  description: string;
  fieldId: number;
}

/** The declaration of a column. Its name is its property name, and its field id follows from its order. */
export interface ColumnSpec<T extends ColumnType = ColumnType, R extends boolean = boolean> {
  type: T;
  required: R;
  description: string;
}

/** The columns of a declaration by name, in order. */
export type ColumnSpecs = Record<string, ColumnSpec>;

/** Declares a column that has a value in every row. */
export function required<T extends ColumnType>(type: T, description: string): ColumnSpec<T, true> {
  return { type, required: true, description };
}

/** Declares a column that is null when its value is unknown. */
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

/** The type of the rows of a declaration. */
export type RowFrom<C> = { [Name in keyof C]: Cell<C[Name]> };

/** A column type in each of the schemas that derive from a declaration. */
interface TypeFacts {
  /** Checks a value that is not null. */
  value: z.ZodType<string | number | boolean>;
  iceberg: 'string' | 'int' | 'long' | 'float' | 'boolean';
  stream: 'string' | 'int32' | 'int64' | 'float32' | 'bool';
}

export const TYPE_FACTS: Record<ColumnType, TypeFacts> = {
  // JSON can have half of a surrogate pair and UTF-8 cannot: it is replaced before the row is stored.
  utf8: { value: z.string().overwrite(text => text.toWellFormed()), iceberg: 'string', stream: 'string' },
  int32: { value: z.int32(), iceberg: 'int', stream: 'int32' },
  // Safe integers only, because a row is JSON in the journal.
  int64: { value: z.int(), iceberg: 'long', stream: 'int64' },
  float: { value: z.float32(), iceberg: 'float', stream: 'float32' },
  boolean: { value: z.boolean(), iceberg: 'boolean', stream: 'bool' },
};
