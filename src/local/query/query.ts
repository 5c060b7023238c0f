import { stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { TABLES } from '../../../schemas/index.ts';
import type { Table } from '../../../schemas/table.ts';
import { NAMESPACE } from '../../sql/names.ts';
import { explain, SqlError } from '../../sql/sql-error.ts';
import { readStatement } from '../../sql/statement.ts';
import { cacheTables, type Lake, rootsText } from './lake.ts';
import { type Answer, openTables } from './tables.ts';

/** One query over a lake. Data files are cached in `cacheDir`. */
export interface LakeQuery {
  query: string;
  cacheDir: string;
  namespace?: string;
  /** How many of the answer's rows are read. */
  rowsMax?: number;
  signal?: AbortSignal;
}

/** A bucket sends no notice when an object changes, so one small object a table is read this often. */
const POLL_MS = 1_000;

/** An answer, and how many files and bytes were read for it. */
export interface LakeAnswer extends Answer {
  files: number;
  bytes: number;
}

/** Answers one query over the lake's current files; only those of its tables are fetched. Throws `SqlError`. */
export async function queryLake(lake: Lake, options: LakeQuery): Promise<LakeAnswer> {
  const { query, cacheDir, namespace = NAMESPACE, rowsMax, signal } = options;
  const files = await cacheTables(lake, { folder: cacheDir, tables: tablesOf(lake, options) });
  const tables = await openTables({ bucket: lake.bucket, tables: TABLES, files, namespace });
  try {
    const answer = await tables.query(query, { ...(rowsMax !== undefined && { rowsMax }), ...(signal && { signal }) });
    const paths = [...files.values()].flat();
    const sizes = await Promise.all(paths.map(async file => (await stat(file)).size));
    return { ...answer, files: paths.length, bytes: sizes.reduce((sum, size) => sum + size, 0) };
  } finally {
    tables.close();
  }
}

/**
 * Answers a query, and again whenever one of its tables has new rows, until `signal` aborts. `onAnswer` gets the first
 * answer and each that differs from the one before.
 */
export async function watchLake(
  lake: Lake,
  { onAnswer, signal, ...options }: LakeQuery & { onAnswer(answer: Answer): void; signal: AbortSignal },
): Promise<void> {
  const tables = tablesOf(lake, options);
  let last = '';
  while (!signal.aborted) {
    // Read the roots before the answer, so that rows that arrive in between count as a change.
    const roots = await rootsText(lake, tables);
    const answer = await queryLake(lake, options);
    const text = JSON.stringify(answer.rows);
    if (text !== last) onAnswer(answer);
    last = text;
    while (!signal.aborted && roots === (await rootsText(lake, tables))) {
      await sleep(POLL_MS, undefined, { signal }).catch(() => {});
    }
  }
}

/** A `SqlError` as lines for a person: what is wrong, where, and what to do. Any other error is given unchanged. */
export function asUserError(error: unknown, query: string): unknown {
  return error instanceof SqlError ? new Error(`${explain(error, query)}\n${error.hint}`) : error;
}

/** The tables of a lake that a query names. Throws `SqlError` for a query that does more than read. */
export function tablesOf(
  { bucket }: Pick<Lake, 'bucket'>,
  { query, namespace = NAMESPACE }: Pick<LakeQuery, 'query' | 'namespace'>,
): Table[] {
  const { references } = readStatement(query, { bucket, namespace, tables: TABLES });
  return [...new Set(references.map(reference => reference.table))];
}
