import { ChangeError, isConnectionFault, isThrottled, messageOf, StepError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { Change, RoundAnswer } from '../ports/change.ts';
import type { Round, SourceContext } from '../sources/source.ts';

/** Requests that wait for their answers at once. Few, because a round has time and the tail does not. */
const CHECKS_AT_ONCE = 3;

/**
 * Checks keys of a round. An answer is null where there was no time, or the host asked to slow down. Throws `ChangeError`
 * where the host failed for each of several keys, or asked to slow down for the first: it is at fault then, not the keys.
 */
export async function checkKeys<S>(
  round: Round<S>,
  changes: Change[],
  ctx: SourceContext<S>,
): Promise<(RoundAnswer | null)[]> {
  const answers = changes.map((): RoundAnswer | null => null);
  const hostFaults: ChangeError[] = [];
  let isStopped = false;
  const next = changes.entries();
  const work = Array.from({ length: CHECKS_AT_ONCE }, async () => {
    for (const [index, change] of next) {
      if (isStopped) return;
      try {
        answers[index] = checkedFacts(await round.check(change, ctx));
      } catch (error) {
        const isLate = error instanceof StepError && error.kind === 'deadline';
        if (!isLate && !(error instanceof ChangeError)) throw error;
        if (!isLate && isHostFault(error as ChangeError)) hostFaults.push(error as ChangeError);
        if (isLate || isThrottled(error as ChangeError)) isStopped = true;
        else answers[index] = { kind: 'failed', reason: messageOf(error) };
      }
    }
  });
  await Promise.all(work);
  const isFailed = hostFaults.length > 0 && answers.every(answer => answer === null || answer.kind === 'failed');
  const isHosts = isStopped ? answers[0] === null : hostFaults.length === changes.length && changes.length > 1;
  if (isFailed && isHosts) throw hostFaults.at(-1);
  return answers;
}

/** Whether an error is the host's: another key would most likely get it as well. */
function isHostFault(error: ChangeError): boolean {
  return isThrottled(error) || isConnectionFault(error) || (error.status !== null && error.status >= 500);
}

/** Facts as an answer; those that are too large to be kept for every key count as a failure. */
function checkedFacts(facts: Record<string, unknown> | null): RoundAnswer {
  const bytes = Buffer.byteLength(JSON.stringify(facts));
  if (bytes <= LIMITS.factsBytesMax) return { kind: 'facts', facts };
  return { kind: 'failed', reason: `facts: expected at most ${LIMITS.factsBytesMax} bytes, got ${bytes}` };
}
