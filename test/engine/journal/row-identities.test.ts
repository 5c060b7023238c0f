import { describe, expect, it } from 'vitest';
import type { LoadedRow } from '../../../src/ports/change.ts';
import { repo, ToyJournal } from './toy-journal.ts';

/** A row of a repository with this number at GitHub. */
function numbered(id: string, name: string, op: LoadedRow['op'] = 'upsert'): LoadedRow {
  const loaded = repo(name, `of ${id}`, op);
  return { ...loaded, row: { ...loaded.row, github_id: id } };
}

/** The visit of a repository that was `old` and is `name` now. */
function moved(id: string, old: string, name: string): LoadedRow[] {
  return [numbered(id, name), numbered(id, old, 'delete')];
}

function rowsOf(toy: ToyJournal): string[] {
  const [names, ids] = ['full_name', 'github_id'].map(column => toy.values('github_repo', column));
  return toy.ops('github_repo').map((op, index) => `${op} ${names![index]} ${ids![index]}`);
}

describe('a deletion in a table whose keys pass from one thing to another', () => {
  it('is appended while the row of its key is of the same thing', () => {
    const toy = new ToyJournal();
    toy.watch('repo:a', 'repo:b');
    toy.visit({ 'repo:a': [numbered('1', 'a')] });
    toy.visit({ 'repo:b': moved('1', 'a', 'b') });
    expect(rowsOf(toy)).toEqual(['upsert a 1', 'upsert b 1', 'delete a 1']);
  });

  it('is left out when another thing has taken the key before', () => {
    const toy = new ToyJournal();
    toy.watch('repo:a', 'repo:b', 'repo:c');
    toy.visit({ 'repo:a': [numbered('1', 'a')], 'repo:c': [numbered('2', 'c')] });
    toy.visit({ 'repo:c': moved('2', 'c', 'a') });
    toy.visit({ 'repo:b': moved('1', 'a', 'b') });
    expect(rowsOf(toy).slice(2)).toEqual(['upsert a 2', 'delete c 2', 'upsert b 1']);
  });

  it('is left out in one append with the row of the other thing', () => {
    const toy = new ToyJournal();
    toy.watch('repo:a', 'repo:b', 'repo:c');
    toy.visit({ 'repo:a': [numbered('1', 'a')], 'repo:c': [numbered('2', 'c')] });
    toy.visit({ 'repo:c': moved('2', 'c', 'a'), 'repo:b': moved('1', 'a', 'b') });
    expect(rowsOf(toy).slice(2)).toEqual(['upsert a 2', 'delete c 2', 'upsert b 1']);
  });

  it('is appended before the other thing takes the key', () => {
    const toy = new ToyJournal();
    toy.watch('repo:a', 'repo:b', 'repo:c');
    toy.visit({ 'repo:a': [numbered('1', 'a')], 'repo:c': [numbered('2', 'c')] });
    toy.visit({ 'repo:b': moved('1', 'a', 'b'), 'repo:c': moved('2', 'c', 'a') });
    expect(rowsOf(toy).slice(2)).toEqual(['upsert b 1', 'delete a 1', 'upsert a 2', 'delete c 2']);
  });

  it('is of whatever thing has the key when it names none', () => {
    const toy = new ToyJournal();
    toy.watch('repo:a');
    toy.visit({ 'repo:a': [numbered('', 'a', 'delete'), numbered('1', 'a')] });
    toy.visit({ 'repo:a': [numbered('', 'a', 'delete')] });
    expect(rowsOf(toy)).toEqual(['upsert a 1', 'delete a 1']);
  });

  it('is left out without a row, and counts as a change that says nothing new', () => {
    const toy = new ToyJournal();
    toy.watch('repo:a');
    toy.visit({ 'repo:a': [numbered('1', 'a')] });
    toy.visit({ 'repo:a': [numbered('2', 'a', 'delete')] });
    toy.visit({ 'repo:a': [numbered('1', 'a', 'delete')] });
    toy.visit({ 'repo:a': [numbered('1', 'a', 'delete'), numbered('1', 'z', 'delete')] });
    expect(rowsOf(toy)).toEqual(['upsert a 1', 'delete a 1']);
    expect(toy.outcomes()).toMatchObject({ rows: 1, tombstones: 1 });
  });
});
