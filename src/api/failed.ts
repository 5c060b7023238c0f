import type { Failed, FailedQuery, Replayed } from '../contract/controls.ts';
import type { SourceStub } from '../contract/objects.ts';
import { ApiError, answer, invalid } from './answer.ts';
import { readBody } from './body.ts';
import type { ApiEnv, Known } from './env.ts';
import { stubOf } from './sources.ts';

/** Failed changes of one answer; more are asked for with `after`. */
const FAILED_MAX = 1_000;
const FAILED_DEFAULT = 100;
/** Ids of one replay. */
const IDS_MAX = 1_000;
const NOTE_LENGTH_MAX = 500;
const SECONDS_MAX = 10 * 365 * 86_400;

const LIST_HINT =
  'Ask for ?source=<id>&reason=<reason>&state=<dead or parked>&older_than=<seconds>&after=<id of the last>&limit=<number>.';
const REPLAY_HINT =
  'Send {"ids": ["npm-12"]} or {"filter": {"source": "npm", "reason": "http-404", "older_than": 3600}}, and "dry_run": true to only count.';
const DISMISS_HINT = `Send {"reason": "<why, 1 to ${NOTE_LENGTH_MAX} characters>"}.`;

/** Failed changes of all sources, or of those a query names, in order of source and change number. */
export async function listFailed(env: ApiEnv, known: Known, query: Record<string, unknown>): Promise<Response> {
  const { source, ...wanted } = readQuery(query, LIST_HINT);
  const limit = numberOf(query.limit ?? String(FAILED_DEFAULT), { name: 'limit', min: 1, max: FAILED_MAX });
  const after = query.after === undefined ? null : readId(String(query.after), known);
  if (source !== null) stubOf(env, known, source);
  const ids = known.sources.map(({ id }) => id);
  const first = after === null ? 0 : ids.indexOf(after.source);
  const failed: Failed[] = [];
  for (const id of ids.slice(first)) {
    if (source !== null && id !== source) continue;
    if (failed.length >= limit) break;
    const afterNumber = id === after?.source ? after.changeNumber : 0;
    const rest = limit - failed.length;
    failed.push(...(await stubOf(env, known, id).failed({ ...wanted, after: afterNumber, limit: rest })));
  }
  return answer({ failed, next: failed.length === limit ? failed.at(-1)!.id : null });
}

/** One failed change, also one that is resolved. */
export async function showFailed(env: ApiEnv, known: Known, id: string): Promise<Response> {
  const { stub, changeNumber } = find(env, known, id);
  const failed = await stub.failedChange(changeNumber);
  if (failed === null) throw noSuch(id);
  return answer(failed);
}

/** Looks again at dead changes by id or by filter; a dry run only counts them. */
export async function replayFailed(env: ApiEnv, known: Known, text: string): Promise<Response> {
  const body = readBody(text, { fields: ['ids', 'filter', 'dry_run'], hint: REPLAY_HINT });
  const { ids, filter, dry_run: dryRun = false } = body;
  if (typeof dryRun !== 'boolean') throw invalid('dry_run', 'true or false', dryRun, REPLAY_HINT);
  if ((ids === undefined) === (filter === undefined))
    throw new ApiError('invalid_body', 'body: expected either ids or filter', REPLAY_HINT);
  const wanted = ids === undefined ? byFilter(env, known, filter) : await byIds(env, known, ids);
  const bySource: Record<string, Replayed> = {};
  for (const { source, numbers, query } of wanted)
    bySource[source] = await stubOf(env, known, source).replay({ numbers, query, dryRun });
  const changes = Object.values(bySource).reduce((sum, replayed) => sum + replayed.changes, 0);
  return answer({ dry_run: dryRun, changes, sources: bySource });
}

/** Ends a dead change for good, with a reason. */
export async function dismissFailed(
  env: ApiEnv,
  known: Known,
  { id, text }: { id: string; text: string },
): Promise<Response> {
  const { reason } = readBody(text, { fields: ['reason'], hint: DISMISS_HINT });
  const isText = typeof reason === 'string' && reason.trim() !== '' && reason.length <= NOTE_LENGTH_MAX;
  if (!isText) throw invalid('reason', `a text of 1 to ${NOTE_LENGTH_MAX} characters`, reason, DISMISS_HINT);
  const { stub, changeNumber } = find(env, known, id);
  const changed = await stub.dismiss(changeNumber, reason);
  if (changed === null) throw noSuch(id);
  return answer({ id, action: 'dismiss', changed });
}

type Wanted = { source: string; numbers: number[] | null; query: FailedQuery }[];

const ALL: FailedQuery = { state: 'dead', reason: null, olderThanSeconds: null };

function byFilter(env: ApiEnv, known: Known, filter: unknown): Wanted {
  if (typeof filter !== 'object' || filter === null || Array.isArray(filter))
    throw invalid('filter', 'an object', filter, REPLAY_HINT);
  const { source, ...query } = readQuery(filter as Record<string, unknown>, REPLAY_HINT, [
    'source',
    'reason',
    'older_than',
  ]);
  if (source !== null) stubOf(env, known, source);
  return known.sources
    .filter(({ id }) => source === null || id === source)
    .map(({ id }) => ({ source: id, numbers: null, query }));
}

/** All ids are looked up before any is replayed: a wrong one has no effect. */
async function byIds(env: ApiEnv, known: Known, ids: unknown): Promise<Wanted> {
  if (!Array.isArray(ids) || ids.length === 0 || ids.length > IDS_MAX)
    throw invalid('ids', `a list of 1 to ${IDS_MAX} ids`, ids, REPLAY_HINT);
  const read = [...new Set(ids.map(String))].map(id => ({ id, ...find(env, known, id) }));
  for (const { id, stub, changeNumber } of read) if ((await stub.failedChange(changeNumber)) === null) throw noSuch(id);
  const bySource = Map.groupBy(read, ({ source }) => source);
  return [...bySource].map(([source, found]) => ({
    source,
    numbers: found.map(({ changeNumber }) => changeNumber),
    query: ALL,
  }));
}

function readQuery(
  given: Record<string, unknown>,
  hint: string,
  fields = ['source', 'reason', 'state', 'older_than', 'after', 'limit'],
): FailedQuery & { source: string | null } {
  const unknown = Object.keys(given).find(name => !fields.includes(name));
  if (unknown !== undefined) throw invalid(unknown, 'no such field', given[unknown], hint);
  const { source = null, reason = null, state = 'dead', older_than: older = null } = given;
  if (source !== null && typeof source !== 'string') throw invalid('source', 'a source’s id', source, hint);
  if (reason !== null && (typeof reason !== 'string' || reason === ''))
    throw invalid('reason', 'a reason', reason, hint);
  if (state !== 'dead' && state !== 'parked') throw invalid('state', 'dead or parked', state, hint);
  const olderThanSeconds =
    older === null ? null : numberOf(String(older), { name: 'older_than', min: 0, max: SECONDS_MAX });
  return { source, reason, state, olderThanSeconds };
}

function find(env: ApiEnv, known: Known, id: string): { source: string; stub: SourceStub; changeNumber: number } {
  const { source, changeNumber } = readId(id, known);
  return { source, stub: stubOf(env, known, source), changeNumber };
}

/** `<source>-<change number>`. Throws `not_found` for what names no source. */
function readId(id: string, known: Known): { source: string; changeNumber: number } {
  const match = /^(.+)-(\d{1,15})$/.exec(id);
  if (!match || !known.sources.some(source => source.id === match[1])) throw noSuch(id);
  return { source: match[1]!, changeNumber: Number(match[2]) };
}

function numberOf(given: unknown, { name, min, max }: { name: string; min: number; max: number }): number {
  const value = typeof given === 'string' && /^\d{1,15}$/.test(given) ? Number(given) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw invalid(name, `a whole number from ${min} to ${max}`, given, LIST_HINT);
}

function noSuch(id: string): ApiError {
  return new ApiError(
    'not_found',
    `There is no failed change of the id ${JSON.stringify(id.slice(0, 100))}.`,
    'GET /v1/failed lists them; an id is <source>-<change number>.',
  );
}
