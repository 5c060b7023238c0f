import { icebergSchema } from '../../../schemas/iceberg.ts';
import type { Table } from '../../../schemas/table.ts';
import { CatalogError } from '../errors.ts';
import { COMMITTED_LSN, checkTable, currentSchema, type TableMetadata } from '../format/table-metadata.ts';
import type { RestCatalog } from './client.ts';

/**
 * The table as the catalog has it: made where it is not there yet, and given the columns that were added to its
 * declaration since. Safe to repeat after any failure. Throws `CatalogError`: `table-differs` also where the catalog did
 * not take the field ids it was given.
 */
export async function openTable(catalog: RestCatalog, table: Table): Promise<TableMetadata> {
  const found = (await catalog.loadTable(table.name)) ?? (await madeTable(catalog, table));
  const isShort = currentSchema(found).fields.length < table.columns.length;
  const metadata = isShort ? await grownTable(catalog, table, found) : found;
  checkTable(table, metadata);
  return metadata;
}

/**
 * Adds the columns the table never had: a new schema, the current one from then on (Iceberg spec, Schema Evolution). One
 * that was dropped from it is refused: under its id there are values.
 */
async function grownTable(catalog: RestCatalog, table: Table, metadata: TableMetadata): Promise<TableMetadata> {
  const columns = table.columns.slice(0, metadata['last-column-id']);
  checkTable({ ...table, columns }, metadata);
  return catalog.commit(table.name, {
    requirements: [
      { type: 'assert-table-uuid', uuid: metadata['table-uuid'] },
      { type: 'assert-current-schema-id', 'current-schema-id': metadata['current-schema-id'] },
      { type: 'assert-last-assigned-field-id', 'last-assigned-field-id': metadata['last-column-id'] },
    ],
    updates: [
      { action: 'add-schema', schema: icebergSchema(table), 'last-column-id': table.columns.at(-1)!.fieldId },
      // The one just added, whatever id the catalog gave it.
      { action: 'set-current-schema', 'schema-id': -1 },
    ],
  });
}

async function madeTable(catalog: RestCatalog, table: Table): Promise<TableMetadata> {
  if (!(await catalog.namespaceExists())) await unlessThere(catalog.createNamespace());
  const made = await unlessThere(catalog.createTable(table, { [COMMITTED_LSN]: '0' }));
  const metadata = made ?? (await catalog.loadTable(table.name));
  if (metadata) return metadata;
  throw new CatalogError('conflict', `catalog create ${table.name}: expected it to stay, found it dropped`, {
    hint: 'Somebody else makes and drops this table.',
  });
}

/** What was made; null when somebody else was there first. */
async function unlessThere<T>(made: Promise<T>): Promise<T | null> {
  try {
    return await made;
  } catch (error) {
    if (error instanceof CatalogError && error.kind === 'already-exists') return null;
    throw error;
  }
}
