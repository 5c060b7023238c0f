import { constants, deflateRawSync, inflateRawSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { zstdFrame } from '../../src/parquet/zstd.ts';
import { bytesOf, zstdConformance } from '../parquet/zstd-frames.ts';

zstdConformance('the worker');

/** Of the first difference, since thousands of bytes side by side say nothing. */
function expectSame(actual: Uint8Array, expected: Uint8Array): void {
  expect(Buffer.compare(actual, expected)).toBe(0);
}

describe('what the runtime does wrong', () => {
  // When one of these fails, the runtime has been mended: `zstdFrame` may end its frames like anybody else
  // (cloudflare/workerd#6769), and the journal may be packed with zstd.
  it.each([40_960, 100_000, 1_000_000])('it cannot end a frame of %i incompressible bytes', size => {
    expect(() => zstdCompressSync(bytesOf('incompressible', size))).toThrow(/unexpected end of file/i);
  });

  it.each([40_960, 81_920])('it does not read back %i bytes, which just fill its output', size => {
    const frame = zstdFrame(bytesOf('text', size));
    expect(() => zstdDecompressSync(frame)).toThrow(/unexpected end of file/i);
    expectSame(zstdDecompressSync(frame, { finishFlush: constants.ZSTD_e_flush }), bytesOf('text', size));
  });
});

describe('what the journal relies on', () => {
  it('deflate gives back texts of every size about those that fill a buffer', () => {
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
