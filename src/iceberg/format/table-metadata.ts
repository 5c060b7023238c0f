import { z } from 'zod';
import { TYPE_FACTS } from '../../../schemas/column.ts';
import type { Table } from '../../../schemas/table.ts';
import { CatalogError, notACatalog } from '../errors.ts';

/** A long as `parseExactJson` gives it: a number where that is exact, else a bigint. */
const long = z.union([z.int(), z.bigint()]).transform(BigInt);

/** An optional member of an object: some catalogs write null for one that is absent. */
function optional<S extends z.ZodType>(member: S, absent: z.output<S>) {
  return member.nullish().transform((value): z.output<S> => value ?? absent);
}

/** Texts by name. Other programs set most of them, so a value that is no text must not make the table unreadable. */
const texts = z.record(z.string(), z.unknown()).transform(values => {
  const isText = (entry: [string, unknown]): entry is [string, string] => typeof entry[1] === 'string';
  return Object.fromEntries(Object.entries(values).filter(isText));
});

const ref = z.looseObject({ 'snapshot-id': long, type: z.string() }).transform(withoutNulls);

const snapshot = z.object({
  'snapshot-id': long,
  'parent-snapshot-id': optional(long.nullable(), null),
  'timestamp-ms': z.int(),
  // Snapshots of format version 1 may have no manifest list.
  'manifest-list': optional(z.string().optional(), undefined),
  summary: optional(texts.optional(), undefined),
});

const field = z
  .looseObject({ id: z.int(), name: z.string(), required: z.boolean(), type: z.unknown() })
  .transform(withoutNulls);

const schema = z.looseObject({ 'schema-id': z.int(), fields: z.array(field) }).transform(withoutNulls);

/** The fields of a table's metadata that are read (Iceberg spec, Table Metadata Fields). */
const tableMetadata = z.object({
  'format-version': z.int(),
  'table-uuid': z.string(),
  location: z.string(),
  'last-sequence-number': optional(long, 0n),
  'last-updated-ms': z.int(),
  'last-column-id': z.int(),
  'current-schema-id': z.int(),
  schemas: z.array(schema),
  'default-spec-id': z.int(),
  'partition-specs': z.array(z.object({ 'spec-id': z.int(), fields: z.array(z.unknown()) })),
  properties: optional(texts, {}),
  'current-snapshot-id': long.nullish(),
  snapshots: optional(z.array(snapshot), []),
  refs: optional(z.record(z.string(), ref.nullable()).transform(withoutNulls), {}),
});

export type TableMetadata = z.output<typeof tableMetadata>;
export type Snapshot = z.output<typeof snapshot>;
export type TableSchema = z.output<typeof schema>;

const FOREIGN_TABLE_HINT =
  'Another program created or changed this table. Rename or drop it in the catalog, or set another namespace.';

/** The table property that holds the last committed `_lsn`. A commit changes it together with the snapshot. */
export const COMMITTED_LSN = 'tributary.committed_lsn';

/** Reads a table's metadata from an answer. Throws `CatalogError` `not-a-catalog`, whose message quotes no value. */
export function readTableMetadata(value: unknown, subject: string): TableMetadata {
  const read = tableMetadata.safeParse(value);
  if (read.success) return read.data;
  const { path, message } = read.error.issues[0]!;
  throw notACatalog(subject, { expected: 'the metadata of a table', actual: `${path.join('.')}: ${message}` });
}

/** An object without its members that are null. */
function withoutNulls<T extends object>(value: T): { [K in keyof T]: NonNullable<T[K]> } {
  const present = Object.entries(value).filter(([, member]) => member !== null);
  return Object.fromEntries(present) as { [K in keyof T]: NonNullable<T[K]> };
}

/** The snapshot that readers see: that of the branch `main`. Null while the table has none. */
export function currentSnapshot(metadata: TableMetadata): Snapshot | null {
  const id = metadata.refs.main?.['snapshot-id'] ?? metadata['current-snapshot-id'] ?? -1n;
  // Older writers use -1 for none.
  if (id === -1n) return null;
  const found = metadata.snapshots.find(candidate => candidate['snapshot-id'] === id);
  if (!found) throw missing(`current snapshot ${id}`);
  return found;
}

export function currentSchema(metadata: TableMetadata): TableSchema {
  const found = metadata.schemas.find(candidate => candidate['schema-id'] === metadata['current-schema-id']);
  if (!found) throw missing('current schema');
  return found;
}

function missing(part: string): CatalogError {
  return new CatalogError('metadata-broken', `table metadata: expected its ${part} in its list, got none`, {
    hint: `The catalog lost the table’s ${part}: ask the catalog’s operator.`,
  });
}

/**
 * Throws `CatalogError` `table-differs` unless the catalog's table is the declared one: format version 2,
 * unpartitioned, each declared column under its field id, in any order. A catalog may assign other field ids when it
 * creates a table. The ids in the data files never change, so under other ids a reader would find nulls or another
 * column's values. Optional columns of other programs stay: they are null in our rows, because our files have no value
 * under their ids.
 */
export function checkTable(table: Table, metadata: TableMetadata): void {
  const differs = (expected: string, actual: string, hint = FOREIGN_TABLE_HINT) =>
    new CatalogError('table-differs', `table ${table.name}: expected ${expected}, got ${actual}`, { hint });
  if (metadata['format-version'] !== 2) throw differs('format version 2', `${metadata['format-version']}`);
  const spec = metadata['partition-specs'].find(candidate => candidate['spec-id'] === metadata['default-spec-id']);
  if (spec?.fields.length !== 0) throw differs('no partition fields', `${spec?.fields.length ?? 'no spec'}`);
  const { fields } = currentSchema(metadata);
  for (const { name, type, required, fieldId } of table.columns) {
    const expected = describeColumn({ name, type: TYPE_FACTS[type].iceberg, required });
    const field = fields.find(({ id }) => id === fieldId);
    const namesake = fields.find(other => other.name === name);
    if (field === undefined && namesake !== undefined) {
      const hint = 'The catalog assigned other field ids, and data files cannot be read under them. Drop the table.';
      throw differs(`field id ${fieldId} of ${name}`, `${namesake.id}`, hint);
    }
    const actual = field === undefined ? 'no column' : describeColumn(field);
    if (actual !== expected) throw differs(expected, actual);
  }
  const foreign = foreignFields(table, metadata).find(({ required }) => required);
  if (foreign) {
    const hint = 'Another program added this column. Make it optional, or drop it.';
    throw differs('no required column of another program', describeColumn(foreign), hint);
  }
}

/** The columns that other programs added to a table. */
function foreignFields(table: Table, metadata: TableMetadata): TableSchema['fields'] {
  const declared = new Set(table.columns.map(({ fieldId }) => fieldId));
  return currentSchema(metadata).fields.filter(({ id }) => !declared.has(id));
}

/** The declared columns that the table does not have yet: no column ever had their ids or has their names. */
export function newColumns(table: Table, metadata: TableMetadata): Table['columns'] {
  const names = new Set(currentSchema(metadata).fields.map(({ name }) => name));
  return table.columns.filter(({ fieldId, name }) => fieldId > metadata['last-column-id'] && !names.has(name));
}

/**
 * The last committed `_lsn`; 0 of a new table. Throws `CatalogError` `table-differs` when the property is not a whole
 * number, or when a table with rows has no such property: committing from LSN 1 again would duplicate its rows.
 */
export function committedLsn(metadata: TableMetadata): number {
  const text = metadata.properties[COMMITTED_LSN];
  if (text === undefined && currentSnapshot(metadata) === null) return 0;
  const lsn = lsnOf(text);
  if (lsn !== null) return lsn;
  throw new CatalogError(
    'table-differs',
    `table property ${COMMITTED_LSN}: expected a whole number, got other text or none`,
    { hint: `Set the property to the highest _lsn in the table: SELECT max(_lsn).` },
  );
}

/** The LSN that a property or a summary names; null when it names none. */
export function lsnOf(text: string | undefined): number | null {
  const lsn = /^\d{1,16}$/.test(text ?? '') ? Number(text) : Number.NaN;
  return Number.isSafeInteger(lsn) ? lsn : null;
}

function describeColumn({ name, type, required }: { name: string; type: unknown; required: boolean }): string {
  return `${name} ${typeof type === 'string' ? type : 'of a nested type'} ${required ? 'required' : 'optional'}`;
}
