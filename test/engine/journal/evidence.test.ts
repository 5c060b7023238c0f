import { afterEach, describe, expect, it } from 'vitest';
import { JournalEvidence } from '../../../src/engine/journal/evidence.ts';
import { openJournal } from '../../../src/engine/journal/open.ts';
import { LIMITS } from '../../../src/limits.ts';
import type { KeyFinding } from '../../../src/ports/inlet.ts';
import { nodeSql } from '../../simulation/world/node-sql.ts';

const KEY = 'acme.example';

let sql: ReturnType<typeof nodeSql>;
afterEach(() => sql.close());

/** The evidence of a new object that has inlets 1 (`people`) and 2 (`commits`). */
function open({ counts = false } = {}): JournalEvidence {
  sql = nodeSql();
  openJournal(sql, 'source', []);
  for (const table of ['people', 'commits'])
    sql.exec('INSERT INTO inlets (source, table_name) VALUES (?, ?)', 'x', table);
  return new JournalEvidence(sql, { counts });
}

const of = (item: string, facts: unknown = {}, sample: string | null = null, key = KEY): KeyFinding => ({
  key,
  space: 'example',
  item,
  facts: JSON.stringify(facts),
  sample,
});

/** Replaces what a row gives, as an append of an inlet does. */
function give(evidence: JournalEvidence, row: string | null, findings: KeyFinding[], { inlet = 1, lsn = 1 } = {}) {
  return sql.transaction(() => {
    const changed = evidence.replace({ inlet, row, lsn, findings });
    if (changed.size > 0) evidence.raiseVersion(changed);
    return [...changed].sort();
  });
}

const itemsOf = (evidence: JournalEvidence, key = KEY) => evidence.of(key).evidence.items.map(({ item }) => item);

describe('the evidence of a key', () => {
  it('has what each row gives, with table, row, facts, sample and LSN', () => {
    const evidence = open();
    give(evidence, 'package', [of('ann', { role: 'author' }, 'Ann <ann@acme.example>')], { lsn: 7 });
    expect(evidence.of(KEY).evidence).toEqual({
      version: 1,
      total: 1,
      counts: null,
      items: [
        {
          table: 'people',
          row: 'package',
          item: 'ann',
          facts: { role: 'author' },
          sample: 'Ann <ann@acme.example>',
          lsn: 7,
        },
      ],
    });
  });

  it('has another version after each change, and the same after a repeat', () => {
    const evidence = open();
    const versions = [evidence.versionOf(KEY)];
    for (const findings of [
      [of('a')],
      [of('a')],
      [of('a', { n: 1 })],
      [of('a', { n: 1 }, 's')],
      [of('b')],
      [],
      [of('b')],
    ]) {
      give(evidence, 'row', findings);
      versions.push(evidence.versionOf(KEY));
    }
    expect(versions).toEqual([0, 1, 1, 2, 3, 4, 0, 6]);
  });

  it('has the newest items first: one that a row repeats unchanged keeps its place', () => {
    const evidence = open();
    give(evidence, 'one', [of('a'), of('b')], { lsn: 1 });
    give(evidence, 'two', [of('c')], { lsn: 2 });
    expect(give(evidence, 'one', [of('a'), of('b', { n: 1 })], { lsn: 3 })).toEqual([KEY]);
    expect(evidence.of(KEY).evidence.items.map(({ item, lsn }) => [item, lsn])).toEqual([
      ['b', 3],
      ['c', 2],
      ['a', 1],
    ]);
  });

  it('has the last finding where a row gives one item twice, and both where two tables give it', () => {
    const evidence = open();
    give(evidence, 'row', [of('a', { n: 1 }), of('a', { n: 2 })]);
    give(evidence, 'row', [of('a', { n: 3 })], { inlet: 2 });
    expect(evidence.of(KEY).evidence.items.map(({ table, facts }) => [table, facts])).toEqual([
      ['commits', { n: 3 }],
      ['people', { n: 2 }],
    ]);
  });

  it('of a row that names other keys now moves to them', () => {
    const evidence = open();
    give(evidence, 'row', [of('a'), of('a', {}, null, 'other.example')]);
    expect(give(evidence, 'row', [of('a', {}, null, 'third.example')])).toEqual([
      KEY,
      'other.example',
      'third.example',
    ]);
    expect([KEY, 'other.example', 'third.example'].map(key => itemsOf(evidence, key))).toEqual([[], [], ['a']]);
  });

  it('of a table whose rows never change has each item once, whatever row gave it', () => {
    const evidence = open();
    give(evidence, null, [of('ann', { n: 1 })], { inlet: 2, lsn: 1 });
    expect(give(evidence, null, [of('ann', { n: 1 }), of('bob')], { inlet: 2, lsn: 2 })).toEqual([KEY]);
    expect(give(evidence, null, [of('ann', { n: 1 })], { inlet: 2, lsn: 3 })).toEqual([]);
    give(evidence, null, [of('ann', { n: 2 })], { inlet: 2, lsn: 4 });
    expect(give(evidence, null, [], { inlet: 2, lsn: 5 })).toEqual([]);
    expect(evidence.of(KEY).evidence.items.map(({ item, row, lsn }) => [item, row, lsn])).toEqual([
      ['ann', null, 4],
      ['bob', null, 2],
    ]);
  });

  it('is at most the newest items that a visit may get, and the total says how many there are', () => {
    const evidence = open();
    const more = LIMITS.evidenceItemsMax + 5;
    give(
      evidence,
      'row',
      Array.from({ length: more }, (_, n) => of(`item ${n}`)),
    );
    const { items, total } = evidence.of(KEY).evidence;
    expect({ total, items: items.length }).toEqual({ total: more, items: LIMITS.evidenceItemsMax });
    expect([items[0]!.item, items.at(-1)!.item]).toEqual([`item ${more - 1}`, 'item 5']);
  });

  it('is at most the bytes that a visit may get', () => {
    const evidence = open();
    const facts = { text: 'f'.repeat(LIMITS.factsBytesMax - 20) };
    give(
      evidence,
      'row',
      Array.from({ length: LIMITS.evidenceItemsMax }, (_, n) => of(`${n}`.padEnd(LIMITS.itemBytesMax), facts)),
    );
    const { evidence: found, bytes } = evidence.of(KEY);
    expect(JSON.stringify(found.items).length).toBeLessThan(1.5 * LIMITS.evidenceVisitBytesMax);
    expect(found.items.length).toBeGreaterThan(1_000);
    expect(bytes).toBeGreaterThan(LIMITS.evidenceVisitBytesMax);
  });

  it('is counted where the source asks for counts: distinct items by facts, and by facts and table', () => {
    const evidence = open({ counts: true });
    const dot = { pattern: 'first.last' };
    const first = { pattern: 'first' };
    give(evidence, 'one', [of('ann', dot, 'ann.lee'), of('bob', dot, 'bob.ray'), of('cid', first, 'cid')]);
    give(evidence, 'two', [of('ann', dot, 'ann.lee'), of('dan', dot, 'dan.fox'), of('eve', dot, 'eve.orr')]);
    give(evidence, null, [of('ann', dot, 'ann.lee'), of('cid', first, null)], { inlet: 2 });
    expect(evidence.of(KEY).evidence).toEqual({
      version: 3,
      total: 8,
      items: [],
      counts: {
        facts: [
          { facts: dot, items: 4, samples: ['ann.lee', 'eve.orr', 'dan.fox', 'bob.ray'] },
          { facts: first, items: 1, samples: ['cid'] },
        ],
        tables: [
          { facts: dot, table: 'people', items: 4 },
          { facts: first, table: 'commits', items: 1 },
          { facts: first, table: 'people', items: 1 },
          { facts: dot, table: 'commits', items: 1 },
        ].sort((a, b) => b.items - a.items || compare(a.facts, b.facts) || (a.table < b.table ? -1 : 1)),
      },
    });
  });

  it('can be dropped whole: nothing of the key is left, and its version is another one', () => {
    const evidence = open();
    give(evidence, 'row', [of('a'), of('b'), of('a', {}, null, 'other.example')]);
    give(evidence, null, [of('c')], { inlet: 2 });
    expect(sql.transaction(() => evidence.drop(KEY))).toBe(3);
    expect(sql.transaction(() => evidence.drop(KEY))).toBe(0);
    expect([itemsOf(evidence), itemsOf(evidence, 'other.example')]).toEqual([[], ['a']]);
    expect(evidence.versionOf(KEY)).toBe(0);
    expect(sql.exec('SELECT key FROM evidence_keys')).toEqual([{ key: 'other.example' }]);
    expect(sql.exec('SELECT items FROM inlets')).toEqual([{ items: 1 }, { items: 0 }]);
    give(evidence, 'row', [of('a'), of('a', {}, null, 'other.example')]);
    expect(itemsOf(evidence)).toEqual(['a']);
  });
});

function compare(a: unknown, b: unknown): number {
  const [left, right] = [JSON.stringify(a), JSON.stringify(b)];
  return left < right ? -1 : left > right ? 1 : 0;
}
