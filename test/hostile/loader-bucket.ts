import type { LakeBucket, PartsUpload } from '../../src/ports/bucket.ts';
import { MemoryBucket } from '../simulation/world/bucket.ts';

/** R2 refuses a smaller part, except the last one. */
const PART_BYTES_MIN = 5 * 1024 * 1024;

/** A bucket in memory with uploads in parts, and R2's rules for parts. */
export class LoaderBucket extends MemoryBucket implements LakeBucket {
  /** The number of uploads. */
  readonly uploads = { begun: 0, completed: 0, aborted: 0 };

  async upload(key: string, { metadata }: { metadata: Record<string, string> }): Promise<PartsUpload> {
    this.uploads.begun += 1;
    const parts: Uint8Array[] = [];
    return {
      part: async bytes => void parts.push(bytes.slice()),
      complete: async () => {
        const [first] = parts;
        const isRefused = parts.slice(0, -1).some(({ length }) => length < PART_BYTES_MIN || length !== first!.length);
        if (isRefused) throw new Error('bucket: expected equal parts of at least 5 MiB before the last');
        this.uploads.completed += 1;
        this.store(key, Buffer.concat(parts), metadata);
      },
      abort: async () => {
        this.uploads.aborted += 1;
      },
    };
  }
}
