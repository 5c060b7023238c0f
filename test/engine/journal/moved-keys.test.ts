import { describe, expect, it } from 'vitest';
import { repo, ToyJournal } from './toy-journal.ts';

const keysOf = (toy: ToyJournal) => toy.agenda.list({ after: null, limit: 9 }).map(({ key }) => key);

describe('a key that moves', () => {
  it('leaves its old name to its thing, so that a row which says that does not watch it', () => {
    const toy = new ToyJournal();
    toy.watch('repo:a', 'repo:z');
    toy.visit({ 'repo:a': [repo('b', 'one')] }, { movedTo: 'repo:b' });
    toy.visit({ 'repo:z': [repo('z', 'one')] }, { keys: ['repo:a', 'repo:y'] });
    expect(keysOf(toy)).toEqual(['repo:b', 'repo:y', 'repo:z']);
  });

  it('brings what its visits found to a watched key without any, and else leaves that as it is', () => {
    const toy = new ToyJournal();
    toy.watch('repo:a', 'repo:b', 'repo:c');
    toy.visit({ 'repo:a': [repo('a', 'one')] }, { facts: { head: 'x' } });
    toy.visit({ 'repo:a': [repo('b', 'one')] }, { facts: { head: 'y' }, movedTo: 'repo:b' });
    expect(keysOf(toy)).toEqual(['repo:b', 'repo:c']);
    expect(toy.agenda.find('repo:b')).toMatchObject({ revisit: 1, facts: '{"head":"y"}' });
    expect(toy.agenda.spaces()).toMatchObject([{ keys: 2 }]);
    toy.visit({ 'repo:c': [repo('b', 'two')] }, { facts: { head: 'z' }, movedTo: 'repo:b' });
    expect(keysOf(toy)).toEqual(['repo:b']);
    expect(toy.agenda.find('repo:b')).toMatchObject({ facts: '{"head":"y"}' });
  });

  it('says that another thing has its old name, which is then watched as a new key', () => {
    const toy = new ToyJournal();
    toy.watch('repo:a');
    toy.visit({ 'repo:a': [repo('a', 'one')] }, { facts: { head: 'x' } });
    toy.visit({ 'repo:a': [repo('b', 'one')] }, { facts: { head: 'y' }, movedTo: 'repo:b', keys: ['repo:a'] });
    expect(keysOf(toy)).toEqual(['repo:a', 'repo:b']);
    expect(toy.agenda.find('repo:a')).toMatchObject({ revisit: 0, facts: null, digest: null });
    expect(toy.agenda.find('repo:b')).toMatchObject({ revisit: 1, facts: '{"head":"y"}' });
    expect(toy.agenda.moved.currentOf('repo:a')).toBe('repo:a');
  });
});

it('a pushed row makes the next visit give its own, whatever a probe or an ETag would say', () => {
  const toy = new ToyJournal();
  toy.watch('repo:a', 'repo:b');
  toy.visit({ 'repo:a': [repo('a', 'one')], 'repo:b': [repo('b', 'one')] }, { facts: { etag: '"1"', head: 'x' } });
  expect(toy.agenda.find('repo:a')).toMatchObject({ revisit: 1 });
  toy.push(repo('a', 'pushed'));
  expect(toy.agenda.find('repo:a')).toMatchObject({ revisit: 0, digest: null, facts: '{"head":"x"}' });
  expect(toy.agenda.find('repo:b')).toMatchObject({ revisit: 1, facts: '{"etag":"\\"1\\"","head":"x"}' });
});
