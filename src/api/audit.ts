import { ApiError, answer, invalid } from './answer.ts';
import { readBody } from './body.ts';
import type { ApiEnv, Known } from './env.ts';
import { stubOf } from './sources.ts';

const AUDIT_HINT =
  'Send nothing, or {"sample": 0.01}, to compare keys with the upstream; {"self_check": true} to check the lake.';

/** The sweep that is going on, the last one that ended, and what the self-check found. */
export async function showAudit(env: ApiEnv, known: Known, id: string): Promise<Response> {
  return answer(await stubOf(env, known, id).audit());
}

/** Starts a sweep over all keys or a sample of them, or a self-check of the lake. */
export async function startAudit(
  env: ApiEnv,
  known: Known,
  { id, text }: { id: string; text: string },
): Promise<Response> {
  const stub = stubOf(env, known, id);
  const { sample, self_check: selfCheck = false } = readBody(text, {
    fields: ['sample', 'self_check'],
    hint: AUDIT_HINT,
  });
  if (typeof selfCheck !== 'boolean') throw invalid('self_check', 'true or false', selfCheck, AUDIT_HINT);
  if (selfCheck) {
    if (sample !== undefined) throw invalid('sample', 'none beside self_check', sample, AUDIT_HINT);
    return answer(await stub.startSelfCheck());
  }
  const result = await stub.startSweep(readSample(sample === undefined ? 1 : sample));
  if (result) return answer(result);
  const hint = 'Only its lake can be checked: send {"self_check": true}.';
  throw new ApiError('conflict', `The upstream of ${id} does not list all it holds.`, hint);
}

function readSample(given: unknown): number {
  if (typeof given === 'number' && given > 0 && given <= 1) return given;
  throw invalid('sample', 'a number over 0 and up to 1', given, AUDIT_HINT);
}
