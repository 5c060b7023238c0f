import type { RangeAction, RangeAnswer, RangeRequest, RangeStatus } from '../contract/controls.ts';
import { ApiError, answer, invalid } from './answer.ts';
import { readBody } from './body.ts';
import type { ApiEnv, Known } from './env.ts';
import { stubOf } from './sources.ts';

const RATE_MAX = 10_000;
const CURSOR_LENGTH_MAX = 1_000;
const HINTS = {
  backfill:
    'Send {"from": "<cursor>", "to": "<cursor>"}, and "rate": <changes a second> if it should not be half of what is allowed.',
  rewind: 'Send {"to": "<cursor>"}, and "rate": <changes a second> if it should not be half of what is allowed.',
};

interface Place {
  id: string;
  lane: RangeStatus['lane'];
}

/** Starts a backfill or a rewind. */
export async function startRange(
  env: ApiEnv,
  known: Known,
  { id, lane, text }: Place & { text: string },
): Promise<Response> {
  const stub = stubOf(env, known, id);
  return rangeAnswer({ id, lane }, 'start', await stub.startRange(lane, readRequest(lane, text)));
}

/** Pauses, resumes or cancels one. */
export async function controlRange(
  env: ApiEnv,
  known: Known,
  { id, lane, action, text }: Place & { action: RangeAction; text: string },
): Promise<Response> {
  const stub = stubOf(env, known, id);
  readBody(text, { fields: [], hint: 'Send no body; this control has no parameter.' });
  return rangeAnswer({ id, lane }, action, await stub.controlRange(lane, action));
}

/** How a lane's range stands. */
export async function showRange(env: ApiEnv, known: Known, { id, lane }: Place): Promise<Response> {
  const range = await stubOf(env, known, id).range(lane);
  if (range === null)
    throw new ApiError('not_found', `There has been no ${lane}.`, `Start one: POST /v1/sources/${id}/${lane}.`);
  return answer(range);
}

function rangeAnswer({ id, lane }: Place, action: string, answered: RangeAnswer): Response {
  if ('message' in answered) throw new ApiError(answered.code, answered.message, answered.hint);
  return answer({ source: id, lane, action, changed: answered.changed, range: answered.range });
}

function readRequest(lane: Place['lane'], text: string): RangeRequest {
  const hint = HINTS[lane];
  const fields = lane === 'rewind' ? ['to', 'rate'] : ['from', 'to', 'rate'];
  const { from, to, rate = null } = readBody(text, { fields, hint });
  const cursors = lane === 'rewind' ? { to } : { from, to };
  for (const [name, value] of Object.entries(cursors)) {
    const isCursor = typeof value === 'string' && value !== '' && value.length <= CURSOR_LENGTH_MAX;
    if (!isCursor) throw invalid(name, 'a cursor as text', value, hint);
  }
  const isRate = rate === null || (typeof rate === 'number' && rate > 0 && rate <= RATE_MAX);
  if (!isRate) throw invalid('rate', `a number over 0 and up to ${RATE_MAX}`, rate, hint);
  return { ...cursors, rate } as RangeRequest;
}
