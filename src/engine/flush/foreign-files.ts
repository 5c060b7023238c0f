import type { Table } from '../../../schemas/table.ts';
import { LIMITS } from '../../config.ts';
import { OwnError } from '../../errors.ts';
import { partitionsPrefix } from '../../lake/object-keys.ts';
import type { Ports } from '../../ports/ports.ts';

/** An object that lost its journal must not number from 1 beside the files of its former self. Throws `lake-not-empty`. */
export async function checkNoFiles({ bucket, clock }: Pick<Ports, 'bucket' | 'clock'>, tables: Table[]): Promise<void> {
  for (const table of tables) {
    const prefix = partitionsPrefix(table);
    const listing = bucket.list(prefix, { limit: 1 });
    const listed = await clock.within(listing, LIMITS.bucketCallMsMax, `list of ${prefix}`);
    if (listed.length > 0)
      throw new OwnError('lake-not-empty', `${prefix}: expected no data file before the first row, got ${listed[0]}`);
  }
}
