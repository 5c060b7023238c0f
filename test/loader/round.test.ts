import { describe, expect, it } from 'vitest';
import { ChangeError, StepError } from '../../src/errors.ts';
import { LIMITS } from '../../src/limits.ts';
import { checkKeys } from '../../src/loader/round.ts';
import type { Change } from '../../src/ports/change.ts';
import type { SourceContext } from '../../src/sources/source.ts';

const CTX = {} as SourceContext<unknown>;
const KEYS = ['a', 'b', 'c', 'd', 'e'];

const changeOf = (key: string): Change => ({ key, cursor: '1', deleted: false, revision: null, skip: null });

/** Checks five keys. What a key is answered with is thrown where it is an error; null without an answer of its own. */
function check(answers: Record<string, Error | Record<string, unknown>>, asked: string[] = []) {
  const round = {
    everyMs: 1,
    check: async ({ key }: Change) => {
      asked.push(key);
      const answer = answers[key] ?? null;
      if (answer instanceof Error) throw answer;
      return answer;
    },
  };
  return checkKeys(round, KEYS.map(changeOf), CTX);
}

const fault = (reason: 'wrong-shape' | `http-${number}`, status: number | null = null) =>
  new ChangeError(reason, `${reason}: expected, got`, { status });

describe('the check of some keys', () => {
  it('gives the facts of each, null where there are none', async () => {
    const [a, b] = await check({ b: { status: 'archived' } });
    expect(a).toEqual({ kind: 'facts', facts: null });
    expect(b).toEqual({ kind: 'facts', facts: { status: 'archived' } });
  });

  it('counts a key without an answer, and facts that are too large to be kept', async () => {
    const large = { note: 'x'.repeat(LIMITS.factsBytesMax) };
    const answers = await check({ b: fault('wrong-shape'), c: large });
    expect(answers.map(answer => answer?.kind)).toEqual(['facts', 'failed', 'failed', 'facts', 'facts']);
    expect(answers[1]).toEqual({ kind: 'failed', reason: 'wrong-shape: expected, got' });
    expect(answers[2]).toEqual({ kind: 'failed', reason: 'facts: expected at most 512 bytes, got 523' });
  });

  it.each([
    ['the host asks to slow down', fault('http-429', 429)],
    [
      'there is no time left',
      new StepError('deadline', 'b: expected an answer before the deadline of the call, got none'),
    ],
  ])('ends where %s, and keeps what was answered', async (_why, error) => {
    const asked: string[] = [];
    const answers = await check({ b: error }, asked);
    expect(answers[0]).toEqual({ kind: 'facts', facts: null });
    expect(answers[1]).toBeNull();
    expect(answers.at(-1)).toBeNull();
    expect(asked).not.toContain('e');
  });

  it('throws where the host fails for each key, and counts keys that fail by themselves', async () => {
    const all = (error: Error) => Object.fromEntries(KEYS.map(key => [key, error]));
    await expect(check(all(fault('http-500', 500)))).rejects.toThrow('http-500: expected, got');
    await expect(
      check({ a: fault('http-429', 429), b: fault('http-429', 429), c: fault('http-429', 429) }),
    ).rejects.toThrow('http-429: expected, got');
    expect((await check(all(fault('wrong-shape')))).map(answer => answer?.kind)).toEqual(KEYS.map(() => 'failed'));
    expect((await check({ ...all(fault('http-500', 500)), b: fault('http-404', 404) })).at(-1)?.kind).toBe('failed');
  });

  it('throws what is no fault of the upstream', async () => {
    await expect(check({ c: new TypeError('a bug') })).rejects.toThrow('a bug');
  });
});
