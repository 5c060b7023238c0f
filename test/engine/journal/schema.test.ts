import { describe, expect, it } from 'vitest';
import { LAYOUTS } from '../../../src/engine/journal/layouts.ts';
import { journalSource, openJournal } from '../../../src/engine/journal/schema.ts';
import { JournalState } from '../../../src/engine/journal/state.ts';
import type { SqlPort } from '../../../src/ports/sql.ts';
import { nodeSql } from '../../simulation/world/node-sql.ts';

/** A journal as the version that made this layout left it. */
function journalOf(layout: number): SqlPort {
  const sql = nodeSql();
  for (const statement of LAYOUTS.slice(0, layout).flat()) sql.exec(statement);
  sql.exec("INSERT INTO source (id, layout, name, change_number) VALUES (1, ?, 'npm', 7)", layout);
  return sql;
}

/** Every table's columns, and every index. */
function shapeOf(sql: SqlPort): unknown {
  const tables = sql.exec<{ name: string }>("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name");
  const indexes = sql.exec("SELECT name, tbl_name FROM sqlite_master WHERE type = 'index' ORDER BY name");
  return { indexes, tables: tables.map(({ name }) => sql.exec('SELECT * FROM pragma_table_info(?)', name)) };
}

describe('a journal of an earlier layout', () => {
  it.each(LAYOUTS.map((_, index) => index + 1))('%i becomes one of this, and keeps what it knows', layout => {
    const sql = journalOf(layout);
    const fresh = nodeSql();
    openJournal(fresh, 'npm', ['npm_package']);
    for (let time = 0; time < 2; time++) openJournal(sql, 'npm', ['npm_package']);
    expect(shapeOf(sql)).toEqual(shapeOf(fresh));
    expect(journalSource(sql)).toBe('npm');
    expect(new JournalState(sql).source()).toMatchObject({ layout: LAYOUTS.length, change_number: 7, looks: 0 });
  });

  it('keeps the changes that are parked in it, and looks at them again', () => {
    const sql = journalOf(1);
    sql.exec(`INSERT INTO parked (change_number, key, cursor, deleted, reason, detail, attempts, parked_ms, looked_ms, due_ms)
      VALUES (3, 'a', '30', 0, 'http-404', 'gone', 5, 1, 2, 3)`);
    openJournal(sql, 'npm', ['npm_package']);
    expect(sql.exec('SELECT * FROM parked')).toMatchObject([{ attempts: 5, attempts_max: 20, died_ms: null }]);
  });
});

describe('a journal of a later layout, or of another source', () => {
  it('is refused rather than misread', () => {
    const sql = journalOf(LAYOUTS.length);
    sql.exec('UPDATE source SET layout = layout + 1');
    expect(() => openJournal(sql, 'npm', [])).toThrow(/expected layout \d+, got \d+/);
    expect(() => openJournal(journalOf(1), 'pypi', [])).toThrow('expected source pypi, got npm');
  });
});
