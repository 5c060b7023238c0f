import type { Run } from '../../alarm/run.ts';
import { LIMITS } from '../../config.ts';
import type { LiveFile } from '../../contract/tables.ts';
import type { DataFileFacts } from '../../ports/data-file.ts';
import type { PlacedFile } from '../append/data-file.ts';
import { CatalogError } from '../errors.ts';
import type { CommitBucket, CommitterPorts } from './ports.ts';
import type { WaitingFile } from './state.ts';

/** The etag of the file an object is a copy of, in its custom metadata. */
const COPY_OF = 'copy-of';

const CALL = { ms: LIMITS.bucketCallMsMax };

/**
 * The files that continue what is committed, one after the other, each once, in whatever order and how often they were
 * offered. Throws `files-broken` where some are there and none of them comes next.
 */
export function runOf(offered: LiveFile[], committedLsn: number): { run: LiveFile[]; waiting: number } {
  const waiting = new Map<number, LiveFile>();
  for (const file of offered) if (file.first_lsn > committedLsn) waiting.set(file.first_lsn, file);
  const run: LiveFile[] = [];
  for (let next = waiting.get(committedLsn + 1); next; next = waiting.get(next.last_lsn + 1)) run.push(next);
  if (waiting.size > 0 && run.length === 0) {
    const least = Math.min(...waiting.keys());
    throw broken(`data files: expected one from LSN ${committedLsn + 1}, got the next from ${least}`);
  }
  return { run, waiting: waiting.size };
}

/**
 * Copies a data file to where the table has it, unless the copy lies there. Throws `copy-differs` where something else
 * does, and `files-broken` where the file is no longer what it was.
 */
export async function placeFile(
  bucket: CommitBucket,
  run: Run,
  { file, key }: { file: WaitingFile; key: string },
): Promise<void> {
  const head = () => run.call(() => bucket.head(key), { ...CALL, subject: 'head of a copy' });
  if (isCopy(await head(), { file, key })) return;
  const metadata = { [COPY_OF]: file.etag };
  const copied = await run.call(() => bucket.copy(file, key, { metadata }), { ...CALL, subject: 'copy of a file' });
  if (copied === 'missing') throw broken(`${file.key}: expected the file the source named, got another or none`);
  // What the bucket says of it now counts, whoever put it.
  if (!isCopy(await head(), { file, key })) throw broken(`${key}: expected the copy that was just put, got none`);
}

/** Whether an object is the copy; throws where it is something else. */
function isCopy(
  head: { bytes: number; etag: string; metadata: Record<string, string> } | null,
  { file, key }: { file: WaitingFile; key: string },
): boolean {
  if (head === null) return false;
  const isSame = head.bytes === file.bytes && (head.metadata[COPY_OF] === file.etag || head.etag === file.etag);
  if (isSame) return true;
  throw new CatalogError('copy-differs', `${key}: expected a copy of ${file.key}, got another object`, {
    hint: 'Find out who put it there; once it is removed the committer copies the file again.',
  });
}

/** A copy with its facts, read out of its own bytes. Throws `files-broken` where they are not those of the file. */
export async function placedFile(
  { bucket, facts }: Pick<CommitterPorts, 'bucket' | 'facts'>,
  run: Run,
  { file, key, uri }: { file: WaitingFile; key: string; uri: string },
): Promise<PlacedFile> {
  const read = await factsAtEnd(LIMITS.footerBytes);
  if (read.firstLsn === file.first_lsn && read.lastLsn === file.last_lsn) {
    return { path: uri, bytes: file.bytes, facts: read };
  }
  const expected = `LSN ${file.first_lsn} to ${file.last_lsn}`;
  throw broken(`${key}: expected ${expected}, got ${read.firstLsn} to ${read.lastLsn}`);

  async function factsAtEnd(bytes: number): Promise<DataFileFacts> {
    const end = await run.call(() => bucket.tail(key, bytes), { ...CALL, subject: 'end of a copy' });
    if (end === null) throw broken(`${key}: expected a copy of ${file.key}, got none`);
    const found = facts(end);
    if (!('endBytes' in found)) return found;
    if (found.endBytes <= bytes) throw broken(`${key}: expected a footer within ${bytes} bytes, got none`);
    return factsAtEnd(found.endBytes);
  }
}

function broken(message: string): CatalogError {
  return new CatalogError('files-broken', message, {
    hint: 'The source is asked for its files again; if it stays, see GET /v1/sources/<id>/audit.',
  });
}
