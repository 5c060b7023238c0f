import { JournalLayoutError } from '../../errors.ts';
import type { SqlPort } from '../../ports/sql.ts';
import { LAYOUT, SCHEMA } from './schema.ts';

/**
 * Makes the journal's tables in a new object, or checks whose tables an object has. Throws `JournalLayoutError` where
 * another version of Tributary made them; nothing else is read and nothing is changed then.
 */
export function openJournal(sql: SqlPort, source: string, tables: string[]): void {
  sql.transaction(() => {
    if (!hasJournal(sql)) {
      for (const statement of SCHEMA) sql.exec(statement);
      sql.exec('INSERT INTO source (id, layout, name) VALUES (1, ?, ?)', LAYOUT, source);
    }
    const { layout, name } = sql.exec<{ layout: number; name: string }>('SELECT layout, name FROM source')[0]!;
    if (layout !== LAYOUT)
      throw new JournalLayoutError(`journal of ${source}: expected layout ${LAYOUT}, got ${layout}`);
    if (name !== source) throw new Error(`journal: expected source ${source}, got ${name}`);
    for (const table of tables) sql.exec('INSERT INTO tables (name) VALUES (?) ON CONFLICT DO NOTHING', table);
  });
}

/** The source whose journal an object has, whatever its layout; null where it has none. */
export function journalSource(sql: SqlPort): string | null {
  return hasJournal(sql) ? sql.exec<{ name: string }>('SELECT name FROM source')[0]!.name : null;
}

function hasJournal(sql: SqlPort): boolean {
  return sql.exec("SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'source'").length > 0;
}
