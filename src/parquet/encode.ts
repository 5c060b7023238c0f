import { ByteWriter, ParquetWriter } from 'hyparquet-writer';
import { unconvertStatistics } from 'hyparquet-writer/src/unconvert.js';
import type { Column } from '../../schemas/column.ts';
import type { Table, Value } from '../../schemas/table.ts';
import { compareText } from '../../schemas/text_order.ts';
import { LIMITS } from '../limits.ts';
import type { DataFileEncoder } from '../ports/data-file.ts';
import { CODERS, columnData } from './column-data.ts';
import { parquetSchema } from './schema.ts';
import { zstdFrame } from './zstd.ts';

/** Raised when the same rows give other bytes than before. Every file names it. */
export const WRITER_VERSION = 1;

/** Half the writer's default: a reader of few rows fetches half as much, and files grow by 2 %. */
const PAGE_BYTES = 512 * 1024;
/**
 * Bounds are cut to this, so that long texts do not fill the footer. Times (24 bytes) and nearly all keys stay whole.
 */
const BOUND_BYTES = 32;
/** Memory of one value, null or not, without its text: rows of nulls take memory too. */
const SLOT_BYTES = 8;
const CHUNK_BYTES = 256 * 1024;

interface DataFileOptions {
  source: string;
  table: Table;
  firstLsn: number;
}

/** Opens a data file for the rows of `table` from `firstLsn` on. Throws an `Error` for an LSN below 1. */
export function openDataFile(options: DataFileOptions): DataFileEncoder {
  return new DataFile(options);
}

class DataFile implements DataFileEncoder {
  rows = 0;
  openBytes = 0;
  readonly #options: DataFileOptions;
  readonly #columns: Column[];
  readonly #lsnIndex: number;
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
    this.#lsnIndex = table.columns.findIndex(column => column.name === '_lsn');
    this.#open = table.columns.map(() => []);
    this.#parquet = new ParquetWriter({
      writer: this.#out,
      schema: parquetSchema(table),
      codec: 'ZSTD',
      compressors: { ZSTD: zstdFrame },
      statisticsTruncateLength: BOUND_BYTES,
      // Readers parse `<name> version <version>`. Some ignore the bounds of a file whose writer they cannot parse.
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
    if (values[this.#lsnIndex] !== lsn) throw this.#misuse(`_lsn ${lsn}`, String(values[this.#lsnIndex]));
    // Check the whole row before a part of it is stored.
    for (const [i, column] of this.#columns.entries()) this.#check(column, values[i]!);
    for (const [i, { type }] of this.#columns.entries()) {
      const { store } = CODERS[type];
      const value = store && values[i] !== null ? store(values[i]!) : values[i]!;
      this.#open[i]!.push(value);
      this.openBytes += SLOT_BYTES + (typeof value === 'string' ? value.length : 0);
    }
    this.rows += 1;
    // Depends on the values only, so that a file that is encoded again has the same row groups.
    if (this.openBytes >= LIMITS.rowGroupBytes) this.#writeRowGroup();
  }

  finish({ lastLsn, cursor }: { lastLsn: number; cursor: string }): Uint8Array[] {
    const { source, table, firstLsn } = this.#options;
    if (this.#finished) throw this.#misuse('an open file', 'a second finish');
    if (this.rows === 0) throw this.#misuse('at least one row', 'none');
    const last = firstLsn + this.rows - 1;
    if (lastLsn !== last) throw this.#misuse(`last LSN ${last}`, String(lastLsn));
    if (this.#open[0]!.length > 0) this.#writeRowGroup();
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
  #writeRowGroup(): void {
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
   * Cuts the bounds of the last row group to the form that the footer has. The writer does so only at the end and keeps
   * the whole texts until then: with documents of a megabyte, that is more than the file. Short bounds are copied too,
   * because each is part of a buffer of many texts.
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
    // The sort is stable and the rows are in LSN order, so the rows of one key stay in LSN order.
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
    // Not the value itself, because messages go to logs.
    if (!accepts(value)) throw this.#misuse(`${expected} in ${column.name}`, kindOf(value));
  }

  #misuse(expected: string, actual: string): Error {
    const { table, firstLsn } = this.#options;
    return new Error(`${table.name} data file from LSN ${firstLsn}: expected ${expected}, got ${actual}`);
  }
}

/** Collects the written bytes in chunks, so that no buffer grows with the file. Each chunk has a buffer of its size. */
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
