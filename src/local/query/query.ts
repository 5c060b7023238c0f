import { stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { TABLES } from '../../../schemas/index.ts';
import type { Table } from '../../../schemas/table.ts';
import { NAMESPACE } from '../../sql/names.ts';
import { explain, SqlError } from '../../sql/sql-error.ts';
import { readStatement } from '../../sql/statement.ts';
import { cacheTables, type Lake, rootsText } from './lake.ts';
import { type Answer, openTables } from './tables.ts';

/** One query over a lake. Data files are kept in `cacheDir`. */
export interface Question {
  query: string;
  cacheDir: string;
  namespace?: string;
  /** Of the answer's rows only the first so many are read. */
  rowsMax?: number;
  signal?: AbortSignal;
}

/** A bucket tells nobody that an object changed: it has to be asked, for one small object a table. */
const LOOK_MS = 1_000;

/** An answer, and what was read for it. */
export interface LakeAnswer extends Answer {
  files: number;
  bytes: number;
}

/** Answers one query with what the lake holds now; only files of the tables it names are fetched. Throws `SqlError`. */
export async function askLake(lake: Lake, question: Question): Promise<LakeAnswer> {
  const { query, cacheDir, namespace = NAMESPACE, rowsMax, signal } = question;
  const files = await cacheTables(lake, { folder: cacheDir, tables: tablesOf(lake, question) });
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
 * Answers a query, and again whenever rows came to a table it names, until `signal` ends it. `tell` gets the first
 * answer and each that differs from the one before.
 */
export async function watchLake(
  lake: Lake,
  { tell, signal, ...question }: Question & { tell(answer: Answer): void; signal: AbortSignal },
): Promise<void> {
  const tables = tablesOf(lake, question);
  let told = '';
  while (!signal.aborted) {
    // Read before the answer: what comes meanwhile is seen as a change.
    const roots = await rootsText(lake, tables);
    const answer = await askLake(lake, question);
    const text = JSON.stringify(answer.rows);
    if (text !== told) tell(answer);
    told = text;
    while (!signal.aborted && roots === (await rootsText(lake, tables))) {
      await sleep(LOOK_MS, undefined, { signal }).catch(() => {});
    }
  }
}

/** What is wrong with a query, where, and what to do, as lines for a person. Any other error stays as it is. */
export function explained(error: unknown, query: string): unknown {
  return error instanceof SqlError ? new Error(`${explain(error, query)}\n${error.hint}`) : error;
}

/** The tables of a lake that a query names. Throws `SqlError` where it is not one that only reads. */
export function tablesOf(
  { bucket }: Pick<Lake, 'bucket'>,
  { query, namespace = NAMESPACE }: Pick<Question, 'query' | 'namespace'>,
): Table[] {
  const { references } = readStatement(query, { bucket, namespace, tables: TABLES });
  return [...new Set(references.map(reference => reference.table))];
}
