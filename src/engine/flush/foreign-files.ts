import type { Table } from '../../../schemas/table.ts';
import { LIMITS } from '../../config.ts';
import { StepError } from '../../errors.ts';
import { parseDataFileKey, partitionsPrefix } from '../../lake/object-keys.ts';
import type { Ports } from '../../ports/ports.ts';
import type { JournalFiles } from '../journal/files.ts';

/** An object that lost its journal must not number from 1 beside the files of its former self. Throws `lake-not-empty`. */
export async function checkNoFiles({ bucket, clock }: Pick<Ports, 'bucket' | 'clock'>, tables: Table[]): Promise<void> {
  for (const table of tables) {
    const prefix = partitionsPrefix(table);
    const listing = bucket.list(prefix, { limit: 1 });
    const listed = await clock.within(listing, LIMITS.bucketCallMsMax, `list of ${prefix}`);
    if (listed.length > 0)
      throw new StepError('lake-not-empty', `${prefix}: expected no data file before the first row, got ${listed[0]}`);
  }
}

/** Keys looked at for files past the last settled one: our own intent's, and whatever else somebody may have left there. */
const LATER_KEYS_MAX = 10;

/**
 * A journal that was restored to an earlier point numbers rows anew that its former self has put in the lake already,
 * under keys that another month or another range end make different. Keys sort by LSN, so all such files come right
 * after the last one settled.
 */
export async function checkLaterFiles({
  ports,
  files,
  table,
}: {
  ports: Ports;
  files: JournalFiles;
  table: Table;
}): Promise<void> {
  const prefix = partitionsPrefix(table);
  const after = files.lastFile(table.name)?.key;
  const listing = ports.bucket.list(prefix, { after, limit: LATER_KEYS_MAX });
  const listed = await ports.clock.within(listing, LIMITS.bucketCallMsMax, `list of ${prefix}`);
  const own = files.intent(table.name)?.key;
  const later = listed.find(key => key !== own && parseDataFileKey(key) !== null);
  if (later)
    throw new StepError('foreign-object', `${prefix}: expected no data file after ${after ?? 'none'}, got ${later}`);
}
