import { describe, expect, it } from 'vitest';
import { differences } from '../../../src/local/probe/differences.ts';
import { noReads, watchReads } from '../../../src/local/probe/reads.ts';

/** The differences of two sets of answers, as `missing a.b`. */
function compare(recorded: unknown[], live: unknown[], maps = true): string[] {
  const found = differences({ kind: 'thing', recorded, live, reads: [], maps });
  return found.map(({ change, path }) => `${change} ${path}`);
}

/** An object with so many other keys than any other one of them. */
function mapOf(seed: number, value: unknown = '2026-01-01'): Record<string, unknown> {
  return Object.fromEntries(Array.from({ length: 4 }, (_, index) => [`${seed}.${index}`, value]));
}

describe('the differences of two sets of answers', () => {
  it('are none where the forms are the same, whatever the values are', () => {
    const recorded = [{ name: 'a', size: 1, tags: ['x', 'y'], at: null }];
    expect(compare(recorded, [{ name: 'bcd', size: 2.5, tags: [], at: null }])).toEqual([]);
  });

  it('name a renamed, a removed, a new and a retyped field once, and nothing below it', () => {
    const recorded = [{ name: 'a', owner: { id: 1, mail: 'x' }, size: 1, list: [{ rev: 'r' }] }];
    const live = [{ title: 'a', size: '1', list: [{ rev: 1 }], extra: { deep: { deeper: 1 } } }];
    expect(compare(recorded, live)).toEqual([
      'missing name',
      'missing owner',
      'type size',
      'type list[].rev',
      'new title',
      'new extra',
    ]);
  });

  it('give the types, and in how many answers the path is', () => {
    const recorded = [{ at: { id: 1 } }, { at: { id: null } }, {}];
    const live = [{ at: { id: 'x' } }, { at: {} }];
    expect(differences({ kind: 'thing', recorded, live, reads: [] })).toEqual([
      {
        kind: 'thing',
        path: 'at.id',
        change: 'type',
        read: false,
        recorded: { types: ['null', 'number'], answers: 2, of: 2 },
        live: { types: ['text'], answers: 1, of: 2 },
      },
    ]);
  });

  it('name the answer itself where its own type differs', () => {
    expect(compare([{ a: 1 }], [[{ a: 1 }]])).toEqual(['type ']);
  });

  it('quote keys that a path could be read into', () => {
    const recorded = [{ exports: { '.': 1, 'a b-c': 1 } }];
    const live = [{ exports: { './next': 1 }, 'x"[]': 1 }];
    expect(compare(recorded, live)).toEqual([
      'missing exports["."]',
      'missing exports.a b-c',
      'new exports["./next"]',
      'new ["x\\"[]"]',
    ]);
  });

  it('merge the items of lists, and find nothing in an empty list', () => {
    expect(compare([[{ a: 1 }, { b: 1 }]], [[{ a: 1, c: 1 }]])).toEqual(['missing [].b', 'new [].c']);
    expect(compare([{ list: [{ a: 1 }] }], [{ list: [] }])).toEqual([]);
    expect(compare([{ list: [] }], [{ list: [1] }])).toEqual(['new list[]']);
  });

  it('leave out a field that answers like the recorded ones may lack by chance', () => {
    const recorded = [{ a: 1, b: 1 }, { a: 1, b: 1 }, { a: 1, b: 1 }, { a: 1 }];
    expect(compare(recorded, [{ a: 1 }, { a: 1 }])).toEqual([]);
    expect(compare(recorded, Array(4).fill({ a: 1 }))).toEqual(['missing b']);
  });

  it('count a field once an answer, however often the answer has it', () => {
    const many = Array(100).fill({ a: 1 });
    const recorded = [{ list: [{ a: 1, b: 1 }] }, { list: [{ a: 1 }] }];
    expect(compare(recorded, [{ list: many }])).toEqual([]);
  });

  it('fold the keys of a map, except those that every recorded map has', () => {
    const recorded = [1, 2, 3, 4].map(seed => ({ time: { created: 'x', ...mapOf(seed) } }));
    expect(compare(recorded, [{ time: { created: 'x', ...mapOf(9) } }])).toEqual([]);
    expect(compare(recorded, [{ time: mapOf(9) }])).toEqual(['missing time.created']);
    expect(compare(recorded, [{ time: { created: 'x', ...mapOf(9, 5) } }])).toEqual(['type time.*']);
    const versions = [1, 2, 3].map(seed => ({ versions: mapOf(seed, { dist: { sum: 'x' } }) }));
    expect(compare(versions, [{ versions: mapOf(9, { dist: { hash: 'x' } }) }])).toEqual([
      'missing versions.*.dist.sum',
      'new versions.*.dist.hash',
    ]);
  });

  it('take no record for a map: its keys are common, or its values have several types', () => {
    const person = [{ name: 'a', mail: 'b' }, { name: 'a' }, { name: 'a', url: 'c' }];
    expect(compare(person, [{ name: 'a', phone: 'd' }])).toEqual(['new phone']);
    const common = { ...mapOf(1), ...mapOf(2), ...mapOf(3) };
    const records = [{ ...common, rare: 'x' }, common, {}, {}, {}];
    expect(compare(records, [{ ...common, other: 'x' }])).toEqual(['new other']);
    const mixed = [mapOf(1), mapOf(2), mapOf(3), mapOf(4, 1)];
    expect(compare(mixed, [{ d: 'x' }])).toEqual(['new d']);
    expect(compare([mapOf(1), mapOf(2), mapOf(3)], [{ d: 'x' }], false)).toEqual(['new d']);
  });

  it('bear the names that every object inherits', () => {
    const document = JSON.parse('{"__proto__": {"a": 1}, "constructor": 1, "*": 1}');
    const other = JSON.parse('{"__proto__": {"b": 1}, "constructor": 1, "*": 1}');
    expect(compare([document], [document])).toEqual([]);
    expect(compare([document], [other])).toEqual(['missing __proto__.a', 'new __proto__.b']);
  });
});

describe('what a source reads', () => {
  /** The paths that code reads of a value. */
  function readsOf(value: unknown, read: (value: never) => unknown): string[] {
    const reads = noReads();
    read(watchReads(value, reads) as never);
    const paths = (of: typeof reads, path: string): string[] =>
      [...of.members].flatMap(([key, member]) => [
        ...(member.isRead ? [`${path}${key}`] : []),
        ...paths(member, `${path}${key}.`),
      ]);
    return paths(reads, '');
  }

  it('is what it reads by name, items of lists too, and no missing member', () => {
    const value = { a: { b: 1, c: 2 }, list: [{ d: 1, e: 2 }], other: 1 };
    const read = ({ a, list, none }: { a: { b: number }; list: { d: number }[]; none?: unknown }) => [
      a.b,
      none,
      list.map(({ d }) => d),
      [list].flat().length,
    ];
    expect(readsOf(value, read)).toEqual(['a', 'a.b', 'list', 'list.[]', 'list.[].d']);
  });

  it('is not what it passes on or walks over', () => {
    const value = { a: { b: [1] } };
    expect(readsOf(value, read => JSON.stringify(read))).toEqual([]);
    expect(readsOf(value, read => JSON.stringify(Object.fromEntries(Object.entries(read))))).toEqual([]);
    expect(readsOf({ a: [1], b: 'x' }, read => Object.keys(read).map(key => [...read[key]]))).toEqual([]);
    expect(readsOf(value, async read => read)).toEqual([]);
    expect(readsOf({ list: [[1], { a: 1 }] }, ({ list }) => JSON.stringify(list))).toEqual(['list']);
  });

  it('is what it reads by name of a member that it walks to, and after a walk', () => {
    const versions = { '1': { dist: 1, size: 1 } };
    expect(readsOf({ versions }, (read: { versions: object }) => Object.values(read.versions)[0].dist)).toEqual([
      'versions',
      'versions.1.dist',
    ]);
    expect(readsOf({ a: 1 }, (read: { a: number }) => [{ ...read }, read.a])).toEqual(['a']);
  });

  it('sees the same values as without a watch', () => {
    const value = { a: [1, { b: null }], c: 'x' };
    const watched = watchReads(value, noReads());
    expect(structuredClone(JSON.parse(JSON.stringify(watched)))).toEqual(value);
    expect(watched).toEqual(value);
    expect(Array.isArray((watched as typeof value).a)).toBe(true);
  });

  it('marks the difference at a path or around one', () => {
    const reads = noReads();
    const read = watchReads({ a: { b: 1 }, c: 1 }, reads) as { a: { b: number } };
    expect(read.a.b).toBe(1);
    const found = differences({ kind: 'thing', recorded: [{ a: { b: 1 }, c: 1 }], live: [{}], reads: [reads] });
    expect(found.map(({ path, read: isRead }) => [path, isRead])).toEqual([
      ['a', true],
      ['c', false],
    ]);
  });
});
