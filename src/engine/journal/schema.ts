import type { SqlPort } from '../../ports/sql.ts';
import { LAYOUTS } from './layouts.ts';

/** Makes the object's tables, or brings those of an earlier version up to this one. A later version is refused. */
export function openJournal(sql: SqlPort, source: string, tables: string[]): void {
  sql.transaction(() => {
    const [exists] = sql.exec("SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'source'");
    const found = exists ? sql.exec<{ layout: number; name: string }>('SELECT layout, name FROM source')[0]! : null;
    const layout = found?.layout ?? 0;
    if (layout > LAYOUTS.length) throw new Error(`journal: expected layout ${LAYOUTS.length}, got ${layout}`);
    if (found && found.name !== source) throw new Error(`journal: expected source ${source}, got ${found.name}`);
    for (const statement of LAYOUTS.slice(layout).flat()) sql.exec(statement);
    if (found === null) sql.exec('INSERT INTO source (id, layout, name) VALUES (1, ?, ?)', LAYOUTS.length, source);
    else if (layout < LAYOUTS.length) sql.exec('UPDATE source SET layout = ?', LAYOUTS.length);
    for (const table of tables) sql.exec('INSERT INTO tables (name) VALUES (?) ON CONFLICT DO NOTHING', table);
  });
}

/** The source an object has a journal of, or null: an alarm wakes an object without telling its name. */
export function journalSource(sql: SqlPort): string | null {
  const [exists] = sql.exec("SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'source'");
  if (!exists) return null;
  return sql.exec<{ name: string }>('SELECT name FROM source')[0]?.name ?? null;
}
