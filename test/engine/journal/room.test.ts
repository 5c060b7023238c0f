import { expect, it } from 'vitest';
import { sha256Hex } from '../../../src/digest.ts';
import { JournalEvidence } from '../../../src/engine/journal/evidence.ts';
import { JournalRoom } from '../../../src/engine/journal/room.ts';
import type { LoadedRow } from '../../../src/ports/change.ts';
import { commit, profile, repo, ToyJournal } from './toy-journal.ts';

const KEYS = 1_000;

/** Names as those of an upstream, in no order. */
function nameOf(index: number): string {
  return `${sha256Hex(String(index)).slice(0, 8)}-owner/repository`;
}

it('what each table takes is estimated within a third of what it takes', () => {
  const toy = new ToyJournal();
  for (let first = 0; first < KEYS; first += 200) {
    const names = Array.from({ length: 200 }, (_, index) => nameOf(first + index));
    toy.watch(...names);
    toy.visit(Object.fromEntries(names.map(name => [name, rowsOf(name)])));
  }
  const room = new JournalRoom(toy.sql);
  const sizes = toy.sql.exec<{ name: string; bytes: number }>(
    `SELECT tbl_name AS name, sum(pgsize) AS bytes FROM dbstat JOIN sqlite_schema ON sqlite_schema.name = dbstat.name
     GROUP BY tbl_name`,
  );
  const taken = new Map(sizes.map(({ name, bytes }) => [name, bytes]));
  const byTable = room.byTable();
  expect(byTable.map(({ table, rows }) => [table, rows]).sort()).toEqual([
    ['agenda', KEYS],
    ['entries', 3 * (KEYS / 200)],
    ['immutable_keys', 20 * KEYS],
    ['keys', 3 * KEYS],
    ['others', null],
    ['row_identities', 2 * KEYS],
    ['row_keys', 2 * KEYS],
  ]);
  for (const { table, bytes } of byTable.filter(({ table }) => table !== 'others')) {
    expect(bytes / taken.get(table)!, table).toBeGreaterThan(2 / 3);
    expect(bytes / taken.get(table)!, table).toBeLessThan(4 / 3);
  }
  const sum = byTable.reduce((total, { bytes }) => total + bytes, 0);
  expect(sum).toBeGreaterThanOrEqual(room.bytes);
  expect(sum / room.bytes).toBeLessThan(4 / 3);
});

it('a database takes less room again when rows are deleted', () => {
  const toy = new ToyJournal();
  toy.watch(...Array.from({ length: 1_000 }, (_, index) => nameOf(index)));
  const { bytes } = new JournalRoom(toy.sql);
  toy.sql.exec('DELETE FROM agenda');
  expect(new JournalRoom(toy.sql).bytes).toBeLessThan(bytes - 50_000);
});

/** Rows of two mutable tables under other keys than the change's, and twenty commits. */
function rowsOf(name: string): LoadedRow[] {
  const commits = Array.from({ length: 20 }, (_, sha) => commit(name, String(sha)));
  return [repo(`repo/${name}`, 'text'), profile(`owner/${name}`, 'text')].concat(commits);
}

it.each([
  ['rows of a table that change', (index: number) => `package-${nameOf(index)}`],
  ['rows that never change', () => null],
])('what evidence of %s takes is estimated within a third, and counted as it comes and goes', (_, rowOf) => {
  const { sql } = new ToyJournal();
  sql.exec("INSERT INTO inlets (source, table_name, identity) VALUES ('npm', 'npm_package', 'some-identity')");
  const evidence = new JournalEvidence(sql, { counts: false });
  const give = (index: number, items: number) => {
    const findings = Array.from({ length: items }, (_, item) => ({
      key: `${nameOf(index % 700)}.example`,
      space: 'example',
      item: `${nameOf(index)}-${item}`,
      facts: JSON.stringify({ role: 'maintainer', pattern: 'first.last' }),
      sample: index % 2 === 0 ? 'Ann Example <ann@example.com>' : null,
    }));
    sql.transaction(() => {
      evidence.raiseVersion(evidence.replace({ inlet: 1, row: rowOf(index), lsn: index + 1, findings }));
    });
  };
  for (let index = 0; index < KEYS; index++) give(index, 3);
  const room = new JournalRoom(sql);
  const taken = new Map(
    sql
      .exec<{ name: string; bytes: number }>(
        `SELECT tbl_name AS name, sum(pgsize) AS bytes FROM dbstat JOIN sqlite_schema
         ON sqlite_schema.name = dbstat.name GROUP BY tbl_name`,
      )
      .map(({ name, bytes }) => [name, bytes]),
  );
  const byTable = () => new Map(room.byTable().map(({ table, ...one }) => [table, one]));
  const before = byTable();
  expect(before.get('evidence')!.rows).toBe(3 * KEYS);
  expect(before.get('evidence_keys')!.rows).toBe(700);
  expect(before.get('inlets')!.rows).toBe(1);
  for (const table of ['evidence', 'evidence_keys']) {
    expect(before.get(table)!.bytes / taken.get(table)!, table).toBeGreaterThan(2 / 3);
    expect(before.get(table)!.bytes / taken.get(table)!, table).toBeLessThan(4 / 3);
  }
  // A key whose evidence is dropped is counted no longer, and one whose evidence changes stays.
  sql.transaction(() => evidence.drop(`${nameOf(0)}.example`));
  expect(byTable().get('evidence_keys')!.rows).toBe(699);
  give(0, 2);
  expect(byTable().get('evidence_keys')!.rows).toBe(700);
  const [{ keys }] = sql.exec<{ keys: number }>('SELECT count(*) AS keys FROM evidence_keys') as [{ keys: number }];
  expect(keys).toBe(700);
});
