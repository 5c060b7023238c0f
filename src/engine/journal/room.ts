import { tableNamed } from '../../../schemas/index.ts';
import { LIMITS } from '../../config.ts';
import type { TableRoom } from '../../contract/source.ts';
import type { SqlPort } from '../../ports/sql.ts';

/** How large an object's database may be, in bytes. */
export interface RoomLimits {
  /** Above it no new key is watched. */
  bytesMax: number;
  /** Above it nothing more is pulled or visited. */
  bytesStop: number;
}

const ROOM_LIMITS: RoomLimits = { bytesMax: LIMITS.databaseBytesMax, bytesStop: LIMITS.databaseBytesStop };

/** Rows from whose size that of all rows of their table is estimated, because reading all of them takes minutes. */
const SAMPLE_ROWS = 200;
/** What SQLite adds to a row of an index, its header and pointer, and how full its pages are: measured with `dbstat`. */
const ROW_BYTES = 12;
const FILL = 0.85;

/** The room that an object's database takes, against its limits. */
export class JournalRoom {
  readonly limits: RoomLimits;
  readonly #sql: SqlPort;

  constructor(sql: SqlPort, limits: RoomLimits = ROOM_LIMITS) {
    this.#sql = sql;
    this.limits = limits;
  }

  get bytes(): number {
    return this.#sql.bytes();
  }

  /** Whether new keys are refused. */
  get isFull(): boolean {
    return this.bytes > this.limits.bytesMax;
  }

  /**
   * What the tables of the database take, the largest first, and the rest. Rows are counted as they are written, and
   * bytes are estimated from some of them: the runtime has no `dbstat`.
   */
  byTable(): TableRoom[] {
    const { files, changeKeys, rowKeys, identities, digests, watched, journal, inlets, evidence, evidenceKeys } =
      this.#counts();
    const known = [
      { table: 'keys', rows: changeKeys, bytes: changeKeys * this.#rowBytes('keys', ['key', 'table_name']) },
      { table: 'row_keys', rows: rowKeys, bytes: rowKeys * this.#rowBytes('row_keys', ROW_KEY_COLUMNS) },
      {
        table: 'row_identities',
        rows: identities,
        bytes: identities * this.#rowBytes('row_identities', IDENTITY_COLUMNS),
      },
      { table: 'immutable_keys', rows: digests, bytes: digests * this.#digestBytes() },
      // A watched key is in the index of due times once more.
      { table: 'agenda', rows: watched, bytes: watched * this.#rowBytes('agenda', AGENDA_COLUMNS) },
      // Two indexes have an item of evidence once more, and a third one of those without a row.
      { table: 'evidence', rows: evidence, bytes: evidence * this.#rowBytes('evidence', EVIDENCE_COLUMNS, 2) },
      {
        table: 'evidence_keys',
        rows: evidenceKeys,
        bytes: evidenceKeys * this.#rowBytes('evidence_keys', KEY_TWICE, 1),
      },
      { table: 'inlets', rows: inlets, bytes: inlets * this.#rowBytes('inlets', INLET_COLUMNS, 1) },
      { table: 'files', rows: files, bytes: files * this.#rowBytes('files', FILE_COLUMNS) },
      { table: 'entries', rows: journal.rows, bytes: journal.bytes },
    ].map(({ table, rows, bytes }) => ({ table, rows, bytes: Math.round(bytes) }));
    const rest = this.bytes - known.reduce((sum, { bytes }) => sum + bytes, 0);
    const found = known.filter(({ rows }) => rows > 0).sort((a, b) => b.bytes - a.bytes);
    return [...found, { table: 'others', rows: null, bytes: Math.max(0, rest) }];
  }

  /** Numbers of rows, each of which is kept where the rows are written: counting them would read the whole table. */
  #counts() {
    const tables = this.#sql.exec<Record<'last_lsn' | 'change_keys' | 'row_keys' | 'files', number> & { name: string }>(
      'SELECT name, last_lsn, change_keys, row_keys, files FROM tables',
    );
    const sum = (of: (table: (typeof tables)[number]) => number) => tables.reduce((total, one) => total + of(one), 0);
    const [agenda] = this.#sql.exec<{ keys: number }>('SELECT coalesce(sum(keys), 0) AS keys FROM agenda_spaces');
    const [inlets] = this.#sql.exec<{ rows: number; items: number }>(
      'SELECT count(*) AS rows, coalesce(sum(items), 0) AS items FROM inlets',
    );
    const [source] = this.#sql.exec<{ evidence_keys: number }>('SELECT evidence_keys FROM source');
    const [journal] = this.#sql.exec<{ rows: number; bytes: number }>(
      'SELECT count(*) AS rows, coalesce(sum(packed_bytes), 0) AS bytes FROM entries',
    );
    return {
      files: sum(table => table.files),
      changeKeys: sum(table => table.change_keys),
      rowKeys: sum(table => table.row_keys),
      // Each row key of such a table that another change key gave, less those whose newest row is a deletion: few.
      identities: sum(table => (tableNamed(table.name).identity === null ? 0 : table.row_keys)),
      digests: sum(table => (tableNamed(table.name).immutable ? table.last_lsn : 0)),
      watched: agenda!.keys,
      journal: journal!,
      inlets: inlets!.rows,
      evidence: inlets!.items,
      evidenceKeys: source!.evidence_keys,
    };
  }

  /**
   * Bytes of a row on average; `columns`: those of its values that differ in size, as often as they are stored;
   * `indexes`: how many have the row besides, where that adds much.
   */
  #rowBytes(table: string, columns: string[], indexes = 0): number {
    const size = columns.map(column => `coalesce(octet_length(${column}), 0)`).join(' + ');
    const [found] = this.#sql.exec<{ bytes: number | null }>(
      `SELECT avg(${size}) AS bytes FROM (SELECT * FROM ${table} LIMIT ${SAMPLE_ROWS})`,
    );
    return ((found!.bytes ?? 0) + (1 + indexes) * ROW_BYTES) / FILL;
  }

  /** Bytes of one digest on average, with its share of its block's row and of the block's entry in the index. */
  #digestBytes(): number {
    const [found] = this.#sql.exec<{ bytes: number | null; digests: number | null }>(
      `SELECT sum(octet_length(digests) + 2 * (octet_length(parent) + octet_length(table_name) + ${2 * ROW_BYTES})) AS bytes,
         sum(octet_length(digests)) / 20 AS digests
       FROM (SELECT * FROM immutable_keys LIMIT ${SAMPLE_ROWS})`,
    );
    return found!.digests ? found!.bytes! / found!.digests : 0;
  }
}

const IDENTITY_COLUMNS = ['table_name', 'row_key', 'identity'];
const ROW_KEY_COLUMNS = ['table_name', 'row_key', 'change_key'];
const AGENDA_COLUMNS = ['key', 'key', 'reason', 'outcome', 'digest', 'main_digest', 'more_hosts', 'facts'];
const EVIDENCE_COLUMNS = ['item', 'facts', 'sample', 'row_key', 'row_key', 'iif(row_key IS NULL, item, NULL)'];
const KEY_TWICE = ['key', 'key'];
const INLET_COLUMNS = ['source', 'table_name', 'source', 'table_name', 'identity'];
const FILE_COLUMNS = ['table_name', 'key', 'etag', 'digest', 'cursor', 'facts'];
