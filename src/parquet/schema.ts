import type { SchemaElement } from 'hyparquet';
import type { ColumnType } from '../../schemas/column.ts';
import type { Table } from '../../schemas/table.ts';

const PHYSICAL: Record<ColumnType, Partial<SchemaElement>> = {
  // Older readers know the converted type only, newer ones prefer the logical type.
  utf8: { type: 'BYTE_ARRAY', converted_type: 'UTF8', logical_type: { type: 'STRING' } },
  int32: { type: 'INT32' },
  int64: { type: 'INT64' },
  float: { type: 'FLOAT' },
  boolean: { type: 'BOOLEAN' },
};

/** The Parquet schema of a table's data files, lineage included: one element for the message, then one per column. */
export function parquetSchema(table: Table): SchemaElement[] {
  return [
    { name: table.name, num_children: table.columns.length },
    ...table.columns.map(({ name, type, required, fieldId }) => ({
      ...PHYSICAL[type],
      name,
      repetition_type: required ? ('REQUIRED' as const) : ('OPTIONAL' as const),
      field_id: fieldId,
    })),
  ];
}
