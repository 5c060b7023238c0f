import { parquetMetadata } from 'hyparquet';
import type { DataFileFooter } from '../engine/ports.ts';

/** The footer's length and the magic word that end a Parquet file. */
const TRAILER_BYTES = 8;
const MAGIC = 'PAR1';

/**
 * Reads the footer of a data file out of its last bytes, or says how many of them it takes. Throws for what does not
 * end as a data file of ours does.
 */
export function readFooter(end: Uint8Array): DataFileFooter | { endBytes: number } {
  const word = new TextDecoder().decode(end.subarray(-MAGIC.length));
  if (end.length < TRAILER_BYTES || word !== MAGIC)
    throw new Error(`data file: expected ${MAGIC} at its end, got none`);
  const view = new DataView(end.buffer, end.byteOffset, end.byteLength);
  const endBytes = view.getUint32(end.length - TRAILER_BYTES, true) + TRAILER_BYTES;
  if (endBytes > end.length) return { endBytes };
  const { num_rows, key_value_metadata: facts = [] } = parquetMetadata(end);
  const numberOf = (name: string) => Number(facts.find(({ key }) => key === `tributary.${name}`)?.value ?? Number.NaN);
  return { rows: Number(num_rows), firstLsn: numberOf('first_lsn'), lastLsn: numberOf('last_lsn') };
}
