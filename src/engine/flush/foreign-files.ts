import type { Table } from '../../../schemas/table.ts';
import { LIMITS } from '../../config.ts';
import { StepError } from '../../errors.ts';
import { parseDataFileKey, partitionsPrefix } from '../../lake/object-keys.ts';
import type { Ports } from '../../ports/ports.ts';
import type { JournalFiles } from '../journal/files.ts';

/** Throws `lake-not-empty` when tables of a new journal have data files: its rows would repeat their LSNs from 1. */
export async function checkNoFiles({ bucket, clock }: Pick<Ports, 'bucket' | 'clock'>, tables: Table[]): Promise<void> {
  for (const table of tables) {
    const prefix = partitionsPrefix(table);
    const listing = bucket.list(prefix, { limit: 1 });
    const listed = await clock.within(listing, LIMITS.bucketCallMsMax, `list of ${prefix}`);
    if (listed.length > 0)
      throw new StepError('lake-not-empty', `${prefix}: expected no data file before the first row, got ${listed[0]}`);
  }
}

/** Keys listed after the last settled file: that of our own intent, and some that are no data files. */
const LATER_KEYS_MAX = 10;

/**
 * Throws `foreign-object` when the lake has a data file after the last settled one. A journal that was restored to an
 * earlier time would give LSNs again that such a file has, under another key where month or range differ. Keys sort by
 * LSN, so all such files follow the last settled one.
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
