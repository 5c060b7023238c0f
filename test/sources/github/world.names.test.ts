import { describe, expect, it } from 'vitest';
import { type EngineWorld, engineWorld, rowsOf, settle, shasOf, visitAll, watchNames } from './engine-world.ts';

/** The newest row under each name, as its number; null for a deletion. */
async function heldNames(own: EngineWorld): Promise<Record<string, string | null>> {
  const rows = await rowsOf(own, 'github_repo');
  return Object.fromEntries(
    rows.map(({ full_name, _op, github_id }) => [full_name, _op === 'delete' ? null : github_id]),
  );
}

describe('names of repositories', () => {
  it('that all move at once are followed, although no visit gets a permit for more than it foresaw', async () => {
    const own = await engineWorld();
    const names = Array.from({ length: 40 }, (_, index) => `octo/r${index}`);
    for (const name of names) own.hub.commit(own.hub.repository(name), [{}]);
    await watchNames(own, names);
    await visitAll(own);
    for (const name of names) {
      const repository = own.hub.find(name)!;
      own.hub.rename(repository, `crew/${repository.name}`);
      own.hub.commit(repository, [{}]);
    }
    await visitAll(own);
    const held = await heldNames(own);
    const shas = await shasOf(own);
    for (const { fullName, name, id } of own.hub.repositories.values()) {
      expect([held[fullName], held[`octo/${name}`]]).toEqual([String(id), null]);
      expect(shas.get(String(id))!.size).toBe(2);
    }
  });

  it.each(['the one that gave it up first', 'the one that took it first'])(
    'that pass on are right when the visits see %s',
    async order => {
      const own = await engineWorld();
      const { hub, world } = own;
      const first = hub.repository('octo/a');
      const [old] = hub.commit(first, [{}]);
      await watchNames(own, ['octo/a']);
      await visitAll(own);
      hub.rename(first, 'octo/b');
      const taker = hub.repository('octo/a');
      const [fresh] = hub.commit(taker, [{}]);
      if (order.includes('took')) {
        // A visit of the new name leaves the old key where it is, and the next one finds the taker there.
        await watchNames(own, ['octo/b']);
        await settle(own);
      }
      await visitAll(own);
      await watchNames(own, ['octo/a', 'octo/b']);
      await visitAll(own);
      expect(await heldNames(own)).toEqual({ 'octo/a': String(taker.id), 'octo/b': String(first.id) });
      const shas = await shasOf(own);
      expect(shas).toEqual(
        new Map([
          [String(first.id), new Set([old])],
          [String(taker.id), new Set([fresh])],
        ]),
      );
      // One key each, whatever came first.
      const keys = world.engine.journal.agenda!.list({ after: null, limit: 10 }).map(({ key }) => key);
      expect(keys.filter(key => key.startsWith('repo:'))).toEqual(['repo:octo/a', 'repo:octo/b']);
    },
  );
});
