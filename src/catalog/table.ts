import type { Table } from '../../schemas/table.ts';
import { CatalogError } from './catalog-error.ts';
import type { RestCatalog } from './rest.ts';
import { COMMITTED_LSN, checkTable, type TableMetadata } from './table-metadata.ts';

/**
 * The table as the catalog has it, made where it is not there yet. Safe to repeat after any failure. Throws
 * `CatalogError`: `table-differs` also where the catalog did not take the field ids it was given.
 */
export async function openTable(catalog: RestCatalog, table: Table): Promise<TableMetadata> {
  const metadata = (await catalog.loadTable(table.name)) ?? (await madeTable(catalog, table));
  checkTable(table, metadata);
  return metadata;
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
