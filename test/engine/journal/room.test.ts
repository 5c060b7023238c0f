import { expect, it } from 'vitest';
import { sha256Hex } from '../../../src/digest.ts';
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
