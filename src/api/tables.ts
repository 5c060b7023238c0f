import type { Table } from '../../schemas/table.ts';
import type { SourceStub } from '../contract/objects.ts';
import type { TableDetail, TableFacts } from '../contract/tables.ts';
import { ApiError, answer } from './answer.ts';
import type { ApiEnv, Known } from './env.ts';

/** Live files of one answer; more are asked for with `after`. */
const LIVE_FILES_MAX = 1_000;

/** Facts of every table of the lake; one without a source has none of anything. */
export async function listTables(env: ApiEnv, known: Known): Promise<Response> {
  const ofSources = await Promise.all(known.sources.map(({ id }) => env.SOURCES_NS.getByName(id).tables()));
  const given = ofSources.flat();
  return answer({ tables: known.tables.map(table => factsOf(table, given)) });
}

/** One table's facts, columns and live files. */
export async function showTable(
  env: ApiEnv,
  known: Known,
  { name, query }: { name: string; query: Record<string, unknown> },
): Promise<Response> {
  const table = known.tables.find(candidate => candidate.name === name);
  if (table === undefined) {
    const names = known.tables.map(candidate => candidate.name).join(', ');
    throw new ApiError('not_found', 'There is no table of this name.', `Known tables: ${names}.`);
  }
  const after = wholeNumber(query, 'after', { fallback: 0, min: 0, max: Number.MAX_SAFE_INTEGER });
  const limit = wholeNumber(query, 'limit', { fallback: LIVE_FILES_MAX, min: 1, max: LIVE_FILES_MAX });

  const stub = stubOf(env, known, table);
  const [given, files] =
    stub === null ? [[], []] : await Promise.all([stub.tables(), stub.liveFiles(name, after, limit)]);
  const detail: TableDetail = { ...factsOf(table, given), columns: columnsOf(table), live_files: files };
  return answer(detail);
}

function stubOf(env: ApiEnv, known: Known, table: Table): SourceStub | null {
  const source = known.sources.find(({ tables }) => tables.some(({ name }) => name === table.name));
  return source === undefined ? null : env.SOURCES_NS.getByName(source.id);
}

function factsOf({ name, prefix }: Table, given: TableFacts[]): TableFacts {
  const { rows, files, bytes, last_lsn } = given.find(facts => facts.name === name) ?? {
    rows: 0,
    files: 0,
    bytes: 0,
    last_lsn: 0,
  };
  return { name, prefix, rows, files, bytes, last_lsn };
}

function columnsOf(table: Table): TableDetail['columns'] {
  return table.columns.map(({ name, type, required, description, fieldId }) => ({
    name,
    type,
    required,
    description,
    field_id: fieldId,
  }));
}

function wholeNumber(
  query: Record<string, unknown>,
  name: string,
  { fallback, min, max }: { fallback: number; min: number; max: number },
): number {
  const given = query[name];
  if (given === undefined) return fallback;
  const value = typeof given === 'string' && /^\d{1,16}$/.test(given) ? Number(given) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new ApiError(
    'invalid_setting',
    `${name}: expected a whole number from ${min} to ${max}, got ${JSON.stringify(given)}`,
    'Ask for ?after=<the last_lsn of the last file seen>&limit=<files in one answer>.',
  );
}
