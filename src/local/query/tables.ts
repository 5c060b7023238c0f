import path from 'node:path';
import { type DuckDBConnection, DuckDBInstance, DuckDBTypeId, type Json, StatementType } from '@duckdb/node-api';
import type { Column, ColumnType } from '../../../schemas/column.ts';
import type { Table } from '../../../schemas/table.ts';
import { messageOf } from '../../errors.ts';
import { currentColumns, NAMESPACE, type Names } from '../../sql/names.ts';
import { forLocalEngine, type Rewritten } from '../../sql/rewrite.ts';
import { SqlError } from '../../sql/sql-error.ts';
import { readStatement, type Statement } from '../../sql/statement.ts';
import { type AnswerLimits, readRows } from './answer-rows.ts';
import type { CachedFiles } from './lake.ts';
import { differenceOf, readTree, TREE_QUERY } from './parse-tree.ts';
import { PROGRAM_BYTES_MAX, QUERY_RESOURCES, type QueryResources } from './resources.ts';

/** The answer to a query. `numeric`: which columns hold numbers; `types`: DuckDB's names of the column types. */
export interface Answer {
  columns: string[];
  types: string[];
  numeric: boolean[];
  rows: (Json | null)[][];
}

/** How much of an answer is read, and what ends a query early. */
export interface QueryOptions extends Partial<AnswerLimits> {
  signal?: AbortSignal;
}

/** The lake's tables in SQL. */
export interface Tables {
  /**
   * Answers one statement that only reads, with at most `rowsMax` rows. Throws `SqlError` with the position of the
   * error in the query.
   */
  query(text: string, options?: QueryOptions): Promise<Answer>;
  close(): void;
}

const SQL_TYPES: Record<ColumnType, string> = {
  utf8: 'VARCHAR',
  int32: 'INTEGER',
  int64: 'BIGINT',
  float: 'FLOAT',
  boolean: 'BOOLEAN',
};

/**
 * Opens the cached data files as tables: `<table>` has the current rows, `<table>_history` every row with its lineage,
 * `r2_sql('<bucket>/<prefix>/partitions.parquet')` the current rows by the table's prefix in the lake, and
 * `<namespace>.<table>` every row, as the Iceberg table has. A query can read nothing else, and write nothing.
 */
export async function openTables(options: {
  bucket: string;
  tables: readonly Table[];
  files: CachedFiles;
  namespace?: string;
  /** Where a query writes when its memory is full; without a folder it fails then. */
  tempFolder?: string;
  resources?: QueryResources;
}): Promise<Tables> {
  const { tables, files, namespace = NAMESPACE, tempFolder = '', resources = QUERY_RESOURCES } = options;
  const names: Names = { bucket: options.bucket, namespace, tables };
  const instance = await DuckDBInstance.create(':memory:', {
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    errors_as_json: 'true',
    memory_limit: `${resources.memoryBytes}B`,
    threads: String(resources.threads),
    max_temp_directory_size: `${resources.tempBytesMax}B`,
    temp_directory: tempFolder,
  });
  const connection = await instance.connect();
  await connection.run(`CREATE SCHEMA ${name(namespace)}`);
  for (const table of tables) {
    await connection.run(historyView(table, files.get(table.name) ?? []));
    await connection.run(currentView(table));
    const history = name(`${table.name}_history`);
    await connection.run(`CREATE VIEW ${name(namespace)}.${name(table.name)} AS FROM main.${history}`);
  }
  // If the check of a query misses something, DuckDB itself refuses this machine's other files.
  const folders = new Set([...files.values()].flat().map(file => `${path.dirname(file)}/`));
  await connection.run(`SET allowed_directories = [${[...folders].map(text).join(', ')}]::VARCHAR[]`);
  await connection.run('SET enable_external_access = false');
  await connection.run('SET lock_configuration = true');
  return {
    query: (sql, more = {}) => query(connection, { sql, names, ...more }),
    close() {
      connection.closeSync();
      instance.closeSync();
    },
  };
}

function historyView(table: Table, files: string[]): string {
  const source = files.length === 0 ? emptySource(table.columns) : `FROM ${readFiles(table.columns, files)}`;
  return `CREATE VIEW ${name(`${table.name}_history`)} AS ${source}`;
}

/** Reads columns by field id: a file of an earlier version gives null for a column it does not have. */
function readFiles(columns: Column[], files: string[]): string {
  const schema = columns.map(
    column =>
      `${column.fieldId}: {name: ${text(column.name)}, type: ${text(SQL_TYPES[column.type])}, default_value: NULL}`,
  );
  const list = files.map(text).join(', ');
  return `read_parquet([${list}], schema = MAP {${schema.join(', ')}}, hive_partitioning = false)`;
}

function emptySource(columns: Column[]): string {
  return `SELECT ${columns.map(column => `CAST(NULL AS ${SQL_TYPES[column.type]}) AS ${name(column.name)}`).join(', ')} WHERE false`;
}

/** The newest row of each key unless it is a deletion. Finding it reads only keys and LSNs. */
function currentView(table: Table): string {
  const history = name(`${table.name}_history`);
  const columns = currentColumns(table).map(name);
  const newest = `SELECT max(_lsn) FROM ${history} GROUP BY ${table.key.map(name).join(', ')}`;
  return `CREATE VIEW ${name(table.name)} AS
    SELECT ${columns.join(', ')} FROM ${history} WHERE _op <> 'delete' AND _lsn IN (${newest})`;
}

async function query(
  connection: DuckDBConnection,
  { sql, names, signal, ...given }: { sql: string; names: Names } & QueryOptions,
): Promise<Answer> {
  const limits = { rowsMax: given.rowsMax ?? Number.POSITIVE_INFINITY, bytesMax: given.bytesMax ?? PROGRAM_BYTES_MAX };
  const read = readStatement(sql, names);
  const rewritten = forLocalEngine(read);
  let interrupts: NodeJS.Timeout | undefined;
  // Repeat the interrupt, because the engine ignores one that comes before it has begun.
  const interrupt = () => {
    interrupts ??= setInterval(() => connection.interrupt(), INTERRUPT_MS);
  };
  signal?.addEventListener('abort', interrupt);
  try {
    signal?.throwIfAborted();
    await compareWithTree(connection, { read, rewritten, names });
    const statements = await connection.extractStatements(rewritten.text);
    const statement = await statements.prepare(0);
    if (statements.count !== 1 || !READING.has(statement.statementType)) {
      throw new SqlError('query: expected one that only reads, got another', { at: 0, hint: 'Write a SELECT.' });
    }
    const result = await statement.stream();
    const types = result.columnTypes();
    return {
      columns: result.deduplicatedColumnNames(),
      types: types.map(String),
      numeric: types.map(type => NUMERIC.has(type.typeId)),
      rows: await readRows(result, limits),
    };
  } catch (error) {
    signal?.throwIfAborted();
    throw error instanceof SqlError ? error : engineError(messageOf(error), rewritten);
  } finally {
    signal?.removeEventListener('abort', interrupt);
    clearInterval(interrupts);
  }
}

/** Throws `SqlError` where the engine's own parser finds other tables in a query than its reader did. */
async function compareWithTree(
  connection: DuckDBConnection,
  { read, rewritten, names }: { read: Statement; rewritten: Rewritten; names: Names },
): Promise<void> {
  // The parser gives no tree of EXPLAIN, so it gets the query behind it.
  const start = read.kind === 'explanation' ? read.tokens[read.first]!.at : 0;
  const reader = await connection.runAndReadAll(TREE_QUERY, [rewritten.text.slice(start)]);
  const tree = readTree(String(reader.getRows()[0]![0]));
  // Cutting the text into statements gives the parser's error with its position.
  if (tree === null) await connection.extractStatements(rewritten.text);
  const difference = differenceOf(tree, { references: read.references, namespace: names.namespace });
  if (difference === null) return;
  throw new SqlError(`query: ${difference}`, { at: null, hint: 'Write the query in plainer SQL.' });
}

const INTERRUPT_MS = 20;
const READING = new Set([StatementType.SELECT, StatementType.EXPLAIN]);

/** DuckDB's error, which it gives as JSON, with its position in the user's text. */
function engineError(message: string, { text: rewritten, originOf }: Rewritten): SqlError {
  const json = /\{.*\}/s.exec(message)?.[0];
  if (json === undefined) return new SqlError(message, { at: null, hint: READ_HINT });
  const { exception_type: kind, exception_message: reason, position } = JSON.parse(json) as Record<string, string>;
  const at = position === undefined ? null : originOf(indexOfByte(rewritten, Number(position)));
  return new SqlError(`${kind} error: ${reason?.trimEnd()}`, { at, hint: READ_HINT });
}

const READ_HINT = 'DESCRIBE <table> lists the columns of a table.';

/** The index of a character from the engine's position, which counts bytes of UTF-8. */
function indexOfByte(content: string, byte: number): number {
  return new TextDecoder().decode(new TextEncoder().encode(content).subarray(0, byte)).length;
}

const NUMERIC = new Set([
  DuckDBTypeId.TINYINT,
  DuckDBTypeId.SMALLINT,
  DuckDBTypeId.INTEGER,
  DuckDBTypeId.BIGINT,
  DuckDBTypeId.UTINYINT,
  DuckDBTypeId.USMALLINT,
  DuckDBTypeId.UINTEGER,
  DuckDBTypeId.UBIGINT,
  DuckDBTypeId.HUGEINT,
  DuckDBTypeId.UHUGEINT,
  DuckDBTypeId.FLOAT,
  DuckDBTypeId.DOUBLE,
  DuckDBTypeId.DECIMAL,
]);

function name(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`;
}

function text(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}
