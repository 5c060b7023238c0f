import { LINEAGE, type Table } from '../../schemas/table.ts';
import { SqlError } from './sql-error.ts';

/** What a query can name: the tables of one lake, in its bucket and in the namespace of its catalog. */
export interface Names {
  bucket: string;
  namespace: string;
  tables: readonly Table[];
}

/** What a name means: current rows, or every row with its lineage. */
export interface Meaning {
  table: Table;
  rows: 'current' | 'history';
}

/** The namespace of the catalog that the tables are in, unless a setting says otherwise. */
export const NAMESPACE = 'tributary';
const HISTORY = '_history';

/** The place of a table in the lake, as `r2_sql` takes it. */
export function r2SqlPlace(bucket: string, { prefix }: Pick<Table, 'prefix'>): string {
  return `${bucket}/${prefix}/partitions.parquet`;
}

/** The columns of a table's current rows: all but the lineage. */
export function currentColumns({ columns }: Table): string[] {
  return columns.map(column => column.name).filter(name => !Object.hasOwn(LINEAGE, name));
}

/** What a place given to `r2_sql` means. Throws `SqlError` where no table is there; `at` is the place's in the query. */
export function meaningOfPlace({ bucket, tables }: Names, place: string, at: number): Meaning {
  const asked = place.replace(/\/+$/, '');
  const table = tables.find(candidate => r2SqlPlace(bucket, candidate) === asked);
  if (table !== undefined) return { table, rows: 'current' };
  const places = tables.map(candidate => `'${r2SqlPlace(bucket, candidate)}'`).join(', ');
  const outside = !asked.startsWith(`${bucket}/`) && ` Nothing outside the bucket ${bucket} can be read.`;
  throw new SqlError(`r2_sql: expected the place of a table in the lake, got ${JSON.stringify(place.slice(0, 200))}`, {
    at,
    hint: `The places are ${places}.${outside || ''}`,
  });
}

/** What a name in a place of a table means; of several parts the first are the namespace. Throws `SqlError`. */
export function meaningOfName({ namespace, tables }: Names, parts: readonly string[], at: number): Meaning {
  const [name = '', ...before] = [...parts].reverse();
  if (before.length === 0) {
    for (const table of tables) {
      if (name === table.name) return { table, rows: 'current' };
      if (name === table.name + HISTORY) return { table, rows: 'history' };
    }
  }
  // The catalog's own table holds every row.
  const table = tables.find(candidate => candidate.name === name);
  if (before.length === 1 && before[0] === namespace && table !== undefined) return { table, rows: 'history' };
  throw new SqlError(`query: expected a table of the lake, got ${JSON.stringify(parts.join('.').slice(0, 200))}`, {
    at,
    hint: `The tables are ${tables.map(known => known.name).join(', ')}; each with ${HISTORY} behind its name has every row with its lineage.`,
  });
}
