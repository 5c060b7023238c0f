import { stat } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TABLES } from '../../../schemas/index.ts';
import type { Table } from '../../../schemas/table.ts';
import { NAMESPACE } from '../../sql/names.ts';
import { explain, printable, SqlError } from '../../sql/sql-error.ts';
import { readStatement } from '../../sql/statement.ts';
import { type CachedFiles, cacheTables, type Lake, rootsText } from './lake.ts';
import { type Answer, openTables, type QueryOptions } from './tables.ts';
import { makeTempFolder } from './temp-folder.ts';

/** One query over a lake. Data files are cached in `cacheDir`. */
export interface LakeQuery extends QueryOptions {
  query: string;
  cacheDir: string;
  namespace?: string;
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
  const { cacheDir, namespace = NAMESPACE } = options;
  const files = await cacheTables(lake, { folder: cacheDir, tables: tablesOf(lake, options) });
  const temp = makeTempFolder(path.join(cacheDir, 'temp'));
  try {
    return await answerFrom(files, { lake, namespace, tempFolder: temp.path, options });
  } finally {
    temp.remove();
  }
}

async function answerFrom(
  files: CachedFiles,
  given: { lake: Lake; namespace: string; tempFolder: string; options: LakeQuery },
): Promise<LakeAnswer> {
  const { lake, namespace, tempFolder, options } = given;
  const tables = await openTables({ bucket: lake.bucket, tables: TABLES, files, namespace, tempFolder });
  try {
    const answer = await tables.query(options.query, options);
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

/**
 * An error as lines for a person: of a `SqlError` what is wrong, where, and what to do. No line has a character that
 * controls a terminal, because a bucket's answer or a row can be part of the message.
 */
export function asUserError(error: unknown, query: string): unknown {
  if (error instanceof SqlError) return new Error(`${explain(error, query)}\n${error.hint}`);
  if (!(error instanceof Error) || error.name === 'AbortError') return error;
  return new Error(error.message.split('\n').map(printable).join('\n'), { cause: error });
}

/** The tables of a lake that a query names. Throws `SqlError` for a query that does more than read. */
export function tablesOf(
  { bucket }: Pick<Lake, 'bucket'>,
  { query, namespace = NAMESPACE }: Pick<LakeQuery, 'query' | 'namespace'>,
): Table[] {
  const { references } = readStatement(query, { bucket, namespace, tables: TABLES });
  return [...new Set(references.map(reference => reference.table))];
}
