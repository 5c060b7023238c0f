import { tableNamed } from '../../../schemas/index.ts';
import { keyOf, type Value } from '../../../schemas/table.ts';
import { sha256Hex } from '../../digest.ts';
import type { Change, LoadedRow } from '../../ports/change.ts';
import type { EncodePort } from '../../ports/data-file.ts';
import type { SqlPort } from '../../ports/sql.ts';
import { ImmutableKeys } from './immutable-keys.ts';
import { type IndexedRow, KeyIndex } from './key-index.ts';
import { RowIdentities } from './row-identities.ts';
import type { SourceRow } from './state.ts';

/** Compressed size of one journal entry, below SQLite's 2 MB a value. */
const ENTRY_BYTES_MAX = 1_500_000;
/** Rows of one journal entry. A range of entries can so be cut close to the row limit of a file. */
const ENTRY_ROWS_MAX = 20_000;

/** A row of an entry: operation, cursor, then the table's values in column order without the lineage columns. */
export type JournalRow = [op: string, cursor: string, ...values: Value[]];

/** `_lsn`, `_op` and `_cursor`, which follow each other in every table. */
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

interface PendingRow extends Omit<IndexedRow, 'lsn'> {
  text: string;
  bytes: number;
}

/** The rows that one append gives a table. */
interface PendingTable {
  rows: PendingRow[];
  /** By change key: a row that an immutable table has already. */
  known: Map<string, Omit<IndexedRow, 'lsn'>>;
  knownRows: number;
}

/** A change's rows, and what its outcome says of all of them. */
interface LoadedRows {
  rows: LoadedRow[];
  cursor: string;
  revision: number | null;
  documentBytes: number;
  isPush: boolean;
  isTail: boolean;
}

/** The rows of one append by table, in order. They are gathered first, then numbered and written as journal entries. */
export class AppendedRows {
  readonly #sql: SqlPort;
  readonly #immutableKeys: ImmutableKeys;
  readonly #identities: RowIdentities;
  readonly #tables = new Map<string, PendingTable>();

  constructor(sql: SqlPort) {
    this.#sql = sql;
    this.#immutableKeys = new ImmutableKeys(sql);
    this.#identities = new RowIdentities(sql);
  }

  /**
   * Adds the rows of a change. Returns those that are appended: not a row that an immutable table has already, and no
   * deletion of another thing's row.
   */
  add(
    { key, revision: announced }: Change,
    { rows, cursor, revision, documentBytes, isPush, isTail }: LoadedRows,
  ): LoadedRow[] {
    const upserted = new Set(rows.filter(({ op }) => op === 'upsert').map(({ table }) => table));
    const known = this.#knownOf(rows);
    const appended: LoadedRow[] = [];
    for (const given of rows) {
      const table = tableNamed(given.table);
      const loaded = this.#identities.add(table, given);
      if (!loaded) continue;
      const { table: name, op, row } = loaded;
      const pending: PendingTable = this.#tables.get(name) ?? { rows: [], known: new Map(), knownRows: 0 };
      this.#tables.set(name, pending);
      const indexed = {
        changeKey: key,
        rowKey: keyOf(table, row),
        deleted: !upserted.has(name),
        revision,
        announced,
        isTail,
        // A deletion has no document: the index keeps the size of the last one.
        documentBytes: documentBytes > 0 ? documentBytes : null,
        isPush,
      };
      if (known.has(loaded)) {
        pending.known.set(key, indexed);
        pending.knownRows += 1;
        continue;
      }
      const values = table.columns.map(column => row[column.name] ?? null);
      values.splice(table.lineageAt, LINEAGE_COLUMNS);
      const text = JSON.stringify([op, cursor, ...values] satisfies JournalRow);
      pending.rows.push({ ...indexed, text, bytes: Buffer.byteLength(text) });
      appended.push(loaded);
    }
    return appended;
  }

  /** Those of these rows whose keys immutable tables have already. The keys of the others are added. */
  #knownOf(rows: LoadedRow[]): Set<LoadedRow> {
    const known = new Set<LoadedRow>();
    for (const [name, group] of Map.groupBy(rows, ({ table }) => table)) {
      const table = tableNamed(name);
      if (!table.immutable) continue;
      const areNew = this.#immutableKeys.add(
        table,
        group.map(({ row }) => row),
      );
      for (const [index, row] of group.entries()) if (!areNew[index]) known.add(row);
    }
    return known;
  }

  /**
   * Gives the rows their LSNs, and writes entries and indexes. Returns how many rows, and which change keys a push or
   * another key has overtaken. The caller holds the transaction.
   */
  write(encode: EncodePort, facts: EntryFacts): { written: number; overtaken: Set<string> } {
    this.#immutableKeys.write();
    this.#identities.write();
    let written = 0;
    const overtaken = new Set<string>();
    for (const [name, { rows, known, knownRows }] of this.#tables) {
      const [last] = this.#sql.exec<{ last_lsn: number }>('SELECT last_lsn FROM tables WHERE name = ?', name);
      const index = new KeyIndex(this.#sql, tableNamed(name));
      let lsn = last!.last_lsn;
      // Give the table its identity with its first row, so that whoever reads its rows sees that it began anew.
      if (lsn === 0) this.#sql.exec('UPDATE tables SET identity = ? WHERE name = ?', crypto.randomUUID(), name);
      for (const chunk of chunksOf(rows)) {
        writeEntry(this.#sql, encode, { ...facts, table: name, chunk, firstLsn: lsn + 1 });
        for (const row of chunk) index.add({ ...row, lsn: ++lsn });
      }
      for (const row of known.values()) index.addKnown(row, lsn);
      index.write();
      const statement = 'UPDATE tables SET last_lsn = ?, known_rows = known_rows + ? WHERE name = ?';
      this.#sql.exec(statement, lsn, knownRows, name);
      written += rows.length;
      for (const key of index.overtaken) overtaken.add(key);
    }
    return { written, overtaken };
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
