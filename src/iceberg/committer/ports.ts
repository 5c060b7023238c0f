import type { LiveFile } from '../../contract/tables.ts';
import type { BucketPort } from '../../ports/bucket.ts';
import type { DataFileFacts } from '../../ports/data-file.ts';
import type { ClockPort, LogPort, WakePort } from '../../ports/platform.ts';
import type { SqlPort } from '../../ports/sql.ts';
import type { FetchPort } from '../rest/client.ts';

/** The bucket, as far as committing goes: what is put there is new, and nothing is replaced or removed. */
export interface CommitBucket extends Pick<BucketPort, 'head' | 'put' | 'tail'> {
  /** All of an object; null when there is none. */
  read(key: string): Promise<Uint8Array | null>;
  /**
   * Copies an object that still has this etag to where none is. `missing`: no such object any more; `refused`: one stands
   * there.
   */
  copy(
    from: { key: string; etag: string },
    to: string,
    options: { metadata: Record<string, string> },
  ): Promise<'copied' | 'refused' | 'missing'>;
}

/** A source's data files. */
export interface FilesPort {
  /** The first `limit` live files of a table whose first LSN is over `after`. */
  liveFiles(source: string, query: { table: string; after: number; limit: number }): Promise<LiveFile[]>;
}

export interface CommitterPorts {
  sql: SqlPort;
  bucket: CommitBucket;
  files: FilesPort;
  fetch: FetchPort;
  clock: ClockPort;
  wake: WakePort;
  /** What the end of a data file says of it, or how many bytes of the end that takes. Throws where it is no data file's. */
  facts(end: Uint8Array): DataFileFacts | { endBytes: number };
  /** One nobody has had. */
  newSnapshotId(): bigint;
  log: LogPort;
}
