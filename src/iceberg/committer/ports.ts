import type { LiveFile } from '../../contract/tables.ts';
import type { BucketPort, CopyPort } from '../../ports/bucket.ts';
import type { DataFileFacts } from '../../ports/data-file.ts';
import type { ClockPort, LogPort, WakePort } from '../../ports/platform.ts';
import type { SqlPort } from '../../ports/sql.ts';
import type { FetchPort } from '../rest/client.ts';

/**
 * What the committer does with the bucket: it puts new objects, and neither replaces nor removes any. `copy` answers
 * `missing` when no object has the given key and etag, and `refused` when an object has the key `to` already.
 */
export type CommitBucket = Pick<BucketPort, 'head' | 'put' | 'tail'> & CopyPort;

/** A source's data files. */
export interface FilesPort {
  /** The first `limit` live files of a table whose first LSN is greater than `after`. */
  liveFiles(source: string, query: { table: string; after: number; limit: number }): Promise<LiveFile[]>;
}

export interface CommitterPorts {
  sql: SqlPort;
  bucket: CommitBucket;
  files: FilesPort;
  fetch: FetchPort;
  clock: ClockPort;
  wake: WakePort;
  /**
   * The facts in the last bytes of a data file, or how many of its last bytes the facts need. Throws when the bytes are
   * not the end of a data file.
   */
  readFacts(end: Uint8Array): DataFileFacts | { endBytes: number };
  /** A random id, different with each call. */
  newSnapshotId(): bigint;
  log: LogPort;
}
