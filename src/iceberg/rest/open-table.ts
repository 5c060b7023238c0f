import { icebergSchema } from '../../../schemas/iceberg.ts';
import type { Table } from '../../../schemas/table.ts';
import { CatalogError } from '../errors.ts';
import { isHistoryCut } from '../format/history.ts';
import { COMMITTED_LSN, checkTable, currentSchema, newColumns, type TableMetadata } from '../format/table-metadata.ts';
import type { RestCatalog } from './client.ts';

/**
 * Loads the catalog's table. Creates it when it does not exist, and adds columns that were declared since. Safe to
 * repeat after any failure. Throws `CatalogError`, of kind `table-differs` also when the catalog assigned other field
 * ids.
 */
export async function openTable(catalog: RestCatalog, table: Table): Promise<TableMetadata> {
  const loaded = (await catalog.loadTable(table.name)) ?? (await createTable(catalog, table));
  const opened = newColumns(table, loaded).length > 0 ? await addColumns(catalog, table, loaded) : loaded;
  // Only after a commit of another program must the earlier snapshots say what is committed.
  const metadata = isHistoryCut(opened) ? await loadHistory(catalog, table) : opened;
  checkTable(table, metadata);
  return metadata;
}

async function loadHistory(catalog: RestCatalog, table: Table): Promise<TableMetadata> {
  const metadata = await catalog.loadTable(table.name, 'all');
  if (metadata) return metadata;
  throw droppedTable(`catalog load ${table.name}`);
}

/**
 * Adds the columns that the table never had: a new schema that becomes the current one (Iceberg spec, Schema
 * Evolution). It keeps the columns of other programs. Throws `table-differs` for a column that was dropped from the
 * table, because data files have values under its id.
 */
async function addColumns(catalog: RestCatalog, table: Table, metadata: TableMetadata): Promise<TableMetadata> {
  const added = newColumns(table, metadata);
  checkTable({ ...table, columns: table.columns.filter(column => !added.includes(column)) }, metadata);
  const { fields } = icebergSchema({ ...table, columns: added });
  const current = currentSchema(metadata);
  return catalog.commit(table.name, {
    requirements: [
      { type: 'assert-table-uuid', uuid: metadata['table-uuid'] },
      { type: 'assert-current-schema-id', 'current-schema-id': metadata['current-schema-id'] },
      { type: 'assert-last-assigned-field-id', 'last-assigned-field-id': metadata['last-column-id'] },
    ],
    updates: [
      {
        action: 'add-schema',
        schema: { ...current, fields: [...current.fields, ...fields] },
        'last-column-id': added.at(-1)!.fieldId,
      },
      // -1 is the schema added last, because the catalog chooses its id.
      { action: 'set-current-schema', 'schema-id': -1 },
    ],
  });
}

async function createTable(catalog: RestCatalog, table: Table): Promise<TableMetadata> {
  if (!(await catalog.namespaceExists())) await nullIfExists(catalog.createNamespace());
  const created = await nullIfExists(catalog.createTable(table, { [COMMITTED_LSN]: '0' }));
  const metadata = created ?? (await catalog.loadTable(table.name));
  if (metadata) return metadata;
  throw droppedTable(`catalog create ${table.name}`);
}

function droppedTable(subject: string): CatalogError {
  return new CatalogError('conflict', `${subject}: expected an existing table, got a dropped one`, {
    hint: 'Another program creates and drops this table.',
  });
}

/** The created object; null when another program created it first. */
async function nullIfExists<T>(created: Promise<T>): Promise<T | null> {
  try {
    return await created;
  } catch (error) {
    if (error instanceof CatalogError && error.kind === 'already-exists') return null;
    throw error;
  }
}
