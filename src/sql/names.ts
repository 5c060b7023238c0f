import { LINEAGE, type Table } from '../../schemas/table.ts';
import { SqlError } from './sql-error.ts';

/** The names that a query can use: the tables of a lake, its bucket, and the namespace of its catalog. */
export interface Names {
  bucket: string;
  namespace: string;
  tables: readonly Table[];
}

/**
 * The table that a name or a path refers to. `current`: the newest row of each key; `history`: every row with lineage.
 */
export interface ResolvedTable {
  table: Table;
  rows: 'current' | 'history';
}

/** The default namespace of the tables in the catalog. */
export const NAMESPACE = 'tributary';
const HISTORY = '_history';

/** The path of a table in the lake, which `r2_sql` takes. */
export function r2SqlPath(bucket: string, { prefix }: Pick<Table, 'prefix'>): string {
  return `${bucket}/${prefix}/partitions.parquet`;
}

/** The columns of a table without lineage, which current rows have. */
export function currentColumns({ columns }: Table): string[] {
  return columns.map(column => column.name).filter(name => !Object.hasOwn(LINEAGE, name));
}

/** The table at a path. Throws `SqlError` when there is none; `at` is the index of the path in the query. */
export function resolvePath({ bucket, tables }: Names, path: string, at: number): ResolvedTable {
  const trimmed = path.replace(/\/+$/, '');
  const table = tables.find(candidate => r2SqlPath(bucket, candidate) === trimmed);
  if (table !== undefined) return { table, rows: 'current' };
  const paths = tables.map(candidate => `'${r2SqlPath(bucket, candidate)}'`).join(', ');
  const outside = trimmed.startsWith(`${bucket}/`) ? '' : ` Only the bucket ${bucket} can be read.`;
  throw new SqlError(`r2_sql: expected the path of a table in the lake, got ${JSON.stringify(path.slice(0, 200))}`, {
    at,
    hint: `The paths are ${paths}.${outside}`,
  });
}

/**
 * The table of a name, whose parts before the last are its namespace. Throws `SqlError` when there is none; `at` is the
 * index of the name in the query.
 */
export function resolveName({ namespace, tables }: Names, parts: readonly string[], at: number): ResolvedTable {
  const [name = '', ...qualifiers] = [...parts].reverse();
  if (qualifiers.length === 0) {
    for (const table of tables) {
      if (name === table.name) return { table, rows: 'current' };
      if (name === table.name + HISTORY) return { table, rows: 'history' };
    }
  }
  // The table in the catalog has every row.
  const table = tables.find(candidate => candidate.name === name);
  if (qualifiers.length === 1 && qualifiers[0] === namespace && table !== undefined) return { table, rows: 'history' };
  throw new SqlError(`query: expected a table of the lake, got ${JSON.stringify(parts.join('.').slice(0, 200))}`, {
    at,
    hint: `The tables are ${tables.map(known => known.name).join(', ')}; <table>${HISTORY} has every row of a table, with lineage.`,
  });
}
