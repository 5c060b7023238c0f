import { ByteWriter, ParquetWriter } from 'hyparquet-writer';
import { unconvertStatistics } from 'hyparquet-writer/src/unconvert.js';
import type { Column } from '../../schemas/column.ts';
import type { Table, Value } from '../../schemas/table.ts';
import { compareText } from '../../schemas/text_order.ts';
import { LIMITS } from '../config.ts';
import type { DataFileEncoder } from '../ports/data-file.ts';
import { CODERS, columnData } from './column-data.ts';
import { parquetSchema } from './schema.ts';
import { zstdFrame } from './zstd.ts';

/** Raised whenever the same rows would give other bytes than before. Every file carries it. */
export const WRITER_VERSION = 1;

/** Half the default: a reader who knows which rows it wants fetches half as much, and files grow by 2 %. */
const PAGE_BYTES = 512 * 1024;
/** Bounds are cut to this: times (24 bytes) and nearly all keys stay whole, long texts do not fill the footer. */
const BOUND_BYTES = 32;
/** A value's place in its column, counted whether it is null or not: rows of nulls take memory too. */
const SLOT_BYTES = 8;
const CHUNK_BYTES = 256 * 1024;

interface DataFileOptions {
  source: string;
  table: Table;
  firstLsn: number;
}

/** Opens a data file for the rows of `table` from `firstLsn` on. */
export function openDataFile(options: DataFileOptions): DataFileEncoder {
  return new DataFile(options);
}

class DataFile implements DataFileEncoder {
  rows = 0;
  openBytes = 0;
  readonly #options: DataFileOptions;
  readonly #columns: Column[];
  readonly #lsnAt: number;
  readonly #out = new ChunkWriter();
  readonly #parquet: ParquetWriter;
  #open: Value[][];
  #finished = false;

  constructor(options: DataFileOptions) {
    const { table, firstLsn } = options;
    if (!Number.isSafeInteger(firstLsn) || firstLsn < 1) {
      throw new Error(`${table.name} data file: expected a first LSN of 1 or more, got ${firstLsn}`);
    }
    this.#options = options;
    this.#columns = table.columns;
    this.#lsnAt = table.columns.findIndex(column => column.name === '_lsn');
    this.#open = table.columns.map(() => []);
    this.#parquet = new ParquetWriter({
      writer: this.#out,
      schema: parquetSchema(table),
      codec: 'ZSTD',
      compressors: { ZSTD: zstdFrame },
      statisticsTruncateLength: BOUND_BYTES,
      // Readers parse "<name> version <version>"; some distrust the bounds of a file whose writer they cannot parse.
      createdBy: `tributary version ${WRITER_VERSION}`,
    });
  }

  get encodedBytes(): number {
    return this.#out.offset;
  }

  append(values: Value[]): void {
    if (this.#finished) throw this.#misuse('an open file', 'an append after finish');
    if (values.length !== this.#columns.length) {
      throw this.#misuse(`${this.#columns.length} values`, String(values.length));
    }
    const lsn = this.#options.firstLsn + this.rows;
    if (values[this.#lsnAt] !== lsn) throw this.#misuse(`_lsn ${lsn}`, String(values[this.#lsnAt]));
    // All of the row is checked before any of it is kept.
    for (const [i, column] of this.#columns.entries()) this.#check(column, values[i]!);
    for (const [i, { type }] of this.#columns.entries()) {
      const { store } = CODERS[type];
      const value = store && values[i] !== null ? store(values[i]!) : values[i]!;
      this.#open[i]!.push(value);
      this.openBytes += SLOT_BYTES + (typeof value === 'string' ? value.length : 0);
    }
    this.rows += 1;
    // Decided by the values alone, so that a rebuilt file is cut at the same rows.
    if (this.openBytes >= LIMITS.rowGroupBytes) this.#seal();
  }

  finish({ lastLsn, cursor }: { lastLsn: number; cursor: string }): Uint8Array[] {
    const { source, table, firstLsn } = this.#options;
    if (this.#finished) throw this.#misuse('an open file', 'a second finish');
    if (this.rows === 0) throw this.#misuse('at least one row', 'none');
    const last = firstLsn + this.rows - 1;
    if (lastLsn !== last) throw this.#misuse(`last LSN ${last}`, String(lastLsn));
    if (this.#open[0]!.length > 0) this.#seal();
    this.#parquet.kvMetadata = Object.entries({
      'tributary.source': source,
      'tributary.table': table.name,
      'tributary.first_lsn': String(firstLsn),
      'tributary.last_lsn': String(lastLsn),
      'tributary.cursor': cursor,
      'tributary.schema_version': String(table.version),
      'tributary.writer_version': String(WRITER_VERSION),
    }).map(([key, value]) => ({ key, value }));
    this.#parquet.finish();
    this.#finished = true;
    return this.#out.chunks;
  }

  /** Writes the open rows as one row group, sorted by key and then LSN. */
  #seal(): void {
    const { key } = this.#options.table;
    const order = this.#keyOrder();
    const columns = this.#columns.map((column, i) =>
      Object.assign(columnData(column, this.#open[i]!, order), {
        columnIndex: true,
        bloomFilter: key.includes(column.name),
      }),
    );
    this.#parquet.write({ columnData: columns, rowGroupSize: order.length, pageSize: PAGE_BYTES });
    this.#open = this.#columns.map(() => []);
    this.#cutBounds();
    this.#parquet.row_groups.at(-1)!.sorting_columns = [...key, '_lsn'].map(name => ({
      column_idx: this.#columns.findIndex(column => column.name === name),
      descending: false,
      nulls_first: false,
    }));
    this.openBytes = 0;
  }

  /**
   * Cuts the bounds of the group just written as the footer will have them. The writer itself does so at the end and
   * keeps the whole texts until then: of documents of a megabyte, that is more than the file. All are copied, short
   * ones are part of a buffer of many texts.
   */
  #cutBounds(): void {
    for (const [i, { meta_data: chunk }] of this.#parquet.row_groups.at(-1)!.columns.entries()) {
      if (!chunk?.statistics || this.#columns[i]!.type !== 'utf8') continue;
      const cut = unconvertStatistics(chunk.statistics, this.#parquet.schema[i + 1]!, BOUND_BYTES);
      chunk.statistics = {
        ...chunk.statistics,
        max_value: (cut.field_5 as Uint8Array | undefined)?.slice(),
        min_value: (cut.field_6 as Uint8Array | undefined)?.slice(),
        is_max_value_exact: cut.field_7 as boolean | undefined,
        is_min_value_exact: cut.field_8 as boolean | undefined,
      };
    }
    for (const { columnIndex } of this.#parquet.pendingIndexes.slice(-this.#columns.length)) {
      if (!columnIndex) continue;
      columnIndex.max_values = columnIndex.max_values.map(bound => bound.slice());
      columnIndex.min_values = columnIndex.min_values.map(bound => bound.slice());
    }
  }

  #keyOrder(): number[] {
    const keys = this.#options.table.key.map(
      name => this.#open[this.#columns.findIndex(column => column.name === name)] as string[],
    );
    // The sort is stable and rows come in LSN order: rows of one key stay in it.
    return Array.from(this.#open[0]!.keys()).sort((a, b) => {
      for (const values of keys) {
        const order = compareText(values[a]!, values[b]!);
        if (order !== 0) return order;
      }
      return 0;
    });
  }

  #check(column: Column, value: Value): void {
    if (value === null && !column.required) return;
    const { expected, accepts } = CODERS[column.type];
    // Never the value itself: messages end up in logs.
    if (!accepts(value)) throw this.#misuse(`${expected} in ${column.name}`, kindOf(value));
  }

  #misuse(expected: string, actual: string): Error {
    const { table, firstLsn } = this.#options;
    return new Error(`${table.name} data file from LSN ${firstLsn}: expected ${expected}, got ${actual}`);
  }
}

/** Keeps what is written in chunks of its own length, so that no buffer grows with the file. */
class ChunkWriter extends ByteWriter {
  readonly chunks: Uint8Array[] = [];

  constructor() {
    super(CHUNK_BYTES);
  }

  override ensure(size: number): void {
    if (this.index + size <= this.buffer.byteLength) return;
    this.#cut();
    super.ensure(size);
  }

  override finish(): void {
    this.#cut();
  }

  #cut(): void {
    if (this.index > 0) this.chunks.push(this.getBytes().slice());
    this.index = 0;
  }
}

function kindOf(value: unknown): string {
  return value === null ? 'null' : typeof value;
}
