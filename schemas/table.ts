import { z } from 'zod';
import {
  type Column,
  type ColumnSpec,
  type ColumnSpecs,
  optional,
  type RowFrom,
  required,
  TYPE_FACTS,
} from './column.ts';

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
  /**
   * The column that says which thing a row is of, where a key may pass from one thing to another: a deletion then counts
   * only while the newest row of its key is of the same thing, or where the deletion has an empty text. Null where a key names one thing for ever.
   */
  identity: string | null;
  /** The table's columns, then the three lineage columns, then those that followed them. */
  columns: Column[];
  /** The index of the first lineage column. */
  lineageAt: number;
  /** Checks a row without lineage. It rejects unknown columns. */
  validator: z.ZodType<Row>;
}

/** A table with the type of its rows. */
export interface TableOf<R extends Row> extends Table {
  validator: z.ZodType<R>;
}

/** The row type of a table: `RowOf<typeof npmPackage>`. */
export type RowOf<T extends Table> = z.output<T['validator']>;

/** The lineage columns. They follow the columns of the lake's specification. */
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

interface Declaration<C extends ColumnSpecs, B extends ColumnSpecs, A extends ColumnSpecs> {
  name: string;
  prefix: string;
  description: string;
  version: number;
  key: (keyof NoInfer<C & B> & string)[];
  /** False when it is left out. */
  immutable?: boolean;
  /** Null when it is left out. */
  identity?: keyof NoInfer<C & B> & string;
  columns: C;
  /** Columns of version 1 that the lake's specification does not have. They follow the lineage columns. */
  beyond?: B;
  /** Columns added after version 1, all optional. They come last, so that no field id changes. */
  added?: A;
}

/**
 * Adds field ids, lineage and the validator to a declaration. Throws an `Error` for a declaration that contradicts
 * itself.
 */
export function defineTable<
  C extends ColumnSpecs,
  B extends ColumnSpecs = Record<never, never>,
  A extends ColumnSpecs = Record<never, never>,
>(declaration: Declaration<C, B, A>): TableOf<RowFrom<C & B & A>> {
  const { name, prefix, description, version, key, immutable = false, identity = null, columns } = declaration;
  const beyond: ColumnSpecs = declaration.beyond ?? {};
  const added: ColumnSpecs = declaration.added ?? {};
  const parts = [columns, LINEAGE, beyond, added].flatMap(part => Object.entries<ColumnSpec>(part));
  checkDeclaration(declaration as unknown as Declaration<ColumnSpecs, ColumnSpecs, ColumnSpecs>, parts);
  const specs = { ...columns, ...beyond, ...added };
  return {
    name,
    prefix,
    description,
    version,
    key,
    immutable,
    identity,
    columns: parts.map(([column, spec], index) => ({ name: column, ...spec, fieldId: index + 1 })),
    lineageAt: Object.keys(columns).length,
    validator: rowValidator(specs) as unknown as z.ZodType<RowFrom<C & B & A>>,
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

function checkDeclaration(
  { name, key, identity, added = {} }: Declaration<ColumnSpecs, ColumnSpecs, ColumnSpecs>,
  parts: [string, ColumnSpec][],
): void {
  const columns = new Map<string, ColumnSpec>();
  for (const [column, spec] of parts) {
    // Names that begin with an underscore are reserved for lineage.
    if (spec !== LINEAGE[column as keyof typeof LINEAGE] && !/^[a-z][a-z0-9_]*$/.test(column))
      throw new Error(`table ${name}: expected a column name of a-z, 0-9 and _, got "${column}"`);
    if (columns.has(column)) throw new Error(`table ${name}: column ${column} is declared twice`);
    columns.set(column, spec);
  }
  for (const [column, spec] of Object.entries(added))
    if (spec.required) throw new Error(`table ${name}: added column ${column} must be optional, older rows lack it`);
  if (key.length === 0) throw new Error(`table ${name}: expected at least one key column`);
  const named = key.map(column => ({ kind: 'key', column: column as string }));
  if (identity !== undefined) named.push({ kind: 'identity', column: identity });
  for (const { kind, column } of named) {
    const spec = columns.get(column);
    if (!spec) throw new Error(`table ${name}: ${kind} column ${column} is not declared`);
    if (!spec.required) throw new Error(`table ${name}: ${kind} column ${column} must be required`);
    if (spec.type !== 'utf8') throw new Error(`table ${name}: ${kind} column ${column} must be utf8, got ${spec.type}`);
  }
  if (new Set(key).size !== key.length) throw new Error(`table ${name}: a key column is named twice`);
}

function kindOf(value: unknown): string {
  return value === null ? 'null' : typeof value;
}
