import zlib from 'node:zlib';
import { expect, it } from 'vitest';
import { zstdFrame } from '../../src/parquet/zstd.ts';
import { randomFrom } from './rows.ts';

/** The first bytes of every zstd frame. */
const MAGIC = [0x28, 0xb5, 0x2f, 0xfd];

it.each([0, 1, 2, 100, 4096, 40_960, 65_536, 131_072, 524_288, 1_000_003])(
  '%i bytes come back from one frame',
  size => {
    const random = randomFrom(size);
    const inputs = {
      incompressible: Uint8Array.from({ length: size }, () => random() * 256),
      text: Uint8Array.from({ length: size }, () => 97 + random() * 8),
      zeros: new Uint8Array(size),
    };
    for (const [kind, bytes] of Object.entries(inputs)) {
      const frame = zstdFrame(bytes);
      expect(Array.from(frame.subarray(0, 4))).toEqual(MAGIC);
      const read = zlib.zstdDecompressSync(frame, { info: true }) as unknown as {
        buffer: Uint8Array;
        engine: { bytesWritten: number };
      };
      expect(Buffer.compare(read.buffer, bytes), kind).toBe(0);
      // The decoder stops at the end of a frame, so there is one frame.
      expect(read.engine.bytesWritten, kind).toBe(frame.length);
      // Without its last block the frame does not end.
      expect(() => zlib.zstdDecompressSync(frame.subarray(0, frame.length - 1)), kind).toThrow();
      expect(frame.length, kind).toBeLessThan(size + 64);
    }
  },
);
