import { TYPE_FACTS } from './column.ts';
import type { Table } from './table.ts';

/** An Iceberg table schema in the JSON form of the Iceberg specification. */
export interface IcebergSchema {
  type: 'struct';
  'schema-id': number;
  fields: { id: number; name: string; required: boolean; type: string; doc: string }[];
}

/** The Iceberg schema of a table, lineage included. Its field ids are those of the data files. */
export function icebergSchema(table: Table): IcebergSchema {
  return {
    type: 'struct',
    'schema-id': 0,
    fields: table.columns.map(({ fieldId, name, required, type, description }) => ({
      id: fieldId,
      name,
      required,
      type: TYPE_FACTS[type].iceberg,
      doc: description,
    })),
  };
}
