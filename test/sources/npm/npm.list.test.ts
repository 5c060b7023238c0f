import { describe, expect, it } from 'vitest';
import { ChangeError } from '../../../src/errors.ts';
import type { KeyPage } from '../../../src/ports/change.ts';
import { type NpmSettings, npm } from '../../../src/sources/npm/npm.ts';
import { runStep } from '../step.ts';
import { startAnswering, startStandIn } from './upstream.ts';

const LIST = '/registry/_all_docs';

async function list(settings: NpmSettings, after: string | null): Promise<KeyPage> {
  return (await runStep(npm, { settings, step: 'list' }, ctx => npm.feed!.list!(after, ctx))).value;
}

const rowsOf = (...ids: string[]) => ({ total_rows: ids.length, offset: 0, rows: ids.map(id => ({ id, key: id })) });

/** As many rows as the largest limit; the smallest is 9,001. */
const FULL = Array.from({ length: 10_000 }, (_, index) => `package-${String(index).padStart(5, '0')}`);

describe('a list', () => {
  it('has every package that is not deleted, and no internal document of the database', async () => {
    const { standIn, settings } = await startStandIn();
    standIn.pushChange({ id: 'ms', deleted: true });
    standIn.pushChange({ id: '_design/app' });
    standIn.pushChange({ id: '__proto__' });
    expect(await list(settings, null)).toEqual({
      keys: ['__proto__', 'inherits', 'isarray', 'kleur', 'through'],
      next: null,
    });
    expect(standIn.requests.total).toBe(1);
  });

  it('continues after a key, whether the key still exists or not', async () => {
    const { standIn, settings } = await startStandIn();
    expect((await list(settings, 'isarray')).keys).toEqual(['kleur', 'ms', 'through']);
    expect((await list(settings, 'isarraz"?&')).keys).toEqual(['kleur', 'ms', 'through']);
    expect(await list(settings, 'zzz')).toEqual({ keys: [], next: null });
    expect(standIn.requests.recent.map(({ path }) => path)).toEqual([LIST, LIST, LIST]);
    expect(standIn.requests.recent[1]!.query).toMatch(/^startkey=%22isarraz%5C%22%3F%26%22&limit=\d+$/);
  });

  it('is read to its end page by page', async () => {
    const { standIn, settings } = await startStandIn({ changes: 12_000 });
    const keys: string[] = [];
    let after: string | null = null;
    do {
      const page: KeyPage = await list(settings, after);
      keys.push(...page.keys);
      after = page.next;
    } while (after !== null);
    expect(standIn.requests.count(LIST)).toBe(2);
    expect(keys).toEqual(
      standIn
        .rows()
        .map(({ id }) => id)
        .sort(),
    );
  });

  it('continues after a last row that is an internal document of the database', async () => {
    const ids = [...FULL.slice(0, 20), ...Array.from({ length: 9_980 }, (_, index) => `_design/${index}`)];
    const { settings } = await startAnswering({ [LIST]: rowsOf(...ids) });
    const page = await list(settings, null);
    expect(page).toEqual({ keys: FULL.slice(0, 20), next: '_design/9979' });
  });

  it('that repeats its first key at its end is refused', async () => {
    const { settings } = await startAnswering({ [LIST]: rowsOf(...FULL.slice(0, -1), 'package') });
    await expect(list(settings, 'package')).rejects.toThrow('npm list: expected rows after the first, got the same');
  });

  it.each<[string, unknown]>([
    ['rows to be a list, got an object', { rows: {} }],
    ['rows[1].id to be text, got a number', { rows: [{ id: 'a' }, { id: 7 }] }],
  ])('of another form is refused: expected %s', async (message, answer) => {
    const { settings } = await startAnswering({ [LIST]: answer });
    const error = await list(settings, null).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ChangeError);
    expect(error).toMatchObject({ reason: 'wrong-shape', message: `npm list: expected ${message}` });
  });
});
