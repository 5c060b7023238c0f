import { describe, expect, it } from 'vitest';
import { compare, historyOf, type Objects } from '../../../../src/sources/github/stand-in/commit-graph.ts';
import { makeCoin } from '../../../../src/sources/stand-in/faults.ts';

/** Commits of one letter each: `parents by name`, and their dates in days. */
function graphOf(parents: Record<string, string>, days: Record<string, number> = {}): Objects {
  return new Map(
    Object.entries(parents).map(([sha, text], index) => {
      const date = new Date((days[sha] ?? index) * 86_400_000).toISOString();
      const person = { name: sha, email: `${sha}@person.example`, date };
      const commit = { sha, parents: [...text], author: person, committer: person, message: sha };
      return [sha, { ...commit, signed: false, patchBytes: 0 }];
    }),
  );
}

const order = (objects: Objects, head: string) => historyOf(objects, head).join('');

describe('the history of a commit', () => {
  it('begins with the commit and has every ancestor once', () => {
    const objects = graphOf({ a: '', b: 'a', c: 'a', d: 'bc', e: 'd' });
    expect(order(objects, 'e')).toBe('edcba');
    expect(order(objects, 'b')).toBe('ba');
  });

  it('goes by the committer date, so an old branch merged lately lies behind newer commits', () => {
    const objects = graphOf({ a: '', x: 'a', y: 'x', b: 'a', c: 'b', m: 'cy' }, { x: 1, y: 2, b: 10, c: 11, m: 12 });
    expect(order(objects, 'm')).toBe('mcbyxa');
  });

  it('shows no commit before a child of it led there, however new its date is', () => {
    const objects = graphOf({ a: '', b: 'a', c: 'b' }, { a: 50, b: 1, c: 2 });
    expect(order(objects, 'c')).toBe('cba');
  });
});

describe('a comparison', () => {
  const objects = graphOf({ a: '', b: 'a', c: 'b', x: 'b', y: 'x', o: '' });

  it.each([
    ['c', 'c', { mergeBase: 'c', ahead: [], behind: 0 }],
    ['a', 'c', { mergeBase: 'a', ahead: ['b', 'c'], behind: 0 }],
    ['c', 'a', { mergeBase: 'a', ahead: [], behind: 2 }],
    ['c', 'y', { mergeBase: 'b', ahead: ['x', 'y'], behind: 1 }],
    ['c', 'o', null],
  ])('of %s with %s', (base, head, expected) => {
    expect(compare(objects, base, head)).toEqual(expected);
  });

  it('has a merge base that no other common ancestor descends from, whatever the dates are', () => {
    const skewed = graphOf({ a: '', b: 'a', c: 'b', x: 'b' }, { a: 90, b: 1 });
    expect(compare(skewed, 'c', 'x')?.mergeBase).toBe('b');
  });

  it('is what sets of ancestors say, for random graphs', () => {
    const coin = makeCoin(7);
    const ancestorsOf = (graph: Objects, sha: string): Set<string> =>
      new Set([sha, ...graph.get(sha)!.parents.flatMap(parent => [...ancestorsOf(graph, parent)])]);
    for (let round = 0; round < 40; round++) {
      const names = [...'abcdefghijkl'];
      const parents = names.map((name, index) => {
        const earlier = names.slice(0, index).filter(() => coin() < 0.25);
        return [name, earlier.slice(0, 2).join('')] as const;
      });
      const graph = graphOf(Object.fromEntries(parents), Object.fromEntries(names.map(name => [name, coin() * 100])));
      const [one, head] = [names[Math.floor(coin() * 12)]!, names[Math.floor(coin() * 12)]!];
      const [ofBase, ofHead] = [ancestorsOf(graph, one), ancestorsOf(graph, head)];
      const found = compare(graph, one, head);
      expect(new Set(historyOf(graph, head))).toEqual(ofHead);
      const common = [...ofBase].filter(sha => ofHead.has(sha));
      if (common.length === 0) expect(found).toBeNull();
      else {
        expect(new Set(found!.ahead)).toEqual(new Set([...ofHead].filter(sha => !ofBase.has(sha))));
        expect(found!.behind).toBe([...ofBase].filter(sha => !ofHead.has(sha)).length);
        const base = found!.mergeBase;
        const descendants = common.filter(sha => sha !== base && ancestorsOf(graph, sha).has(base));
        expect([common.includes(base), descendants]).toEqual([true, []]);
      }
    }
  });
});
