import { type ColumnChunk, type FileMetaData, parquetMetadata } from 'hyparquet';
import type { ColumnBound, ColumnFacts, DataFileFacts, DataFileFooter } from '../ports/data-file.ts';

/** The footer's length and the magic word that end a Parquet file. */
const TRAILER_BYTES = 8;
const MAGIC = 'PAR1';

/**
 * Reads the footer of a data file out of its last bytes, or says how many of them it takes. Throws for what does not
 * end as a data file of ours does.
 */
export function readFooter(end: Uint8Array): DataFileFooter | { endBytes: number } {
  const metadata = metadataAtEnd(end);
  return 'endBytes' in metadata ? metadata : footerOf(metadata);
}

/** As `readFooter`, with what the footer says of columns and row groups. Throws also where a column has no field id. */
export function readFacts(end: Uint8Array): DataFileFacts | { endBytes: number } {
  const metadata = metadataAtEnd(end);
  if ('endBytes' in metadata) return metadata;
  // Tables are flat: after the message itself, one element of the schema for each column.
  const columns = metadata.schema.slice(1).map(({ name, field_id: fieldId }, at) => {
    if (fieldId === undefined) throw new Error(`data file: expected a field id of column ${name}, got none`);
    return columnFacts(
      fieldId,
      metadata.row_groups.map(group => group.columns[at]!),
    );
  });
  const rowGroupOffsets = metadata.row_groups.map(group => startOf(group.columns[0]!));
  return { ...footerOf(metadata), columns, rowGroupOffsets };
}

/** The metadata in the last bytes of a data file, or how many of them it takes. Texts among bounds are their bytes. */
export function metadataAtEnd(end: Uint8Array): FileMetaData | { endBytes: number } {
  const word = new TextDecoder().decode(end.subarray(-MAGIC.length));
  if (end.length < TRAILER_BYTES || word !== MAGIC)
    throw new Error(`data file: expected ${MAGIC} at its end, got none`);
  const view = new DataView(end.buffer, end.byteOffset, end.byteLength);
  const endBytes = view.getUint32(end.length - TRAILER_BYTES, true) + TRAILER_BYTES;
  if (endBytes > end.length) return { endBytes };
  // As bytes: a decoder takes away the mark some texts begin with, and a bound without it bounds nothing.
  const stringFromBytes = (bytes: Uint8Array) => bytes;
  return parquetMetadata(end, { parsers: { stringFromBytes } });
}

/** What the metadata of a data file says of its rows; NaN for LSNs where it is none of ours. */
export function footerOf({ num_rows, key_value_metadata: facts = [] }: FileMetaData): DataFileFooter {
  const numberOf = (name: string) => Number(facts.find(({ key }) => key === `tributary.${name}`)?.value ?? Number.NaN);
  return { rows: Number(num_rows), firstLsn: numberOf('first_lsn'), lastLsn: numberOf('last_lsn') };
}

function columnFacts(fieldId: number, chunks: ColumnChunk[]): ColumnFacts {
  const facts: ColumnFacts = { fieldId, bytes: 0, values: 0, nulls: 0, min: null, max: null };
  let bounded = true;
  for (const { meta_data: chunk } of chunks) {
    if (!chunk) throw new Error('data file: expected metadata of every column chunk, got none');
    facts.bytes += Number(chunk.total_compressed_size);
    facts.values += Number(chunk.num_values);
    const { null_count, min_value, max_value } = chunk.statistics ?? {};
    facts.nulls = facts.nulls === null || null_count === undefined ? null : facts.nulls + Number(null_count);
    if (min_value !== undefined && max_value !== undefined) {
      if (facts.min === null || compareBounds(min_value as ColumnBound, facts.min) < 0)
        facts.min = min_value as ColumnBound;
      if (facts.max === null || compareBounds(max_value as ColumnBound, facts.max) > 0)
        facts.max = max_value as ColumnBound;
    } else if (null_count === undefined || null_count < chunk.num_values) bounded = false;
  }
  return bounded ? facts : { ...facts, min: null, max: null };
}

function compareBounds(a: ColumnBound, b: ColumnBound): number {
  // UTF-8 sorts as code points do.
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b);
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Where a column of a row group starts, in bytes from the start of the file. */
export function startOf({ meta_data: chunk }: ColumnChunk): number {
  return Number(chunk!.dictionary_page_offset ?? chunk!.data_page_offset);
}
