import { z } from 'zod';
import { TYPE_FACTS } from '../../../schemas/column.ts';
import type { Table } from '../../../schemas/table.ts';
import { CatalogError } from '../errors.ts';

/** A long of JSON: a number where it is safe, else a bigint (`parseExactJson`). */
const long = z.union([z.int(), z.bigint()]).transform(BigInt);

const snapshot = z.object({
  'snapshot-id': long,
  'timestamp-ms': z.int(),
  // Snapshots of format version 1 may have none.
  'manifest-list': z.string().optional(),
  summary: z.record(z.string(), z.string()).optional(),
});

const schema = z.looseObject({
  'schema-id': z.int(),
  fields: z.array(z.looseObject({ id: z.int(), name: z.string(), required: z.boolean(), type: z.unknown() })),
});

/** What is read of a table's metadata (Iceberg spec, Table Metadata Fields). */
const tableMetadata = z.object({
  'format-version': z.int(),
  'table-uuid': z.string(),
  location: z.string(),
  'last-sequence-number': long.default(0n),
  'last-updated-ms': z.int(),
  'last-column-id': z.int(),
  'current-schema-id': z.int(),
  schemas: z.array(schema),
  'default-spec-id': z.int(),
  'partition-specs': z.array(z.object({ 'spec-id': z.int(), fields: z.array(z.unknown()) })),
  properties: z.record(z.string(), z.string()).default({}),
  'current-snapshot-id': long.nullish(),
  snapshots: z.array(snapshot).default([]),
  refs: z.record(z.string(), z.looseObject({ 'snapshot-id': long, type: z.string() })).default({}),
});

export type TableMetadata = z.output<typeof tableMetadata>;
export type Snapshot = z.output<typeof snapshot>;
export type TableSchema = z.output<typeof schema>;

/** The property of a table that says up to which `_lsn` its rows are committed. It changes with the snapshot, at once. */
export const COMMITTED_LSN = 'tributary.committed_lsn';

/** Reads a table's metadata out of an answer. Throws `CatalogError` `not-a-catalog`, without a value of the answer. */
export function readTableMetadata(value: unknown, subject: string): TableMetadata {
  const read = tableMetadata.safeParse(value);
  if (read.success) return read.data;
  const { path, message } = read.error.issues[0]!;
  throw new CatalogError(
    'not-a-catalog',
    `${subject}: expected the metadata of a table, got ${path.join('.')}: ${message}`,
    {
      hint: 'Check that the URI is that of an Iceberg REST catalog.',
    },
  );
}

/** The snapshot that readers see, that of the branch `main`; null while the table has none. */
export function currentSnapshot(metadata: TableMetadata): Snapshot | null {
  const id = metadata.refs.main?.['snapshot-id'] ?? metadata['current-snapshot-id'] ?? -1n;
  // Metadata of older writers has -1 for none.
  if (id === -1n) return null;
  const found = metadata.snapshots.find(candidate => candidate['snapshot-id'] === id);
  if (found) return found;
  throw new CatalogError(
    'metadata-broken',
    `table metadata: expected its current snapshot ${id} in its list, got none`,
    {
      hint: 'The catalog has lost a snapshot that is in use: ask its operator.',
    },
  );
}

export function currentSchema(metadata: TableMetadata): TableSchema {
  const found = metadata.schemas.find(candidate => candidate['schema-id'] === metadata['current-schema-id']);
  if (found) return found;
  throw new CatalogError('metadata-broken', 'table metadata: expected its current schema in its list, got none', {
    hint: 'The catalog has lost a schema that is in use: ask its operator.',
  });
}

/**
 * Throws `CatalogError` `table-differs` unless the catalog's table is the one declared: format version 2, unpartitioned,
 * the same columns under the same field ids. A catalog may assign ids of its own at creation, and the data files have
 * theirs for good: under other ids a reader would find nulls, or another column's values.
 */
export function checkTable(table: Table, metadata: TableMetadata): void {
  const differs = (expected: string, actual: string, hint: string) =>
    new CatalogError('table-differs', `table ${table.name}: expected ${expected}, got ${actual}`, { hint });
  const another =
    'Somebody else made this table, or changed it. Rename or drop it in the catalog, or name another namespace.';
  if (metadata['format-version'] !== 2) throw differs('format version 2', `${metadata['format-version']}`, another);
  const spec = metadata['partition-specs'].find(candidate => candidate['spec-id'] === metadata['default-spec-id']);
  if (spec?.fields.length !== 0) throw differs('no partition fields', `${spec?.fields.length ?? 'no spec'}`, another);
  const { fields } = currentSchema(metadata);
  for (const [at, { name, type, required, fieldId }] of table.columns.entries()) {
    const expected = columnText({ name, type: TYPE_FACTS[type].iceberg, required });
    const field = fields[at];
    const actual = field === undefined ? 'no column' : columnText(field);
    if (actual !== expected) throw differs(expected, actual, another);
    if (field!.id !== fieldId) {
      const hint =
        'The catalog assigned field ids of its own, and data files cannot be read under them. Drop the table.';
      throw differs(`field id ${fieldId} of ${name}`, `${field!.id}`, hint);
    }
  }
  if (fields.length > table.columns.length) {
    throw differs(`${table.columns.length} columns`, `${fields.length}`, another);
  }
}

/**
 * The last `_lsn` whose row is committed; 0 of a new table. Throws `CatalogError` `table-differs` where the property is
 * none, or is missing from a table that has rows: numbering from 1 would double them.
 */
export function committedLsn(metadata: TableMetadata): number {
  const text = metadata.properties[COMMITTED_LSN];
  if (text === undefined && currentSnapshot(metadata) === null) return 0;
  const lsn = /^\d{1,16}$/.test(text ?? '') ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(lsn)) return lsn;
  throw new CatalogError(
    'table-differs',
    `table property ${COMMITTED_LSN}: expected a whole number, got another text or none`,
    {
      hint: `Set the property to the highest _lsn in the table: SELECT max(_lsn).`,
    },
  );
}

function columnText({ name, type, required }: { name: string; type: unknown; required: boolean }): string {
  return `${name} ${typeof type === 'string' ? type : 'of a nested type'} ${required ? 'required' : 'optional'}`;
}
