import { type FileMetaData, parquetRead, type RowGroup } from 'hyparquet';
import type { Column } from '../../schemas/column.ts';
import type { Table, Value } from '../../schemas/table.ts';
import { LIMITS } from '../config.ts';
import type { DataFileReader, StoredFile } from '../ports/data-file.ts';
import { footerOf, metadataAtEnd, startOf } from './footer.ts';
import { zstdContent } from './zstd.ts';

const decoder = new TextDecoder('utf-8', { ignoreBOM: true, fatal: false });
// `ignoreBOM` keeps a byte order mark at the start of a text.
const parsers = { stringFromBytes: (bytes: Uint8Array) => decoder.decode(bytes) };
const compressors = { ZSTD: zstdContent };

/**
 * Opens a data file to read its rows back. It reads the footer now, and with each `rowsOf` one row group or the asked
 * columns of it; it holds no rows in between. Throws an `Error` for a file that this project did not write, and what
 * `read` throws. The file has to be undamaged, because the decoder may run forever on damaged bytes.
 */
export async function openRows({ table, bytes, read, columns }: StoredFile): Promise<DataFileReader> {
  const wanted = columns ? columns.map(name => columnNamed(table, name)) : table.columns;
  const isPartial = columns !== undefined;
  const metadata = await readMetadata({ bytes, read });
  const { firstLsn, lastLsn, rows } = footerOf(metadata);
  if (lastLsn - firstLsn + 1 !== rows)
    throw new Error(`data file: expected ${rows} rows, got LSN ${firstLsn} to ${lastLsn}`);
  return {
    firstLsn,
    lastLsn,
    async rowsOf(fromLsn) {
      let start = firstLsn;
      for (const group of metadata.row_groups) {
        const next = start + Number(group.num_rows);
        if (fromLsn >= start && fromLsn < next) {
          const rows = { firstRow: start - firstLsn, rows: Number(group.num_rows) };
          const file = isPartial ? bytesOf(read) : await groupBytes(group, read);
          const found = await readRows({ file, metadata, columns: wanted, ...rows });
          return byLsn(wanted, found, start).slice(fromLsn - start);
        }
        start = next;
      }
      throw new Error(`data file: expected an LSN from ${firstLsn} to ${lastLsn}, got ${fromLsn}`);
    },
  };
}

async function readMetadata({ bytes, read }: Pick<StoredFile, 'bytes' | 'read'>): Promise<FileMetaData> {
  const endOf = (size: number) => read({ offset: bytes - size, bytes: size });
  const metadata = metadataAtEnd(await endOf(Math.min(LIMITS.footerBytes, bytes)));
  if (!('endBytes' in metadata)) return metadata;
  if (metadata.endBytes > bytes)
    throw new Error(`data file: expected a footer within ${bytes} bytes, got ${metadata.endBytes}`);
  const whole = metadataAtEnd(await endOf(metadata.endBytes));
  if ('endBytes' in whole)
    throw new Error('data file: expected its footer at its end, got a longer one with each read');
  return whole;
}

type Bytes = { byteLength: number; slice(from: number, to?: number): ArrayBuffer | Promise<ArrayBuffer> };

/** The bytes of a whole row group, read at once, because its columns are contiguous. */
async function groupBytes(group: RowGroup, read: StoredFile['read']): Promise<Bytes> {
  const { offset, end } = extentOf(group);
  const content = await read({ offset, bytes: end - offset });
  return {
    byteLength: end,
    slice: (from, to = end) => Uint8Array.from(content.subarray(from - offset, to - offset)).buffer,
  };
}

/** The bytes of a file, each range read when the decoder asks for it. */
function bytesOf(read: StoredFile['read']): Bytes {
  return {
    byteLength: Number.MAX_SAFE_INTEGER,
    async slice(from, to = from) {
      return Uint8Array.from(await read({ offset: from, bytes: to - from })).buffer;
    },
  };
}

/** Rows of a row group in file order, which is by key. A column that is newer than the file is null. */
async function readRows({
  file,
  metadata,
  columns,
  firstRow,
  rows,
}: {
  file: Bytes;
  metadata: FileMetaData;
  columns: Column[];
  firstRow: number;
  rows: number;
}): Promise<Value[][]> {
  let found: unknown[][] = [];
  const stored = metadata.schema.slice(1).filter(({ field_id: id }) => columns.some(({ fieldId }) => fieldId === id));
  await parquetRead({
    file,
    metadata,
    compressors,
    parsers,
    columns: stored.map(({ name }) => name),
    rowStart: firstRow,
    rowEnd: firstRow + rows,
    onComplete: all => {
      found = all;
    },
  });
  const fields = stored.map(({ field_id: fieldId }) => fieldId);
  const indexes = columns.map(({ fieldId }) => fields.indexOf(fieldId));
  return found.map(row => indexes.map(index => valueFrom(row[index])));
}

/** The rows in LSN order. A row group has every LSN from its first on, or this throws. */
function byLsn(columns: Column[], rows: Value[][], firstLsn: number): Value[][] {
  const lsnIndex = columns.findIndex(({ name }) => name === '_lsn');
  const sorted: Value[][] = [];
  for (const row of rows) sorted[Number(row[lsnIndex]) - firstLsn] = row;
  // There are as many rows as LSNs, so a wrong LSN leaves the index of the right one empty.
  for (let index = 0; index < rows.length; index++)
    if (sorted[index] === undefined)
      throw new Error(`data file: expected LSN ${firstLsn + index} in its row group, got none`);
  return sorted;
}

function extentOf({ columns }: RowGroup): { offset: number; end: number } {
  const starts = columns.map(startOf);
  const ends = columns.map(({ meta_data: chunk }, index) => starts[index]! + Number(chunk!.total_compressed_size));
  return { offset: Math.min(...starts), end: Math.max(...ends) };
}

function columnNamed(table: Table, name: string): Column {
  const column = table.columns.find(one => one.name === name);
  if (!column) throw new Error(`${table.name}: expected a column of the table, got ${name}`);
  return column;
}

/** A decoded value as a value of a row. A bigint is a safe integer, because only those are written. */
function valueFrom(value: unknown): Value {
  return typeof value === 'bigint' ? Number(value) : ((value ?? null) as Value);
}
