import type { RangeAction, RangeAnswer, RangeRequest, RangeStatus } from '../contract/ranges.ts';
import { ApiError, answer } from './answer.ts';
import { readBody } from './body.ts';
import type { Handler } from './env.ts';
import { invalid } from './fields.ts';
import { sourceOf } from './sources.ts';

const RATE_MAX = 10_000;
const CURSOR_LENGTH_MAX = 1_000;
const RATE_HINT = '"rate": <changes a second> (default: half of what the slowest host allows)';
const HINTS = {
  backfill: `Send {"from": "<cursor>", "to": "<cursor>"}, and optionally ${RATE_HINT}.`,
  rewind: `Send {"to": "<cursor>"}, and optionally ${RATE_HINT}.`,
};

type Lane = RangeStatus['lane'];

/** Starts a backfill or a rewind. */
export function startRange(lane: Lane): Handler {
  return async call => {
    const { id, stub } = sourceOf(call);
    const request = await readRequest(lane, call.request.body);
    return rangeAnswer(await stub.startRange(lane, request), { source: id, lane, action: 'start' });
  };
}

/** Pauses, resumes or cancels the range of a lane. */
export function controlRange(lane: Lane, action: RangeAction): Handler {
  return async call => {
    const { id, stub } = sourceOf(call);
    await readBody(call.request.body, { fields: [], hint: 'Send no body; this control has no parameter.' });
    return rangeAnswer(await stub.controlRange(lane, action), { source: id, lane, action });
  };
}

/** Shows the status of a lane's last range. */
export function showRange(lane: Lane): Handler {
  return async call => {
    const { id, stub } = sourceOf(call);
    const range = await stub.range(lane);
    if (range !== null) return answer(range);
    throw new ApiError('not_found', `There has been no ${lane}.`, `Start one: POST /v1/sources/${id}/${lane}.`);
  };
}

function rangeAnswer(result: RangeAnswer, request: { source: string; lane: Lane; action: string }): Response {
  if ('message' in result) throw new ApiError(result.code, result.message, result.hint);
  return answer({ ...request, changed: result.changed, range: result.range });
}

async function readRequest(lane: Lane, body: ReadableStream<Uint8Array> | null): Promise<RangeRequest> {
  const hint = HINTS[lane];
  const fields = lane === 'rewind' ? ['to', 'rate'] : ['from', 'to', 'rate'];
  const { from, to, rate = null } = await readBody(body, { fields, hint });
  const cursors = lane === 'rewind' ? { to } : { from, to };
  for (const [name, value] of Object.entries(cursors)) {
    const isCursor = typeof value === 'string' && value !== '' && value.length <= CURSOR_LENGTH_MAX;
    if (!isCursor) throw invalid(value, `a cursor of 1 to ${CURSOR_LENGTH_MAX} characters`, { name, hint });
  }
  const isRate = rate === null || (typeof rate === 'number' && rate > 0 && rate <= RATE_MAX);
  if (!isRate) throw invalid(rate, `a number over 0 and up to ${RATE_MAX}`, { name: 'rate', hint });
  return { ...cursors, rate } as RangeRequest;
}
