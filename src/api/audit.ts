import { ApiError, answer } from './answer.ts';
import { readBody } from './body.ts';
import type { ApiCall } from './env.ts';
import { invalid } from './fields.ts';
import { sourceOf } from './sources.ts';

const HINT =
  'Send nothing, or {"sample": 0.01}, to compare keys with the upstream; {"self_check": true} to check the lake.';

/** Shows the running sweep, the last finished one, and what the self-check found. */
export async function showAudit(call: ApiCall): Promise<Response> {
  return answer(await sourceOf(call).stub.audit());
}

/** Starts a sweep over all keys or a sample of them, or a self-check of the lake. */
export async function startAudit(call: ApiCall): Promise<Response> {
  const { id, stub } = sourceOf(call);
  const body = await readBody(call.request.body, { fields: ['sample', 'self_check'], hint: HINT });
  const { sample, self_check: selfCheck = false } = body;
  if (typeof selfCheck !== 'boolean') throw invalid(selfCheck, 'true or false', { name: 'self_check', hint: HINT });
  if (selfCheck) {
    if (sample !== undefined) throw invalid(sample, 'no value with self_check', { name: 'sample', hint: HINT });
    return answer(await stub.startSelfCheck());
  }
  const result = await stub.startSweep(readSample(sample === undefined ? 1 : sample));
  if (result) return answer(result);
  const hint = 'Only its lake can be checked: send {"self_check": true}.';
  throw new ApiError('conflict', `The upstream of ${id} does not list all its keys.`, hint);
}

function readSample(given: unknown): number {
  if (typeof given === 'number' && given > 0 && given <= 1) return given;
  throw invalid(given, 'a number over 0 and up to 1', { name: 'sample', hint: HINT });
}
