import {
  type DuckDBConnection,
  DuckDBInstance,
  DuckDBTypeId,
  type DuckDBValueConverter,
  type Json,
  JsonDuckDBValueConverter,
} from '@duckdb/node-api';
import type { Column, ColumnType } from '../../schemas/column.ts';
import { LINEAGE, type Table } from '../../schemas/table.ts';
import type { CachedFiles } from './lake.ts';

/** What a query gave. `numeric` says which columns hold numbers. */
export interface Answer {
  columns: string[];
  numeric: boolean[];
  rows: (Json | null)[][];
}

/** The lake's tables in SQL. */
export interface Tables {
  /** Runs the statements of a text one after the other and gives the last one's answer. */
  query(text: string): Promise<Answer>;
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
 * and `r2_sql('<bucket>/<prefix>/partitions.parquet')` the current rows by the table's place in the lake.
 */
export async function openTables(options: {
  bucket: string;
  tables: readonly Table[];
  files: CachedFiles;
}): Promise<Tables> {
  const { bucket, tables, files } = options;
  const instance = await DuckDBInstance.create(':memory:', {
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
  });
  const connection = await instance.connect();
  for (const table of tables) {
    await connection.run(historyView(table, files.get(table.name) ?? []));
    await connection.run(currentView(table));
  }
  await connection.run(r2SqlMacro(bucket, tables));
  return {
    query: text => query(connection, text),
    close() {
      connection.closeSync();
      instance.closeSync();
    },
  };
}

/** The path under which `r2_sql` knows a table. */
export function r2SqlPath(bucket: string, table: Table): string {
  return `${bucket}/${table.prefix}/partitions.parquet`;
}

function historyView(table: Table, files: string[]): string {
  const source = files.length === 0 ? emptySource(table.columns) : `FROM ${readFiles(table.columns, files)}`;
  return `CREATE VIEW ${name(`${table.name}_history`)} AS ${source}`;
}

/** Columns are found by field id: a file of an earlier version gives null where it has none. */
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

/** The newest row of each key unless it is a deletion. Only keys and LSNs are read to find it. */
function currentView(table: Table): string {
  const history = name(`${table.name}_history`);
  const columns = table.columns.filter(column => !Object.hasOwn(LINEAGE, column.name)).map(column => name(column.name));
  const newest = `SELECT max(_lsn) FROM ${history} GROUP BY ${table.key.map(name).join(', ')}`;
  return `CREATE VIEW ${name(table.name)} AS
    SELECT ${columns.join(', ')} FROM ${history} WHERE _op <> 'delete' AND _lsn IN (${newest})`;
}

function r2SqlMacro(bucket: string, tables: readonly Table[]): string {
  const paths = tables.map(table => r2SqlPath(bucket, table));
  const cases = tables.map((table, i) => `WHEN ${text(paths[i]!)} THEN ${text(table.name)}`);
  const otherwise = `error('r2_sql: expected one of ${paths.join(', ').replaceAll("'", "''")}, got ' || place)`;
  return `CREATE MACRO r2_sql(place) AS TABLE
    SELECT * FROM query_table(CASE rtrim(place, '/') ${cases.join(' ')} ELSE ${otherwise} END)`;
}

async function query(connection: DuckDBConnection, sql: string): Promise<Answer> {
  const statements = await connection.extractStatements(sql).catch((error: Error) => {
    // A text without a statement has no message of its own.
    const [, reason = 'query: expected a statement, got none'] =
      /^Failed to extract statements: (.+)/s.exec(error.message) ?? [];
    throw new Error(reason);
  });
  for (let i = 0; i < statements.count - 1; i++) await (await statements.prepare(i)).run();
  const reader = await (await statements.prepare(statements.count - 1)).runAndReadAll();
  const columns = reader.deduplicatedColumnNames();
  const numeric = reader.columnTypes().map(type => NUMERIC.has(type.typeId));
  return { columns, numeric, rows: reader.convertRows(toJson) };
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

/** Digits that a JSON number keeps. */
const DIGITS_MAX = 15;

/** JSON's own types: whole numbers are numbers as long as they are exact, else text. */
const toJson: DuckDBValueConverter<Json> = (value, type, converter) => {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  const json = JsonDuckDBValueConverter(value, type, converter);
  if (type.typeId !== DuckDBTypeId.DECIMAL || typeof json !== 'string') return json;
  return json.replace(/\D/g, '').length <= DIGITS_MAX ? Number(json) : json;
};

function name(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`;
}

function text(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}
