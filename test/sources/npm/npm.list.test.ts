import { describe, expect, it } from 'vitest';
import { ChangeError } from '../../../src/errors.ts';
import type { KeyPage } from '../../../src/ports/change.ts';
import { type NpmSettings, npm } from '../../../src/sources/npm/npm.ts';
import { runStep } from '../step.ts';
import { answering, replayOf } from './upstream.ts';

const LIST = '/registry/_all_docs';

async function list(settings: NpmSettings, after: string | null): Promise<KeyPage> {
  return (await runStep(npm, { settings, step: 'list' }, ctx => npm.list!(after, ctx))).value;
}

const rowsOf = (...ids: string[]) => ({ total_rows: ids.length, offset: 0, rows: ids.map(id => ({ id, key: id })) });

/** The limits ask for at least 9,001 rows. */
const FULL = Array.from({ length: 10_000 }, (_, index) => `package-${String(index).padStart(5, '0')}`);

describe('a list', () => {
  it('has every package that is not deleted, and no document of the database', async () => {
    const { replay, settings } = await replayOf();
    replay.pushChange({ id: 'ms', deleted: true });
    replay.pushChange({ id: '_design/app' });
    replay.pushChange({ id: '__proto__' });
    expect(await list(settings, null)).toEqual({
      keys: ['__proto__', 'inherits', 'isarray', 'kleur', 'through'],
      next: null,
    });
    expect(replay.requests.total).toBe(1);
  });

  it('goes on after a key, whether it still is there or not', async () => {
    const { replay, settings } = await replayOf();
    expect((await list(settings, 'isarray')).keys).toEqual(['kleur', 'ms', 'through']);
    expect((await list(settings, 'isarraz"?&')).keys).toEqual(['kleur', 'ms', 'through']);
    expect(await list(settings, 'zzz')).toEqual({ keys: [], next: null });
    expect(replay.requests.recent.map(({ path }) => path)).toEqual([LIST, LIST, LIST]);
    expect(replay.requests.recent[1]!.query).toMatch(/^startkey=%22isarraz%5C%22%3F%26%22&limit=\d+$/);
  });

  it('is read to its end page by page', async () => {
    const { replay, settings } = await replayOf({ changes: 12_000 });
    const keys: string[] = [];
    let after: string | null = null;
    do {
      const page: KeyPage = await list(settings, after);
      keys.push(...page.keys);
      after = page.next;
    } while (after !== null);
    expect(replay.requests.count(LIST)).toBe(2);
    expect(keys).toEqual(
      replay
        .rows()
        .map(({ id }) => id)
        .sort(),
    );
  });

  it('whose last row is a document of the database goes on after it', async () => {
    const ids = [...FULL.slice(0, 20), ...Array.from({ length: 9_980 }, (_, index) => `_design/${index}`)];
    const { settings } = await answering({ [LIST]: rowsOf(...ids) });
    const page = await list(settings, null);
    expect(page).toEqual({ keys: FULL.slice(0, 20), next: '_design/9979' });
  });

  it('that goes on nowhere is refused', async () => {
    const { settings } = await answering({ [LIST]: rowsOf(...FULL.slice(0, -1), 'package') });
    await expect(list(settings, 'package')).rejects.toThrow('npm list: expected rows after the first, got the same');
  });

  it.each<[string, unknown]>([
    ['rows to be a list, got an object', { rows: {} }],
    ['rows[1].id to be text, got a number', { rows: [{ id: 'a' }, { id: 7 }] }],
  ])('of another form is refused: expected %s', async (message, answer) => {
    const { settings } = await answering({ [LIST]: answer });
    const error = await list(settings, null).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ChangeError);
    expect(error).toMatchObject({ reason: 'wrong-shape', message: `npm list: expected ${message}` });
  });
});
