import { type ColumnChunk, type FileMetaData, parquetMetadata } from 'hyparquet';
import type { ColumnBound, ColumnFacts, DataFileFacts, DataFileFooter } from '../ports/data-file.ts';

/** A Parquet file ends with the length of the footer (4 bytes) and the magic word. */
const TRAILER_BYTES = 8;
const MAGIC = 'PAR1';

/**
 * Reads the footer from the last bytes of a data file; `endBytes` says how many bytes that takes when `end` is too
 * short. Throws an `Error` for bytes that are not the end of a Parquet file.
 */
export function readFooter(end: Uint8Array): DataFileFooter | { endBytes: number } {
  const metadata = metadataAtEnd(end);
  return 'endBytes' in metadata ? metadata : footerOf(metadata);
}

/**
 * As `readFooter`, with the facts about columns and row groups. Throws an `Error` also for a column without field id.
 */
export function readFacts(end: Uint8Array): DataFileFacts | { endBytes: number } {
  const metadata = metadataAtEnd(end);
  if ('endBytes' in metadata) return metadata;
  // Tables are flat: the schema has an element for the message, then one for each column.
  const columns = metadata.schema.slice(1).map(({ name, field_id: fieldId }, index) => {
    if (fieldId === undefined) throw new Error(`data file: expected a field id for column ${name}, got none`);
    return columnFacts(
      fieldId,
      metadata.row_groups.map(group => group.columns[index]!),
    );
  });
  const rowGroupOffsets = metadata.row_groups.map(group => startOf(group.columns[0]!));
  return { ...footerOf(metadata), columns, rowGroupOffsets };
}

/** The Parquet metadata in the last bytes of a data file, as `readFooter` reads it. Bounds of texts are UTF-8 bytes. */
export function metadataAtEnd(end: Uint8Array): FileMetaData | { endBytes: number } {
  const magic = new TextDecoder().decode(end.subarray(-MAGIC.length));
  if (end.length < TRAILER_BYTES || magic !== MAGIC)
    throw new Error(`data file: expected ${MAGIC} at its end, got none`);
  const view = new DataView(end.buffer, end.byteOffset, end.byteLength);
  const endBytes = view.getUint32(end.length - TRAILER_BYTES, true) + TRAILER_BYTES;
  if (endBytes > end.length) return { endBytes };
  // As bytes, because a decoder removes a byte order mark, and a bound without it is a wrong bound.
  const stringFromBytes = (bytes: Uint8Array) => bytes;
  return parquetMetadata(end, { parsers: { stringFromBytes } });
}

/** The rows and LSNs in the metadata of a Parquet file. The LSNs of a file that this project did not write are NaN. */
export function footerOf({ num_rows, key_value_metadata: facts = [] }: FileMetaData): DataFileFooter {
  const numberOf = (name: string) => Number(facts.find(({ key }) => key === `tributary.${name}`)?.value ?? Number.NaN);
  return { rows: Number(num_rows), firstLsn: numberOf('first_lsn'), lastLsn: numberOf('last_lsn') };
}

function columnFacts(fieldId: number, chunks: ColumnChunk[]): ColumnFacts {
  const facts: ColumnFacts = { fieldId, bytes: 0, values: 0, nulls: 0, min: null, max: null };
  let hasBounds = true;
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
    } else if (null_count === undefined || null_count < chunk.num_values) hasBounds = false;
  }
  return hasBounds ? facts : { ...facts, min: null, max: null };
}

function compareBounds(a: ColumnBound, b: ColumnBound): number {
  // UTF-8 bytes sort as code points do.
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b);
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Where a column chunk starts, in bytes from the start of the file. */
export function startOf({ meta_data: chunk }: ColumnChunk): number {
  return Number(chunk!.dictionary_page_offset ?? chunk!.data_page_offset);
}
