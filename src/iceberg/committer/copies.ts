import type { Run } from '../../alarm/run.ts';
import { LIMITS } from '../../config.ts';
import type { LiveFile } from '../../contract/tables.ts';
import type { DataFileFacts } from '../../ports/data-file.ts';
import type { CopiedFile } from '../append/data-file.ts';
import { CatalogError } from '../errors.ts';
import type { CommitBucket, CommitterPorts } from './ports.ts';
import type { WaitingFile } from './state.ts';

/** The key in a copy's custom metadata under which the etag of the original file is stored. */
const COPY_OF = 'copy-of';

const CALL = { ms: LIMITS.bucketCallMsMax };

/**
 * The files that continue the committed rows, in LSN order without a gap, and how many files wait for a commit in all.
 * The source may list files in any order and more than once. Throws `files-broken` when files wait but none comes next.
 */
export function consecutiveFiles(listed: LiveFile[], committedLsn: number): { next: LiveFile[]; waiting: number } {
  const waiting = new Map<number, LiveFile>();
  for (const file of listed) if (file.first_lsn > committedLsn) waiting.set(file.first_lsn, file);
  const next: LiveFile[] = [];
  for (let file = waiting.get(committedLsn + 1); file; file = waiting.get(file.last_lsn + 1)) next.push(file);
  if (waiting.size > 0 && next.length === 0) {
    const lowest = Math.min(...waiting.keys());
    throw filesBroken(`data files: expected one from LSN ${committedLsn + 1}, got the next from ${lowest}`);
  }
  return { next, waiting: waiting.size };
}

/**
 * Copies a data file to its key under the table's location, unless the copy exists. Throws `copy-differs` when another
 * object is under that key, and `files-broken` when the data file was removed or replaced.
 */
export async function copyFile(
  bucket: CommitBucket,
  run: Run,
  { file, key }: { file: WaitingFile; key: string },
): Promise<void> {
  const head = () => run.call(() => bucket.head(key), { ...CALL, subject: 'head of a copy' });
  if (isCopy(await head(), { file, key })) return;
  const metadata = { [COPY_OF]: file.etag };
  const copied = await run.call(() => bucket.copy(file, key, { metadata }), { ...CALL, subject: 'copy of a file' });
  if (copied === 'missing') throw filesBroken(`${file.key}: expected the listed file, got another or none`);
  // Check the object that is there now, because an earlier run or another instance may have put it.
  if (!isCopy(await head(), { file, key })) throw filesBroken(`${key}: expected the copy just written, got none`);
}

/** Whether the object is the file's copy; false when there is no object. Throws `copy-differs` for another object. */
function isCopy(
  head: { bytes: number; etag: string; metadata: Record<string, string> } | null,
  { file, key }: { file: WaitingFile; key: string },
): boolean {
  if (head === null) return false;
  const isSame = head.bytes === file.bytes && (head.metadata[COPY_OF] === file.etag || head.etag === file.etag);
  if (isSame) return true;
  throw new CatalogError('copy-differs', `${key}: expected a copy of ${file.key}, got another object`, {
    hint: 'Find out which program put this object. Once it is removed, the committer copies the file again.',
  });
}

/** A copy with the facts of its own footer. Throws `files-broken` when its LSNs are not those of the file. */
export async function readCopy(
  { bucket, readFacts }: Pick<CommitterPorts, 'bucket' | 'readFacts'>,
  run: Run,
  { file, key, uri }: { file: WaitingFile; key: string; uri: string },
): Promise<CopiedFile> {
  const facts = await readFactsFrom(LIMITS.footerBytes);
  if (facts.firstLsn === file.first_lsn && facts.lastLsn === file.last_lsn) {
    return { path: uri, bytes: file.bytes, facts };
  }
  const expected = `LSN ${file.first_lsn} to ${file.last_lsn}`;
  throw filesBroken(`${key}: expected ${expected}, got ${facts.firstLsn} to ${facts.lastLsn}`);

  /** Reads the last bytes of the copy, and once more when its footer is longer. */
  async function readFactsFrom(bytes: number): Promise<DataFileFacts> {
    const end = await run.call(() => bucket.tail(key, bytes), { ...CALL, subject: 'end of a copy' });
    if (end === null) throw filesBroken(`${key}: expected a copy of ${file.key}, got none`);
    const found = readFacts(end);
    if (!('endBytes' in found)) return found;
    if (found.endBytes <= bytes) throw filesBroken(`${key}: expected a footer within ${bytes} bytes, got none`);
    return readFactsFrom(found.endBytes);
  }
}

function filesBroken(message: string): CatalogError {
  return new CatalogError('files-broken', message, {
    hint: 'The committer lists the source’s files again. If the error remains, see GET /v1/sources/<id>/audit.',
  });
}
