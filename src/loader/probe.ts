import { ChangeError, isThrottled, messageOf, StepError } from '../errors.ts';
import type { Change, ProbeAnswer } from '../ports/change.ts';
import type { Probe, SourceContext } from '../sources/source.ts';

/**
 * Requests in a row that may fail. One key that fails among many is alone after as many halvings as its request's size
 * has binary digits, 7 for 100 keys; more failures than that are the upstream's.
 */
const FAILURES_MAX = 10;

/**
 * Asks a probe for keys, as many a request as it takes. A request that fails is halved down to the one key that fails. An
 * answer is null where there was no time, or no permit, to ask. Throws `ChangeError` when the upstream fails as a whole.
 */
export async function probeKeys<S>(
  probe: Probe<S>,
  changes: Change[],
  ctx: SourceContext<S>,
): Promise<(ProbeAnswer | null)[]> {
  const answers = changes.map((): ProbeAnswer | null => null);
  /** Keys that failed alone since the last answer: what failed may have been the upstream. */
  const doubtful: number[] = [];
  const indexes = [...changes.keys()];
  const waiting = Array.from({ length: Math.ceil(changes.length / probe.keysMax) }, (_, part) =>
    indexes.slice(part * probe.keysMax, (part + 1) * probe.keysMax),
  );
  let failures = 0;
  for (let asked = waiting.shift(); asked; asked = waiting.shift()) {
    try {
      const found = await probe.ask(
        asked.map(index => changes[index]!),
        ctx,
      );
      if (found.length !== asked.length)
        throw new ChangeError('wrong-shape', `probe: expected ${asked.length} answers, got ${found.length}`);
      for (const [position, index] of asked.entries()) answers[index] = found[position]!;
      failures = 0;
      doubtful.length = 0;
    } catch (error) {
      // Keep what was answered when there is no time left, or the host asks to slow down.
      if (error instanceof StepError && error.kind === 'deadline') break;
      if (!(error instanceof ChangeError)) throw error;
      failures += 1;
      if (isThrottled(error) || failures >= FAILURES_MAX) {
        for (const index of doubtful) answers[index] = null;
        if (answers.some(answer => answer !== null)) break;
        throw error;
      }
      // Halve the request, so that one key does not fail the others.
      const half = Math.ceil(asked.length / 2);
      if (asked.length === 1) {
        answers[asked[0]!] = { kind: 'failed', reason: messageOf(error) };
        doubtful.push(asked[0]!);
      } else waiting.unshift(asked.slice(0, half), asked.slice(half));
    }
  }
  return answers;
}
