import { type FileMetaData, parquetRead, type RowGroup } from 'hyparquet';
import type { Table, Value } from '../../schemas/table.ts';
import { LIMITS } from '../config.ts';
import type { DataFileReader, StoredFile } from '../ports/data-file.ts';
import { footerOf, metadataAtEnd, startOf } from './footer.ts';
import { zstdContent } from './zstd.ts';

const decoder = new TextDecoder('utf-8', { ignoreBOM: true, fatal: false });
// Texts as they are: by itself a decoder takes away the mark some of them begin with.
const parsers = { stringFromBytes: (bytes: Uint8Array) => decoder.decode(bytes) };
const compressors = { ZSTD: zstdContent };

/**
 * Opens a data file to read rows back: its footer now, a row group with each `rowsOf`, and nothing is kept between two.
 * Throws for what is no data file of ours, and what `read` throws. The bytes have to be ones that were written here:
 * decoding what somebody changed in the middle may never end.
 */
export async function openRows({ table, bytes, read }: StoredFile): Promise<DataFileReader> {
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
          const found = await readGroup({ table, metadata, group, firstRow: start - firstLsn, read });
          return inOrder(table, found, start).slice(fromLsn - start);
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
  if ('endBytes' in whole) throw new Error('data file: expected its footer at its end, got another one each time');
  return whole;
}

/** The rows of a group as they lie there, by key; a column the file is too old for is null. */
async function readGroup({
  table,
  metadata,
  group,
  firstRow,
  read,
}: {
  table: Table;
  metadata: FileMetaData;
  group: RowGroup;
  firstRow: number;
  read: StoredFile['read'];
}): Promise<Value[][]> {
  const { offset, end } = extentOf(group);
  // All columns in one read: a group's lie side by side.
  const content = await read({ offset, bytes: end - offset });
  const slice = (from: number, to = end) => Uint8Array.from(content.subarray(from - offset, to - offset)).buffer;
  let found: unknown[][] = [];
  await parquetRead({
    file: { byteLength: end, slice },
    metadata,
    compressors,
    parsers,
    rowStart: firstRow,
    rowEnd: firstRow + Number(group.num_rows),
    onComplete: rows => {
      found = rows;
    },
  });
  const fields = metadata.schema.slice(1).map(({ field_id: fieldId }) => fieldId);
  const places = table.columns.map(({ fieldId }) => fields.indexOf(fieldId));
  return found.map(row => places.map(place => plain(row[place])));
}

/** Rows by LSN, which are dense from the group's first one on. */
function inOrder(table: Table, rows: Value[][], firstLsn: number): Value[][] {
  const lsnAt = table.columns.findIndex(({ name }) => name === '_lsn');
  const sorted: Value[][] = [];
  for (const row of rows) sorted[Number(row[lsnAt]) - firstLsn] = row;
  // Neither one too many nor one too few: another LSN leaves its own place empty.
  for (let index = 0; index < rows.length; index++)
    if (sorted[index] === undefined)
      throw new Error(`data file: expected LSN ${firstLsn + index} in its row group, got none`);
  return sorted;
}

function extentOf({ columns }: RowGroup): { offset: number; end: number } {
  const starts = columns.map(startOf);
  const ends = columns.map(({ meta_data: chunk }, at) => starts[at]! + Number(chunk!.total_compressed_size));
  return { offset: Math.min(...starts), end: Math.max(...ends) };
}

/** Integers of 64 bits are safe ones, as they were written. */
function plain(value: unknown): Value {
  return typeof value === 'bigint' ? Number(value) : ((value ?? null) as Value);
}
