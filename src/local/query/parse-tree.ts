import { isRefusedFunction, ROW_FUNCTIONS } from '../../sql/functions.ts';
import type { ResolvedTable } from '../../sql/names.ts';
import { nameOf } from '../../sql/rewrite.ts';
import { asciiLowerCase } from '../../sql/tokens.ts';

// DuckDB's own reading of a query, which `json_serialize_sql` gives as JSON.

/** What a parse tree names. */
export interface TreeTables {
  /** The tables without the names that a WITH defines, each with the schema that the query gives it, in lower case. */
  tables: Set<string>;
  /** The first thing in it that could read something besides tables; null where there is none. */
  refused: string | null;
}

/** The query whose one row holds the parse tree of its one parameter. */
export const TREE_QUERY = 'SELECT json_serialize_sql(CAST($1 AS VARCHAR))::VARCHAR';

/** The forms of a query, and of the parts of a FROM, that are known to name tables only as this file reads them. */
const QUERY_NODES = ['SELECT_NODE', 'SET_OPERATION_NODE', 'RECURSIVE_CTE_NODE', 'CTE_NODE'];
const TABLE_NODES = ['BASE_TABLE', 'SUBQUERY', 'JOIN', 'TABLE_FUNCTION', 'EXPRESSION_LIST', 'EMPTY', 'SHOW_REF'];
/** What SHOW lists without naming a table. */
const SHOWN = ['"tables"', '"schemas"', '"databases"', '__show_tables_expanded'];

interface Node {
  [field: string]: unknown;
}

/** Reads a parse tree. Null for the tree of a text that is no query, or that DuckDB cannot parse. */
export function readTree(json: string): TreeTables | null {
  const { error, statements } = JSON.parse(json) as { error: boolean; statements?: Node[] };
  if (error || statements?.length !== 1) return null;
  const reader = new TreeReader();
  reader.visit(statements[0], { scope: new Set(), field: 'statement' });
  return reader;
}

/**
 * What a parse tree has that the reader of the statement did not find, as text; null where it has nothing more. It can
 * have less, because DuckDB drops a named window that no function uses.
 */
export function differenceOf(
  tree: TreeTables | null,
  { references, namespace }: { references: readonly ResolvedTable[]; namespace: string },
): string | null {
  const wanted = new Set(references.map(nameOf));
  const found = new Set([...(tree?.tables ?? [])].map(table => inMain(table, namespace)));
  const more = tree === null ? 'no query' : (tree.refused ?? [...found].find(table => !wanted.has(table)));
  if (more === undefined) return null;
  return `expected DuckDB to read ${[...wanted].join(', ') || 'no table'}, got ${more}`;
}

/** The name in the schema `main` of a table as a parse tree names it. */
function inMain(table: string, namespace: string): string {
  if (table.startsWith('main.')) return table.slice('main.'.length);
  return table.startsWith(`${namespace}.`) ? `${table.slice(namespace.length + 1)}_history` : table;
}

/** `scope`: the names that WITHs define around a node. `field`: the field of its parent that holds it. */
interface Around {
  scope: ReadonlySet<string>;
  field: string;
}

class TreeReader implements TreeTables {
  readonly tables = new Set<string>();
  refused: string | null = null;

  visit(value: unknown, { scope, field }: Around): void {
    if (Array.isArray(value)) {
      for (const item of value) this.visit(item, { scope, field });
      return;
    }
    if (typeof value !== 'object' || value === null) return;
    const node = value as Node;
    this.#check(node, scope, field);
    const inner = this.#withNames(node, scope);
    for (const [name, child] of Object.entries(node)) {
      if (name === 'cte_map') continue;
      const isRecursive = node.type === 'RECURSIVE_CTE_NODE' && name === 'right';
      this.visit(child, { scope: isRecursive ? new Set(inner).add(lower(node.cte_name)) : inner, field: name });
    }
  }

  /** Visits the queries of a WITH, each in the scope of those before it, and gives the scope with all their names. */
  #withNames(node: Node, scope: ReadonlySet<string>): ReadonlySet<string> {
    const { map = [] } = (node.cte_map ?? {}) as { map?: { key: string; value: unknown }[] };
    let inner = scope;
    for (const { key, value } of map) {
      this.visit(value, { scope: inner, field: 'cte' });
      inner = new Set(inner).add(lower(key));
    }
    return inner;
  }

  #check(node: Node, scope: ReadonlySet<string>, field: string): void {
    const { type } = node;
    const isTable = field === 'from_table' || (typeof type === 'string' && TABLE_NODES.includes(type));
    if (isTable && !TABLE_NODES.includes(String(type))) this.#refuse(String(type));
    if (field === 'node' && !QUERY_NODES.includes(String(type))) this.#refuse(String(type));
    if (type === 'PIVOT') this.#refuse('PIVOT');
    if (node.at_clause) this.#refuse('AT');
    if (type === 'BASE_TABLE') this.#table(node, scope);
    if (type === 'TABLE_FUNCTION') this.#rowFunction(node.function as Node);
    if (typeof node.function_name === 'string' && isRefusedFunction(lower(node.function_name))) {
      this.#refuse(`${node.function_name}()`);
    }
    if (type === 'SHOW_REF' && node.query === null && !SHOWN.includes(String(node.table_name))) this.#refuse('SHOW');
  }

  #table({ catalog_name, schema_name, table_name }: Node, scope: ReadonlySet<string>): void {
    const parts = [catalog_name, schema_name, table_name].map(lower).filter(part => part !== '');
    if (parts.length > 1 || !scope.has(parts[0]!)) this.tables.add(parts.join('.'));
  }

  #rowFunction({ function_name, schema, catalog }: Node): void {
    const name = [catalog, schema, function_name].map(lower).filter(Boolean).join('.');
    if (!ROW_FUNCTIONS.includes(name)) this.#refuse(`${name}()`);
  }

  #refuse(found: string): void {
    this.refused ??= found;
  }
}

function lower(name: unknown): string {
  return typeof name === 'string' ? asciiLowerCase(name) : '';
}
