import { constants, deflateRawSync, inflateRawSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { zstdFrame } from '../../src/parquet/zstd.ts';
import { bytesOf, zstdConformance } from '../parquet/zstd-frames.ts';

zstdConformance('the worker');

/** Compares without printing: a diff of thousands of bytes says nothing. */
function expectSame(actual: Uint8Array, expected: Uint8Array): void {
  expect(Buffer.compare(actual, expected)).toBe(0);
}

describe('the runtime’s known faults', () => {
  // When one of these tests fails, the fault is fixed (cloudflare/workerd#6769): then `zstdFrame` can end its frames in
  // the usual way, and the journal can use zstd.
  it.each([40_960, 100_000, 1_000_000])('do not end a frame of %i incompressible bytes', size => {
    expect(() => zstdCompressSync(bytesOf('incompressible', size))).toThrow(/unexpected end of file/i);
  });

  it.each([40_960, 81_920])('do not read back %i bytes, which just fill the output', size => {
    const frame = zstdFrame(bytesOf('text', size));
    expect(() => zstdDecompressSync(frame)).toThrow(/unexpected end of file/i);
    expectSame(zstdDecompressSync(frame, { finishFlush: constants.ZSTD_e_flush }), bytesOf('text', size));
  });
});

describe('what the journal relies on', () => {
  it('deflate gives back texts of every size around those that fill a buffer', () => {
    for (const kind of ['incompressible', 'text', 'zeros'] as const) {
      for (const full of [0, 16_384, 32_768, 40_960, 65_536, 81_920]) {
        for (let size = Math.max(0, full - 30); size <= full + 10; size++) {
          const bytes = bytesOf(kind, size);
          expectSame(inflateRawSync(deflateRawSync(bytes, { level: 1 })), bytes);
        }
      }
    }
  });

  it.each(['incompressible', 'text', 'zeros'] as const)('deflate gives back large texts: %s', kind => {
    for (const size of [100_000, 409_600, 1_000_000, 1_048_576, 8_388_608]) {
      const bytes = bytesOf(kind, size);
      expectSame(inflateRawSync(deflateRawSync(bytes, { level: 1 })), bytes);
    }
  });
});
