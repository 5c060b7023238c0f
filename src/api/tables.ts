import type { Table } from '../../schemas/table.ts';
import type { SourceStub } from '../contract/objects.ts';
import type { TableDetail, TableFacts } from '../contract/tables.ts';
import { ApiError, answer } from './answer.ts';
import type { ApiCall } from './env.ts';
import { wholeNumber } from './fields.ts';

/** Live files in one answer; `after` gives the next ones. */
const LIVE_FILES_MAX = 1_000;
const PAGE_HINT = 'Use ?after=<last_lsn of the last file>&limit=<files in one answer>.';

/** Shows the facts of every table of the lake; those of a table without a source are zero. */
export async function listTables({ env, known }: ApiCall): Promise<Response> {
  const facts = (await Promise.all(known.sources.map(({ id }) => env.SOURCES_NS.getByName(id).tables()))).flat();
  return answer({ tables: known.tables.map(table => factsOf(table, facts)) });
}

/** Shows one table's facts, columns and live files. */
export async function showTable(call: ApiCall): Promise<Response> {
  const table = tableOf(call);
  const { after = '0', limit = String(LIVE_FILES_MAX) } = call.request.query;
  const page = {
    after: readNumber(after, { name: 'after', min: 0, max: Number.MAX_SAFE_INTEGER }),
    limit: readNumber(limit, { name: 'limit', min: 1, max: LIVE_FILES_MAX }),
  };
  const stub = stubOf(call, table);
  const [facts, files] =
    stub === null ? [[], []] : await Promise.all([stub.tables(), stub.liveFiles(table.name, page.after, page.limit)]);
  const detail: TableDetail = { ...factsOf(table, facts), columns: columnsOf(table), live_files: files };
  return answer(detail);
}

function tableOf({ known, param }: ApiCall): Table {
  const name = param('table');
  const table = known.tables.find(candidate => candidate.name === name);
  if (table !== undefined) return table;
  const names = known.tables.map(candidate => candidate.name).join(', ');
  throw new ApiError('not_found', 'There is no table of this name.', `Known tables: ${names}.`);
}

/** The object of the table's source; null for a table without a source. */
function stubOf({ env, known }: ApiCall, table: Table): SourceStub | null {
  const source = known.sources.find(({ tables }) => tables.some(({ name }) => name === table.name));
  return source === undefined ? null : env.SOURCES_NS.getByName(source.id);
}

function factsOf({ name, prefix }: Table, all: TableFacts[]): TableFacts {
  const found: Partial<TableFacts> = all.find(facts => facts.name === name) ?? {};
  const { rows = 0, files = 0, bytes = 0, last_lsn = 0, known_rows = 0 } = found;
  return { name, prefix, rows, files, bytes, last_lsn, known_rows };
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

function readNumber(given: unknown, bounds: { name: string; min: number; max: number }): number {
  return wholeNumber(given, { ...bounds, code: 'invalid_setting', hint: PAGE_HINT });
}
