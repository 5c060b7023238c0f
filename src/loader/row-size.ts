import type { Row, Table } from '../../schemas/table.ts';
import { LIMITS } from '../config.ts';
import { ChangeError } from '../errors.ts';

/**
 * Makes a row fit into `LIMITS.rowBytesMax` of JSON: a larger one loses its largest optional columns, one after another,
 * and `data` names them. Throws `row-too-large` for a row without optional columns that is still too large.
 */
export function fitRow(table: Table, row: Row): Row {
  if (bytesOf(row) <= LIMITS.rowBytesMax) return row;
  const optional = table.columns.filter(column => !column.required && column.name in row).map(({ name }) => name);
  const largestFirst = optional.sort((a, b) => bytesOf(row[b]) - bytesOf(row[a]));
  const fitted = { ...row };
  const omitted: string[] = [];
  for (const name of largestFirst) {
    omitted.push(name);
    fitted[name] = null;
    if ('data' in row)
      fitted.data = JSON.stringify({ omitted, reason: `the row was over ${LIMITS.rowBytesMax} bytes` });
    if (bytesOf(fitted) <= LIMITS.rowBytesMax) return fitted;
  }
  throw new ChangeError(
    'row-too-large',
    `${table.name} row: expected at most ${LIMITS.rowBytesMax} bytes, got ${bytesOf(row)}`,
  );
}

function bytesOf(value: unknown): number {
  return new TextEncoder().encode(JSON.stringify(value ?? null)).length;
}
