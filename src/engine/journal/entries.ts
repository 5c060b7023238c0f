import { tableNamed } from '../../../schemas/index.ts';
import type { Value } from '../../../schemas/table.ts';
import { sha256Hex } from '../../digest.ts';
import type { Change, LoadedRow } from '../../ports/change.ts';
import type { EncodePort } from '../../ports/data-file.ts';
import type { SqlPort } from '../../ports/sql.ts';
import type { SourceRow } from './state.ts';

/** Compressed size of one journal entry, below SQLite's 2 MB a value. */
const ENTRY_BYTES_MAX = 1_500_000;
/** Rows of one journal entry. A range of entries can so be cut close to the row limit of a file. */
const ENTRY_ROWS_MAX = 20_000;

/** A row of an entry: operation, cursor, then the table's values in column order without the lineage. */
export type JournalRow = [op: string, cursor: string, ...values: Value[]];

/** `_lsn`, `_op` and `_cursor`, the last columns of every table. */
export const LINEAGE_COLUMNS = 3;

/**
 * The facts that the entries of one append share. `cursorBefore` is null where the durable cursor does not wait for
 * them.
 */
export interface EntryFacts {
  source: SourceRow;
  runType: 'follow' | 'refresh' | 'backfill' | 'replay' | 'push';
  cursorBefore: string | null;
  cursorAfter: string;
}

interface PendingRow {
  key: string;
  text: string;
  bytes: number;
  revision: number | null;
  documentBytes: number | null;
  deleted: boolean;
}

/** The rows of one append by table, in order. They are gathered first, then numbered and written as journal entries. */
export class AppendedRows {
  readonly #tables = new Map<string, PendingRow[]>();

  add(
    change: Change,
    loaded: { row: LoadedRow; cursor: string; revision: number | null; documentBytes: number },
  ): void {
    const { row, cursor, revision, documentBytes } = loaded;
    const table = tableNamed(row.table);
    const values = table.columns.slice(0, -LINEAGE_COLUMNS).map(column => row.row[column.name] ?? null);
    const text = JSON.stringify([row.op, cursor, ...values] satisfies JournalRow);
    const rows = this.#tables.get(row.table) ?? [];
    if (rows.length === 0) this.#tables.set(row.table, rows);
    const bytes = Buffer.byteLength(text);
    const deleted = row.op === 'delete';
    rows.push({
      key: change.key,
      text,
      bytes,
      revision,
      // A deletion has no document: the index keeps the size of the last one.
      documentBytes: documentBytes > 0 ? documentBytes : null,
      deleted,
    });
  }

  /**
   * Gives the rows their LSNs, and writes entries and key index. Returns how many rows. The caller holds the
   * transaction.
   */
  write(sql: SqlPort, encode: EncodePort, facts: EntryFacts): number {
    let written = 0;
    for (const [name, rows] of this.#tables) {
      const [last] = sql.exec<{ last_lsn: number }>('SELECT last_lsn FROM tables WHERE name = ?', name);
      let lsn = last!.last_lsn;
      // Give the table its identity with its first row, so that whoever reads its rows sees that it began anew.
      if (lsn === 0) sql.exec('UPDATE tables SET identity = ? WHERE name = ?', crypto.randomUUID(), name);
      for (const chunk of chunksOf(rows)) {
        writeEntry(sql, encode, { ...facts, table: name, chunk, firstLsn: lsn + 1 });
        for (const row of chunk) indexKey(sql, { table: name, row, lsn: ++lsn });
      }
      sql.exec('UPDATE tables SET last_lsn = ? WHERE name = ?', lsn, name);
      written += rows.length;
    }
    return written;
  }
}

function writeEntry(
  sql: SqlPort,
  encode: EncodePort,
  entry: EntryFacts & { table: string; chunk: PendingRow[]; firstLsn: number },
): void {
  const { source, runType, table, chunk, firstLsn, cursorBefore, cursorAfter } = entry;
  const text = `[${chunk.map(row => row.text).join(',')}]`;
  const body = encode.pack(text);
  const digest = sha256Hex(body);
  sql.exec(
    `INSERT INTO entries (table_name, first_lsn, last_lsn, append_number, cursor_before, cursor_after, stamp_ms,
       schema_version, run_type, changes, parked, raw_bytes, packed_bytes, digest, body)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    table,
    firstLsn,
    firstLsn + chunk.length - 1,
    source.append_number,
    cursorBefore,
    cursorAfter,
    source.stamp_ms,
    tableNamed(table).version,
    runType,
    source.uncounted_changes,
    source.uncounted_parked,
    text.length,
    body.length,
    digest,
    body,
  );
  // Count them once, in this entry.
  source.uncounted_changes = 0;
  source.uncounted_parked = 0;
}

function indexKey(sql: SqlPort, { table, row, lsn }: { table: string; row: PendingRow; lsn: number }): void {
  sql.exec(
    `INSERT INTO keys (table_name, key, last_lsn, revision, document_bytes, deleted) VALUES (?, ?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET last_lsn = excluded.last_lsn, revision = excluded.revision, deleted = excluded.deleted,
       document_bytes = coalesce(excluded.document_bytes, document_bytes)`,
    table,
    row.key,
    lsn,
    row.revision,
    row.documentBytes,
    row.deleted ? 1 : 0,
  );
}

/** Cuts rows into chunks that each fit into one entry. */
function* chunksOf(rows: PendingRow[]): Generator<PendingRow[]> {
  let chunk: PendingRow[] = [];
  let bytes = 0;
  for (const row of rows) {
    if (chunk.length > 0 && (bytes + row.bytes > ENTRY_BYTES_MAX || chunk.length >= ENTRY_ROWS_MAX)) {
      yield chunk;
      chunk = [];
      bytes = 0;
    }
    chunk.push(row);
    bytes += row.bytes + 1;
  }
  if (chunk.length > 0) yield chunk;
}
