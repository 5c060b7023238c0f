import type { FailedChange, FailedQuery, ReplayResult } from '../contract/failed.ts';
import type { SourceStub } from '../contract/objects.ts';
import { ApiError, answer } from './answer.ts';
import { readBody } from './body.ts';
import type { ApiCall, Known } from './env.ts';
import { invalid, refuseOtherFields, wholeNumber } from './fields.ts';
import { stubOf } from './sources.ts';

/** Failed changes in one answer; `after` gives the next ones. */
const FAILED_MAX = 1_000;
const FAILED_DEFAULT = 100;
const REPLAY_IDS_MAX = 1_000;
const NOTE_LENGTH_MAX = 500;
const SECONDS_MAX = 10 * 365 * 86_400;

const FILTER_FIELDS = ['source', 'reason', 'older_than'];
const LIST_FIELDS = ['source', 'reason', 'state', 'older_than', 'after', 'limit'];

const LIST_HINT =
  'Use ?source=<id>&reason=<reason>&state=<dead or parked>&older_than=<seconds>&after=<id of the last>&limit=<number>.';
const REPLAY_HINT =
  'Send {"ids": ["npm-12"]} or {"filter": {"source": "npm", "reason": "http-404", "older_than": 3600}}, and "dry_run": true to only count.';
const DISMISS_HINT = `Send {"reason": "<why, 1 to ${NOTE_LENGTH_MAX} characters>"}.`;

/** Lists the failed changes of all sources, or those that a query selects, in order of source and change number. */
export async function listFailed({ env, known, request: { query } }: ApiCall): Promise<Response> {
  refuseOtherFields(query, { subject: 'query', fields: LIST_FIELDS, hint: LIST_HINT });
  const { source, ...filter } = readFilter(query, LIST_HINT);
  const limit = wholeNumber(query.limit ?? String(FAILED_DEFAULT), {
    name: 'limit',
    min: 1,
    max: FAILED_MAX,
    hint: LIST_HINT,
  });
  const after = query.after === undefined ? null : readId(String(query.after), known);
  if (source !== null) stubOf(env, known, source);
  const ids = known.sources.map(({ id }) => id);
  const first = after === null ? 0 : ids.indexOf(after.source);
  const failed: FailedChange[] = [];
  for (const id of ids.slice(first)) {
    if (source !== null && id !== source) continue;
    if (failed.length >= limit) break;
    const afterNumber = id === after?.source ? after.changeNumber : 0;
    const rest = limit - failed.length;
    failed.push(...(await stubOf(env, known, id).failed({ ...filter, after: afterNumber, limit: rest })));
  }
  return answer({ failed, next: failed.length === limit ? failed.at(-1)!.id : null });
}

/** Shows one failed change, a resolved one too. */
export async function showFailed(call: ApiCall): Promise<Response> {
  const { id, stub, changeNumber } = failedOf(call, call.param('id'));
  const failed = await stub.failedChange(changeNumber);
  if (failed === null) throw noSuch(id);
  return answer(failed);
}

/** Replays dead changes by id or by filter; a dry run only counts them. */
export async function replayFailed(call: ApiCall): Promise<Response> {
  const { env, known, request } = call;
  const body = await readBody(request.body, { fields: ['ids', 'filter', 'dry_run'], hint: REPLAY_HINT });
  const { ids, filter, dry_run: dryRun = false } = body;
  if (typeof dryRun !== 'boolean') throw invalid(dryRun, 'true or false', { name: 'dry_run', hint: REPLAY_HINT });
  if ((ids === undefined) === (filter === undefined)) {
    const actual = ids === undefined ? 'neither' : 'both';
    throw new ApiError('invalid_body', `body: expected either ids or filter, got ${actual}`, REPLAY_HINT);
  }
  const selections = ids === undefined ? selectByFilter(call, filter) : await selectByIds(call, ids);
  const bySource: Record<string, ReplayResult> = {};
  for (const { source, numbers, query } of selections)
    bySource[source] = await stubOf(env, known, source).replay({ numbers, query, dryRun });
  const changes = Object.values(bySource).reduce((sum, replayed) => sum + replayed.changes, 0);
  return answer({ dry_run: dryRun, changes, sources: bySource });
}

/** Dismisses a dead change with a reason: nothing retries it any more. */
export async function dismissFailed(call: ApiCall): Promise<Response> {
  const { reason } = await readBody(call.request.body, { fields: ['reason'], hint: DISMISS_HINT });
  const isText = typeof reason === 'string' && reason.trim() !== '' && reason.length <= NOTE_LENGTH_MAX;
  if (!isText)
    throw invalid(reason, `a text of 1 to ${NOTE_LENGTH_MAX} characters`, { name: 'reason', hint: DISMISS_HINT });
  const { id, stub, changeNumber } = failedOf(call, call.param('id'));
  const changed = await stub.dismiss(changeNumber, reason);
  if (changed === null) throw noSuch(id);
  return answer({ id, action: 'dismiss', changed });
}

/** The dead changes of one source to replay: those with these numbers, or all that the query matches. */
interface ReplaySelection {
  source: string;
  numbers: number[] | null;
  query: FailedQuery;
}

const ALL_DEAD: FailedQuery = { state: 'dead', reason: null, olderThanSeconds: null };

function selectByFilter({ env, known }: ApiCall, filter: unknown): ReplaySelection[] {
  if (typeof filter !== 'object' || filter === null || Array.isArray(filter))
    throw invalid(filter, 'an object', { name: 'filter', hint: REPLAY_HINT });
  refuseOtherFields(filter, { subject: 'filter', fields: FILTER_FIELDS, hint: REPLAY_HINT });
  const { source, ...query } = readFilter(filter as Record<string, unknown>, REPLAY_HINT);
  if (source !== null) stubOf(env, known, source);
  return known.sources
    .filter(({ id }) => source === null || id === source)
    .map(({ id }) => ({ source: id, numbers: null, query }));
}

/** Checks all ids before any change is replayed, so that a request with a wrong id has no effect. */
async function selectByIds(call: ApiCall, ids: unknown): Promise<ReplaySelection[]> {
  if (!Array.isArray(ids) || ids.length === 0 || ids.length > REPLAY_IDS_MAX)
    throw invalid(ids, `a list of 1 to ${REPLAY_IDS_MAX} ids`, { name: 'ids', hint: REPLAY_HINT });
  const changes = [...new Set(ids.map(String))].map(id => failedOf(call, id));
  for (const { id, stub, changeNumber } of changes)
    if ((await stub.failedChange(changeNumber)) === null) throw noSuch(id);
  const bySource = Map.groupBy(changes, ({ source }) => source);
  return [...bySource].map(([source, own]) => ({
    source,
    numbers: own.map(({ changeNumber }) => changeNumber),
    query: ALL_DEAD,
  }));
}

/** Reads the fields that a list and a replay have in common; `source` is not checked yet. */
function readFilter(fields: Record<string, unknown>, hint: string): FailedQuery & { source: string | null } {
  const { source = null, reason = null, state = 'dead', older_than: olderThan = null } = fields;
  if (source !== null && typeof source !== 'string')
    throw invalid(source, 'the id of a source', { name: 'source', hint });
  if (reason !== null && (typeof reason !== 'string' || reason === ''))
    throw invalid(reason, 'a reason', { name: 'reason', hint });
  if (state !== 'dead' && state !== 'parked') throw invalid(state, 'dead or parked', { name: 'state', hint });
  const olderThanSeconds =
    olderThan === null ? null : wholeNumber(String(olderThan), { name: 'older_than', min: 0, max: SECONDS_MAX, hint });
  return { source, reason, state, olderThanSeconds };
}

interface NamedChange {
  id: string;
  source: string;
  stub: SourceStub;
  changeNumber: number;
}

/** The change that an id names, and the object of its source. Throws `not_found` for an id of no source. */
function failedOf({ env, known }: ApiCall, id: string): NamedChange {
  const { source, changeNumber } = readId(id, known);
  return { id, source, stub: stubOf(env, known, source), changeNumber };
}

/** Reads `<source>-<change number>`. Throws `not_found` for an unknown source. */
function readId(id: string, known: Known): { source: string; changeNumber: number } {
  const match = /^(.+)-(\d{1,15})$/.exec(id);
  if (!match || !known.sources.some(source => source.id === match[1])) throw noSuch(id);
  return { source: match[1]!, changeNumber: Number(match[2]) };
}

function noSuch(id: string): ApiError {
  return new ApiError(
    'not_found',
    `There is no failed change with the id ${JSON.stringify(id.slice(0, 100))}.`,
    'GET /v1/failed lists them; an id is <source>-<change number>.',
  );
}
