import { describe, expect, it } from 'vitest';
import { indexedKeys, keyStatesOf, presentKeys, rowStateOf } from '../../../src/engine/journal/key-index.ts';
import type { SqlPort } from '../../../src/ports/sql.ts';
import { commit, profile, repo, ToyJournal } from './toy-journal.ts';

describe('a visit that finds what the last one found', () => {
  it('gives a row after a push of a row that it gave', () => {
    const toy = new ToyJournal();
    toy.watch('repo:a', 'repo:b');
    const found = { 'repo:a': [repo('a', 'one')], 'repo:b': [repo('b', 'one')] };
    toy.visit(found);
    toy.push(repo('a', 'pushed'));
    toy.visit(found);
    toy.visit(found);
    expect(toy.values('github_repo', 'description')).toEqual(['one', 'one', 'pushed', 'one']);
    expect(toy.outcomes()).toEqual({ rows: 4, 'skipped:unchanged': 3 });
  });

  it('gives a row after a push of a row whose key is its own', () => {
    const toy = new ToyJournal();
    toy.watch('a');
    toy.visit({ a: [repo('a', 'one')] });
    toy.push(repo('a', 'pushed'));
    toy.visit({ a: [repo('a', 'one')] });
    expect(toy.values('github_repo', 'description')).toEqual(['one', 'pushed', 'one']);
  });

  it('gives a deletion after a push of a row that was deleted', () => {
    const toy = new ToyJournal();
    toy.watch('repo:a');
    const gone = { 'repo:a': [repo('a', 'one', 'delete')] };
    toy.visit({ 'repo:a': [repo('a', 'one')] });
    toy.visit(gone);
    toy.push(repo('a', 'pushed'));
    toy.visit(gone);
    toy.visit(gone);
    expect(toy.outcomes()).toEqual({ rows: 2, tombstones: 2, 'skipped:unchanged': 1 });
  });

  it('gives a row after another key gave its row', () => {
    const toy = new ToyJournal();
    toy.watch('repo:a', 'repo:b', 'owner');
    const a = { 'repo:a': [repo('a', 'a'), profile('owner', 'from a')] };
    const b = { 'repo:b': [repo('b', 'b'), profile('owner', 'from b')] };
    toy.visit(a);
    toy.visit(b);
    toy.visit(b);
    toy.visit(a);
    toy.visit({ owner: [profile('owner', 'own')] });
    toy.visit(a);
    expect(toy.values('github_profile', 'bio')).toEqual(['from a', 'from b', 'from a', 'own', 'from a']);
  });

  it('gives a row after another key gave its row in the same append', () => {
    const toy = new ToyJournal();
    toy.watch('repo:a', 'repo:b');
    const a = { 'repo:a': [profile('owner', 'from a')] };
    toy.visit({ ...a, 'repo:b': [profile('owner', 'from b')] });
    toy.visit(a);
    expect(toy.values('github_profile', 'bio')).toEqual(['from a', 'from b', 'from a']);
  });
});

describe('the newest row of a change key', () => {
  it('counts in each table, so that the result of an attempt is refused whichever table got a row since', () => {
    const toy = new ToyJournal();
    const { state } = toy.journal;
    toy.watch('repo:a', 'repo:b');
    toy.visit({ 'repo:b': [repo('b', 'b'), repo('c', 'c')] });
    toy.visit({ 'repo:a': [repo('a', 'a'), profile('owner', 'one')] });
    for (const row of [repo('a', 'pushed'), profile('owner', 'pushed')]) {
      const before = state.lastLsnOf('repo:a');
      toy.push(row);
      expect(state.lastLsnOf('repo:a')).toBeGreaterThan(before);
    }
    const before = state.lastLsnOf('repo:a');
    toy.visit({ 'repo:b': [profile('owner', 'from b')] });
    expect(state.lastLsnOf('repo:a')).toBeGreaterThan(before);
    expect(state.lastLsnOf('repo:b')).toBeGreaterThan(0);
  });

  it('rises with every push, also without a visit between two of them', () => {
    const toy = new ToyJournal();
    toy.watch('repo:a');
    toy.visit({ 'repo:a': [repo('a', 'one')] });
    const lsns = ['two', 'three'].map(text => {
      toy.push(repo('a', text));
      return toy.journal.state.lastLsnOf('repo:a');
    });
    expect(lsns).toEqual([2, 3]);
  });

  it('says that the key is there when one of several rows of a change is no deletion', () => {
    const toy = new ToyJournal();
    toy.watch('repo:a');
    toy.visit({ 'repo:a': [repo('new', 'one'), repo('old', 'one', 'delete')] });
    expect(rowStateOf(toy.sql, 'repo:a')).toBe('present');
    toy.visit({ 'repo:a': [repo('new', 'one', 'delete'), repo('old', 'one', 'delete')] });
    expect(rowStateOf(toy.sql, 'repo:a')).toBe('deleted');
  });

  it('says that a key with rows of an immutable table only is there', () => {
    const toy = new ToyJournal();
    toy.watch('repo:a', 'repo:b');
    toy.visit({ 'repo:a': [commit('a', '1')], 'repo:b': [commit('b', '1'), repo('b', 'b')] });
    toy.visit({ 'repo:b': [repo('b', 'b', 'delete')] });
    const states = keyStatesOf(toy.sql, ['repo:a', 'repo:b', 'repo:c']);
    expect(states.map(({ state }) => state)).toEqual(['present', 'deleted', 'missing']);
    const indexed = indexedKeys(toy.sql, { after: null, upTo: null });
    expect(indexed.map(({ key, present }) => [key, present])).toEqual([
      ['repo:a', 1],
      ['repo:b', 0],
    ]);
    expect(rowStateOf(toy.sql, 'repo:a')).toBe('present');
  });
});

describe('the index of row keys', () => {
  it('has no entry for rows whose key is that of their change', () => {
    const toy = new ToyJournal();
    toy.watch('a', 'b');
    toy.visit({ a: [repo('a', 'a')], b: [repo('b', 'b')] });
    toy.push(repo('a', 'pushed'), repo('c', 'pushed'));
    expect(toy.sql.exec('SELECT row_key FROM row_keys')).toEqual([]);
    expect(counts(toy)).toEqual({ change_keys: 3, row_keys: 0 });
  });

  it('has one entry for each other row key, and counts them', () => {
    const toy = new ToyJournal();
    toy.watch('repo:a', 'a');
    toy.visit({ 'repo:a': [repo('a', 'a'), repo('a2', 'a')] });
    toy.visit({ 'repo:a': [repo('a', 'b'), repo('a2', 'b')] });
    expect(toy.sql.exec('SELECT row_key, change_key FROM row_keys')).toEqual([
      { row_key: 'a', change_key: 'repo:a' },
      { row_key: 'a2', change_key: 'repo:a' },
    ]);
    expect(counts(toy)).toEqual({ change_keys: 1, row_keys: 2 });
    // From now on the row is given by the key that it names itself.
    toy.visit({ a: [repo('a', 'own')] });
    expect(toy.sql.exec('SELECT row_key FROM row_keys')).toEqual([{ row_key: 'a2' }]);
    expect(counts(toy)).toEqual({ change_keys: 2, row_keys: 1 });
  });
});

describe('a page of the key index', () => {
  it('is searched between its bounds, because each row that SQLite reads counts', () => {
    const { sql } = new ToyJournal();
    const plans: string[] = [];
    const explaining: SqlPort = {
      ...sql,
      exec: (statement, ...params) => {
        const plan = sql.exec<{ detail: string }>(`EXPLAIN QUERY PLAN ${statement}`, ...params);
        plans.push(plan.map(({ detail }) => detail).join('; '));
        return sql.exec(statement, ...params);
      },
    };
    indexedKeys(explaining, { after: 'a', upTo: 'b' });
    indexedKeys(explaining, { after: 'a', upTo: null });
    presentKeys(explaining, { after: 'a', limit: 1 });
    indexedKeys(explaining, { after: null, upTo: 'b' });
    expect(plans).toEqual([
      'SEARCH keys USING PRIMARY KEY (key>? AND key<?)',
      'SEARCH keys USING PRIMARY KEY (key>?)',
      'SEARCH keys USING PRIMARY KEY (key>?)',
      'SEARCH keys USING PRIMARY KEY (key<?)',
    ]);
    expect(indexedKeys(sql, { after: null, upTo: null })).toEqual([]);
  });
});

function counts({ sql }: ToyJournal) {
  return sql.exec("SELECT change_keys, row_keys FROM tables WHERE name = 'github_repo'")[0];
}
