import { describe, expect, it } from 'vitest';
import { journalSource, openJournal } from '../../../src/engine/journal/open.ts';
import { LAYOUT } from '../../../src/engine/journal/schema.ts';
import { JournalState } from '../../../src/engine/journal/state.ts';
import { JournalLayoutError } from '../../../src/errors.ts';
import type { SqlPort } from '../../../src/ports/sql.ts';
import { nodeSql } from '../../simulation/world/node-sql.ts';

/** A journal of another layout: of its tables only `source` is known, and of that its first columns. */
function journalOf(layout: number): SqlPort {
  const sql = nodeSql();
  sql.exec('CREATE TABLE source (id INTEGER PRIMARY KEY, layout INTEGER NOT NULL, name TEXT NOT NULL, other TEXT)');
  sql.exec("INSERT INTO source (layout, name, other) VALUES (?, 'npm', 'anything')", layout);
  sql.exec('CREATE TABLE lanes (lane TEXT, place TEXT)');
  sql.exec("INSERT INTO lanes (lane, place) VALUES ('tail', '30')");
  return sql;
}

/** All that a database holds. */
function contentsOf(sql: SqlPort): unknown {
  const tables = sql.exec<{ name: string; sql: string }>('SELECT name, sql FROM sqlite_master ORDER BY name');
  return tables.map(table => [table, sql.exec(`SELECT * FROM ${table.name}`)]);
}

describe('a journal', () => {
  it('is made in a new object, and opened again as it is', () => {
    const sql = nodeSql();
    expect(journalSource(sql)).toBeNull();
    openJournal(sql, 'npm', ['npm_package']);
    new JournalState(sql).updateSource({ change_number: 7 });
    openJournal(sql, 'npm', ['npm_package', 'another']);
    expect(journalSource(sql)).toBe('npm');
    const state = new JournalState(sql);
    expect(state.source()).toMatchObject({ layout: LAYOUT, name: 'npm', change_number: 7 });
    expect(state.tables().map(({ name }) => name)).toEqual(['another', 'npm_package']);
  });

  it.each([
    ['an older', LAYOUT - 1],
    ['a newer', LAYOUT + 1],
  ])('of %s layout is refused, and stays as it is', (_, layout) => {
    const sql = journalOf(layout);
    const before = contentsOf(sql);
    const open = () => openJournal(sql, 'npm', ['npm_package']);
    expect(open).toThrow(JournalLayoutError);
    expect(open).toThrow(`journal of npm: expected layout ${LAYOUT}, got ${layout}`);
    expect(contentsOf(sql)).toEqual(before);
    expect(journalSource(sql)).toBe('npm');
  });

  it('of another source is refused', () => {
    const sql = nodeSql();
    openJournal(sql, 'npm', []);
    expect(() => openJournal(sql, 'pypi', [])).toThrow('journal: expected source pypi, got npm');
  });
});
