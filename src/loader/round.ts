import { ChangeError, messageOf, StepError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { Change, RoundAnswer } from '../ports/change.ts';
import type { Round, SourceContext } from '../sources/source.ts';
import { isThrottled } from '../sources/upstream/tally.ts';

/** Requests that wait for their answers at once. Few, because a round has time and the tail does not. */
const CHECKS_AT_ONCE = 3;

/**
 * Checks keys of a round. An answer is null where there was no time, or the host asked to slow down. Throws `ChangeError`
 * where the upstream answered for none of several keys: the upstream is at fault then, not the keys.
 */
export async function checkKeys<S>(
  round: Round<S>,
  changes: Change[],
  ctx: SourceContext<S>,
): Promise<(RoundAnswer | null)[]> {
  const answers = changes.map((): RoundAnswer | null => null);
  const failures: ChangeError[] = [];
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
        if (error instanceof ChangeError) failures.push(error);
        if (isLate || isThrottled(error as ChangeError)) isStopped = true;
        else answers[index] = { kind: 'failed', reason: messageOf(error) };
      }
    }
  });
  await Promise.all(work);
  const isAnswered = answers.some(answer => answer?.kind === 'facts');
  if (!isAnswered && failures.length > 0 && (isStopped || failures.length > 1)) throw failures.at(-1);
  return answers;
}

/** Facts as an answer; those that are too large to be kept for every key count as a failure. */
function checkedFacts(facts: Record<string, unknown> | null): RoundAnswer {
  const bytes = Buffer.byteLength(JSON.stringify(facts));
  if (bytes <= LIMITS.factsBytesMax) return { kind: 'facts', facts };
  return { kind: 'failed', reason: `facts: expected at most ${LIMITS.factsBytesMax} bytes, got ${bytes}` };
}
