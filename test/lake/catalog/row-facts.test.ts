import { describe, expect, it } from 'vitest';
import { tableNamed } from '../../../schemas/index.ts';
import type { Value } from '../../../schemas/table.ts';
import { compareText } from '../../../schemas/text_order.ts';
import type { KeyIndex } from '../../../src/lake/catalog/forms.ts';
import { filesHolding } from '../../../src/lake/catalog/read.ts';
import { lowerBound, RowFacts, type RowFactsJson, upperBound } from '../../../src/lake/catalog/row-facts.ts';
import { randomFrom } from '../../parquet/rows.ts';

const npm = tableNamed('npm_package');
const commits = tableNamed('github_commit');

const PIECES = ['a', 'z', 'é', '\u{d7ff}', '\u{e000}', '\u{ffff}', '😀', '\u{10ffff}', '-', '0'];

function randomText(random: () => number): string {
  const piece = () => PIECES[Math.floor(random() * PIECES.length)]!;
  // Long runs of one character, because the bound is cut within them.
  return piece().repeat(Math.floor(random() * 80)) + piece() + piece().repeat(Math.floor(random() * 40));
}

function gathered(table: typeof npm, rows: Record<string, Value>[]): RowFactsJson {
  const facts = new RowFacts(table);
  for (const row of rows) facts.add(table.columns.map(({ name }) => row[name] ?? null));
  return JSON.parse(JSON.stringify(facts)) as RowFactsJson;
}

describe('bounds of a text', () => {
  it('include the text and are short', () => {
    const random = randomFrom(7);
    for (let times = 0; times < 5_000; times++) {
      const text = randomText(random);
      const [lower, upper] = [lowerBound(text), upperBound(text)];
      expect(compareText(lower, text)).toBeLessThanOrEqual(0);
      if (upper !== null) expect(compareText(text, upper)).toBeLessThanOrEqual(0);
      for (const bound of [lower, upper ?? '']) {
        expect(bound.isWellFormed()).toBe(true);
        expect(bound.length).toBeLessThanOrEqual(65);
      }
    }
  });

  it('are a short text itself', () => {
    expect([lowerBound('@types/node'), upperBound('@types/node')]).toEqual(['@types/node', '@types/node']);
  });

  it('have no maximum for a text of the last Unicode characters only', () => {
    expect(upperBound('\u{10ffff}'.repeat(40))).toBeNull();
    expect(upperBound(`a${'\u{10ffff}'.repeat(40)}`)).toBe('b');
    expect(upperBound('\u{d7ff}'.repeat(70))).toBe(`${'\u{d7ff}'.repeat(63)}\u{e000}`);
  });
});

describe('the facts about rows', () => {
  it('have bounds and nulls of the key columns and of updated_at', () => {
    const facts = gathered(npm, [
      { name: 'b', updated_at: '2026-11-24T00:00:01.000Z' },
      { name: 'a', updated_at: null },
    ]);
    expect(facts.columns).toEqual({
      name: { min: 'a', max: 'b', nulls: 0 },
      updated_at: { min: '2026-11-24T00:00:01.000Z', max: '2026-11-24T00:00:01.000Z', nulls: 1 },
    });
    expect(facts).toMatchObject({ min: 'a', max: 'b' });
  });

  it('are the same for any order of the rows', () => {
    const rows = Array.from({ length: 50 }, (_, n) => ({ name: `package-${(n * 17) % 50}` }));
    expect(gathered(npm, rows).columns).toEqual(gathered(npm, rows.toReversed()).columns);
    expect(gathered(npm, rows).filter).toBe(gathered(npm, rows.toReversed()).filter);
  });

  it.each([1, 40, 1_024, 1_025])('include each of %i keys of several columns', size => {
    const random = randomFrom(size);
    const keys = Array.from({ length: size }, (_, n) => [randomText(random), `${n}`]);
    const { min, max, filter } = gathered(
      commits,
      keys.map(([id, sha]) => ({ github_id: id!, sha: sha! })),
    );
    expect(commits.key).toEqual(['github_id', 'sha']);
    const file = { key: 'file', first_lsn: 1, last_lsn: size, min, max, filter };
    const index: KeyIndex = {
      format_version: 1,
      table: commits.name,
      first_lsn: 1,
      last_lsn: size,
      files: [file],
    };
    for (const key of keys) expect(filesHolding([index], key)).toEqual(['file']);
    expect(filter === null).toBe(size > 1_024);
  });
});
