import type { Table } from '../../../schemas/table.ts';
import type { Run } from '../../alarm/run.ts';
import { LIMITS } from '../../config.ts';
import { OwnError } from '../../errors.ts';
import { dataFileKey, parseDataFileKey, partitionsPrefix } from '../../lake/object-keys.ts';
import type { ObjectHead, Ports } from '../../ports/ports.ts';
import type { Intent, JournalFiles, Settled } from '../journal/files.ts';
import type { RowBuffer } from './row-buffer.ts';

/** Keys looked at for files past the last settled one: our own intent's, and whatever else somebody may have left there. */
const LATER_KEYS_MAX = 10;

/**
 * Moves the range a buffer holds into one data file. Each step is safe to repeat: the range and its digest are
 * written down first, the put replaces nothing, and settling is one transaction. Null when there is nothing to move, or
 * a later run has moved it meanwhile.
 *
 * Throws `OwnError`: `foreign-object` when something else stands under the key or holds later rows, `bucket-failed` or
 * `deadline` when the bucket does not answer. Nothing is settled then.
 */
export async function flush({
  ports,
  files,
  buffer,
  run,
}: {
  ports: Ports;
  files: JournalFiles;
  buffer: RowBuffer;
  run: Run;
}): Promise<Settled | null> {
  const { table } = buffer;
  const startedMs = ports.clock.now();
  await checkLaterFiles({ ports, files, table });
  const earlier = files.intent(table.name);
  // An intent that is written down keeps its range: its object may be in the bucket already.
  if (earlier && buffer.range?.lastLsn !== earlier.last_lsn) {
    buffer.drop();
    while (buffer.readNext(earlier.last_lsn)) await run.turn();
  }
  const range = buffer.range;
  if (!range) return null;
  if (earlier && range.lastLsn !== earlier.last_lsn)
    throw new OwnError('internal', `${earlier.key}: expected rows up to ${earlier.last_lsn}, got ${range.lastLsn}`);
  const key = earlier?.key ?? dataFileKey(table, range);
  const intent = files.intend({ ...range, table, key, facts: buffer.facts, nowMs: ports.clock.now() });
  const chunks = buffer.finish();
  const head = await put({ ports, intent, chunks });
  return files.settle({ intent, head, startedMs, nowMs: ports.clock.now() });
}

/**
 * A journal that was restored to an earlier point numbers rows anew that its former self has put in the lake already,
 * under keys that another month or another range end make different. Keys sort by LSN, so all such files come right
 * after the last one settled.
 */
async function checkLaterFiles({
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
    throw new OwnError('foreign-object', `${prefix}: expected no data file after ${after ?? 'none'}, got ${later}`);
}

async function put({
  ports,
  intent,
  chunks,
}: {
  ports: Ports;
  intent: Intent;
  chunks: Uint8Array[];
}): Promise<ObjectHead> {
  const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const written = ports.bucket.put(intent.key, chunks, {
    onlyIf: { absent: true },
    metadata: { digest: intent.digest, rows: String(intent.last_lsn - intent.first_lsn + 1) },
    contentType: 'application/vnd.apache.parquet',
  });
  const head =
    (await ports.clock.within(written, LIMITS.bucketCallMsMax, `put of ${bytes} bytes to ${intent.key}`)) ??
    (await ports.clock.within(ports.bucket.head(intent.key), LIMITS.bucketCallMsMax, `head of ${intent.key}`));
  if (!head) throw new OwnError('bucket-failed', `${intent.key}: expected the object that refused a put, got none`);
  // The first object under a key stands, whichever version of us wrote it, when it holds the same journal range.
  if (head.metadata.digest !== intent.digest) {
    throw new OwnError(
      'foreign-object',
      `${intent.key}: expected digest ${intent.digest}, got ${head.metadata.digest ?? 'none'}`,
    );
  }
  return head;
}
