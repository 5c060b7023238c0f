import { z } from 'zod';
import { type Column, type ColumnSpecs, optional, type RowFrom, required, TYPE_FACTS } from './column.ts';

/** A value of a row. int64 values are safe integers. */
export type Value = string | number | boolean | null;

/** One row of a table by column name, without lineage. Every column is present; an unknown value is null. */
export type Row = Record<string, Value>;

/** A table. Validator, row type and the Parquet, Iceberg and stream schemas derive from it. */
export interface Table {
  name: string;
  /** The lake prefix, e.g. `npm/metadata`. */
  prefix: string;
  description: string;
  /** Rises when columns are added. Journal entries and data files name it. */
  version: number;
  /** Names of the columns that identify one item. All are required text. */
  key: string[];
  /** Its rows never change: a row whose key the table has already is not appended, whatever brought it. */
  immutable: boolean;
  /** The table's columns, then the three lineage columns, then columns added after version 1. */
  columns: Column[];
  /** Checks a row without lineage. It rejects unknown columns. */
  validator: z.ZodType<Row>;
}

/** A table with the type of its rows. */
export interface TableOf<R extends Row> extends Table {
  validator: z.ZodType<R>;
}

/** The row type of a table: `RowOf<typeof npmPackage>`. */
export type RowOf<T extends Table> = z.output<T['validator']>;

/** The lineage columns. In version 1 of every table they are the last columns. */
export const LINEAGE = {
  _lsn: required(
    'int64',
    "The row's number in its table: 1, 2, 3 and so on without a gap, in the order of acceptance.",
  ),
  _op: required(
    'utf8',
    '`upsert`, or `delete` when the thing is gone upstream; then only required columns have values.',
  ),
  _cursor: optional(
    'utf8',
    "The change's place in the upstream's feed, followed by `#` and the run for all but the tail.",
  ),
} satisfies ColumnSpecs;

interface Declaration<C extends ColumnSpecs, A extends ColumnSpecs> {
  name: string;
  prefix: string;
  description: string;
  version: number;
  key: (keyof C & string)[];
  /** False when it is left out. */
  immutable?: boolean;
  columns: C;
  /** Columns added after version 1, all optional. They follow the lineage columns, so that no field id changes. */
  added?: A;
}

/**
 * Adds field ids, lineage and the validator to a declaration. Throws an `Error` for a declaration that contradicts
 * itself.
 */
export function defineTable<C extends ColumnSpecs, A extends ColumnSpecs = Record<never, never>>(
  declaration: Declaration<C, A>,
): TableOf<RowFrom<C & A>> {
  const { name, prefix, description, version, key, immutable = false, columns } = declaration;
  const added: ColumnSpecs = declaration.added ?? {};
  checkDeclaration({ ...declaration, added });
  const ordered = [...Object.entries(columns), ...Object.entries(LINEAGE), ...Object.entries(added)];
  return {
    name,
    prefix,
    description,
    version,
    key,
    immutable,
    columns: ordered.map(([column, spec], index) => ({ name: column, ...spec, fieldId: index + 1 })),
    validator: rowValidator({ ...columns, ...added }) as unknown as z.ZodType<RowFrom<C & A>>,
  };
}

/** The key of a row as one text. Throws an `Error` for a row without its key. */
export function keyOf(table: Table, row: Row): string {
  const values = table.key.map(column => {
    const value = row[column];
    if (typeof value !== 'string')
      throw new Error(`${table.name} row: expected text in ${column}, got ${kindOf(value)}`);
    return value;
  });
  return keyText(values);
}

/** The values of the key columns as one text: a single value itself, several as a JSON array. */
export function keyText(values: readonly string[]): string {
  return values.length === 1 ? values[0]! : JSON.stringify(values);
}

function rowValidator(columns: ColumnSpecs) {
  const shape = Object.entries(columns).map(([name, { type, required }]) => {
    const { value } = TYPE_FACTS[type];
    return [name, required ? value : value.nullable()] as const;
  });
  return z.strictObject(Object.fromEntries(shape));
}

function checkDeclaration(declaration: Declaration<ColumnSpecs, ColumnSpecs> & { added: ColumnSpecs }): void {
  const { name, key, columns, added } = declaration;
  for (const column of [...Object.keys(columns), ...Object.keys(added)]) {
    // Names that begin with an underscore are reserved for lineage.
    if (!/^[a-z][a-z0-9_]*$/.test(column)) {
      throw new Error(`table ${name}: expected a column name of a-z, 0-9 and _, got "${column}"`);
    }
  }
  for (const [column, spec] of Object.entries(added)) {
    if (column in columns) throw new Error(`table ${name}: column ${column} is declared twice`);
    if (spec.required) throw new Error(`table ${name}: added column ${column} must be optional, older rows lack it`);
  }
  if (key.length === 0) throw new Error(`table ${name}: expected at least one key column`);
  for (const column of key) {
    const spec = Object.hasOwn(columns, column) ? columns[column] : undefined;
    if (!spec) throw new Error(`table ${name}: key column ${column} is not declared`);
    if (!spec.required) throw new Error(`table ${name}: key column ${column} must be required`);
    if (spec.type !== 'utf8') throw new Error(`table ${name}: key column ${column} must be utf8, got ${spec.type}`);
  }
  if (new Set(key).size !== key.length) throw new Error(`table ${name}: a key column is named twice`);
}

function kindOf(value: unknown): string {
  return value === null ? 'null' : typeof value;
}
