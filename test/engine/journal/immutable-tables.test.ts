import { describe, expect, it } from 'vitest';
import { statusOf } from '../../../src/engine/controls/status.ts';
import type { LoadedRow } from '../../../src/ports/change.ts';
import { lakeRows } from '../../simulation/oracle/proof.ts';
import { pages } from '../../simulation/world/sources.ts';
import { followed, startedWorld } from '../../simulation/world/world.ts';
import { commit, repo, ToyJournal } from './toy-journal.ts';

describe('a row of an immutable table', () => {
  it('is appended once by a visit, a push and the same visit', () => {
    const toy = new ToyJournal();
    toy.watch('repo:a');
    const found = { 'repo:a': [repo('a', 'one'), commit('a', '1'), commit('a', '2')] };
    toy.visit(found);
    toy.push(commit('a', '2'), commit('a', '3'));
    toy.agenda.forgetDigests('repo:a');
    toy.visit(found);
    expect(toy.values('github_commit', 'sha')).toEqual(['1', '2', '3']);
    expect(toy.values('github_repo', 'description')).toEqual(['one', 'one']);
    expect(toy.knownRows()).toBe(3);
  });

  it('is appended once by a push, a visit and the same push', () => {
    const toy = new ToyJournal();
    toy.watch('repo:a');
    toy.push(commit('a', '1'));
    toy.visit({ 'repo:a': [commit('a', '1'), commit('a', '2')] });
    toy.push(commit('a', '1'), commit('a', '2'));
    expect(toy.values('github_commit', 'sha')).toEqual(['1', '2']);
    expect(toy.knownRows()).toBe(3);
  });

  it('is appended once by several changes of one append', () => {
    const toy = new ToyJournal();
    toy.watch('repo:a', 'repo:b');
    toy.visit({ 'repo:a': [commit('a', '1')], 'repo:b': [commit('a', '1'), commit('b', '1')] });
    toy.push(commit('c', '1'), commit('c', '1'));
    expect(toy.values('github_commit', 'repo')).toEqual(['a', 'b', 'c']);
  });

  it('leaves its change counted as unchanged where the change brought no other', () => {
    const toy = new ToyJournal();
    toy.watch('repo:a', 'repo:b');
    toy.visit({ 'repo:a': [commit('a', '1')], 'repo:b': [commit('a', '1')] });
    toy.push(commit('a', '1'));
    expect(toy.outcomes()).toEqual({ rows: 1, 'skipped:unchanged': 2 });
    expect(toy.journal.state.source().change_number).toBe(3);
  });

  it('does not count when its key is asked whether it is deleted', () => {
    const toy = new ToyJournal();
    toy.watch('repo:a');
    toy.visit({ 'repo:a': [repo('a', 'one'), commit('a', '1')] });
    const gone = { 'repo:a': [repo('a', 'one', 'delete')] };
    toy.visit(gone);
    // The key is deleted now, so what finds it gone again has nothing to say, also without the digest.
    toy.agenda.forgetDigests('repo:a');
    toy.visit(gone);
    expect(toy.outcomes()).toEqual({ rows: 1, tombstones: 1, 'skipped:unchanged': 1 });
  });

  it('takes one entry in the index of change keys for all rows of a change, and none for a pushed row', () => {
    const toy = new ToyJournal();
    toy.watch('repo:a');
    toy.visit({ 'repo:a': Array.from({ length: 1_000 }, (_, sha): LoadedRow => commit('a', String(sha))) });
    toy.push(...Array.from({ length: 1_000 }, (_, sha): LoadedRow => commit('b', String(sha))));
    expect(toy.sql.exec('SELECT key FROM keys')).toEqual([{ key: 'repo:a' }]);
    expect(toy.sql.exec('SELECT row_key FROM row_keys')).toEqual([]);
  });

  it('that was pushed first is no reason to take its key for missing', () => {
    const toy = new ToyJournal();
    toy.watch('repo:a');
    toy.push(commit('a', '1'));
    toy.visit({ 'repo:a': [commit('a', '1')] });
    expect(toy.sql.exec('SELECT key, deleted FROM keys')).toEqual([{ key: 'repo:a', deleted: null }]);
  });

  it('is appended once however often the feed shows its change, and the status counts the others', async () => {
    const world = await startedWorld({ kind: pages });
    for (const text of ['0', '1', '2']) {
      world.upstream.publish(['a', 'a+'], text);
      world.upstream.pages.push(['a', 'a+']);
      await followed(world);
    }
    const [, , table] = world.engine.source.tables;
    expect((await lakeRows(world, table)).map(({ sha }) => sha).sort()).toEqual(['0', '1', '2', 'first']);
    const { tables, balance } = await statusOf(world.engine);
    expect(tables.github_commit).toMatchObject({ last_lsn: 4, known_rows: 8 });
    expect(tables.github_profile).toMatchObject({ last_lsn: 6, known_rows: 0 });
    expect(balance).toMatchObject({ changes: 6, rows: 6, balanced: true });
  });
});
