import type { DuckDBConnection } from '@duckdb/node-api';
import { readTree, TREE_QUERY, type TreeTables } from '../../src/local/query/parse-tree.ts';

/** What DuckDB's own parser finds in a query; null for a text that it cannot parse or that is no query. */
export async function treeOf(connection: DuckDBConnection, query: string): Promise<TreeTables | null> {
  const reader = await connection.runAndReadAll(TREE_QUERY, [query]);
  return readTree(String(reader.getRows()[0]![0]));
}
