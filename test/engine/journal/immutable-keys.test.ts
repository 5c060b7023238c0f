import { describe, expect, it } from 'vitest';
import { tableNamed } from '../../../schemas/index.ts';
import type { Table } from '../../../schemas/table.ts';
import { sha256Hex } from '../../../src/digest.ts';
import { ImmutableKeys } from '../../../src/engine/journal/immutable-keys.ts';
import { openJournal } from '../../../src/engine/journal/open.ts';
import type { SqlPort } from '../../../src/ports/sql.ts';
import { numberOf, seedOf } from '../../budget.ts';
import { randomFrom } from '../../parquet/rows.ts';
import { nodeSql } from '../../simulation/world/node-sql.ts';

const KEYS = numberOf('IMMUTABLE_KEYS', 2_000);
const SEED = seedOf('IMMUTABLE_SEED');
const COMMITS = tableNamed('github_commit');

function journalSql(): SqlPort {
  const sql = nodeSql();
  openJournal(sql, 'toy', [COMMITS.name]);
  return sql;
}

interface StoredBlock {
  parent: string;
  first: Uint8Array;
  digests: Uint8Array;
}

function blocksOf(sql: SqlPort): StoredBlock[] {
  return sql.exec('SELECT parent, first, digests FROM immutable_keys ORDER BY parent, first');
}

/** Adds keys in one append, and returns those that were new. */
function addAll(sql: SqlPort, keys: [repo: string, sha: string][], table: Table = COMMITS): string[] {
  return sql.transaction(() => {
    const append = new ImmutableKeys(sql);
    const areNew = append.add(
      table,
      keys.map(([repo, sha]) => ({ github_id: repo, sha })),
    );
    append.write();
    return keys.filter((_, index) => areNew[index]).map(key => key.join(' '));
  });
}

describe('the keys of an immutable table', () => {
  it('are known in the append that adds them, and in every later one', () => {
    const sql = journalSql();
    expect(
      addAll(sql, [
        ['a', '1'],
        ['a', '2'],
        ['a', '1'],
        ['b', '1'],
      ]),
    ).toEqual(['a 1', 'a 2', 'b 1']);
    expect(
      addAll(sql, [
        ['a', '2'],
        ['b', '2'],
        ['b', '1'],
      ]),
    ).toEqual(['b 2']);
  });

  it('are not known when the append that adds them is rolled back', () => {
    const sql = journalSql();
    const undone = () =>
      sql.transaction(() => {
        const append = new ImmutableKeys(sql);
        append.add(COMMITS, [{ github_id: 'a', sha: '1' }]);
        append.write();
        throw new Error('undone');
      });
    expect(undone).toThrow('undone');
    expect(addAll(sql, [['a', '1']])).toEqual(['a 1']);
  });

  it('differ for values that are equal when joined, and for a parent that is named like the digest of another', () => {
    const sql = journalSql();
    const long = 'x'.repeat(600);
    const keys: [string, string][] = [
      ['a', 'b'],
      ['ab', ''],
      [long, '1'],
      [sha256Hex(long), '1'],
    ];
    expect(addAll(sql, keys)).toHaveLength(keys.length);
    expect(
      addAll(sql, [
        [long, '1'],
        [`${long}x`, '1'],
      ]),
    ).toEqual([`${long}x 1`]);
    for (const { parent } of blocksOf(sql)) expect(parent.length).toBeLessThanOrEqual(512);
  });

  it('of one part are packed without a parent', () => {
    const sql = journalSql();
    const table = { ...COMMITS, key: ['sha'] };
    expect(
      addAll(
        sql,
        [
          ['a', '1'],
          ['b', '1'],
          ['b', '2'],
        ],
        table,
      ),
    ).toEqual(['a 1', 'b 2']);
    expect(blocksOf(sql)).toMatchObject([{ parent: '' }]);
  });

  it(`are known each once in any order, in sorted blocks below 1 MiB, IMMUTABLE_KEYS=${KEYS} IMMUTABLE_SEED=${SEED}`, () => {
    const sql = journalSql();
    const random = randomFrom(SEED);
    const known = new Set<string>();
    while (known.size < KEYS) {
      const size = 1 + Math.floor(random() * random() * KEYS);
      // One parent has half of all keys, so that its digests take several blocks.
      const keys = Array.from({ length: size }, (): [string, string] => [
        random() < 0.5 ? 'large' : `repo-${Math.floor(random() * 20)}`,
        String(Math.floor(random() * KEYS)),
      ]);
      const expected = keys.map(key => key.join(' ')).filter(key => !known.has(key) && known.add(key));
      expect(addAll(sql, keys)).toEqual(expected);
    }
    const blocks = blocksOf(sql);
    expect(blocks.filter(({ parent }) => parent === 'large').length).toBeGreaterThan(1);
    for (const [index, { parent, first, digests }] of blocks.entries()) {
      expect(digests.length).toBeLessThanOrEqual(8_000);
      const texts = Array.from({ length: digests.length / 20 }, (_, at) =>
        Buffer.from(digests.subarray(at * 20, at * 20 + 20)).toString('hex'),
      );
      expect(texts).toEqual([...new Set(texts)].sort());
      expect(texts[0]! >= Buffer.from(first).toString('hex')).toBe(true);
      const next = blocks[index + 1];
      if (next?.parent === parent) expect(texts.at(-1)! < Buffer.from(next.first).toString('hex')).toBe(true);
    }
    expect(blocks.reduce((sum, { digests }) => sum + digests.length / 20, 0)).toBe(known.size);
  });

  it('are written in between when one append holds too many blocks', () => {
    const sql = journalSql();
    // Each parent's block has 8 KB.
    const parents = Array.from({ length: 1_200 }, (_, index) => `repo-${index}`);
    const digests = new Uint8Array(8_000);
    for (const parent of parents)
      sql.exec(
        'INSERT INTO immutable_keys (table_name, parent, first, digests) VALUES (?, ?, ?, ?)',
        COMMITS.name,
        parent,
        new Uint8Array(),
        digests,
      );
    const append = new ImmutableKeys(sql);
    for (const repo of parents) append.add(COMMITS, [{ github_id: repo, sha: '1' }]);
    expect(blocksOf(sql).filter(({ parent, digests }) => parent === 'repo-0' && digests.length === 8_000)).toEqual([]);
    for (const repo of parents) expect(append.add(COMMITS, [{ github_id: repo, sha: '1' }])).toEqual([false]);
    append.write();
    expect(
      addAll(
        sql,
        parents.map(repo => [repo, '1']),
      ),
    ).toEqual([]);
  });
});
