import type { Run } from '../../alarm/run.ts';
import { totalBytes } from '../../bytes.ts';
import { LIMITS } from '../../config.ts';
import { StepError } from '../../errors.ts';
import { dataFileKey } from '../../lake/object-keys.ts';
import type { ObjectHead } from '../../ports/bucket.ts';
import type { Ports } from '../../ports/ports.ts';
import type { Intent, JournalFiles, Settled } from '../journal/files.ts';
import { checkLaterFiles } from './foreign-files.ts';
import type { RowBuffer } from './row-buffer.ts';

/**
 * Moves the range of a buffer into one data file. Each step is safe to repeat: the range and its digest are written
 * down first, the put replaces nothing, and settling is one transaction. Null when there is nothing to move, or a later
 * run has settled the range meanwhile.
 *
 * Throws `StepError`: `foreign-object` when another object has the key, or there are files of later rows;
 * `bucket-failed` or `deadline` when the bucket does not answer. Nothing is settled then.
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
  // Check that the lake has no files of rows that this journal has not settled.
  await checkLaterFiles({ ports, files, table });
  // Read the range of an earlier attempt again, because its object may be in the bucket already.
  const earlier = files.intent(table.name);
  if (earlier && buffer.range?.lastLsn !== earlier.last_lsn) {
    buffer.drop();
    while (buffer.readNext(earlier.last_lsn)) await run.turn();
  }
  const range = buffer.range;
  if (!range) return null;
  if (earlier && range.lastLsn !== earlier.last_lsn)
    throw new StepError('internal', `${earlier.key}: expected rows up to ${earlier.last_lsn}, got ${range.lastLsn}`);
  // Write the range and its digest down before the put.
  const key = earlier?.key ?? dataFileKey(table, range);
  const intent = files.writeIntent({ ...range, table, key, facts: buffer.facts, nowMs: ports.clock.now() });
  // Put the file, then settle it.
  const chunks = buffer.finish();
  const head = await put({ ports, intent, chunks, identity: files.identity(table.name) });
  return files.settle({ intent, head, startedMs, nowMs: ports.clock.now() });
}

/**
 * Puts a data file unless its key is taken. Returns the head of the object that has the key then; throws
 * `foreign-object`.
 */
async function put({
  ports,
  intent,
  chunks,
  identity,
}: {
  ports: Ports;
  intent: Intent;
  chunks: Uint8Array[];
  identity: string | null;
}): Promise<ObjectHead> {
  const bytes = totalBytes(chunks);
  const call = ports.bucket.put(intent.key, chunks, {
    onlyIf: { absent: true },
    metadata: {
      digest: intent.digest,
      rows: String(intent.last_lsn - intent.first_lsn + 1),
      identity: identity ?? '',
    },
    contentType: 'application/vnd.apache.parquet',
  });
  const head =
    (await ports.clock.within(call, LIMITS.bucketCallMsMax, `put of ${bytes} bytes to ${intent.key}`)) ??
    (await ports.clock.within(ports.bucket.head(intent.key), LIMITS.bucketCallMsMax, `head of ${intent.key}`));
  if (!head)
    throw new StepError('bucket-failed', `${intent.key}: expected the object that a put found there, got none`);
  // An object that is there already is ours when its journal range has the same digest, whichever version wrote it.
  if (head.metadata.digest !== intent.digest) {
    throw new StepError(
      'foreign-object',
      `${intent.key}: expected digest ${intent.digest}, got ${head.metadata.digest ?? 'none'}`,
    );
  }
  return head;
}
