import { TYPE_FACTS } from './column.ts';
import type { Table } from './table.ts';

/** The schema a Cloudflare Pipelines stream is made with. */
export interface StreamSchema {
  fields: { name: string; type: string; required: boolean }[];
}

/** The stream schema of a table, lineage included. */
export function streamSchema(table: Table): StreamSchema {
  return {
    fields: table.columns.map(({ name, type, required }) => ({ name, type: TYPE_FACTS[type].stream, required })),
  };
}
