import type { Table } from '../../schemas/table.ts';
import type { CatalogStub, SourceStub } from '../contract/objects.ts';
import type { LogFields } from '../log.ts';
import type { Source } from '../sources/source.ts';

/** What is used of the worker's environment; settings are read from it too. */
export interface ApiEnv {
  SOURCES_NS: { getByName(id: string): SourceStub };
  CATALOG_NS: { getByName(name: string): CatalogStub };
}

/** What the API knows without asking an object. */
export interface Known {
  sources: readonly Pick<Source, 'id' | 'tables' | 'agenda'>[];
  tables: readonly Table[];
  log: (event: string, fields: LogFields) => void;
}
