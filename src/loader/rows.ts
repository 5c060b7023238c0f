import { tableNamed } from '../../schemas/index.ts';
import type { Row, Table } from '../../schemas/table.ts';
import { shortDigest } from '../digest.ts';
import { ChangeError } from '../errors.ts';
import { isNestedTooDeep, TOO_DEEP } from '../json-depth.ts';
import { LIMITS } from '../limits.ts';
import type { LoadedRow } from '../ports/change.ts';

/** A row as its table's schema gives it, and small enough. Throws `wrong-shape` with the column and what was expected. */
export function checkRow({ table: name, op, row }: LoadedRow): LoadedRow {
  const table = tableNamed(name);
  if (op === 'delete' && table.immutable)
    throw new ChangeError('wrong-shape', `${name} row: expected an upsert in an immutable table, got a deletion`);
  const checked = table.validator.safeParse(row);
  if (checked.success) return { table: name, op, row: fitRow(table, flatRow(table, checked.data)) };
  const [issue] = checked.error.issues;
  throw new ChangeError('wrong-shape', `${name} row: ${issue?.path.join('.')}: ${issue?.message}`);
}

/** By table, a digest over a visit's rows without the columns that count as no change. */
export function digestsOf(rows: LoadedRow[], uncounted: Record<string, string[]> = {}): Record<string, string> {
  const counted = ({ table, op, row }: LoadedRow) => {
    const columns = Object.keys(row).filter(name => !uncounted[table]?.includes(name));
    return [op, columns.map(name => [name, row[name]])];
  };
  const tables = Map.groupBy(rows, ({ table }) => table);
  return Object.fromEntries([...tables].map(([table, of]) => [table, shortDigest(JSON.stringify(of.map(counted)))]));
}

/** The row with each optional column replaced whose JSON is nested too deep for readers. */
function flatRow(table: Table, row: Row): Row {
  const isDeep = ({ name, required }: Table['columns'][number]) => {
    const value = row[name];
    return !required && typeof value === 'string' && isNestedTooDeep(value);
  };
  const deep = table.columns.filter(isDeep).map(({ name }) => [name, TOO_DEEP]);
  return deep.length === 0 ? row : { ...row, ...Object.fromEntries(deep) };
}

/**
 * Makes a row fit into `LIMITS.rowBytesMax` of JSON: a larger one loses its largest optional columns, one after another,
 * and `data` names them. Throws `row-too-large` for a row without optional columns that is still too large.
 */
function fitRow(table: Table, row: Row): Row {
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
